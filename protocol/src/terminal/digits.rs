//! Numbers in the sequences that a terminal is sent.

/// Writes a number in decimal digits.
pub(super) fn write(out: &mut Vec<u8>, number: u32) {
    if number >= 10 {
        write(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}
