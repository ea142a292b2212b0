//! Plain output: text, tabs, line ends, colours, erasing within the line.
//!
//! It moves nothing but the cursor, and asks nothing. So of a lot of it the beginning need not be
//! drawn: what scrolls off the screen, and then out of the history, leaves no trace but the pen.

use super::feed::Feed;
use super::margins::Margins;
use super::state::State;

/// A control sequence longer than this is not taken for plain.
const SEQUENCE_LIMIT: u8 = 64;

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
    /// How many of the last bytes belong to a control sequence that is not whole: whether that is
    /// plain, only its end will tell.
    #[must_use]
    pub fn begun_bytes(&self) -> usize {
        match self.place {
            Place::Text | Place::Lead => 0,
            Place::Escape => 1,
            Place::Sequence(length) => 2 + usize::from(length),
        }
    }

    /// Whether everything that came since the scan began, `bytes` last, is plain. Once it is not,
    /// the next scan begins where the terminal is between characters and sequences.
    #[must_use]
    pub fn is_plain(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            while self.place != Place::Text {
                let Some((&byte, rest)) = bytes.split_first() else {
                    return true;
                };
                let Some(place) = self.place.after(byte) else {
                    return false;
                };
                self.place = place;
                bytes = rest;
            }
            let text = memchr::memchr(0x1b, bytes).unwrap_or(bytes.len());
            if !is_text(&bytes[..text]) {
                return false;
            }
            if text == bytes.len() {
                if bytes.last() == Some(&0xc2) {
                    self.place = Place::Lead;
                }
                return true;
            }
            bytes = &bytes[text + 1..];
            self.place = Place::Escape;
        }
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

