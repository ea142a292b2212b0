//! A screen: rows of cells, and how they move.

use std::collections::VecDeque;

use super::content::Content;
use super::history::History;
use super::margins::Margins;
use super::row::Row;
use crate::size::Size;

/// The visible rows.
#[derive(Debug)]
pub(super) struct Screen {
    rows: VecDeque<Row>,
    columns: u16,
}

impl Screen {
    pub(super) fn new(size: Size) -> Self {
        Self {
            rows: (0..size.rows).map(|_| Row::new(size.columns)).collect(),
            columns: size.columns,
        }
    }

    pub(super) fn set_columns(&mut self, columns: u16) {
        self.columns = columns;
    }

    pub(super) fn rows(&self) -> &VecDeque<Row> {
        &self.rows
    }

    pub(super) fn rows_mut(&mut self) -> &mut VecDeque<Row> {
        &mut self.rows
    }

    #[inline(always)]
    pub(super) fn row(&self, row: u16) -> &Row {
        &self.rows[usize::from(row)]
    }

    #[inline(always)]
    pub(super) fn row_mut(&mut self, row: u16) -> &mut Row {
        &mut self.rows[usize::from(row)]
    }

    /// Moves the rows of `margins` from `top` on up by `count`. What leaves at the top of the
    /// screen goes to `history`, if there is one. Rows that get another neighbour above
    /// continue nothing.
    pub(super) fn scroll_up(
        &mut self,
        margins: Margins,
        count: u16,
        style: u16,
        keeper: Option<&mut Keeper<'_>>,
    ) {
        let Margins { top, bottom, .. } = margins;
        let count = count.min(bottom - top);
        if !self.spans(margins) {
            self.move_up_within(margins, count, style);
            return;
        }
        let mut keeper = keeper.filter(|_| top == 0);
        let whole = top == 0 && usize::from(bottom) == self.rows.len();
        for _ in 0..count {
            if let Some(keeper) = &mut keeper {
                keeper.keep_first(&self.rows);
            }
            if whole {
                self.rows.rotate_left(1);
            } else {
                let row = self
                    .rows
                    .remove(usize::from(top))
                    .expect("margins lie on the screen");
                self.rows.insert(usize::from(bottom) - 1, row);
            }
            self.rows[usize::from(bottom) - 1].clear(style);
            let kept = keeper.as_ref().map(|keeper| &*keeper.history);
            if !kept.is_some_and(History::is_open) {
                self.detach(top);
            }
            self.detach(bottom);
        }
    }

    /// Moves the rows of `margins` down by `count`.
    pub(super) fn scroll_down(&mut self, margins: Margins, count: u16, style: u16) {
        let Margins { top, bottom, .. } = margins;
        let count = count.min(bottom - top);
        if !self.spans(margins) {
            self.move_down_within(margins, count, style);
            return;
        }
        for _ in 0..count {
            let row = self
                .rows
                .remove(usize::from(bottom) - 1)
                .expect("margins lie on the screen");
            self.rows.insert(usize::from(top), row);
            self.rows[usize::from(top)].clear(style);
        }
        self.detach(top + count);
        self.detach(bottom);
    }

    /// Whether the margins leave no column out: whole rows move.
    fn spans(&self, margins: Margins) -> bool {
        margins.left == 0 && margins.right >= self.columns
    }

    /// The row has another one above it than the one it continued.
    pub(super) fn detach(&mut self, row: u16) {
        if let Some(row) = self.rows.get_mut(usize::from(row)) {
            row.continuation = false;
        }
    }

    fn move_up_within(&mut self, margins: Margins, count: u16, style: u16) {
        for row in margins.top..margins.bottom {
            let source = row + count;
            self.copy_within_margins(
                margins,
                row,
                (source < margins.bottom).then_some(source),
                style,
            );
        }
        self.detach(margins.bottom);
    }

    fn move_down_within(&mut self, margins: Margins, count: u16, style: u16) {
        for row in (margins.top..margins.bottom).rev() {
            let source = row
                .checked_sub(count)
                .filter(|source| *source >= margins.top);
            self.copy_within_margins(margins, row, source, style);
        }
        self.detach(margins.bottom);
    }

    fn copy_within_margins(&mut self, margins: Margins, row: u16, source: Option<u16>, style: u16) {
        let Margins { left, right, .. } = margins;
        let range = usize::from(left)..usize::from(right);
        let cells = source.map(|source| {
            let row = self.row_mut(source);
            row.split_wide(left);
            row.split_wide(right);
            row.cells()[range.clone()].to_vec()
        });
        let row = self.row_mut(row);
        row.erase(left..right, style);
        if let Some(cells) = cells {
            row.cells_mut(right)[range].copy_from_slice(&cells);
        }
        row.continuation = false;
    }

    /// Which numbers the cells use.
    pub(super) fn mark(
        &self,
        marks: &mut [bool],
        number: impl Fn(super::cell::Cell) -> Option<u32>,
    ) {
        for row in &self.rows {
            for number in row.used_cells().iter().filter_map(|cell| number(*cell)) {
                marks[number as usize] = true;
            }
        }
    }
}

/// Where rows go that leave the top of the screen.
pub(super) struct Keeper<'a> {
    pub(super) history: &'a mut History,
    pub(super) content: &'a Content,
    /// On a screen of one row: what comes next continues it with a wide character.
    pub(super) gap: bool,
}

impl Keeper<'_> {
    fn keep_first(&mut self, rows: &VecDeque<Row>) {
        let wide_next = rows.get(1).map_or(self.gap, Row::continues_wide);
        self.history.push(&rows[0], wide_next, self.content);
    }
}
