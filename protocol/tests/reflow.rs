//! Other sizes: however long lines are, and wherever the blocks of the history end that they lie in,
//! they are wrapped anew as a whole. Beside a reference that has no blocks.

use fastrand::Rng;
use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

/// Nothing is dropped.
const ALL: Limits = Limits {
    history_lines: u32::MAX,
    history_bytes: usize::MAX,
};

/// A row or a line of history, by its name in a snapshot.
type Entry = (String, String);

/// History and screen.
fn shown(terminal: &Terminal) -> Vec<Entry> {
    let mut entries = terminal.snapshot().entries;
    entries.retain(|(name, _)| {
        name.starts_with("history ") || name.starts_with("main ") && name != "main state"
    });
    entries
}

/// The columns of what the tests here print.
fn width(c: char) -> usize {
    match c {
        '\u{301}' => 0,
        '漢' | '字' => 2,
        _ => 1,
    }
}

/// The rows of a line, each from which byte on.
fn row_starts(line: &str, columns: usize) -> Vec<usize> {
    let mut starts = vec![0];
    let mut column = 0;
    for (at, c) in line.char_indices() {
        if column + width(c) > columns {
            starts.push(at);
            column = 0;
        }
        column += width(c);
    }
    starts
}

/// What a terminal shows that has printed these lines, the last one without an end, and whose
/// screen is full.
fn expected(lines: &[String], size: Size) -> Vec<Entry> {
    let mut missing = usize::from(size.rows);
    let mut screen = Vec::new();
    let mut history = Vec::new();
    for line in lines.iter().rev() {
        let mut starts = row_starts(line, usize::from(size.columns));
        let mut end = line.len();
        while missing > 0
            && let Some(start) = starts.pop()
        {
            missing -= 1;
            let row = line[start..end].replace('漢', "漢\u{1}");
            let continues = if start > 0 { "{continues}" } else { "" };
            screen.push(format!("{continues}{}", row.replace('字', "字\u{1}")));
            end = start;
        }
        if !starts.is_empty() {
            let open = if end < line.len() { "{open}" } else { "" };
            history.push(format!("{}{open}", &line[..end]));
        }
    }
    assert_eq!(missing, 0, "the screen is full");
    let name = |name: &'static str| {
        move |(number, text): (usize, String)| (format!("{name} {number}"), text)
    };
    let history = history.into_iter().rev().enumerate().map(name("history"));
    let screen = screen.into_iter().rev().enumerate().map(name("main"));
    history.chain(screen).collect()
}

#[track_caller]
fn check(terminal: &Terminal, lines: &[String], what: &str) {
    let (shown, expected) = (shown(terminal), expected(lines, terminal.size()));
    for (one, other) in shown.iter().zip(&expected) {
        assert!(one == other, "{what}: {one:?}\nbut {other:?}");
    }
    assert_eq!(shown.len(), expected.len(), "{what}");
}

fn pack(terminal: &mut Terminal) {
    while terminal.can_pack() {
        terminal.pack();
    }
}

/// What only the seed decides.
struct Random(Rng);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Not of one column, which has no room for a wide character.
    fn size(&mut self) -> Size {
        let columns = self.one_of(&[2, 3, 20, 79, 80, 81, 132, 500]);
        let columns = 2.max(columns + self.below(3) - 1);
        Size::new(self.one_of(&[1, 2, 5, 24, 50]), columns as u16)
    }

    /// Text without controls.
    fn text(&mut self, length: usize) -> String {
        let words = ["a", "word ", "0123456789", "漢字", "漢", "e\u{301}", "£"];
        let words = &words[..1 + self.below(words.len())];
        let mut text = String::new();
        while text.len() < length {
            text += self.one_of(words);
        }
        text
    }

    /// Lines of such words.
    fn output(&mut self, words: &[&str]) -> String {
        let length = self.one_of(&[10, 1_000, 30_000, 100_000]);
        let words_of_a_line = self.one_of(&[10, 100, usize::MAX]);
        let mut text = String::new();
        while text.len() < length {
            text += self.one_of(words);
            if self.below(words_of_a_line) == 0 {
                text += "\r\n";
            }
        }
        text
    }

    fn line(&mut self) -> String {
        let most = self.one_of(&[1, 30, 300, 300, 3_000, 100_000]);
        let length = self.below(most);
        self.text(length)
    }
}

