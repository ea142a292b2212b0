//! How many lines had scrolled off by which offset: tells a client how much it missed.

use std::collections::VecDeque;

use psess_protocol::offset::Offset;

/// One milestone each so many bytes.
const SPACING: u64 = 64 << 10;

/// Milestones kept: enough for all that the log can hold.
const MAX: usize = 1024;

/// Lines scrolled off, by offset.
#[derive(Debug, Default)]
pub(crate) struct Milestones {
    passed: VecDeque<(Offset, u64)>,
}

impl Milestones {
    /// Output now reaches `end`, and `lines` have scrolled off.
    pub(crate) fn pass(&mut self, end: Offset, lines: u64) {
        let last = self.passed.back().map(|(offset, _)| *offset);
        if last.is_some_and(|last| end.bytes_since(last) < SPACING) {
            return;
        }
        if self.passed.len() == MAX {
            self.passed.pop_front();
        }
        self.passed.push_back((end, lines));
    }

    /// The first one from `position` on: where it is, and how many lines had scrolled off there.
    pub(crate) fn next(&self, position: Offset) -> Option<(Offset, u64)> {
        let before = self
            .passed
            .partition_point(|(offset, _)| *offset < position);
        self.passed.get(before).copied()
    }
}
