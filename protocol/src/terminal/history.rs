//! Lines that scrolled off.
//!
//! Each is written once, as almost its own replay: text, and below 0x20 a few codes. Soft-wrapped
//! rows are joined into one line, so that whoever gets it wraps it to its own width. Blocks own what
//! their numbers stand for; the oldest is dropped as a whole. All but the newest are packed, one at a
//! time, when whoever owns the terminal has a moment for that: of plain text it takes as long as
//! drawing it did.

use std::collections::VecDeque;

use super::block::{Block, Writer};
use super::closed_block::ClosedBlock;
use super::code;
use super::content::Content;
use super::legend::{Legend, Piece};
use super::row::Row;
use super::row_starts::RowStarts;

/// A block is closed once it is this long.
const BLOCK_BYTES: usize = 32 << 10;

/// What scrolled off the main screen.
#[derive(Debug)]
pub(super) struct History {
    /// The oldest first.
    closed: VecDeque<ClosedBlock>,
    /// So many of them, the oldest, are as small as they get.
    packed: usize,
    /// The block that is written to. `None`: nothing is kept.
    newest: Option<Block>,
    /// Whole lines in all blocks, those skipped in the first one not counted.
    lines: usize,
    /// Lines of the first block that are too many.
    skipped: usize,
    /// Memory of all blocks if none were packed.
    plain_bytes: usize,
    /// How much less those that are packed take.
    saved_bytes: usize,
    limit_lines: usize,
    /// Of plain bytes: a replay is about as long, however small they can be packed.
    limit_bytes: usize,
    /// The part of a budget of memory that several histories share.
    share_bytes: usize,
    /// Lines that came in since the beginning and are no longer kept.
    dropped: u64,
    /// How many of them the program had cleared, and all before these.
    cleared: u64,
    /// So many behind these were dropped for the limits.
    gone: u64,
    /// So many came back to a screen that grew, and stand in its first rows.
    returned: u64,
    /// Lines that were whole since the beginning.
    ended: u64,
    /// The last line has no end yet: the next row may continue it.
    open: bool,
    /// Its last row ends one column short, for a wide character.
    short: bool,
    /// It was written at another width: blocks end where now none of its rows does.
    ragged: bool,
    writer: Writer,
}

impl History {
    pub(super) fn new(limits: super::Limits) -> Self {
        Self {
            closed: VecDeque::new(),
            packed: 0,
            newest: None,
            lines: 0,
            skipped: 0,
            plain_bytes: 0,
            saved_bytes: 0,
            limit_lines: match limits.history_bytes {
                0 => 0,
                _ => limits.history_lines as usize,
            },
            limit_bytes: limits.history_bytes,
            share_bytes: usize::MAX,
            dropped: 0,
            cleared: 0,
            gone: 0,
            returned: 0,
            ended: 0,
            open: false,
            short: false,
            ragged: false,
            writer: Writer::default(),
        }
    }

    /// How many lines came in since the beginning, but for those that went back to the screen.
    pub(super) fn scrolled(&self) -> u64 {
        self.dropped + self.line_count() as u64
    }

    /// So many of them, the oldest, the program had cleared.
    pub(super) fn cleared(&self) -> u64 {
        self.cleared
    }

