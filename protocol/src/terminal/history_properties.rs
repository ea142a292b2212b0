//! A history that is packed now and then is the same as one that never is, whatever is printed, at
//! whatever sizes; and what it takes is counted exactly.

use fastrand::Rng;

use super::history::History;
use super::legend::Piece;
use super::{Limits, Terminal};
use crate::size::Size;

const SIZES: [(u16, u16); 6] = [(24, 80), (5, 20), (1, 10), (3, 2), (30, 100), (500, 130)];

const WORDS: [&str; 20] = [
    "word ",
    "another-word ",
    "0123456789",
    "\t",
    "漢字",
    "é£",
    "e\u{301}",
    "\u{1f469}\u{200d}\u{1f680}",
    "\x1b[?2027h",
    "\x1b[?2027l",
    "\x1b[31m",
    "\x1b[1;4m",
    "\x1b[m",
    "\x1b[48;2;1;2;3m",
    "\x1b[44m\x1b[K",
    "\x1b]8;;http://a/\x07",
    "\x1b]8;id=x;http://b/\x07",
    "\x1b]8;;\x07",
    "\x1b]133;A\x07",
    "\x1b[5;3H",
];

/// What only the seed decides.
struct Random(Rng);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn size(&mut self) -> Size {
        let (rows, columns) = self.one_of(&SIZES);
        Size::new(rows, columns)
    }

    /// Lines of any length: one may be all there is. Some cannot be packed.
    fn output(&mut self) -> Vec<u8> {
        let bytes = self.one_of(&[100, 5_000, 20_000, 40_000, 100_000]);
        let words_of_a_line = self.one_of(&[1, 5, 30, 2_000, usize::MAX]);
        let words = &WORDS[..1 + self.below(WORDS.len())];
        let is_noise = self.below(4) == 0;
        let mut text = Vec::new();
        while text.len() < bytes {
            for _ in 0..=self.below(words_of_a_line) {
                if is_noise {
                    text.push(b'0' + self.below(64) as u8);
                } else {
                    text.extend_from_slice(self.one_of(words).as_bytes());
                }
                if text.len() >= bytes {
                    break;
                }
            }
            text.extend_from_slice(b"\r\n");
        }
        text.truncate(bytes);
        text
    }
}

/// The last lines, as the history gives them.
fn pieces(history: &History, lines: usize) -> Vec<u8> {
    let mut out = Vec::new();
    history.visit(lines, &mut |piece| match piece {
        Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
        Piece::Style(style) => {
            out.extend_from_slice(b"{style");
            style.write_parameters(&mut out);
        }
        Piece::Link(link) => {
            out.extend_from_slice(b"{link");
            link.write(&mut out);
        }
        Piece::Marks(marks) => out.extend_from_slice(&[b'{', b'm', marks]),
        Piece::Graphemes(on) => out.extend_from_slice(&[b'{', b'g', u8::from(on)]),
        Piece::Fill => out.extend_from_slice(b"{fill"),
        Piece::End => out.push(b'\n'),
    });
    out
}

fn check(packed: &Terminal, plain: &Terminal, random: &mut Random) {
    let (one, other) = (&packed.state.history, &plain.state.history);
    one.check_bytes();
    other.check_bytes();
    assert!(one.bytes() <= other.bytes());
    assert_eq!(one.line_count(), other.line_count());
    for lines in [usize::MAX, random.below(one.line_count() + 2)] {
        assert!(pieces(one, lines) == pieces(other, lines), "{lines} lines");
    }
}