#[test]
fn a_line_in_two_blocks_is_wrapped_anew_as_a_whole() {
    let text = "0123456789".repeat(10);
    let mut lines = vec![text.clone(); 326];
    lines.push(String::new());
    for columns in (1..=20).chain((21..=200).step_by(9)) {
        for is_packed in [false, true] {
            let mut terminal = Terminal::new(Size::new(5, 20), ALL);
            terminal.feed(format!("{text}\r\n").repeat(326).as_bytes());
            if is_packed {
                pack(&mut terminal);
            }
            for size in [Size::new(24, columns), Size::new(25, columns)] {
                terminal.resize(size);
                check(&terminal, &lines, &format!("{size}, {is_packed}"));
            }
        }
    }
}

#[test]
fn lines_of_any_length_are_wrapped_anew_at_any_width() {
    let (mut widest, mut packed) = (0, 0);
    for seed in 0..40 {
        let mut random = Random(Rng::with_seed(seed));
        let mut terminal = Terminal::new(random.size(), ALL);
        let mut lines = vec![String::new()];
        for _ in 0..60 {
            terminal.feed(b"\r\n");
            lines.push(String::new());
        }
        for step in 0..20 {
            match random.below(6) {
                0 | 1 => terminal.resize(random.size()),
                2 => {
                    packed += usize::from(terminal.can_pack());
                    pack(&mut terminal);
                }
                3 => {
                    for _ in 0..random.one_of(&[1, 10, 100]) {
                        let line = random.line();
                        terminal.feed(format!("{line}\r\n").as_bytes());
                        *lines.last_mut().expect("there is one") += &line;
                        lines.push(String::new());
                    }
                }
                _ => {
                    let text = random.line();
                    terminal.feed(text.as_bytes());
                    *lines.last_mut().expect("there is one") += &text;
                }
            }
            widest = widest.max(lines.last().map_or(0, String::len));
            check(&terminal, &lines, &format!("seed {seed}, step {step}"));
        }
    }
    assert!(widest > 100_000 && packed > 40, "{widest} {packed}");
}

/// A terminal that is fed the replay is the same terminal.
#[track_caller]
fn check_replay(terminal: &Terminal, what: &str) {
    let mut second = Terminal::new(terminal.size(), ALL);
    second.feed(&terminal.replay(History::All));
    let difference = second.snapshot().difference(&terminal.snapshot());
    assert_eq!(difference, None, "{what}");
}

/// A line that loses its beginning, to the limit in bytes or to a budget, may have been written at
/// another width: then what is left of it need not end where the screen goes on.
#[test]
fn lines_without_a_beginning_are_replayed_as_they_are_shown() {
    let mut lost = 0;
    for seed in 0..60 {
        let mut random = Random(Rng::with_seed(seed));
        let limits = Limits {
            history_lines: random.one_of(&[1, 10, 1_000]),
            history_bytes: random.one_of(&[40_000, 100_000, 300_000]),
        };
        let mut terminal = Terminal::new(random.size(), limits);
        for step in 0..30 {
            let before = terminal.history_bytes();
            match random.below(9) {
                0 | 1 => terminal.resize(random.size()),
                2 => pack(&mut terminal),
                3 => {
                    let share = random.below(300_000);
                    terminal.set_history_share(share);
                    terminal.set_history_share(usize::MAX);
                }
                4 => terminal.feed(b"\r\n"),
                5 => terminal.feed(b"\x1b[Hx\x1b[99;999H"),
                _ => {
                    let length = random.below(30_000);
                    terminal.feed(random.text(length).as_bytes());
                }
            }
            lost += usize::from(terminal.history_bytes() + 20_000 < before);
            check_replay(&terminal, &format!("seed {seed}, step {step}"));
        }
    }
    assert!(lost > 50, "{lost}");
}

