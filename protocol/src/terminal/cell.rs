//! A cell of the screen: eight bytes.

/// What a column of a row shows. Style and link are numbers in the terminal's tables; 0 is the
/// default style, and no link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Cell {
    glyph: u32,
    pub(super) style: u16,
    pub(super) link: u16,
}

/// The glyph is the number of a cluster, not a character.
const CLUSTER: u32 = 1 << 31;
/// The first column of a wide character.
const WIDE: u32 = 1 << 30;
/// The second column of a wide character.
const TAIL: u32 = 1 << 29;
/// A cluster that was put together while mode 2027 was on.
const GRAPHEME: u32 = 1 << 28;
const VALUE: u32 = (1 << 21) - 1;

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glyph {
    /// Nothing was printed here since it was erased.
    Empty,
    /// One character.
    Char(char),
    /// A character with what combines with it: a number in the table of clusters.
    Cluster {
        index: u32,
        /// Whether mode 2027 was on when it was put together.
        grapheme: bool,
    },
    /// The second half of the wide character on the left.
    Tail,
}

impl Cell {
    /// An erased cell in the default style.
    pub(super) const EMPTY: Self = Self {
        glyph: 0,
        style: 0,
        link: 0,
    };

    /// An erased cell.
    pub(super) fn erased(style: u16) -> Self {
        Self {
            glyph: 0,
            style,
            link: 0,
        }
    }

    /// A narrow ASCII character.
    #[inline(always)]
    pub(super) fn ascii(byte: u8, style: u16, link: u16) -> Self {
        Self {
            glyph: u32::from(byte),
            style,
            link,
        }
    }

    /// Another ASCII character in the same style.
    #[inline(always)]
    pub(super) fn set_ascii(&mut self, byte: u8) {
        self.glyph = u32::from(byte);
    }

    /// A character of the given width, 1 or 2.
    #[inline(always)]
    pub(super) fn char(c: char, wide: bool, style: u16, link: u16) -> Self {
        let flag = if wide { WIDE } else { 0 };
        Self {
            glyph: c as u32 | flag,
            style,
            link,
        }
    }

    /// What follows a wide character.
    #[inline(always)]
    pub(super) fn tail(style: u16, link: u16) -> Self {
        Self {
            glyph: TAIL,
            style,
            link,
        }
    }

    /// The same cell with a cluster instead of its character.
    pub(super) fn with_cluster(self, index: u32, grapheme: bool, wide: bool) -> Self {
        let mut glyph = CLUSTER | index;
        if wide {
            glyph |= WIDE;
        }
        if grapheme {
            glyph |= GRAPHEME;
        }
        Self { glyph, ..self }
    }

    /// What stands here.
    #[inline]
    pub(super) fn glyph(self) -> Glyph {
        if self.glyph == 0 {
            Glyph::Empty
        } else if self.glyph & TAIL != 0 {
            Glyph::Tail
        } else if self.glyph & CLUSTER != 0 {
            Glyph::Cluster {
                index: self.glyph & VALUE,
                grapheme: self.glyph & GRAPHEME != 0,
            }
        } else {
            Glyph::Char(char::from_u32(self.glyph & VALUE).unwrap_or('\u{fffd}'))
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.glyph == 0
    }

    /// Makes an erased cell a printed space.
    pub(super) fn fill_if_empty(&mut self) {
        if self.is_empty() {
            self.glyph = u32::from(b' ');
        }
    }

    #[inline(always)]
    pub(super) fn is_wide(self) -> bool {
        self.glyph & WIDE != 0
    }

    #[inline(always)]
    pub(super) fn is_tail(self) -> bool {
        self.glyph & TAIL != 0
    }

    /// Whether it is ASCII or erased, and looks like `other`.
    #[inline(always)]
    pub(super) fn is_ascii_like(self, other: Self) -> bool {
        self.glyph < 0x80 && self.style == other.style && self.link == other.link
    }

    /// Whether it is neither, and looks like `other`, or is the second half of one that does.
    #[inline(always)]
    pub(super) fn is_other_like(self, other: Self) -> bool {
        self.is_tail() || self.glyph >= 0x80 && self.style == other.style && self.link == other.link
    }

    /// The byte, when the row is known to be plain ASCII; an erased cell is a space.
    #[inline(always)]
    pub(super) fn plain_byte(self) -> u8 {
        let byte = self.glyph as u8;
        if byte == 0 { b' ' } else { byte }
    }
}
