//! Another size: wrapped lines are put together and wrapped anew.
//!
//! As xterm.js does it, and about as VTE, kitty and Alacritty: the alternate screen is cut,
//! as its program will draw it anew; the main screen flows, into and out of the history.

use std::collections::VecDeque;

use super::cell::{Cell, Glyph};
use super::cursor::Cursor;
use super::legend::Piece;
use super::margins::Margins;
use super::row::Row;
use super::state::State;
use super::width;
use crate::size::Size;

impl State {
    /// Takes another size. Margins go, as they mean nothing any more.
    pub(super) fn resize(&mut self, size: Size) {
        if self.size.same_cells(size) {
            self.size = size;
            return;
        }
        self.repeatable = false;
        let alternate = self.alternate.is_some();
        let cursor = if alternate {
            self.main_state.saved.cursor
        } else {
            self.cursor
        };
        let cursor = if self.size.columns == size.columns {
            self.resize_rows(size, cursor)
        } else {
            self.reflow(size, cursor)
        };
        if alternate {
            self.main_state.saved.cursor = cursor;
            self.resize_alternate(size);
            clamp(&mut self.alternate_state.saved.cursor, size);
        } else {
            self.cursor = cursor;
            clamp(&mut self.main_state.saved.cursor, size);
        }
        clamp(&mut self.cursor, size);
        self.size = size;
        self.margins = Margins::full(size);
        self.tabs.set_columns(size.columns);
        self.main.set_columns(size.columns);
        self.detach_from_history();
        for row in 0..size.rows {
            self.settle(row);
        }
        let cell = self.screen().row(self.cursor.row).cell(self.cursor.column);
        self.cursor.wraps &= !cell.is_empty();
    }

    /// Only the number of rows changes: those below the cursor make room first, where they are
    /// empty; then those at the top, into the history. They come back from there while the
    /// cursor is in the last row.
    fn resize_rows(&mut self, size: Size, mut cursor: Cursor) -> Cursor {
        let rows = usize::from(size.rows);
        let full = usize::from(cursor.row) + 1 >= self.main.rows().len();
        while self.main.rows().len() > rows {
            let last = self.main.rows().len() - 1;
            let below = usize::from(cursor.row) < last;
            let blank = self.main.rows()[last]
                .used_cells()
                .iter()
                .all(|cell| cell.is_empty());
            if below && (blank || cursor.row == 0) {
                self.main.rows_mut().pop_back();
            } else {
                let row = self.main.rows_mut().pop_front().expect("there are rows");
                let wide_next = continues_wide(self.main.rows());
                self.history.push(&row, wide_next, &self.content);
                cursor.row = cursor.row.saturating_sub(1);
            }
        }
        let missing = rows - self.main.rows().len();
        if missing > 0 && full {
            let mut list = std::mem::take(self.main.rows_mut());
            let added = self.pull_rows(&mut list, rows, size.columns);
            *self.main.rows_mut() = list;
            cursor.row += added as u16;
        }
        self.main
            .rows_mut()
            .resize_with(rows, || Row::new(size.columns));
        cursor
    }

    /// Puts rows out of the history before those of `list` until there are `wanted`, or no
    /// more; gives how many came.
    fn pull_rows(&mut self, list: &mut VecDeque<Row>, wanted: usize, columns: u16) -> usize {
        let before = list.len();
        while list.len() < wanted {
            let missing = wanted - list.len();
            let Some(line) = self.pop_rows(columns, missing) else {
                break;
            };
            let mut rows = line.wrap(columns, None).0;
            while let Some(row) = rows.pop() {
                list.push_front(row);
            }
        }
        let mut added = list.len() - before;
        while list.len() > wanted {
            let row = list.pop_front().expect("there are more than wanted");
            self.history.push(&row, continues_wide(list), &self.content);
            added -= 1;
        }
        added
    }

