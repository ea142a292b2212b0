//! How many lines had ended by which offset, in plain output that the terminal was not fed yet.

use std::collections::VecDeque;

use psess_protocol::offset::Offset;

/// One mark each so many bytes.
const SPACING: u64 = 64 << 10;

/// Lines that ended, by offset. Who adds to it is behind by a bounded number of bytes, and so are
/// the marks.
#[derive(Debug)]
pub(super) struct LineMarks {
    marks: VecDeque<(Offset, usize)>,
    /// Where the last mark is; before the first one, where what the terminal was not fed begins.
    last: Offset,
    ended: usize,
}

impl LineMarks {
    /// None before `from`.
    pub(super) fn new(from: Offset) -> Self {
        Self {
            marks: VecDeque::new(),
            last: from,
            ended: 0,
        }
    }

    /// `bytes` came, and end at `end`.
    pub(super) fn add(&mut self, bytes: &[u8], end: Offset) {
        self.ended += memchr::memchr_iter(b'\n', bytes).count();
        if end.bytes_since(self.last) >= SPACING {
            self.marks.push_back((end, self.ended));
            self.last = end;
        }
    }

    /// The last mark up to `limit` behind which at least `lines` ended; and how many did.
    pub(super) fn last_before(&self, lines: usize, limit: Offset) -> Option<(Offset, usize)> {
        let behind = |mark: &(Offset, usize)| self.ended - mark.1;
        let fitting = self
            .marks
            .partition_point(|mark| mark.0 <= limit && behind(mark) >= lines);
        let mark = self.marks.get(fitting.checked_sub(1)?)?;
        Some((mark.0, behind(mark)))
    }

    /// The first mark from `position` on, and how many lines ended behind it.
    pub(super) fn next(&self, position: Offset) -> Option<(Offset, usize)> {
        let before = self.marks.partition_point(|mark| mark.0 < position);
        let mark = self.marks.get(before)?;
        Some((mark.0, self.ended - mark.1))
    }

    /// The terminal was fed up to `position`.
    pub(super) fn forget_before(&mut self, position: Offset) {
        while self.marks.front().is_some_and(|mark| mark.0 <= position) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_by_the_lines_that_ended_behind_it() {
        let mut marks = LineMarks::new(Offset(0));
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for number in 1..=1024 {
            marks.add(&line, Offset(number * 1024));
        }
        let anywhere = Offset(u64::MAX);
        let mark = |lines, limit| marks.last_before(lines, limit);
        // There is one each 64 KiB.
        assert_eq!(mark(961, anywhere), None);
        assert_eq!(mark(960, anywhere), Some((Offset(64 << 10), 960)));
        assert_eq!(mark(896, anywhere), Some((Offset(128 << 10), 896)));
        assert_eq!(mark(897, anywhere), Some((Offset(64 << 10), 960)));
        assert_eq!(mark(0, Offset(191 << 10)), Some((Offset(128 << 10), 896)));
        assert_eq!(mark(0, Offset(63 << 10)), None);
        assert_eq!(marks.next(Offset(0)), Some((Offset(64 << 10), 960)));
        assert_eq!(marks.next(Offset(64 << 10)), Some((Offset(64 << 10), 960)));
        assert_eq!(marks.next(Offset(1 << 20)), Some((Offset(1 << 20), 0)));
        assert_eq!(marks.next(Offset((1 << 20) + 1)), None);
        marks.forget_before(Offset(64 << 10));
        assert_eq!(marks.last_before(897, anywhere), None);
        assert_eq!(
            marks.last_before(896, anywhere),
            Some((Offset(128 << 10), 896))
        );
    }
}
