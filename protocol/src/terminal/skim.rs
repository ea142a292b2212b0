//! Of a lot of plain output the beginning need not be drawn: what scrolls off the screen, and then
//! out of the history, leaves no trace but the pen.

use super::feed::Feed;
use super::margins::Margins;
use super::state::State;

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
    use super::super::plain::tests::numbers;
    use super::super::{Limits, Terminal};
    use crate::size::Size;

    /// Lines of words, some of them coloured, some longer than a row.
    fn plain_lines(seed: u64, count: usize) -> Vec<u8> {
        let mut next = numbers(seed);
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
                let limits = [(100, 8 << 20), (0, 8 << 20), (1, 8 << 20), (100, 0)];
                let (history_lines, history_bytes) = limits[seed as usize / 4 % 4];
                let limits = Limits {
                    history_lines,
                    history_bytes,
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
