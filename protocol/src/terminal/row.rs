//! A row of cells.

use super::cell::Cell;

/// A row of the screen.
#[derive(Clone, Debug)]
pub(super) struct Row {
    cells: Box<[Cell]>,
    /// Cells from here on are [`Cell::EMPTY`].
    used: u16,
    /// The row continues the one above, which was wrapped by the right margin.
    pub(super) continuation: bool,
    /// Every cell is ASCII or empty, in the default style, without a link.
    plain: bool,
    /// Shell marks (OSC 133) that stand in this row: bits of [`Row::PROMPT`] and so on.
    pub(super) marks: u8,
}

impl Row {
    /// A prompt begins in this row (OSC 133 A).
    pub(super) const PROMPT: u8 = 1;
    /// A command's output begins in this row (OSC 133 C).
    pub(super) const OUTPUT: u8 = 2;

    pub(super) fn new(columns: u16) -> Self {
        Self {
            cells: vec![Cell::EMPTY; usize::from(columns)].into_boxed_slice(),
            used: 0,
            continuation: false,
            plain: true,
            marks: 0,
        }
    }

    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The cells up to the last that was ever written.
    pub(super) fn used_cells(&self) -> &[Cell] {
        &self.cells[..usize::from(self.used)]
    }

    /// Whether it continues the row above with a wide character.
    pub(super) fn continues_wide(&self) -> bool {
        self.continuation && self.cells[0].is_wide()
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    #[inline(always)]
    pub(super) fn cell(&self, column: u16) -> Cell {
        self.cells[usize::from(column)]
    }

    /// Cells for changes of any kind up to `end`.
    pub(super) fn cells_mut(&mut self, end: u16) -> &mut [Cell] {
        self.used = self.used.max(end);
        self.plain = false;
        &mut self.cells
    }

    /// Empties the row; erased cells get `style`.
    #[inline]
    pub(super) fn clear(&mut self, style: u16) {
        if style == 0 {
            self.cells[..usize::from(self.used)].fill(Cell::EMPTY);
            self.used = 0;
            self.plain = true;
        } else {
            self.cells.fill(Cell::erased(style));
            self.used = self.cells.len() as u16;
            self.plain = false;
        }
        self.continuation = false;
        self.marks = 0;
    }

    /// Writes narrow ASCII from `column` on; it fits.
    #[inline]
    pub(super) fn write_ascii(&mut self, column: u16, bytes: &[u8], style: u16, link: u16) {
        let start = usize::from(column);
        let end = start + bytes.len();
        if style != 0 || link != 0 {
            self.plain = false;
        }
        if !self.plain && column < self.used {
            self.split_wide(column);
            self.split_wide(end as u16);
        }
        let cells = &mut self.cells[start..end];
        cells.fill(Cell::ascii(0, style, link));
        for (cell, &byte) in cells.iter_mut().zip(bytes) {
            cell.set_ascii(byte);
        }
        self.used = self.used.max(end as u16);
    }

    /// Writes one cell, and the tail when it is wide; it fits.
    #[inline(always)]
    pub(super) fn write(&mut self, column: u16, cell: Cell) {
        let width = if cell.is_wide() { 2 } else { 1 };
        if !self.plain && column < self.used {
            self.split_wide(column);
            self.split_wide(column + width);
        }
        self.plain = false;
        self.cells[usize::from(column)] = cell;
        if width == 2 {
            self.cells[usize::from(column) + 1] = Cell::tail(cell.style, cell.link);
        }
        self.used = self.used.max(column + width);
    }

    /// Erases `range`, with what remains of wide characters at its edges.
    pub(super) fn erase(&mut self, range: std::ops::Range<u16>, style: u16) {
        if range.is_empty() {
            return;
        }
        self.split_wide(range.start);
        self.split_wide(range.end);
        if style == 0 && range.end >= self.used {
            let (start, used) = (usize::from(range.start), usize::from(self.used));
            if start < used {
                self.cells[start..used].fill(Cell::EMPTY);
                self.used = range.start;
            }
            if self.used == 0 {
                self.plain = true;
            }
            return;
        }
        self.cells[usize::from(range.start)..usize::from(range.end)].fill(Cell::erased(style));
        if style != 0 {
            self.plain = false;
            self.used = self.used.max(range.end);
        }
    }

    /// Takes a wide character apart when `column` is its second half: what comes to stand
    /// there next would leave the first half alone.
    #[inline]
    pub(super) fn split_wide(&mut self, column: u16) {
        let at = usize::from(column);
        if at == 0 || at >= self.cells.len() || !self.cells[at].is_tail() {
            return;
        }
        self.cells[at - 1] = Cell::EMPTY;
        self.cells[at] = Cell::EMPTY;
    }

    /// Empties halves of wide characters whose other half is not in the row: a row of one
    /// column has no room for both.
    pub(super) fn split_lone_halves(&mut self) {
        if let [first, ..] = &mut *self.cells
            && first.is_tail()
        {
            *first = Cell::EMPTY;
        }
        if let [.., last] = &mut *self.cells
            && last.is_wide()
        {
            *last = Cell::EMPTY;
        }
    }

    /// Moves the cells of `range` right by `count`; what leaves the range is lost.
    pub(super) fn insert(&mut self, range: std::ops::Range<u16>, count: u16, style: u16) {
        let (start, end) = (usize::from(range.start), usize::from(range.end));
        let count = usize::from(count).min(end - start);
        self.split_wide(range.start);
        self.split_wide(range.end);
        self.split_wide((end - count) as u16);
        let cells = self.cells_mut(range.end);
        cells.copy_within(start..end - count, start + count);
        cells[start..start + count].fill(Cell::erased(style));
    }

    /// Moves the cells of `range` left by `count`; erased ones come in from the right.
    pub(super) fn delete(&mut self, range: std::ops::Range<u16>, count: u16, style: u16) {
        let (start, end) = (usize::from(range.start), usize::from(range.end));
        let count = usize::from(count).min(end - start);
        self.split_wide(range.start);
        self.split_wide(range.end);
        self.split_wide((start + count) as u16);
        let cells = self.cells_mut(range.end);
        cells.copy_within(start + count..end, start);
        cells[end - count..end].fill(Cell::erased(style));
    }

    /// Cuts or extends the row.
    pub(super) fn set_columns(&mut self, columns: u16) {
        if usize::from(columns) == self.cells.len() {
            return;
        }
        self.split_wide(columns);
        let mut cells = std::mem::take(&mut self.cells).into_vec();
        cells.resize(usize::from(columns), Cell::EMPTY);
        self.cells = cells.into_boxed_slice();
        self.used = self.used.min(columns);
    }
}