#[test]
fn the_row_that_pushes_the_beginning_of_its_line_out_continues_nothing() {
    let limits = Limits {
        history_bytes: 100_000,
        ..ALL
    };
    for columns in [10, 19, 20, 21] {
        let mut terminal = Terminal::new(Size::new(5, 20), limits);
        terminal.feed(&[b'x'; 80_000]);
        terminal.resize(Size::new(5, columns));
        let mut lost = 0;
        for _ in 0..4_000 {
            let before = terminal.history_bytes();
            terminal.feed(&[b'y'; 20]);
            if terminal.history_bytes() < before {
                lost += 1;
                check_replay(&terminal, &format!("{columns} columns, {lost}"));
            }
        }
        assert_eq!(lost, 2);
        // Where blocks end a row of half the width does as well: it is one line still.
        assert_eq!(terminal.history_lines() == 1, 20 % columns == 0);
    }
}

/// Output of all kinds.
const WORDS: [&str; 19] = [
    "word ",
    "0123456789",
    "漢字",
    "e\u{301}",
    "\u{1f469}\u{200d}\u{1f680}",
    "\x1b[?2027h",
    "\x1b[?2027l",
    "\x1b[31m",
    "\x1b[1;4m",
    "\x1b[m",
    "\x1b[38;2;1;2;3m",
    "\x1b]8;;http://a/\x07",
    "\x1b]8;;\x07",
    "\x1b]133;A\x07",
    "\t",
    "\x1b[48;2;1;2;3m",
    "\x1b[44m\x1b[K",
    "\r",
    "\x1b[A",
];

/// Another terminal has printed more before: its blocks end elsewhere.
#[test]
fn where_blocks_end_makes_no_difference() {
    for seed in 0..60 {
        let mut random = Random(Rng::with_seed(seed));
        let limits = Limits {
            history_lines: random.one_of(&[1, 10, 100]),
            ..ALL
        };
        let size = random.size();
        let (mut one, mut other) = (Terminal::new(size, limits), Terminal::new(size, limits));
        let length = random.below(40_000);
        other.feed(random.text(length).as_bytes());
        for terminal in [&mut one, &mut other] {
            terminal.feed(&b"\r\n".repeat(250));
        }
        let words = &WORDS[..1 + random.below(WORDS.len())];
        for step in 0..20 {
            match random.below(5) {
                0 | 1 => {
                    let size = random.size();
                    one.resize(size);
                    other.resize(size);
                }
                2 => pack(if random.below(2) == 0 {
                    &mut one
                } else {
                    &mut other
                }),
                _ => {
                    let text = random.output(words);
                    one.feed(text.as_bytes());
                    other.feed(text.as_bytes());
                }
            }
            let difference = one.snapshot().difference(&other.snapshot());
            assert_eq!(difference, None, "seed {seed}, step {step}");
        }
    }
}

/// What is erased, and in which colour, is not always kept: there is none of that.
#[test]
fn looks_and_links_survive_many_sizes() {
    let words = &WORDS[..WORDS.len() - 5];
    for seed in 0..40 {
        let mut random = Random(Rng::with_seed(seed));
        let mut terminal = Terminal::new(Size::new(5, 20), ALL);
        terminal.feed(&b"\r\n".repeat(60));
        for _ in 0..3 {
            let words = &words[..1 + random.below(words.len())];
            terminal.feed(random.output(words).as_bytes());
        }
        let mut second = Terminal::new(Size::new(5, 20), ALL);
        second.feed(&terminal.replay(History::All));
        for _ in 0..10 {
            terminal.resize(random.size());
        }
        let size = random.size();
        terminal.resize(size);
        second.resize(size);
        let difference = terminal.snapshot().difference(&second.snapshot());
        assert_eq!(difference, None, "seed {seed}");
    }
}
