//! What stands between the text of a block of history: codes below 0x20, and numbers behind some.

/// A number follows: the block's style of the text from here on.
pub(super) const STYLE: u8 = 1;
/// A number follows: the block's link of the text from here on.
pub(super) const LINK: u8 = 2;
/// The rest of the row is erased in the present style.
pub(super) const FILL: u8 = 3;
/// A byte follows: shell marks (`Row::PROMPT` …), plus 0x20.
pub(super) const MARKS: u8 = 4;
/// The text from here on was put together under mode 2027.
pub(super) const GRAPHEMES: u8 = 5;
/// … until here.
pub(super) const CHARACTERS: u8 = 6;
/// The line ends.
pub(super) const END: u8 = b'\n';

/// Six bits a byte, all of them at 0x40 and above: no byte of a number looks like a code.
pub(super) fn write_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x40 {
        out.push(0x80 | 0x40 | (number & 0x3f) as u8);
        number >>= 6;
    }
    out.push(0x40 | number as u8);
}

/// The number at the beginning, which is taken away.
pub(super) fn read_number(bytes: &mut &[u8]) -> usize {
    let mut number = 0;
    let mut shift = 0;
    while let [byte, rest @ ..] = *bytes {
        *bytes = rest;
        number |= usize::from(byte & 0x3f) << shift;
        shift = (shift + 6).min(24);
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}
