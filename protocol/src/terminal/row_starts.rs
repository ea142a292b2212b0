//! Where the rows of a line of history begin, on a terminal of so many columns.
//!
//! As [`super::reflow`] wraps its cells. The line may lie in several blocks, and be as long as the
//! whole history: it is gone through once, and of its last rows only is kept where they begin.

use std::collections::VecDeque;

use super::legend::{Piece, Pieces};
use super::width;

/// Where a row begins that is not the first of its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowStart {
    /// As whoever added it named it.
    pub(super) block: usize,
    /// Right behind the text of the row before, or the start of the block.
    pub(super) offset: usize,
    /// The row before ends one column short, for a wide character.
    pub(super) is_short: bool,
    /// A block before ends where no row does.
    pub(super) is_ragged: bool,
}

/// The starts of a line's last rows.
#[derive(Debug)]
pub(super) struct RowStarts {
    columns: usize,
    /// So many are kept.
    rows: usize,
    starts: VecDeque<RowStart>,
    /// Columns that the text takes in the present row.
    column: usize,
    /// Where the text so far ends.
    block: usize,
    end: usize,
    /// There was no text in the present block yet, but in one before.
    at_edge: bool,
    is_ragged: bool,
    /// The text is one cluster of mode 2027.
    grapheme: bool,
}

impl RowStarts {
    /// `rows`: at least 1.
    pub(super) fn new(columns: u16, rows: usize) -> Self {
        Self {
            columns: usize::from(columns),
            rows,
            starts: VecDeque::new(),
            column: 0,
            block: 0,
            end: 0,
            at_edge: false,
            is_ragged: false,
            grapheme: false,
        }
    }

    /// Goes on with the next part of the line, in the block of that name.
    pub(super) fn add(&mut self, block: usize, mut pieces: Pieces<'_>) {
        self.block = block;
        self.end = pieces.offset();
        self.at_edge = self.column > 0;
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text(text) => {
                    self.add_text(text, pieces.offset() - text.len());
                    self.end = pieces.offset();
                }
                Piece::Graphemes(on) => {
                    self.grapheme = on;
                    if !on {
                        self.end = pieces.offset();
                    }
                }
                Piece::Style(_) | Piece::Link(_) | Piece::Marks(_) | Piece::Fill | Piece::End => {}
            }
        }
    }

    /// Where the last `rows` rows begin; `None`: they are all of the line.
    pub(super) fn of_last_rows(&self) -> Option<RowStart> {
        let start = self.starts.front();
        start.filter(|_| self.starts.len() == self.rows).copied()
    }

    fn add_text(&mut self, text: &str, offset: usize) {
        if self.grapheme {
            self.step(usize::from(width::cluster_width(text)));
        } else if text.is_ascii() {
            self.add_narrow(text.len(), offset);
        } else {
            for (at, c) in text.char_indices() {
                if at > 0 {
                    self.end = offset + at;
                }
                self.step(usize::from(width::width(c)));
            }
        }
    }

    /// Adds so many characters of one byte and one column.
    fn add_narrow(&mut self, count: usize, offset: usize) {
        let mut taken = 0;
        while count - taken > self.columns.saturating_sub(self.column) {
            let room = self.columns.saturating_sub(self.column);
            if room > 0 {
                taken += room;
                self.column = self.columns;
                self.end = offset + taken;
                self.leave_edge();
            }
            self.begin_row();
        }
        self.column += count - taken;
        self.leave_edge();
    }

    /// Adds a character behind `self.end`.
    fn step(&mut self, width: usize) {
        // A single column has no room for a wide one, which stands there all the same.
        if self.column > 0 && width > 0 && self.column + width > self.columns {
            self.begin_row();
        }
        self.column += width;
        self.leave_edge();
    }

    fn begin_row(&mut self) {
        if self.starts.len() == self.rows {
            self.starts.pop_front();
        }
        self.at_edge = false;
        self.starts.push_back(RowStart {
            block: self.block,
            offset: self.end,
            is_short: self.column < self.columns,
            is_ragged: self.is_ragged,
        });
        self.column = 0;
    }

    /// There is text in the block: it went on in the row of the block before, if that is not left yet.
    fn leave_edge(&mut self) {
        self.is_ragged |= std::mem::take(&mut self.at_edge);
    }
}