    /// So many were dropped for the limits since it was cleared.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    fn count_gone(&mut self, lines: u64) {
        self.dropped += lines;
        self.gone += lines;
    }

    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// So many lines scrolled by that nothing will be left of.
    pub(super) fn pass(&mut self, lines: usize) {
        self.count_gone(lines as u64);
        self.returned = self.returned.saturating_sub(lines as u64);
    }

    /// How many lines came back to a screen that grew, and stand in its first rows.
    pub(super) fn returned(&self) -> u64 {
        self.returned
    }

    /// Lines that came back may be gone from the screen: others that scroll off do not get their
    /// numbers.
    pub(super) fn give_up_returned(&mut self) {
        self.dropped += std::mem::take(&mut self.returned);
    }

    /// How many lines are kept at most; 0: the history is off.
    pub(super) fn limit_lines(&self) -> usize {
        self.limit_lines
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// How many lines are kept, one not yet ended included.
    pub(super) fn line_count(&self) -> usize {
        self.lines + usize::from(self.open)
    }

    /// Bytes of memory that the lines take.
    pub(super) fn bytes(&self) -> usize {
        self.plain_bytes - self.saved_bytes
    }

    pub(super) fn clear(&mut self) {
        self.give_up_returned();
        self.dropped = self.scrolled();
        self.cleared = self.dropped;
        self.gone = 0;
        self.closed.clear();
        self.packed = 0;
        self.newest = None;
        self.lines = 0;
        self.skipped = 0;
        self.plain_bytes = 0;
        self.saved_bytes = 0;
        self.open = false;
        self.ragged = false;
        self.writer = Writer::default();
    }

    /// Forgets what the terminal's style numbers were: they are given out anew.
    pub(super) fn forget_numbers(&mut self) {
        self.writer.forget_numbers();
    }

    /// Takes the row that leaves the screen; `wide_next`: the one below continues it with a wide
    /// character.
    pub(super) fn push(&mut self, row: &Row, wide_next: bool, content: &Content) {
        if self.limit_lines == 0 {
            self.count_gone(u64::from(!row.continuation));
            return;
        }
        if self.open && !row.continuation {
            self.end_line();
        }
        if let Some(block) = &self.newest
            && block.size() >= BLOCK_BYTES
        {
            self.close_block();
        }
        let block = self.newest.get_or_insert_default();
        let before = block.size();
        self.writer.write_row(block, row, wide_next, content);
        self.plain_bytes += block.size() - before;
        if !self.open {
            self.returned = self.returned.saturating_sub(1);
        }
        self.open = true;
        self.short = wide_next && row.cells().last().is_some_and(|cell| cell.is_empty());
        self.drop_oldest();
    }

    fn end_line(&mut self) {
        if let Some(block) = &mut self.newest {
            block.bytes.push(code::END);
            block.lines += 1;
            self.plain_bytes += 1;
        }
        self.lines += 1;
        self.ended += 1;
        self.open = false;
        self.ragged = false;
        self.writer.begin_line();
    }

    fn close_block(&mut self) {
        self.closed.extend(self.newest.take().map(ClosedBlock::new));
        self.writer = Writer::default();
        if self.open {
            // The line goes on in the style that it had in the block before.
            self.writer.restate();
        }
    }

    fn drop_oldest(&mut self) {
        while self.line_count() > self.limit_lines {
            self.skipped += 1;
            self.count_gone(1);
            self.lines = self.lines.saturating_sub(1);
            // A line that goes on in the next block ends there, and is counted there.
            while self.closed.front().is_some_and(|block| {
                let whole = block.lines() + usize::from(!block.is_ended());
                self.skipped >= whole
            }) {
                self.drop_block();
            }
        }
        while self.plain_bytes > self.limit_bytes && !self.closed.is_empty() {
            self.drop_block();
        }
        // What can be packed is not dropped yet.
        while self.bytes() > self.share_bytes && !self.closed.is_empty() {
            if self.can_pack() {
                self.pack();
            } else {
                self.drop_block();
            }
        }
    }

    /// Drops the oldest block.
    fn drop_block(&mut self) {
        let block = self.closed.pop_front().expect("there is one");
        self.packed = self.packed.saturating_sub(1);
        self.plain_bytes -= block.plain_size();
        self.saved_bytes -= block.saved_bytes();
        let skipped = self.skipped.min(block.lines());
        self.skipped -= skipped;
        let kept = block.lines() - skipped;
        self.lines -= kept;
        self.count_gone(kept as u64);
        // The only line lost its beginning: what is left, wrapped from there, would not end where the
        // screen goes on with it.
        if self.ragged && !block.is_ended() && self.lines + self.skipped == 0 {
            self.end_line();
        }
    }

    /// Whether [`History::pack`] has something to do.
    pub(super) fn can_pack(&self) -> bool {
        self.packed < self.closed.len()
    }

    /// Makes one block smaller, if it can be.
    pub(super) fn pack(&mut self) {
        if let Some(block) = self.closed.get_mut(self.packed) {
            block.pack();
            self.saved_bytes += block.saved_bytes();
            self.packed += 1;
        }
    }

    /// Takes at most `bytes` from now on, if its own limit is not lower: blocks are packed, then the
    /// oldest are dropped. The newest stays in any case. Whether lines were dropped.
    pub(super) fn set_share(&mut self, bytes: usize) -> bool {
        let before = self.plain_bytes;
        self.share_bytes = bytes;
        self.drop_oldest();
        self.plain_bytes < before
    }

    /// Gives `visit` the last `lines` lines, piece by piece.
    pub(super) fn visit(&self, lines: usize, visit: &mut dyn FnMut(Piece<'_>)) {
        let mut skip = self.skipped + self.line_count().saturating_sub(lines);
        let mut unpacked = Vec::new();
        for block in &self.closed {
            // A line that goes on in the next block is skipped there.
            if skip > block.lines() {
                skip -= block.lines();
                continue;
            }
            let (bytes, legend) = block.read(&mut unpacked);
            legend.visit_lines(bytes, std::mem::take(&mut skip), visit);
        }
        if let Some(block) = &self.newest
            && skip <= block.lines
        {
            block.legend.visit_lines(&block.bytes, skip, visit);
        }
    }

    /// Whether the last row ends one column short, for the wide character of the next.
    pub(super) fn ends_short(&self) -> bool {
        self.short
    }

    /// Whether the next row may continue the last line.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Takes the last line out again, or of a longer one its last `rows` rows, at least one, as a
    /// terminal of so many columns wraps it; gives the pieces to `visit`, without an end. Whether its
    /// beginning stays, which then ends where a row does. `None`: nothing is kept.
    pub(super) fn pop_rows(
        &mut self,
        columns: u16,
        rows: usize,
        visit: &mut dyn FnMut(Piece<'_>),
    ) -> Option<bool> {
        let before = self.line_count();
        if before == 0 {
            return None;
        }
        if !self.open {
            let block = self.newest.as_mut()?;
            block.bytes.pop();
            block.lines -= 1;
            self.plain_bytes -= 1;
            self.lines -= 1;
        }
        let mut unpacked = Vec::new();
        let mut starts = RowStarts::new(columns, rows);
        let begun_in = self.last_line_begins_in();
        for block in (0..=begun_in).rev() {
            let (bytes, legend) = self.read(block, &mut unpacked);
            starts.add(block, legend.pieces(bytes, last_line(bytes)));
        }
        let cut = starts.of_last_rows();
        let first = cut.map_or(begun_in, |cut| cut.block);
        let (bytes, legend) = self.read(first, &mut unpacked);
        let start = last_line(bytes);
        let offset = cut.map_or(start, |cut| cut.offset);
        legend.visit_from(bytes, start, offset, visit);
        for block in (0..first).rev() {
            let (bytes, legend) = self.read(block, &mut unpacked);
            legend.visit(bytes, visit);
        }
        self.cut_off(first, offset);
        self.open = cut.is_some();
        self.short = cut.is_some_and(|cut| cut.is_short);
        self.ragged = cut.is_some_and(|cut| cut.is_ragged);
        if self.open {
            self.writer.restate();
        } else {
            self.writer.begin_line();
        }
        self.returned += (before - self.line_count()) as u64;
        Some(self.open)
    }

    /// In which block the last line begins, which is not ended: how many before the newest.
    fn last_line_begins_in(&self) -> usize {
        let mut lines = self.newest.as_ref().map_or(0, |block| block.lines);
        let before = self.closed.iter().rev().take_while(|block| {
            let goes_on = lines == 0 && !block.is_ended();
            lines = block.lines();
            goes_on
        });
        before.count()
    }

    /// The bytes of the block that is so many before the newest, and what the numbers in them stand
    /// for; `unpacked` is any buffer.
    fn read<'a>(&'a self, before: usize, unpacked: &'a mut Vec<u8>) -> (&'a [u8], &'a Legend) {
        match &self.newest {
            Some(block) if before == 0 => (&block.bytes, &block.legend),
            _ => self.closed[self.closed.len() - before].read(unpacked),
        }
    }

    /// Drops what is behind `offset` in the block that is so many before the newest.
    fn cut_off(&mut self, before: usize, offset: usize) {
        // Nothing would be left of that block either.
        let dropped = before + usize::from(offset == 0);
        if dropped > 0 {
            self.plain_bytes -= self.newest.as_ref().map_or(0, Block::size);
            for block in self.closed.drain(self.closed.len() + 1 - dropped..) {
                self.plain_bytes -= block.plain_size();
                self.saved_bytes -= block.saved_bytes();
            }
            self.newest = self.closed.pop_back().map(|block| {
                self.saved_bytes -= block.saved_bytes();
                block.reopen()
            });
            self.packed = self.packed.min(self.closed.len());
            self.writer = Writer::default();
        }
        if offset > 0
            && let Some(block) = &mut self.newest
        {
            self.plain_bytes -= block.bytes.len() - offset;
            block.bytes.truncate(offset);
        }
    }
}

/// Where the last line begins in the bytes of a block, if that is not ended.
fn last_line(bytes: &[u8]) -> usize {
    memchr::memrchr(code::END, bytes).map_or(0, |end| end + 1)
}

#[cfg(test)]
impl History {
    /// That what is counted is what there is.
    pub(super) fn check_bytes(&self) {
        let newest = self.newest.as_ref().map_or(0, Block::size);
        let bytes: usize = self.closed.iter().map(ClosedBlock::size).sum();
        assert_eq!(self.bytes(), bytes + newest);
        let plain: usize = self.closed.iter().map(ClosedBlock::plain_size).sum();
        assert_eq!(self.plain_bytes, plain + newest);
        let lines: usize = self.closed.iter().map(ClosedBlock::lines).sum();
        let newest_lines = self.newest.as_ref().map_or(0, |block| block.lines);
        assert_eq!(self.lines + self.skipped, lines + newest_lines);
        assert!(self.packed <= self.closed.len());
    }

    pub(super) fn packed_blocks(&self) -> usize {
        self.packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::Size;
    use crate::terminal::{Limits, Terminal};

    #[test]
    fn what_scrolled_off_is_counted_by_lines_whatever_is_kept_of_it() {
        for history_lines in [5, 10_000] {
            let limits = Limits {
                history_lines,
                ..Limits::default()
            };
            let mut terminal = Terminal::new(Size::new(4, 10), limits);
            let counts = |terminal: &Terminal| {
                let scrolled = terminal.scrolled_lines();
                (scrolled, scrolled - terminal.whole_scrolled_lines())
            };
            for _ in 0..20 {
                terminal.feed(b"a line of three rows that wrap\r\n");
            }
            // The last line but one begins in the first row, as the cursor's is empty.
            assert_eq!(counts(&terminal), (19, 0), "{history_lines}");
            terminal.feed(b"\r\n");
            assert_eq!(counts(&terminal), (20, 1), "{history_lines}");
            terminal.feed(b"\r\n\r\n");
            assert_eq!(
                terminal.gone_lines(),
                if history_lines == 5 { 15 } else { 0 }
            );
            terminal.feed(b"\x1b[3J");
            assert_eq!(counts(&terminal), (20, 0));
            assert_eq!(terminal.cleared_lines(), 20);
            assert_eq!(terminal.gone_lines(), 0);
            terminal.feed(b"\r\n\r\n");
            assert_eq!(counts(&terminal), (22, 0));
        }
    }

    #[test]
    fn lines_that_come_back_to_a_screen_that_grew_have_not_scrolled_off() {
        let small = Size::new(24, 80);
        let mut terminal = Terminal::new(small, Limits::default());
        for number in 0..100 {
            terminal.feed(format!("{number}\r\n").as_bytes());
        }
        assert_eq!(terminal.scrolled_lines(), 77);
        terminal.resize(Size::new(30, 80));
        assert_eq!(terminal.scrolled_lines(), 71);
        terminal.resize(small);
        assert_eq!(terminal.scrolled_lines(), 77);
        // They do not scroll off again where they are written over, and others do.
        for erase in [
            "\x1b[H\x1b[2J",
            "\x1b[H\x1b[J",
            "\x1b[3J\x1b[H\x1b[2J",
            "\x1bc",
            "\x1b[H",
            "\x1b[d",
            "\x1b[99A",
            "\x1b[r",
            "\x1b8",
            "\x1b#8",
        ] {
            let before = terminal.scrolled_lines();
            terminal.resize(Size::new(30, 80));
            terminal.feed(erase.as_bytes());
            terminal.feed(&b"\r\n".repeat(31));
            assert_eq!(terminal.scrolled_lines(), before + 2, "{erase:?}");
            assert_eq!(terminal.gone_lines(), 0, "{erase:?}");
            terminal.resize(small);
        }
    }

    #[test]
    fn a_line_in_several_blocks_keeps_its_styles_and_links() {
        let pattern = "\x1b[31mred\x1b[mnone\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\";
        let mut terminal = Terminal::new(Size::new(2, 13), Limits::default());
        terminal.feed(pattern.repeat(20_000).as_bytes());
        let history = &terminal.state.history;
        assert!(history.closed.len() > 3, "{}", history.closed.len());
        let (mut text, mut style, mut link) = (String::new(), None, false);
        let mut shown = 0;
        history.visit(usize::MAX, &mut |piece| match piece {
            Piece::Text(more) => {
                for letter in more.chars() {
                    text.push(letter);
                    let start = match text.len() % "rednonelink".len() {
                        1..=3 => (true, false),
                        4..=7 => (false, false),
                        _ => (false, true),
                    };
                    assert_eq!((style.is_some(), link), start, "at {}", text.len());
                    shown += 1;
                }
            }
            Piece::Style(to) => style = (to != Default::default()).then_some(to),
            Piece::Link(to) => link = !to.uri.is_empty(),
            Piece::Marks(_) | Piece::Graphemes(_) | Piece::Fill | Piece::End => {}
        });
        assert!(shown > 200_000, "{shown}");
    }
}
