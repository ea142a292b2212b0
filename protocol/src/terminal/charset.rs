//! Character sets (ECMA-35): what ASCII bytes mean.

/// Designated sets G0 to G3 and which of them is in use. A set is kept as the bytes that
/// designate it after `ESC (`, so that sets unknown to us are restored as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charsets {
    sets: [[u8; 2]; 4],
    /// Which one bytes 0x20–0x7e mean.
    left: u8,
    /// Which one the next character is from (SS2, SS3), once.
    single: Option<u8>,
}

const ASCII: [u8; 2] = [0, b'B'];

impl Default for Charsets {
    fn default() -> Self {
        Self {
            sets: [ASCII; 4],
            left: 0,
            single: None,
        }
    }
}

impl Charsets {
    /// Designates `set` by `ESC ( final` and the like; `space` comes before the final byte of
    /// sets with two of them, else 0.
    pub(super) fn designate(&mut self, set: u8, space: u8, last: u8) {
        self.sets[usize::from(set & 3)] = [space, last];
    }

    pub(super) fn shift(&mut self, set: u8) {
        self.left = set & 3;
    }

    /// The same without a single shift.
    pub(super) fn settled(self) -> Self {
        Self {
            single: None,
            ..self
        }
    }

    pub(super) fn shift_once(&mut self, set: u8) {
        self.single = Some(set & 3);
    }

    /// Whether ASCII bytes mean themselves.
    #[inline(always)]
    pub(super) fn is_ascii(&self) -> bool {
        self.single.is_none()
            && !matches!(self.sets[usize::from(self.left)], [0, b'0' | b'2' | b'A'])
    }

    /// Whether the next character is from another set than those after it.
    pub(super) fn is_single(&self) -> bool {
        self.single.is_some()
    }

    /// What the character means; ends a single shift.
    pub(super) fn translate(&mut self, c: char) -> char {
        let set = self.single.take().unwrap_or(self.left);
        match self.sets[usize::from(set)] {
            [0, b'0' | b'2'] => special_graphic(c),
            [0, b'A'] if c == '#' => '£',
            _ => c,
        }
    }

    /// Adds the bytes that bring a terminal with fresh sets here.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (set, introducer) in [b'(', b')', b'*', b'+'].into_iter().enumerate() {
            let [space, last] = self.sets[set];
            if self.sets[set] != ASCII {
                out.extend_from_slice(&[0x1b, introducer]);
                out.extend((space != 0).then_some(space));
                out.push(last);
            }
        }
        match self.left {
            0 => {}
            1 => out.push(0x0e),
            2 => out.extend_from_slice(b"\x1bn"),
            _ => out.extend_from_slice(b"\x1bo"),
        }
    }

    /// Adds the single shift that waits for its character.
    pub(super) fn write_single(&self, out: &mut Vec<u8>) {
        match self.single {
            Some(2) => out.extend_from_slice(b"\x1bN"),
            Some(_) => out.extend_from_slice(b"\x1bO"),
            None => {}
        }
    }
}

/// The VT100's line drawing set.
fn special_graphic(c: char) -> char {
    const GRAPHICS: [char; 32] = [
        '\u{a0}', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺',
        '⎻', '─', '⎼', '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
    ];
    match c {
        '_'..='~' => GRAPHICS[c as usize - '_' as usize],
        _ => c,
    }
}
