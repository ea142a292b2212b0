//! The cursor, and what DECSC saves with it.

use super::charset::Charsets;
use super::style::Style;

/// Where the next character goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) row: u16,
    pub(super) column: u16,
    /// The last column was printed: the next character wraps first (DEC STD 070's "last column
    /// flag").
    pub(super) wraps: bool,
}

/// What DECSC (ESC 7) keeps and DECRC (ESC 8) brings back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SavedCursor {
    pub(super) cursor: Cursor,
    pub(super) style: Style,
    pub(super) charsets: Charsets,
    pub(super) origin: bool,
}
