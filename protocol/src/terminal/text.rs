//! Printing: how text becomes cells.

use super::cell::{Cell, Glyph};
use super::state::State;
use super::width;

/// Characters of a cluster, in bytes; more of them are dropped.
const CLUSTER_LIMIT: usize = 64;

impl State {
    /// Prints printable ASCII.
    #[inline]
    pub(super) fn print_ascii(&mut self, mut bytes: &[u8]) {
        if self.modes.insert || self.modes.grapheme || !self.charsets.is_ascii() {
            for &byte in bytes {
                self.print(char::from(byte));
            }
            return;
        }
        let style = self.style_number();
        let link = self.link_number();
        while !bytes.is_empty() {
            let right = self.wrap_if_due();
            let column = self.cursor.column;
            let mut count = bytes.len().min(usize::from(right - column));
            if usize::from(column) + count + 2 >= usize::from(self.size.columns)
                && !self.current_row().is_plain()
                && self.is_in_flow()
            {
                // Wide characters that are overwritten leave holes on the way, which may end
                // the flow: one step at a time, so that it does not matter how text is cut.
                count = 1;
            }
            let (now, later) = bytes.split_at(count);
            self.current_row().write_ascii(column, now, style, link);
            self.settle_after_text(column, column + count as u16);
            self.advance(column + count as u16, right);
            bytes = later;
        }
        self.repeatable = true;
    }

    /// Prints text without control characters of either kind.
    pub(super) fn print_text(&mut self, text: &str) {
        if self.modes.insert || self.modes.grapheme || !self.charsets.is_ascii() {
            text.chars().for_each(|c| self.print(c));
            return;
        }
        let style = self.style_number();
        let link = self.link_number();
        let mut chars = text.chars();
        loop {
            // Away from the edges nothing wraps and nothing flows.
            let (row, start) = (self.cursor.row, self.cursor.column);
            let mut column = start;
            let mut left_over = None;
            if !self.cursor.wraps && start > 1 {
                let limit = self.right_limit();
                let row = self.screen_mut().row_mut(row);
                for c in chars.by_ref() {
                    let columns = u16::from(width::width(c));
                    if columns == 0 || column + columns + 2 >= limit {
                        left_over = Some(c);
                        break;
                    }
                    row.write(column, Cell::char(c, columns == 2, style, link));
                    column += columns;
                }
                self.cursor.column = column;
                self.repeatable |= column > start;
            } else {
                left_over = chars.next();
            }
            match left_over {
                Some(c) => self.print(c),
                None => return,
            }
        }
    }

    /// Prints one character, whatever it is.
    pub(super) fn print(&mut self, c: char) {
        let single = self.charsets.is_single();
        let c = if self.charsets.is_ascii() {
            c
        } else {
            self.charsets.translate(c)
        };
        if self.modes.grapheme && self.join_grapheme(c) {
            return;
        }
        let columns = width::width(c);
        if columns == 0 {
            self.combine(c);
            return;
        }
        let wide = columns == 2;
        let style = self.style_number();
        let link = self.link_number();
        let put = self.put(Cell::char(c, wide, style, link));
        self.repeatable = put && !single && !(self.modes.insert && self.is_in_flow());
    }

    /// Puts a cell at the cursor and moves on; one that does not fit is dropped.
    pub(super) fn put(&mut self, cell: Cell) -> bool {
        let columns = if cell.is_wide() { 2 } else { 1 };
        if columns > self.right_limit() - self.left_edge() {
            return false;
        }
        let mut right = self.wrap_if_due();
        if self.cursor.column + columns > right {
            if self.modes.no_autowrap {
                return false;
            }
            let (column, style) = (self.cursor.column, self.erased_number());
            self.current_row().erase(column..right, style);
            self.settle(self.cursor.row);
            self.wrap(true);
            right = self.right_limit();
        }
        let column = self.cursor.column;
        if self.modes.insert && self.column_in_margins() {
            let style = self.erased_number();
            let right = self.margins.right;
            self.current_row().insert(column..right, columns, style);
            self.settle(self.cursor.row);
        }
        self.current_row().write(column, cell);
        self.settle_after_text(column, column + columns);
        self.advance(column + columns, right);
        true
    }