/// Whether bytes without ESC are text, tabs, line ends, or what terminals ignore.
fn is_text(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.chunks(64).all(|chunk| {
        let (mut control, mut lead) = (false, before == 0xc2);
        for &byte in chunk {
            control |= byte < 0x20 && !matches!(byte, 0x00 | 0x07 | b'\t' | b'\n' | b'\r');
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

impl Feed {
    /// See [`super::Terminal::skim`].
    pub(super) fn skim(&mut self, bytes: &[u8], lines_after: usize, state: &mut State) -> usize {
        if !self.can_skim(state) || lines_after < state.lines_kept() {
            return 0;
        }
        // There the cursor stands in the first column.
        let Some(end) = memchr::memmem::rfind(bytes, b"\r\n") else {
            return 0;
        };
        let skimmed = &bytes[..end + 2];
        let lines = memchr::memchr_iter(b'\n', skimmed).count();
        if lines < usize::from(state.size.rows) {
            return 0;
        }
        self.skim_colors(skimmed, state);
        self.skim_lines(skimmed.len(), lines, state);
        skimmed.len()
    }

    /// How much of the beginning of `bytes` leaves nothing on the screen, nor in a history of so many
    /// lines; `None` where the last lines do not tell all.
    pub(super) fn glanced_over(
        &self,
        bytes: &[u8],
        history_lines: usize,
        state: &State,
    ) -> Option<usize> {
        let rows = usize::from(state.size.rows);
        let mut ends = memchr::memrchr_iter(b'\n', bytes);
        let end = ends.nth(kept(history_lines, rows))?;
        let end = memchr::memmem::rfind(&bytes[..=end], b"\r\n")? + 2;
        let mut ends = memchr::memrchr_iter(b'\n', &bytes[..end]);
        (ends.nth(rows).is_some() && self.can_skim(state)).then_some(end)
    }

    /// Feeds `bytes` to a terminal of which only the screen counts, all but the beginning that
    /// [`Feed::glanced_over`] tells. How many lines scrolled off is not counted.
    pub(super) fn glance(
        &mut self,
        bytes: &[u8],
        skimmed: usize,
        colored: usize,
        state: &mut State,
    ) {
        let (skimmed, rest) = bytes.split_at(skimmed);
        self.skim_colors(&skimmed[..colored.min(skimmed.len())], state);
        self.skim_lines(skimmed.len(), usize::from(state.size.rows), state);
        self.feed(rest, state);
    }

    fn can_skim(&self, state: &State) -> bool {
        self.is_at_ground()
            && state.margins == Margins::full(state.size)
            && state.alternate.is_none()
            && !state.charsets.is_single()
    }

    /// Takes so many bytes and lines, which end with CR and LF.
    fn skim_lines(&mut self, bytes: usize, lines: usize, state: &mut State) {
        self.pass(bytes);
        state.end_skimmed_lines(lines);
    }

    /// Leaves the pen as plain output leaves it.
    fn skim_colors(&mut self, bytes: &[u8], state: &mut State) {
        let is_reset = |&at: &usize| {
            let sequence = &bytes[at..];
            sequence.starts_with(b"\x1b[m") || sequence.starts_with(b"\x1b[0m")
        };
        let from = memchr::memrchr_iter(0x1b, bytes).find(is_reset);
        let from = from.unwrap_or(0);
        for at in memchr::memchr_iter(0x1b, &bytes[from..]) {
            let sequence = &bytes[from + at..];
            let length = sequence.iter().position(|byte| matches!(byte, b'm' | b'K'));
            if length.is_some_and(|length| sequence[length] == b'm') {
                self.short_sequence(sequence, 0, state);
            }
        }
    }
}

/// So many lines push all before them off a screen of so many rows and out of the history: those on
/// the screen, those in the history, and as many as may be on their way from one to the other.
fn kept(history_lines: usize, rows: usize) -> usize {
    history_lines.saturating_add(2 * rows + 2)
}

impl State {
    /// So many lines push all before them off the screen and out of the history.
    pub(super) fn lines_kept(&self) -> usize {
        kept(self.history.limit_lines(), usize::from(self.size.rows))
    }

    /// The cursor is in the first column of the last row, after that many lines that nothing is
    /// left of; what the rows above show is what was there before, and will scroll off.
    fn end_skimmed_lines(&mut self, lines: usize) {
        self.cursor.row = self.size.rows - 1;
        self.cursor.column = 0;
        self.cursor.wraps = false;
        self.repeatable = false;
        self.scroll_up(self.margins, 1, false);
        self.history.pass(lines - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Terminal};
    use super::*;
    use crate::size::Size;

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

    /// Lines of words, some of them coloured, some longer than a row.
    fn plain_lines(seed: u64, count: usize) -> Vec<u8> {
        let mut random = seed;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        let words: [&[u8]; 10] = [
            b"word ",
            b"a\tb ",
            "漢字".as_bytes(),
            "é£".as_bytes(),
            b"\x1b[31m",
            b"\x1b[0m",
            b"\x1b[4:3;48;2;1;2;3m",
            b"\x1b[K",
            b"\xff",
            b"\r",
        ];
        let mut bytes = Vec::new();
        for _ in 0..count {
            for _ in 0..next(9) {
                bytes.extend_from_slice(words[next(10) as usize]);
            }
            bytes.extend_from_slice(if next(20) == 0 { b"\n" } else { b"\r\n" });
        }
        bytes
    }

    /// What terminals were fed before.
    const STARTS: [&[u8]; 6] = [
        b"",
        b"text\x1b[2;3H\x1b[45m\x1b]8;;http://a\x07x",
        b"\x1b[7l\x1b[4h\x1b[?2027h",
        b"\x1b[2;4r",
        b"\x1b[?1049h",
        b"a line that wraps and wraps and wraps and goes on and on",
    ];

    #[test]
    fn what_is_skimmed_leaves_the_terminal_as_if_it_were_fed() {
        let size = Size::new(5, 20);
        let mut skimmed_in_all = 0;
        for history_lines in [0, 1, 30] {
            let limits = Limits {
                history_lines,
                ..Limits::default()
            };
            for (seed, start) in (0..40).flat_map(|seed| STARTS.map(|start| (seed, start))) {
                let lines = plain_lines(seed, 30 + 5 * seed as usize);
                let (mut fed, mut skims) =
                    (Terminal::new(size, limits), Terminal::new(size, limits));
                fed.feed(start);
                skims.feed(start);
                fed.feed(&lines);
                let (beginning, rest) = lines.split_at(lines.len() * (seed as usize % 4 + 1) / 5);
                let skimmed = skims.skim(beginning, memchr::memchr_iter(b'\n', rest).count());
                skims.feed(&lines[skimmed..]);
                skimmed_in_all += skimmed;
                let difference = fed.snapshot().difference(&skims.snapshot());
                assert_eq!(
                    difference, None,
                    "{history_lines} lines, seed {seed}, {start:?}"
                );
                assert_eq!(fed.fed_bytes(), skims.fed_bytes());
                for terminal in [&mut fed, &mut skims] {
                    terminal.feed(b"and\x1b[5bnow\x1b[Hthe rest\r\n\x1b[J");
                }
                assert_eq!(fed.snapshot(), skims.snapshot());
            }
        }
        assert!(skimmed_in_all > 100_000, "{skimmed_in_all}");
    }

    #[test]
    fn a_glance_shows_what_the_terminal_would_once_it_were_fed() {
        let mut glances = 0;
        for size in [Size::new(5, 20), Size::new(1, 10), Size::new(3, 1)] {
            for (seed, start) in (0..40).flat_map(|seed| STARTS.map(|start| (seed, start))) {
                let limits = Limits {
                    history_lines: [100, 0, 1][seed as usize % 3],
                    ..Limits::default()
                };
                let lines = plain_lines(seed, 20 * seed as usize);
                let (skimmed, rest) = lines.split_at(lines.len() * (seed as usize % 4) / 5);
                let (mut fed, mut behind) =
                    (Terminal::new(size, limits), Terminal::new(size, limits));
                fed.feed(start);
                behind.feed(start);
                fed.feed(&lines);
                let ends = memchr::memchr_iter(b'\n', rest).count();
                let taken = behind.skim(skimmed, ends);
                let unfed = &lines[taken..];
                let colored = memchr::memrchr(0x1b, unfed).map_or(0, |at| {
                    let end = memchr::memchr2(b'm', b'K', &unfed[at..]);
                    at + end.expect("no sequence is cut") + 1
                });
                let Some(mut glance) = behind.glance(unfed, colored) else {
                    continue;
                };
                glances += 1;
                for more in ["", "\x1b[31", "mand\x1b[5bnow\x1b[Hthe rest\r\n\x1b[J"] {
                    fed.feed(more.as_bytes());
                    glance.feed(more.as_bytes());
                    let shown = fed.snapshot().without_history();
                    let difference = shown.difference(&glance.snapshot().without_history());
                    assert_eq!(difference, None, "{size:?}, seed {seed}, {start:?}");
                }
            }
        }
        assert!(glances > 300, "{glances}");
    }
}