    /// Wraps the main screen's lines to another width.
    fn reflow(&mut self, size: Size, cursor: Cursor) -> Cursor {
        let mut old = std::mem::take(self.main.rows_mut());
        let last_text = old
            .iter()
            .rposition(|row| !row.used_cells().is_empty())
            .unwrap_or(0);
        let end = usize::from(cursor.row).max(last_text) + 1;
        let was_full = end == old.len();
        let had_history = !self.history.is_empty();
        let mut lines: Vec<Line> = Vec::new();
        // As many rows as may be missing: a long line takes its time to be gone through again.
        if old[0].continuation
            && let Some(line) = self.pop_rows(size.columns, size.rows.into())
        {
            lines.push(line);
        }
        // The line that the cursor stands in, and how many cells are before it there.
        let mut place = (0, 0);
        // A row goes once its cells are taken: a screen may be large.
        for index in 0..end {
            let row = old.pop_front().expect("the end lies on the screen");
            let continues = row.continuation && !lines.is_empty();
            if !continues {
                lines.push(Line {
                    marks: row.marks,
                    ..Line::default()
                });
            }
            let number = lines.len() - 1;
            let line = &mut lines[number];
            if index == usize::from(cursor.row) {
                let behind = usize::from(cursor.column) + usize::from(cursor.wraps);
                place = (number, line.cells.len() + behind);
            }
            let next = old.front();
            let wraps = next.is_some_and(|next| next.continuation);
            let gap = next.is_some_and(|next| next.cell(0).is_wide());
            line.append(&row, wraps, gap);
        }
        drop(old);
        let mut rows = VecDeque::new();
        let mut cursor = Cursor::default();
        for (number, line) in lines.into_iter().enumerate() {
            let wanted = (number == place.0).then_some(place.1);
            let (wrapped, found) = line.wrap(size.columns, wanted);
            if let Some((row, column, wraps)) = found {
                cursor = Cursor {
                    row: 0,
                    column,
                    wraps,
                };
                // Rows beyond u16 leave at the top below.
                place = (usize::MAX, rows.len() + row);
            }
            rows.extend(wrapped);
        }
        let mut cursor_row = place.1;
        // The last row stays where it was, as in xterm.js, where there is a history to take from or
        // give to: what is unwrapped makes room for it, and what is wrapped pushes into it.
        let wanted = usize::from(size.rows);
        let filled = if was_full { wanted } else { end.min(wanted) };
        let kept = if had_history { filled } else { wanted };
        while rows.len() > kept && cursor_row > 0 {
            let row = rows.pop_front().expect("there are rows");
            self.history
                .push(&row, continues_wide(&rows), &self.content);
            cursor_row -= 1;
        }
        if rows.len() < filled {
            cursor_row += self.pull_rows(&mut rows, filled, size.columns);
        }
        rows.resize_with(wanted, || Row::new(size.columns));
        *self.main.rows_mut() = rows;
        cursor.row = cursor_row as u16;
        cursor
    }

    /// Takes the last line out of the history, or the end of a longer one: at least so many rows.
    fn pop_rows(&mut self, columns: u16, rows: usize) -> Option<Line> {
        let mut line = Line::default();
        let content = &mut self.content;
        let (mut style, mut link, mut grapheme) = (0, 0, false);
        let mut add = |piece: Piece<'_>| match piece {
            Piece::Text(text) if grapheme => {
                if let Some(c) = text.chars().next()
                    && let Ok(index) = content.clusters.intern(&text.into())
                {
                    let wide = width::cluster_width(text) == 2;
                    let cell = Cell::char(c, wide, style, link);
                    line.push(cell.with_cluster(index, true, wide));
                }
            }
            Piece::Text(text) => {
                for c in text.chars() {
                    match width::width(c) {
                        0 => line.combine(c, content),
                        columns => line.push(Cell::char(c, columns == 2, style, link)),
                    }
                }
            }
            // A table that is full of what the screens show has no room for old lines' looks.
            Piece::Style(next) => style = content.styles.intern(&next).unwrap_or(0) as u16,
            Piece::Link(next) => link = content.links.intern(next).unwrap_or(0) as u16,
            Piece::Marks(marks) => line.marks |= marks,
            Piece::Graphemes(on) => grapheme = on,
            Piece::Fill => line.fill = style,
            Piece::End => {}
        };
        line.continues = self.history.pop_rows(columns, rows, &mut add)?;
        Some(line)
    }

    /// The alternate screen does not flow.
    fn resize_alternate(&mut self, size: Size) {
        let cursor = &mut self.cursor;
        let Some(screen) = &mut self.alternate else {
            return;
        };
        let rows = usize::from(size.rows);
        let list = screen.rows_mut();
        while list.len() > rows {
            if usize::from(cursor.row) < list.len() - 1 {
                list.pop_back();
            } else {
                list.pop_front();
                cursor.row = cursor.row.saturating_sub(1);
            }
        }
        for row in list.iter_mut() {
            row.set_columns(size.columns);
            row.continuation = false;
        }
        list.resize_with(rows, || Row::new(size.columns));
        screen.set_columns(size.columns);
    }
}

