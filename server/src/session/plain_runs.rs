//! Where in the log output is plain: the run that goes on, and long ones before it.

use std::collections::VecDeque;
use std::ops::Range;

use psess_protocol::offset::Offset;

/// Shorter runs are forgotten once they end.
const LONG: u64 = 64 << 10;

/// So many runs that have ended are known. The oldest go first when there are more.
const MAX: usize = 64;

/// Runs of plain output.
#[derive(Debug)]
pub(super) struct PlainRuns {
    ended: VecDeque<Range<Offset>>,
    /// Where the run that goes on began.
    from: Offset,
}

impl PlainRuns {
    /// None before `from`.
    pub(super) fn new(from: Offset) -> Self {
        Self {
            ended: VecDeque::new(),
            from,
        }
    }

    /// The run that went on is plain up to `until`; another may begin at `from`.
    pub(super) fn end(&mut self, until: Offset, from: Offset) {
        if until.bytes_since(self.from) >= LONG {
            if self.ended.len() == MAX {
                self.ended.pop_front();
            }
            self.ended.push_back(self.from..until);
        }
        self.from = from;
    }

    /// The run that `position` lies in, where the one that goes on is plain up to `until`; it may
    /// be at the run's very end, if that goes on.
    pub(super) fn at(&self, position: Offset, until: Offset) -> Option<Range<Offset>> {
        if position >= self.from {
            return Some(self.from..until);
        }
        let ended = self.ended.iter().rev();
        let mut candidates = ended.take_while(|run| position < run.end);
        candidates.find(|run| run.start <= position).cloned()
    }

    /// Whether it is worth waiting for something to pass on a run as a whole.
    pub(super) fn is_long(run: &Range<Offset>) -> bool {
        run.end.bytes_since(run.start) >= LONG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_found_again_and_short_ones_are_not() {
        let offset = |kib: u64| Offset(kib << 10);
        let mut runs = PlainRuns::new(offset(1));
        runs.end(offset(101), offset(110));
        runs.end(offset(120), offset(130));
        runs.end(offset(330), offset(340));
        let at = |kib| runs.at(offset(kib), offset(350));
        assert_eq!(at(0), None);
        assert_eq!(at(1), Some(offset(1)..offset(101)));
        assert_eq!(at(100), Some(offset(1)..offset(101)));
        assert_eq!(at(101), None);
        assert_eq!(at(115), None, "a short one");
        assert_eq!(at(200), Some(offset(130)..offset(330)));
        assert_eq!(at(335), None);
        assert_eq!(at(350), Some(offset(340)..offset(350)));
        assert!(!PlainRuns::is_long(&(offset(340)..offset(350))));
    }

    #[test]
    fn only_so_many_are_known() {
        let mut runs = PlainRuns::new(Offset(0));
        for run in 1..=1000 {
            runs.end(Offset(run * LONG), Offset(run * LONG));
        }
        assert_eq!(runs.ended.len(), MAX);
        assert_eq!(runs.at(Offset(0), Offset(u64::MAX)), None);
    }
}
