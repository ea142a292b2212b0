//! Plain output: text, tabs, line ends, colours, erasing within the line. It moves nothing but the
//! cursor, and asks nothing.

/// A control sequence longer than this is not taken for plain.
const SEQUENCE_LIMIT: u8 = 64;

/// So many bytes are looked at for ESC at once, one bit of a word for each.
const BLOCK: usize = 64;

/// Looks whether output is plain, piece by piece.
#[derive(Clone, Debug, Default)]
pub struct PlainScan {
    place: Place,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// After 0xC2, which may begin a control of the C1 set.
    Lead,
    /// After ESC.
    Escape,
    /// So many bytes after `ESC [`.
    Sequence(u8),
}

impl PlainScan {
    /// How many of the last bytes begin, or may begin, a control sequence that is not whole: whether
    /// that is plain, only what follows will tell.
    #[must_use]
    pub fn begun_bytes(&self) -> usize {
        match self.place {
            Place::Text => 0,
            Place::Lead | Place::Escape => 1,
            Place::Sequence(length) => 2 + usize::from(length),
        }
    }

    /// Whether everything that came since the scan began, `bytes` last, is plain. Once it is not,
    /// the next scan begins where the terminal is between characters and sequences.
    #[must_use]
    pub fn is_plain(&mut self, bytes: &[u8]) -> bool {
        let Some(rest) = self.end_begun(bytes) else {
            return false;
        };
        if !is_text(rest) {
            return false;
        }
        for escape in escapes(rest) {
            if !is_sequence(&rest[escape..]) {
                self.place = Place::Escape;
                if self.end_begun(&rest[escape + 1..]).is_none() {
                    return false;
                }
            }
        }
        if rest.last() == Some(&0xc2) {
            self.place = Place::Lead;
        }
        true
    }

    /// What is behind the sequence that began before `bytes`, if one did; `None` where it is not plain.
    fn end_begun<'a>(&mut self, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
        while self.place != Place::Text
            && let Some((&byte, rest)) = bytes.split_first()
        {
            self.place = self.place.after(byte)?;
            bytes = rest;
        }
        Some(bytes)
    }
}

impl Place {
    /// The place after one more byte; `None` when that is not plain.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Text | Self::Lead, 0x1b) => Some(Self::Escape),
            (Self::Text | Self::Lead, 0xc2) => Some(Self::Lead),
            (Self::Lead, 0x80..=0x9f) => None,
            (Self::Text | Self::Lead, _) => is_text(&[byte]).then_some(Self::Text),
            (Self::Escape, b'[') => Some(Self::Sequence(0)),
            (Self::Sequence(_), b'm' | b'K') => Some(Self::Text),
            (Self::Sequence(length), b'0'..=b'9' | b';' | b':') if length < SEQUENCE_LIMIT => {
                Some(Self::Sequence(length + 1))
            }
            (Self::Escape | Self::Sequence(_), _) => None,
        }
    }
}

/// Whether bytes are text, tabs, line ends, bells, what terminals ignore, or ESC.
fn is_text(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.chunks(BLOCK).all(|chunk| {
        let (mut control, mut lead) = (false, before == 0xc2);
        for &byte in chunk {
            control |= byte < 0x20 && !matches!(byte, 0x00 | 0x07 | b'\t' | b'\n' | b'\r' | 0x1b);
            lead |= byte == 0xc2;
        }
        let c1 = lead && {
            let pairs = std::iter::once(before)
                .chain(chunk.iter().copied())
                .zip(chunk);
            pairs
                .into_iter()
                .any(|pair| matches!(pair, (0xc2, 0x80..=0x9f)))
        };
        before = *chunk.last().expect("no chunk is empty");
        !control && !c1
    })
}

/// A byte in each of the eight places of a word.
const fn everywhere(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Where each ESC stands. A call of memchr for each would take longer, as coloured text has one in ten
/// bytes; where there is none, it takes less.
fn escapes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let (mut begin, mut end, mut found) = (0, 0, 0);
    std::iter::from_fn(move || {
        if found == 0 {
            begin = end + memchr::memchr(0x1b, &bytes[end..])?;
            end = bytes.len().min(begin + BLOCK);
            found = escapes_in(&bytes[begin..end]);
        }
        let escape = begin + found.trailing_zeros() as usize;
        found &= found - 1;
        Some(escape)
    })
}