/// Whether the first row continues the one that was above it with a wide character.
fn continues_wide(rows: &VecDeque<Row>) -> bool {
    rows.front().is_some_and(Row::continues_wide)
}

fn clamp(cursor: &mut Cursor, size: Size) {
    let column = cursor.column.min(size.columns - 1);
    cursor.wraps &= column == cursor.column && column + 1 == size.columns;
    cursor.column = column;
    cursor.row = cursor.row.min(size.rows - 1);
}

/// Cells that flow together.
#[derive(Debug, Default)]
struct Line {
    cells: Vec<Cell>,
    /// The style that the rest of the last row is erased in.
    fill: u16,
    marks: u8,
    /// Its beginning is in the history still.
    continues: bool,
}

impl Line {
    fn push(&mut self, cell: Cell) {
        self.cells.push(cell);
        if cell.is_wide() {
            self.cells.push(Cell::tail(cell.style, cell.link));
        }
    }

    fn combine(&mut self, c: char, content: &mut super::content::Content) {
        let Some(at) = self.cells.iter().rposition(|cell| !cell.is_tail()) else {
            return;
        };
        let cell = self.cells[at];
        let mut text = match cell.glyph() {
            Glyph::Char(base) => base.to_string(),
            Glyph::Cluster { index, .. } => content.clusters.get(index).to_string(),
            Glyph::Empty | Glyph::Tail => return,
        };
        text.push(c);
        if let Ok(index) = content.clusters.intern(&text.as_str().into()) {
            self.cells[at] = cell.with_cluster(index, false, cell.is_wide());
        }
    }

    /// Adds a row; `wraps`: the next one belongs to the line as well; `gap`: it begins with a
    /// wide character.
    fn append(&mut self, row: &Row, wraps: bool, gap: bool) {
        let cells = row.cells();
        if wraps {
            let short = gap && cells.last().is_some_and(|cell| cell.is_empty());
            self.cells
                .extend_from_slice(&cells[..cells.len() - usize::from(short)]);
            return;
        }
        let end = cells
            .iter()
            .rposition(|cell| !cell.is_empty())
            .map_or(0, |at| at + 1);
        self.cells.extend_from_slice(&cells[..end]);
        self.fill = cells[end..].last().map_or(0, |cell| cell.style);
    }

    /// Its rows, and where the cell `wanted` is in them: row, column, and whether it is
    /// behind the last column.
    fn wrap(
        mut self,
        columns: u16,
        wanted: Option<usize>,
    ) -> (Vec<Row>, Option<(usize, u16, bool)>) {
        let width = usize::from(columns);
        let mut rows = Vec::new();
        let mut found = None;
        let mut start = 0;
        loop {
            let mut end = self.cells.len().min(start + width);
            if end < self.cells.len() && self.cells[end].is_tail() && end > start + 1 {
                end -= 1;
            }
            let last = end == self.cells.len();
            // Where text flows through the margin nothing is erased.
            if !last {
                for at in [end - 1, end] {
                    self.cells[at].fill_if_empty();
                }
            }
            let mut row = Row::new(columns);
            row.cells_mut((end - start) as u16)[..end - start]
                .copy_from_slice(&self.cells[start..end]);
            row.continuation = if start == 0 { self.continues } else { true };
            if start == 0 {
                row.marks = self.marks;
            }
            if last && self.fill != 0 {
                row.erase((end - start) as u16..columns, self.fill);
            }
            row.split_lone_halves();
            if let Some(wanted) = wanted
                && found.is_none()
                && (wanted < end || last)
            {
                let column = wanted.saturating_sub(start);
                found = Some((
                    rows.len(),
                    column.min(width - 1) as u16,
                    last && column == width,
                ));
            }
            rows.push(row);
            if last {
                return (rows, found);
            }
            start = end;
        }
    }
}
