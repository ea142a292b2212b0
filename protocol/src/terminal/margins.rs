//! Scrolling margins (DECSTBM, DECSLRM).

use crate::size::Size;

/// The rows and columns that scroll: `top..bottom`, `left..right`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Margins {
    pub(super) top: u16,
    pub(super) bottom: u16,
    pub(super) left: u16,
    pub(super) right: u16,
}

impl Margins {
    /// None: the whole screen.
    pub(super) fn full(size: Size) -> Self {
        Self {
            top: 0,
            bottom: size.rows,
            left: 0,
            right: size.columns,
        }
    }

    /// Sets the rows by 1-based parameters, 0 for the screen's edge; false when they make no
    /// region of at least two rows.
    pub(super) fn set_rows(&mut self, top: u16, bottom: u16, size: Size) -> bool {
        let (top, bottom) = span(top, bottom, size.rows);
        let valid = top + 1 < bottom;
        if valid {
            (self.top, self.bottom) = (top, bottom);
        }
        valid
    }

    /// Sets the columns likewise.
    pub(super) fn set_columns(&mut self, left: u16, right: u16, size: Size) -> bool {
        let (left, right) = span(left, right, size.columns);
        let valid = left + 1 < right;
        if valid {
            (self.left, self.right) = (left, right);
        }
        valid
    }

    pub(super) fn full_width(&self, size: Size) -> bool {
        self.left == 0 && self.right == size.columns
    }
}

fn span(first: u16, last: u16, limit: u16) -> (u16, u16) {
    let last = if last == 0 { limit } else { last.min(limit) };
    (first.max(1) - 1, last)
}
