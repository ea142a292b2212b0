//! Lines that scrolled off, packed.
//!
//! Each is written once, as almost its own replay: text, and below 0x20 a few codes. Soft-wrapped rows are joined into one line, so that whoever gets it wraps it to
//! its own width. Blocks own what their numbers stand for; the oldest is dropped as a whole.

use std::collections::VecDeque;

use super::block::{Block, Piece, Writer, code};
use super::content::Content;
use super::row::Row;

/// A block is closed once it is this long.
const BLOCK_BYTES: usize = 32 << 10;

/// What scrolled off the main screen.
#[derive(Debug)]
pub(super) struct History {
    blocks: VecDeque<Block>,
    /// Whole lines in all blocks, those skipped in the first one not counted.
    lines: usize,
    /// Lines of the first block that are too many.
    skipped: usize,
    bytes: usize,
    limit_lines: usize,
    limit_bytes: usize,
    /// The part of a budget that several histories share.
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
            blocks: VecDeque::new(),
            lines: 0,
            skipped: 0,
            bytes: 0,
            limit_lines: limits.history_lines as usize,
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

    /// How many lines are kept at most.
    pub(super) fn limit_lines(&self) -> usize {
        self.limit_lines
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How many lines are kept, one not yet ended included.
    pub(super) fn line_count(&self) -> usize {
        self.lines + usize::from(self.open)
    }

    /// Bytes of memory that the lines take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.lines = 0;
        self.skipped = 0;
        self.bytes = 0;
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
        if self.limit_lines == 0 || self.limit_bytes == 0 {
            return;
        }
        if self.open && !row.continuation {
            self.end_line();
        }
        if self
            .blocks
            .back()
            .is_none_or(|block| block.size() >= BLOCK_BYTES)
        {
            self.begin_block();
        }
        let block = self
            .blocks
            .back_mut()
            .expect("one was begun when there was none");
        let before = block.size();
        self.writer.write_row(block, row, wide_next, content);
        self.bytes += block.size() - before;
        self.open = true;
        self.short = wide_next && row.cells().last().is_some_and(|cell| cell.is_empty());
        self.drop_oldest();
    }

    fn end_line(&mut self) {
        if let Some(block) = self.blocks.back_mut() {
            block.bytes.push(code::END);
            block.lines += 1;
            self.bytes += 1;
        }
        self.lines += 1;
        self.ended += 1;
        self.open = false;
        self.writer.begin_line();
    }

    fn begin_block(&mut self) {
        if let Some(last) = self.blocks.back_mut() {
            last.close();
        }
        self.blocks.push_back(Block::default());
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
            if self.blocks.front().is_some_and(|block| {
                let whole = block.lines + usize::from(!block.is_ended());
                self.blocks.len() > 1 && self.skipped >= whole
            }) {
                let block = self.blocks.pop_front().expect("there is more than one");
                self.skipped -= block.lines;
                self.bytes -= block.size();
            }
        }
        let limit_bytes = self.limit_bytes.min(self.share_bytes);
        while self.bytes > limit_bytes && self.blocks.len() > 1 {
            let block = self.blocks.pop_front().expect("there is more than one");
            self.bytes -= block.size();
            self.lines -= block.lines - self.skipped.min(block.lines);
            self.skipped = self.skipped.saturating_sub(block.lines);
        }
    }

    /// Takes at most `bytes` from now on, if its own limit is not lower: the oldest blocks are
    /// dropped. The newest stays in any case.
    pub(super) fn set_share(&mut self, bytes: usize) {
        self.share_bytes = bytes;
        self.drop_oldest();
    }

    /// Gives `visit` the last `lines` lines, piece by piece.
    pub(super) fn visit<'a>(&'a self, lines: usize, visit: &mut dyn FnMut(Piece<'a>)) {
        let mut skip = self.skipped + self.line_count().saturating_sub(lines);
        for block in &self.blocks {
            // A line that goes on in the next block is skipped there.
            if skip > block.lines {
                skip -= block.lines;
                continue;
            }
            let start = match skip {
                0 => 0,
                _ => memchr::memchr_iter(code::END, &block.bytes)
                    .nth(skip - 1)
                    .map_or(block.bytes.len(), |end| end + 1),
            };
            skip = 0;
            block.visit(start, visit);
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
        let block = self.blocks.back_mut()?;
        let before = block.size();
        if !self.open {
            block.bytes.pop();
            block.lines = block.lines.saturating_sub(1);
            self.lines -= 1;
        }
        let end = block.bytes.iter().rposition(|byte| *byte == code::END);
        let start = end.map_or(0, |at| at + 1);
        block.visit(start, visit);
        block.bytes.truncate(start);
        self.bytes -= before - block.size();
        self.open = false;
        self.short = false;
        self.writer.begin_line();
        if start > 0 {
            return Some(false);
        }
        self.bytes -= block.size();
        self.blocks.pop_back();
        // The block before is full: the next row begins another.
        self.writer = Writer::default();
        if self.blocks.is_empty() {
            self.skipped = 0;
        }
        let before = self.blocks.back();
        self.open = before.is_some_and(|block| !block.is_ended());
        Some(self.open)
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
        assert!(history.blocks.len() > 3, "{}", history.blocks.len());
        let (mut text, mut style, mut link) = (String::new(), None, None);
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
                    assert_eq!(
                        (style.is_some(), link.is_some()),
                        start,
                        "at {}",
                        text.len()
                    );
                    shown += 1;
                }
            }
            Piece::Style(to) => style = (to != Default::default()).then_some(to),
            Piece::Link(to) => link = (!to.uri.is_empty()).then_some(to),
            Piece::Marks(_) | Piece::Graphemes(_) | Piece::Fill | Piece::End => {}
        });
        assert!(shown > 200_000, "{shown}");
    }
}
