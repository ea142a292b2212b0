//! The size of a terminal.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Rows and columns of a terminal, and of its text area in pixels (0 where unknown), as in
/// `struct winsize` (tty_ioctl(4)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Visible rows, at least 1.
    pub rows: u16,
    /// Columns, at least 1.
    pub columns: u16,
    /// Width of the text area in pixels, 0 where unknown.
    pub pixel_width: u16,
    /// Height of the text area in pixels, 0 where unknown.
    pub pixel_height: u16,
}

impl Size {
    /// The largest number of rows or columns that a session takes. What a peer asks for beyond
    /// is cut to this: a grid of 65535 × 65535 cells would be 32 GiB.
    pub const MAX: u16 = 2_000;

    /// A size without pixels, cut to 1..=[`Size::MAX`] either way.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Self {
        Self {
            rows,
            columns,
            pixel_width: 0,
            pixel_height: 0,
        }
        .clamped()
    }

    /// The same size, cut to 1..=[`Size::MAX`] either way.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            rows: self.rows.clamp(1, Self::MAX),
            columns: self.columns.clamp(1, Self::MAX),
            ..self
        }
    }

    /// How many rows a terminal may take back from its scrollback when it gets another size: as many
    /// as it has more, or, where lines were wrapped that no longer are, a screenful.
    #[must_use]
    pub fn rows_taken_back(self, next: Self) -> u16 {
        match next.columns <= self.columns {
            true => next.rows.saturating_sub(self.rows),
            false => next.rows,
        }
    }

    /// Whether both have the same rows and columns, whatever their pixels.
    #[must_use]
    pub fn same_cells(self, other: Self) -> bool {
        (self.rows, self.columns) == (other.rows, other.columns)
    }
}

impl Default for Size {
    /// 24 × 80, the VT100's.
    fn default() -> Self {
        Self::new(24, 80)
    }
}

impl fmt::Display for Size {
    /// `80x24`: columns first, as stty(1) and X11 geometry strings are read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_size_is_cut() {
        assert_eq!(Size::new(0, 65_535), Size::new(1, Size::MAX));
    }

    #[test]
    fn a_terminal_that_grows_may_take_rows_back() {
        let size = Size::new(24, 80);
        for (rows, columns, back) in [
            (24, 80, 0),
            (30, 80, 6),
            (10, 80, 0),
            (24, 70, 0),
            (30, 70, 6),
            (10, 81, 10),
        ] {
            assert_eq!(size.rows_taken_back(Size::new(rows, columns)), back);
        }
    }
}
