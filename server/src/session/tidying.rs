//! When the log is tidied: memory of output that nobody needs any more is kept for what comes next
//! while a flood goes on.

use std::time::{Duration, Instant};

use psess_protocol::offset::Offset;

use crate::output_log::OutputLog;

/// A flood goes on as long as a piece of the log is forgotten at least so often: at more than 4 MB/s.
const CALM: Duration = Duration::from_millis(250);

/// A ring that is longer than it need be is made short after so long, if a flood goes on.
const TOO_LONG: Duration = Duration::from_secs(10);

/// What the log was when it was looked at last.
#[derive(Debug)]
pub(super) struct Tidying {
    /// Where it began, and since when.
    start: Offset,
    trimmed: Instant,
    /// When its ring was last no longer than it need be.
    fitting: Instant,
}

impl Tidying {
    /// Nothing was forgotten before `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: Offset(0),
            trimmed: now,
            fitting: now,
        }
    }

    /// Looks at the log, after it was trimmed or may have been.
    pub(super) fn observe(&mut self, now: Instant, log: &OutputLog) {
        if !log.is_too_long() {
            self.fitting = now;
        }
        if log.start() != self.start {
            self.start = log.start();
            self.trimmed = now;
        }
    }

    /// When the log is to be tidied; `None`: it is tidy.
    pub(super) fn due(&self, log: &OutputLog) -> Option<Instant> {
        let calm = self.trimmed + CALM;
        log.is_untidy().then(|| match log.is_too_long() {
            true => calm.min(self.fitting + TOO_LONG),
            false => calm,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::Journal;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// The program prints so much, and all but the last `keep` bytes are forgotten.
    fn print(journal: &mut Journal, bytes: u64, keep: u64) {
        let end = journal.log.end().0 + bytes;
        while journal.log.end().0 < end {
            let read = journal.log_spare().len();
            journal.commit_output(read);
        }
        let keep = Offset(journal.log.end().0 - keep);
        journal.trim_log(keep);
    }

    #[test]
    fn the_log_is_tidied_when_a_flood_is_over() {
        let start = Instant::now();
        let mut journal = Journal::unshared().unwrap();
        let mut tidying = Tidying::new(start);
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            print(&mut journal, 8 * MIB, 4 * MIB);
            tidying.observe(now, &journal.log);
            tidying.observe(now + CALM / 2, &journal.log);
            assert_eq!(tidying.due(&journal.log), Some(now + CALM));
        }
        journal.tidy_log();
        assert_eq!(tidying.due(&journal.log), None);
    }

    #[test]
    fn a_ring_that_need_not_be_long_is_made_short_in_a_flood() {
        let start = Instant::now();
        let mut journal = Journal::unshared().unwrap();
        let mut tidying = Tidying::new(start);
        // A client lags, ...
        print(&mut journal, 24 * MIB, 20 * MIB);
        let lagging = start + Duration::from_secs(30);
        tidying.observe(lagging, &journal.log);
        assert!(!journal.log.is_too_long());
        // ... and then no longer.
        for second in 1..=11 {
            let now = lagging + Duration::from_secs(second);
            print(&mut journal, 2 * MIB, 4 * MIB);
            tidying.observe(now, &journal.log);
            let due = (now + CALM).min(lagging + TOO_LONG);
            assert_eq!(tidying.due(&journal.log), Some(due));
        }
    }
}
