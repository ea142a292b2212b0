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
use super::legend::Piece;
use super::row::Row;

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
    /// Rows that came in since the beginning.
    scrolled: u64,
    /// Lines that were whole since the beginning.
    ended: u64,
    /// The last line has no end yet: the next row may continue it.
    open: bool,
    /// Its last row ends one column short, for a wide character.
    short: bool,
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
            scrolled: 0,
            ended: 0,
            open: false,
            short: false,
            writer: Writer::default(),
        }
    }

    pub(super) fn scrolled(&self) -> u64 {
        self.scrolled
    }

    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// So many lines scrolled by that nothing will be left of.
    pub(super) fn pass(&mut self, lines: usize) {
        self.scrolled += lines as u64;
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
        self.closed.clear();
        self.packed = 0;
        self.newest = None;
        self.lines = 0;
        self.skipped = 0;
        self.plain_bytes = 0;
        self.saved_bytes = 0;
        self.open = false;
        self.writer = Writer::default();
    }

    /// Forgets what the terminal's style numbers were: they are given out anew.
    pub(super) fn forget_numbers(&mut self) {
        self.writer.forget_numbers();
    }

    /// Takes the row that leaves the screen; `wide_next`: the one below continues it with a wide
    /// character.
    pub(super) fn push(&mut self, row: &Row, wide_next: bool, content: &Content) {
        self.scrolled += 1;
        if self.limit_lines == 0 {
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
        self.writer.begin_line();
    }

    fn close_block(&mut self) {
        self.closed.extend(self.newest.take().map(ClosedBlock::new));
        self.writer = Writer::default();
        if self.open {
            // The line goes on in the style that it had in the block before.
            self.writer.forget_numbers();
        }
    }

    fn drop_oldest(&mut self) {
        while self.line_count() > self.limit_lines {
            self.skipped += 1;
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
        self.lines -= block.lines() - skipped;
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
            block.visit(std::mem::take(&mut skip), &mut unpacked, visit);
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

    /// Takes back a row that [`History::pop_line`] gave: nothing new scrolled.
    pub(super) fn push_back_in(&mut self, row: &Row, wide_next: bool, content: &Content) {
        self.push(row, wide_next, content);
        self.scrolled -= 1;
    }

    /// Takes the last line out again, and gives its pieces to `visit`, without an end. Of a
    /// line that began in an older block only what is in the newest: then gives true. `None`:
    /// nothing is kept.
    pub(super) fn pop_line(&mut self, visit: &mut dyn FnMut(Piece<'_>)) -> Option<bool> {
        if self.line_count() == 0 {
            return None;
        }
        let block = self.newest.as_mut()?;
        let before = block.size();
        if !self.open {
            block.bytes.pop();
            block.lines = block.lines.saturating_sub(1);
            self.lines -= 1;
        }
        let end = block.bytes.iter().rposition(|byte| *byte == code::END);
        let start = end.map_or(0, |at| at + 1);
        block.legend.visit(&block.bytes[start..], visit);
        block.bytes.truncate(start);
        let left = if start > 0 { block.size() } else { 0 };
        self.plain_bytes -= before - left;
        self.open = false;
        self.short = false;
        self.writer.begin_line();
        if start > 0 {
            return Some(false);
        }
        // The block before is full: the next row begins another.
        self.writer = Writer::default();
        self.newest = self.closed.pop_back().map(|block| {
            self.packed = self.packed.min(self.closed.len());
            self.saved_bytes -= block.saved_bytes();
            block.reopen()
        });
        if self.newest.is_none() {
            self.skipped = 0;
        }
        let before = self.newest.as_ref();
        self.open = before.is_some_and(|block| !block.is_ended());
        Some(self.open)
    }
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
