//! What a session shows of random output, read in random pieces, is what a terminal shows that was fed
//! all of it: floods that are skimmed, glances at their end, questions, and servers that are killed.

use std::time::{Duration, Instant};

use fastrand::Rng;
use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Snapshot, Terminal};

use super::Session;
use crate::journal::Journal;
use crate::record::Record;

const SIZES: [(u16, u16); 5] = [(24, 80), (5, 20), (1, 10), (3, 2), (30, 100)];

/// What is not plain.
const SEQUENCES: [&str; 48] = [
    "\x1b[2;10r",
    "\x1b[r",
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b(0",
    "\x1b(B",
    "\x0e",
    "\x0f",
    "\x1bN",
    "\x1b7",
    "\x1b8",
    "\x1b[5;79H",
    "\x1b[2J",
    "\x1b[J",
    "\x1b]8;;http://a/\x07",
    "\x1b]8;;\x07",
    "\x1b]2;title\x07",
    "\x1b[22;0t",
    "\x1b[23;0t",
    "\x1b[>1u",
    "\x1b[<u",
    "\x1b[>4;2m",
    "\x1bH",
    "\x1b[3g",
    "\x1b[?7l",
    "\x1b[?7h",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[20h",
    "\x1b[20l",
    "\x1b[?6h",
    "\x1b[?69h\x1b[3;40s",
    "\x1b[?69l",
    "\x1b[?2027h",
    "\x1b[?2027l",
    "\x1b[?2004h",
    "\x1b[4 q",
    "\x1b]4;1;rgb:11/22/33\x07",
    "\x1b]133;A\x07",
    "\x1b[5b",
    "\x1b[3L",
    "\x1b[2P",
    "\x1b[4S",
    "\x1bM",
    "\x1b[?7s",
    "\x1b[?7r",
    "\x1b[!p",
    "\x1bc",
];

/// What plain output is made of.
const WORDS: [&[u8]; 21] = [
    b"word ",
    b"a\tb ",
    "漢字".as_bytes(),
    "é£".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{301}".as_bytes(),
    "\u{1f469}\u{200d}\u{1f680}".as_bytes(),
    b"\x1b[31m",
    b"\x1b[0m",
    b"\x1b[m",
    b"\x1b[4:3;48;2;1;2;3m",
    b"\x1b[K",
    b"\x1b[1K",
    b"\xff",
    b"\xc2",
    b"\xe2\x82",
    b"\x7f",
    b"\r",
    b"\0",
    b"\x1b[;1m",
    b"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
];

const QUESTIONS: [&str; 5] = ["\x1b[6n", "\u{9b}6n", "\x1b[c", "\x1b]11;?\x07", "\x1b[?u"];

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

    /// At least so many bytes of plain output, in lines.
    fn plain(&mut self, bytes: usize) -> Vec<u8> {
        let words_of_a_line = self.one_of(&[1, 3, 9, 30]);
        let words = &WORDS[..3 + self.below(WORDS.len() - 2)];
        let mut text = Vec::new();
        while text.len() < bytes {
            for _ in 0..self.below(words_of_a_line) {
                text.extend_from_slice(self.one_of(words));
            }
            let ends: [&[u8]; 2] = [b"\n", b"\r\n"];
            text.extend_from_slice(ends[usize::from(self.below(40) > 0)]);
        }
        text
    }

    fn sequences(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        let sequences: Vec<_> = (0..count).map(|_| self.one_of(&SEQUENCES)).collect();
        sequences.concat().into_bytes()
    }

    fn output(&mut self) -> Vec<u8> {
        match self.below(9) {
            0..=4 => {
                let bytes = self.one_of(&[1_000, 70_000, 100_000, 300_000]);
                self.plain(bytes)
            }
            5 | 6 => {
                let (before, after) = (self.sequences(8), self.sequences(3));
                let bytes = self.below(200);
                [before, self.plain(bytes), after].concat()
            }
            7 => self.one_of(&QUESTIONS).into(),
            _ => self.plain(4_600_000),
        }
    }
}

/// A session, and a terminal that is fed all that it is.
struct Pair {
    session: Session,
    fed: Terminal,
    /// Bytes of answers that the program is to get.
    answers: usize,
    size: Size,
    limits: Limits,
    now: Instant,
}

impl Pair {
    fn new(size: Size, limits: Limits) -> Self {
        let now = Instant::now();
        let journal = Journal::unshared().expect("memory");
        Self {
            session: Session::new(now, Record::of_size(size), journal, limits),
            fed: Terminal::new(size, limits),
            answers: 0,
            size,
            limits,
            now,
        }
    }

    fn print(&mut self, part: &[u8]) {
        self.session.output_buffer()[..part.len()].copy_from_slice(part);
        self.session.handle_output(self.now, part.len());
        self.fed.feed(part);
        let queries = self.fed.take_queries();
        self.answers += queries
            .iter()
            .map(|query| query.answer.len())
            .sum::<usize>();
    }

    fn resize(&mut self, size: Size) {
        self.session.set_size(self.now, size);
        self.fed.resize(size);
        self.size = size;
    }

    /// The server is killed, and another takes over.
    fn replace_server(&mut self) {
        let (file, input) = self.session.journal.descriptors().expect("descriptors");
        let journal = Journal::open(file, input).expect("a journal");
        let record = Record::of_size(self.size);
        self.session = Session::new(self.now, record, journal, self.limits);
    }

    /// Whether the screen could be seen without the model; then it was right.
    fn check_screen(&self) -> bool {
        let shadow = &self.session.shadow;
        let glance = shadow.glance(&self.session.journal.log);
        let Some(terminal) = glance.as_ref().or(shadow.screen()) else {
            return false;
        };
        let difference = screen(terminal).difference(&screen(&self.fed));
        assert_eq!(difference, None, "glance: {}", glance.is_some());
        let replayed = |terminal: &Terminal| {
            let mut other = Terminal::new(self.size, self.limits);
            other.feed(&terminal.replay(History::None));
            screen(&other)
        };
        let difference = replayed(terminal).difference(&replayed(&self.fed));
        assert_eq!(difference, None, "replayed");
        glance.is_some()
    }

    fn check_all(&mut self) {
        let typed = self.session.take_input(self.now).expect("input");
        assert_eq!(typed.len(), std::mem::take(&mut self.answers), "answers");
        self.session.catch_up(self.now);
        let shown = self.session.shadow.terminal().snapshot();
        assert_eq!(shown.difference(&self.fed.snapshot()), None, "the model");
    }
}

fn screen(terminal: &Terminal) -> Snapshot {
    terminal.snapshot().without_history()
}

#[test]
fn random_output_is_shown_as_if_all_of_it_were_fed() {
    let mut glances = 0;
    for seed in 0..24 {
        let mut random = Random(Rng::with_seed(seed));
        let limits = Limits {
            history_lines: random.one_of(&[0, 1, 50, 1_000, 10_000]),
            ..Limits::default()
        };
        let mut pair = Pair::new(random.size(), limits);
        for _ in 0..8 {
            let output = random.output();
            let most = if output.len() < 2_000 { 3 } else { 4_095 };
            let mut rest = output.as_slice();
            while !rest.is_empty() {
                let length = (1 + random.below(most)).min(rest.len());
                let (part, after) = rest.split_at(length);
                rest = after;
                pair.print(part);
                if random.below(if most == 3 { 5 } else { 100 }) == 0 {
                    glances += usize::from(pair.check_screen());
                }
                if random.below(1_000) == 0 {
                    pair.now += Duration::from_millis(11);
                    pair.session.handle_timeout(pair.now);
                }
            }
            match random.below(6) {
                0 => pair.resize(random.size()),
                1 => pair.check_all(),
                2 => {
                    pair.check_all();
                    pair.replace_server();
                }
                _ => {}
            }
        }
        pair.check_all();
    }
    assert!(glances > 100, "{glances}");
}