    /// Adds a character without a width to the cell before the cursor.
    fn combine(&mut self, c: char) {
        let Some((column, cell)) = self.cell_before() else {
            return;
        };
        if matches!(cell.glyph(), Glyph::Empty) {
            return;
        }
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        self.append_text(cell, &mut text);
        let index = if text.len() + c.len_utf8() > CLUSTER_LIMIT {
            None
        } else {
            text.push(c);
            self.cluster_number(&text)
        };
        self.scratch = text;
        let Some(index) = index else { return };
        let joined = cell.with_cluster(index, false, cell.is_wide());
        self.current_row().cells_mut(column + 1)[usize::from(column)] = joined;
    }

    /// Under mode 2027: makes `c` part of the cluster before the cursor, if it is one.
    fn join_grapheme(&mut self, c: char) -> bool {
        let Some((column, cell)) = self.cell_before() else {
            return false;
        };
        if matches!(cell.glyph(), Glyph::Empty) {
            return false;
        }
        let mut text = String::new();
        self.append_text(cell, &mut text);
        let old_length = text.len();
        text.push(c);
        if !width::is_one_grapheme(&text) {
            return false;
        }
        if text.len() > CLUSTER_LIMIT {
            return true;
        }
        let wide = width::cluster_width(&text) == 2;
        // A width that changes afterwards moves the cursor, where there is room.
        let grows = wide && !cell.is_wide();
        let right = self.right_limit();
        if grows && (column + 2 > right || self.cursor.wraps) {
            text.truncate(old_length);
            return true;
        }
        let Some(index) = self.cluster_number(&text) else {
            return true;
        };
        let joined = cell.with_cluster(index, true, wide || cell.is_wide());
        if grows {
            let row = self.cursor.row;
            // A replay prints the parts again one by one: at the edge of a wrapped line that
            // would tear it, so it is torn already now.
            if column + 2 >= self.size.columns {
                self.screen_mut().detach(row + 1);
            }
            if column == 0 {
                self.screen_mut().detach(row);
            }
            self.current_row().write(column, joined);
            self.settle_after_text(column, column + 2);
            self.advance(column + 2, right);
        } else {
            self.current_row().cells_mut(column + 1)[usize::from(column)] = joined;
        }
        true
    }

    /// The cell that was printed before the cursor got where it is, and its column.
    pub(super) fn cell_before(&self) -> Option<(u16, Cell)> {
        let row = self.screen().row(self.cursor.row);
        let mut column = if self.cursor.wraps {
            self.cursor.column
        } else {
            self.cursor.column.checked_sub(1)?
        };
        if row.cell(column).is_tail() {
            column = column.checked_sub(1)?;
        }
        Some((column, row.cell(column)))
    }

    pub(super) fn append_text(&self, cell: Cell, text: &mut String) {
        match cell.glyph() {
            Glyph::Empty => text.push(' '),
            Glyph::Char(c) => text.push(c),
            Glyph::Cluster { index, .. } => text.push_str(self.content.clusters.get(index)),
            Glyph::Tail => {}
        }
    }

    /// REP.
    pub(super) fn repeat(&mut self, count: u16) {
        if !self.repeatable {
            return;
        }
        let Some((_, cell)) = self.cell_before() else {
            return;
        };
        let most = u32::from(self.size.rows) * u32::from(self.size.columns);
        let count = u32::from(count).min(most);
        if let Glyph::Cluster { .. } = cell.glyph() {
            let mut text = String::new();
            self.append_text(cell, &mut text);
            for _ in 0..count {
                text.chars().for_each(|c| self.print(c));
            }
            return;
        }
        for _ in 0..count {
            self.put(cell);
        }
    }
}
