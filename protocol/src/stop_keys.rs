//! Keys that stop or suspend a program.

/// Ctrl-C, Ctrl-Z and Ctrl-\ in the kitty keyboard protocol ("Comprehensive keyboard handling in
/// terminals").
const ENCODED: [&[u8]; 3] = [b"\x1b[99;5u", b"\x1b[122;5u", b"\x1b[92;5u"];

/// Whether one is in `typed`: Ctrl-C, Ctrl-Z, Ctrl-\, as bytes or in the kitty keyboard protocol.
#[must_use]
pub fn are_in(typed: &[u8]) -> bool {
    let is_one = |byte: &u8| matches!(byte, 0x03 | 0x1a | 0x1c);
    let holds = |key: &&[u8]| typed.windows(key.len()).any(|window| window == *key);
    typed.iter().any(is_one) || ENCODED.iter().any(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_stop_a_program_are_known_in_each_form() {
        for typed in [
            &b"\x03"[..],
            b"x\x1a",
            b"\x1c\r",
            b"a\x1b[99;5u",
            b"\x1b[122;5ub",
        ] {
            assert!(are_in(typed), "{}", typed.escape_ascii());
        }
        for typed in [&b""[..], b"c", b"\x1b[99u", b"\x1b[99;6u", b"\x04"] {
            assert!(!are_in(typed), "{}", typed.escape_ascii());
        }
    }
}
