//! How many lines had scrolled off by which offset: tells what a client missed.

use std::collections::VecDeque;

use psess_protocol::offset::Offset;
use psess_protocol::size::Size;

/// One milestone each so many bytes.
const SPACING: u64 = 64 << 10;

/// Milestones kept: enough for all that the log can hold.
const MAX: usize = 1024;

/// Lines scrolled off, by offset.
#[derive(Debug, Default)]
pub(crate) struct Milestones {
    passed: VecDeque<Milestone>,
}

/// So many lines had scrolled off a screen of that size when output reached `offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Milestone {
    pub(crate) offset: Offset,
    pub(crate) size: Size,
    pub(crate) lines: u64,
}

impl Milestones {
    /// One more, unless the last one is near.
    pub(crate) fn pass(&mut self, milestone: Milestone) {
        let last = self.passed.back().map(|last| last.offset);
        if last.is_none_or(|last| milestone.offset.bytes_since(last) >= SPACING) {
            self.mark(milestone);
        }
    }

    /// One more, as the size changes there: to be called before that and after.
    pub(crate) fn mark(&mut self, milestone: Milestone) {
        if self.passed.len() == MAX {
            self.passed.pop_front();
        }
        self.passed.push_back(milestone);
    }

    /// The first one from `position` on; of several that of this size, if there is one, and else, or
    /// without a size, that with the fewest lines.
    pub(crate) fn next(&self, position: Offset, size: Option<Size>) -> Option<Milestone> {
        let first = self.passed.get(self.before(position))?.offset;
        let fits = |milestone: &Milestone| size.is_some_and(|size| milestone.size.same_cells(size));
        self.at(first)
            .min_by_key(|milestone| (!fits(milestone), milestone.lines))
    }

    /// How many lines had scrolled off at least by the last one before `position`.
    pub(crate) fn lines_before(&self, position: Offset) -> Option<u64> {
        let last = self.before(position).checked_sub(1)?;
        let there = self.at(self.passed[last].offset);
        there.map(|milestone| milestone.lines).min()
    }

    fn at(&self, offset: Offset) -> impl Iterator<Item = Milestone> {
        let from = self.passed.iter().skip(self.before(offset));
        from.take_while(move |milestone| milestone.offset == offset)
            .copied()
    }

    fn before(&self, position: Offset) -> usize {
        self.passed
            .partition_point(|milestone| milestone.offset < position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_size_changed_there_is_one_for_each_size() {
        let [small, large, other] = [24, 30, 10].map(|rows| Size::new(rows, 80));
        let milestone = |offset, size, lines| Milestone {
            offset: Offset(offset),
            size,
            lines,
        };
        let mut milestones = Milestones::default();
        milestones.pass(milestone(100_000, small, 900));
        milestones.pass(milestone(100_001, small, 901));
        milestones.mark(milestone(200_000, small, 2_000));
        milestones.mark(milestone(200_000, large, 1_994));
        milestones.mark(milestone(200_000, small, 1_999));
        let next = |position, size| {
            let next = milestones.next(Offset(position), size);
            next.map(|milestone| (milestone.offset.0, milestone.lines))
        };
        assert_eq!(next(0, Some(other)), Some((100_000, 900)));
        for position in [100_001, 200_000] {
            assert_eq!(next(position, Some(small)), Some((200_000, 1_999)));
            assert_eq!(next(position, Some(large)), Some((200_000, 1_994)));
            assert_eq!(next(position, Some(other)), Some((200_000, 1_994)));
            assert_eq!(next(position, None), Some((200_000, 1_994)));
        }
        assert_eq!(next(200_001, None), None);
        let before = |position| milestones.lines_before(Offset(position));
        assert_eq!(before(100_000), None);
        assert_eq!(before(200_000), Some(900));
        assert_eq!(before(200_001), Some(1_994));
    }
}