#[test]
fn a_packed_history_is_the_same_history() {
    let (mut packed_blocks, mut reopened_blocks, mut smallest) = (0, 0, 1.0_f64);
    for seed in 0..100 {
        let mut random = Random(Rng::with_seed(seed));
        let limits = Limits {
            history_lines: random.one_of(&[100, 3_000, 100_000]),
            history_bytes: random.one_of(&[50_000, 300_000, 8 << 20]),
        };
        let size = random.size();
        let mut packed = Terminal::new(size, limits);
        let mut plain = Terminal::new(size, limits);
        for _ in 0..16 {
            match random.below(10) {
                0..=3 => {
                    let output = random.output();
                    packed.feed(&output);
                    plain.feed(&output);
                }
                4..=6 => {
                    let size = random.size();
                    let before = packed.state.history.packed_blocks();
                    packed.resize(size);
                    reopened_blocks += before.saturating_sub(packed.state.history.packed_blocks());
                    plain.resize(size);
                }
                7 if random.below(4) == 0 => {
                    packed.feed(b"\x1b[3J");
                    plain.feed(b"\x1b[3J");
                    assert_eq!(packed.history_bytes(), 0);
                }
                _ => {
                    let before = packed.state.history.packed_blocks();
                    for _ in 0..random.one_of(&[1, 2, 100]) {
                        packed.pack();
                    }
                    packed_blocks += packed.state.history.packed_blocks() - before;
                }
            }
            check(&packed, &plain, &mut random);
        }
        let difference = packed.snapshot().difference(&plain.snapshot());
        assert_eq!(difference, None);
        if plain.history_bytes() > 0 {
            smallest = smallest.min(packed.history_bytes() as f64 / plain.history_bytes() as f64);
        }
        // A share is of memory: what is dropped for it are the first lines, once all is packed.
        let lines = packed.history_lines();
        let share = random.below(packed.history_bytes() + 1);
        let dropped = packed.set_history_share(share);
        let (history, whole) = (&packed.state.history, &plain.state.history);
        history.check_bytes();
        assert!(packed.history_bytes() <= share.max(64 << 10));
        assert!(!dropped || !packed.can_pack());
        assert!(dropped || packed.history_lines() == lines);
        // The first may have begun in what was dropped; if it goes on on the screen, it may have been
        // ended for that.
        let left = pieces(history, usize::MAX);
        let begun = left.iter().position(|byte| *byte == b'\n');
        let begun = begun.unwrap_or(left.len());
        let is_cut = whole.is_open() && !history.is_open() && begun + 1 == left.len();
        assert!(is_cut || pieces(whole, usize::MAX).ends_with(&left[begun..]));
    }
    println!("{packed_blocks} blocks packed, {reopened_blocks} reopened, {smallest}");
    assert!(packed_blocks > 100, "{packed_blocks}");
    assert!(reopened_blocks > 5, "{reopened_blocks}");
    assert!(smallest < 0.3, "{smallest}");
}

/// Whatever is dropped, or goes back to the screen for a while.
#[test]
fn no_line_is_counted_twice_or_not_at_all() {
    let mut returned = 0;
    for seed in 0..50 {
        let mut random = Random(Rng::with_seed(seed));
        let limits = Limits {
            history_lines: random.one_of(&[0, 1, 5, 100, 100_000]),
            history_bytes: random.one_of(&[0, 50_000, 300_000, 8 << 20]),
        };
        let is_kept = limits.history_lines > 0 && limits.history_bytes > 0;
        let size = random.size();
        let mut terminal = Terminal::new(size, limits);
        let mut whole = Terminal::new(
            size,
            Limits {
                history_lines: u32::MAX,
                history_bytes: usize::MAX,
            },
        );
        let mut is_resized = false;
        let mut before = 0;
        for _ in 0..16 {
            match random.below(10) {
                0..=4 => {
                    let output = random.output();
                    terminal.feed(&output);
                    whole.feed(&output);
                }
                5 | 6 => {
                    terminal.resize(random.size());
                    is_resized = true;
                }
                7 => {
                    terminal.feed(b"\x1b[3J");
                    whole.feed(b"\x1b[3J");
                    assert_eq!(terminal.cleared_lines(), terminal.scrolled_lines());
                }
                8 => drop(terminal.set_history_share(random.below(200_000))),
                _ => terminal.pack(),
            }
            let history = &terminal.state.history;
            history.check_bytes();
            let all = history.scrolled() + history.returned();
            assert!(all >= before, "seed {seed}: {all} < {before}");
            assert!(history.cleared() <= history.scrolled());
            assert!(terminal.whole_scrolled_lines() <= history.scrolled());
            if is_kept && !is_resized {
                assert_eq!(history.scrolled(), whole.scrolled_lines(), "seed {seed}");
            }
            before = all;
            returned += history.returned();
        }
    }
    assert!(returned > 1_000, "{returned}");
}
