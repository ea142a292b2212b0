//! Operating system commands reach the user's terminal whole.
//!
//! Output comes in pieces, and a replay may follow any of them. A terminal that has the beginning
//! of a title, a notification or a clipboard's new contents would carry out just that: Alacritty
//! and tmux take the CAN at the start of a replay for the end of the command, where xterm drops it.

/// Longer ones pass through, as they come: pictures and clipboards, mostly. What is held is not
/// acknowledged, and must be less than the smallest credit.
const LIMIT: usize = 4 << 10;

/// Makes the command invalid that a long one would be when it ends here: no digit of base64, in
/// which pictures and clipboards are written (RFC 4648 § 4).
const SPOILS: &[u8] = b"!";

/// The beginning of a command at the end of the output.
#[derive(Debug, Default)]
pub struct HeldString {
    held: Vec<u8>,
    /// A longer one is passing: its last byte.
    passing: Option<u8>,
}

impl HeldString {
    /// Takes output; `write` gets what came before and is whole now, in order.
    pub fn pass(&mut self, bytes: &[u8], mut write: impl FnMut(&[u8])) {
        let joined;
        let mut bytes = bytes;
        if !self.held.is_empty() {
            joined = [&std::mem::take(&mut self.held), bytes].concat();
            bytes = &joined;
        }
        if let Some(last) = self.passing {
            let Some(end) = end_of(last, bytes) else {
                self.pass_on(bytes, &mut write);
                return;
            };
            write(&bytes[..end]);
            self.passing = None;
            bytes = &bytes[end..];
        }
        let (whole, begun) = bytes.split_at(begun_at(bytes));
        write(whole);
        if begun.len() > LIMIT {
            self.pass_on(begun, &mut write);
        } else {
            self.held = begun.to_vec();
        }
    }

    /// Writes a part of a long command, but for an ESC at its end: half of an end, perhaps.
    fn pass_on(&mut self, bytes: &[u8], write: &mut impl FnMut(&[u8])) {
        let part = bytes.strip_suffix(b"\x1b").unwrap_or(bytes);
        write(part);
        self.passing = part.last().copied().or(self.passing);
        self.held = bytes[part.len()..].to_vec();
    }

    /// What follows starts anew. Gives as many bytes as were held, which do nothing (NUL, ECMA-48
    /// § 8.3.88): those that are written count, for whoever sends them.
    pub fn give_up(&mut self) -> Vec<u8> {
        self.passing = None;
        vec![0; std::mem::take(&mut self.held).len()]
    }

    /// What is to be written before anything else ends the command that is passing, so that
    /// nobody carries out a part of it. Nothing where there is none.
    pub fn spoil(&self) -> &'static [u8] {
        self.passing.map_or(&[], |_| SPOILS)
    }
}

/// Where a command begins that does not end in `bytes`: their length when there is none.
fn begun_at(bytes: &[u8]) -> usize {
    // The last ESC decides: none stands within a command, but at its end.
    let Some(start) = memchr::memrchr(0x1b, bytes) else {
        return bytes.len();
    };
    match &bytes[start + 1..] {
        [] => begun_before(bytes, start),
        // The Linux console's own commands, `ESC ] P` and `ESC ] R`, have no end.
        [b']', rest @ ..] if rest.first().is_none_or(u8::is_ascii_digit) && !has_end(rest) => start,
        _ => bytes.len(),
    }
}

/// The last byte is an ESC: it begins something, or ends the command that has begun before it.
fn begun_before(bytes: &[u8], last: usize) -> usize {
    begun_at(&bytes[..last]).min(last)
}

/// Where the command ends that has begun before `bytes`, behind `last`: after an end, or before an
/// ESC, which belongs to an end or begins something else. `None` where only more will tell.
fn end_of(last: u8, bytes: &[u8]) -> Option<usize> {
    let before = std::iter::once(&last).chain(bytes);
    let end = bytes.iter().zip(before).position(|(byte, before)| {
        matches!(
            (before, byte),
            (_, 0x07 | 0x18 | 0x1a | 0x1b) | (0xc2, 0x9c)
        )
    })?;
    match bytes[end] {
        0x1b if end + 1 == bytes.len() => None,
        0x1b if bytes[end + 1] == b'\\' => Some(end + 2),
        0x1b => Some(end),
        _ => Some(end + 1),
    }
}

/// BEL, CAN, SUB, and ST in its form for UTF-8. (The form of two bytes begins with ESC.)
fn has_end(rest: &[u8]) -> bool {
    rest.iter().any(|byte| matches!(byte, 0x07 | 0x18 | 0x1a))
        || rest.windows(2).any(|pair| pair == [0xc2, 0x9c])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written after each piece.
    fn written(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut held = HeldString::default();
        let piece = |piece: &&[u8]| {
            let mut written = Vec::new();
            held.pass(piece, |bytes| written.extend_from_slice(bytes));
            written
        };
        pieces.iter().map(piece).collect()
    }

    #[test]
    fn a_command_is_written_once_it_is_whole_wherever_it_is_cut() {
        for end in [&b"\x07"[..], b"\x1b\\", b"\x18", b"\xc2\x9c"] {
            let output = [b"before\x1b]2;title", end, b"after"].concat();
            let (begin, whole) = (6, output.len() - 5);
            for cut in 0..=output.len() {
                let first = match cut {
                    cut if cut <= begin || cut >= whole => cut,
                    _ => begin,
                };
                let parts = written(&[&output[..cut], &output[cut..]]);
                assert_eq!(parts[0], output[..first], "{end:?} cut at {cut}");
                assert_eq!(parts.concat(), output, "{end:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn other_sequences_and_text_pass_at_once() {
        for text in [
            &b"plain"[..],
            b"\x1b[3",
            b"\x1bPq#0",
            b"\x1b]P0ff0000",
            b"a\x1b]2;t\x07b",
        ] {
            assert_eq!(written(&[text]), [text]);
        }
    }

    #[test]
    fn a_command_without_end_passes_when_it_is_long() {
        let piece = vec![b'x'; 1000];
        let parts = written(&[b"\x1b]52;c;", &piece, &piece, &piece, &piece, &piece]);
        let lengths: Vec<_> = parts.iter().map(Vec::len).collect();
        assert_eq!(lengths, [0, 0, 0, 0, 0, 5007]);
    }

    #[test]
    fn a_long_command_is_spoiled_until_it_ends() {
        let long = [b"\x1b]52;c;", &[b'x'; 5000][..]].concat();
        for (end, after) in [
            (&b"\x07"[..], &b"text"[..]),
            (b"\x1b\\", b"text"),
            (b"\x18", b"\x1b[m"),
            (b"\xc2\x9c", b"text"),
        ] {
            let output = [&long, end, after].concat();
            for cut in 0..=output.len() {
                let mut held = HeldString::default();
                let mut all = Vec::new();
                held.pass(&output[..cut], |bytes| all.extend_from_slice(bytes));
                // A part of the command is out, and not its end.
                let begun = !all.is_empty() && all.len() < long.len() + end.len();
                assert_eq!(begun, !held.spoil().is_empty(), "{end:?} cut at {cut}");
                held.pass(&output[cut..], |bytes| all.extend_from_slice(bytes));
                assert_eq!(all, output, "{end:?} cut at {cut}");
                assert_eq!(held.spoil(), b"");
            }
        }
    }

    #[test]
    fn what_is_given_up_keeps_its_length() {
        let mut held = HeldString::default();
        held.pass(b"\x1b]2;half", |_| ());
        assert_eq!(held.give_up(), [0; 8]);
        assert_eq!(held.give_up(), [0; 0]);
    }
}