/// Where ESC stands in a block, as one bit for each byte.
fn escapes_in(block: &[u8]) -> u64 {
    let mut whole = [0; BLOCK];
    let block = block.first_chunk().unwrap_or_else(|| {
        whole[..block.len()].copy_from_slice(block);
        &whole
    });
    let (words, _) = block.as_chunks();
    words.iter().rev().fold(0, |bits, word| {
        let other = u64::from_le_bytes(*word) ^ everywhere(0x1b);
        let low = everywhere(0x7f);
        let zero = !(((other & low) + low) | other | low);
        // The highest bit of each byte, all in the highest byte.
        let gathered = (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits << 8 | gathered
    })
}

/// Whether `bytes` begin with a plain sequence; `false` also where this does not tell.
fn is_sequence(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"\x1b[") {
        return false;
    }
    let mut at = 2;
    while at + 8 <= usize::from(SEQUENCE_LIMIT)
        && let Some(word) = bytes[at..].first_chunk()
    {
        // From 0x30 to 0x3B are digits, `:` and `;`.
        let value = u64::from_le_bytes(*word) ^ everywhere(0x30);
        let sum = (value & everywhere(0x7f)) + everywhere(0x80 - 0x0c);
        let others = (sum | value) & everywhere(0x80);
        if others != 0 {
            return matches!(
                bytes[at + others.trailing_zeros() as usize / 8],
                b'm' | b'K'
            );
        }
        at += 8;
    }
    false
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn is_plain(parts: &[&[u8]]) -> bool {
        let mut scan = PlainScan::default();
        parts.iter().all(|part| scan.is_plain(part))
    }

    #[test]
    fn text_colours_and_line_ends_are_plain() {
        for text in [
            &b"a line\r\nand\tanother\x07\r\n"[..],
            b"\x1b[1;38;5;12mbold\x1b[0m\x1b[K \x1b[4:3mcurly\x1b[m",
            "grüße £ 漢字 👩‍🚀 ÿ".as_bytes(),
            b"no UTF-8: \xff\xc2 \xc2\xc2\xa3 \xe2\x82",
            b"",
        ] {
            for cut in 0..=text.len() {
                assert!(is_plain(&[&text[..cut], &text[cut..]]), "{text:?} at {cut}");
            }
        }
    }

    #[test]
    fn a_sequence_that_is_not_whole_is_known() {
        let begun = |text: &[u8]| {
            let mut scan = PlainScan::default();
            assert!(scan.is_plain(text));
            scan.begun_bytes()
        };
        assert_eq!(begun(b"text"), 0);
        assert_eq!(begun(b"text\x1b"), 1);
        assert_eq!(begun(b"text\x1b["), 2);
        assert_eq!(begun(b"text\x1b[1;31"), 6);
        assert_eq!(begun(b"text\x1b[1;31m"), 0);
        assert_eq!(begun(b"text\xc2"), 1);
        assert_eq!(begun(b"text\xc2\xa3"), 0);
    }

    #[test]
    fn what_moves_or_asks_is_not_plain() {
        for text in [
            &b"\x1b[6n"[..],
            b"\x1b[2J",
            b"\x1b[>4;1m",
            b"\x1b[?4m",
            b"\x1b[1 m",
            b"\x1b]2;title\x07",
            b"\x1b7",
            b"\x1b\x1b[m",
            b"back\x08space",
            b"form\x0cfeed",
            b"\x0eother letters",
            b"\xc2\x9b6n",
            b"\x1b[1\r;2m",
            &[b"\x1b[", &[b'1'; 70][..], b"m"].concat(),
        ] {
            let long = [&[b'x'; 63][..], text, b" and so on"].concat();
            for cut in 0..=long.len() {
                let parts = [&long[..cut], &long[cut..]];
                assert!(!is_plain(&parts), "{:?} at {cut}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn whole_pieces_are_judged_as_byte_after_byte_is() {
        let parts: [&[u8]; 16] = [
            b"word and word ",
            b"a\tb\r\n",
            &[b'x'; 40],
            "\u{e9}\u{a3}".as_bytes(),
            b"\xc2",
            b"\x1b[m",
            b"\x1b[0m",
            b"\x1b[1;32m",
            b"\x1b[38;2;10;20;30m",
            b"\x1b[4:3K",
            b"\x1b[",
            b"1;31m",
            &[b'1'; 30],
            b"m",
            b"\x1b[1;2H",
            b"\x85",
        ];
        let (mut plain, mut other) = (0, 0);
        for seed in 0..4000 {
            let mut random = numbers(seed);
            let text: Vec<_> = (0..random(12))
                .flat_map(|_| {
                    // What is never plain is rare.
                    let common = if random(8) == 0 { 16 } else { 13 };
                    parts[random(common) as usize]
                })
                .copied()
                .collect();
            let mut place = Some(Place::Text);
            for &byte in &text {
                place = place.and_then(|place| place.after(byte));
            }
            let (begin, end) = text.split_at(random(text.len() as u64 + 1) as usize);
            let mut scan = PlainScan::default();
            let is_plain = scan.is_plain(begin) && scan.is_plain(end);
            let judged = is_plain.then_some(scan.place);
            assert_eq!(judged, place, "{:?}", text.escape_ascii());
            *if is_plain { &mut plain } else { &mut other } += 1;
        }
        assert!(plain > 500 && other > 500, "{plain} {other}");
    }

    /// Numbers that look random, each below what is asked for.
    pub(in super::super) fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut random = seed;
        move |below| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        }
    }
}
