//! The program: it prints, it reads, it ends.

use std::io::Write as _;

use psess_protocol::terminal::Terminal;
use psess_server::session::Session;

use crate::scene::{BARE, Kind, SCREEN, Scene};

/// What a pty hands out at once.
const READ_BYTES: usize = 4095;

#[derive(Debug)]
pub(crate) struct Program {
    /// All that it printed.
    pub(crate) printed: Vec<u8>,
    /// All that it read of each client, which can be told apart by their letters.
    pub(crate) read: [Vec<u8>; 2],
}

impl Program {
    pub(crate) fn new() -> Self {
        Self {
            printed: Vec::new(),
            read: [Vec::new(), Vec::new()],
        }
    }

    /// A terminal that got all that was printed.
    pub(crate) fn terminal(&self) -> Terminal {
        let mut terminal = Terminal::new(SCREEN, BARE);
        terminal.feed(&self.printed);
        terminal
    }

    /// Prints something that is cut off anywhere, also within a character or a sequence.
    pub(crate) fn print(&mut self, scene: &mut Scene, session: &mut Session, length: usize) {
        let text = self.text(scene, length);
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let part = rest.len().min(READ_BYTES);
            session.output_buffer()[..part].copy_from_slice(&rest[..part]);
            session.handle_output(scene.now, part);
            rest = &rest[part..];
        }
        self.printed.extend_from_slice(&text);
    }

    /// Prints just this.
    pub(crate) fn print_text(&mut self, scene: &Scene, session: &mut Session, text: &[u8]) {
        session.output_buffer()[..text.len()].copy_from_slice(text);
        session.handle_output(scene.now, text.len());
        self.printed.extend_from_slice(text);
    }

    /// Prints something that a server reads as the last thing in its life.
    pub(crate) fn print_unseen(&mut self, scene: &mut Scene, session: &mut Session) {
        let length = scene.chance.length(READ_BYTES);
        let text = self.text(scene, length);
        session.output_buffer()[..text.len()].copy_from_slice(&text);
        self.printed.extend_from_slice(&text);
    }

    /// Reads what was typed, and may echo it.
    pub(crate) fn read(&mut self, scene: &mut Scene, session: &mut Session) {
        if !session.has_input() {
            return;
        }
        let input = session
            .take_input(scene.now)
            .expect("the input file is good");
        for run in input.chunk_by(|a, b| is_of_the_second(*a) == is_of_the_second(*b)) {
            self.read[usize::from(is_of_the_second(run[0]))].extend_from_slice(run);
        }
        if !input.is_empty() && scene.troubled && scene.chance.once_in(2) {
            self.print(scene, session, input.len());
        }
    }

    fn text(&self, scene: &mut Scene, length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 20);
        while text.len() < length {
            let number = self.printed.len() + text.len();
            match scene.chance.below(12) {
                0 => write!(text, "\x1b[{}m", 30 + number % 8),
                1 => text.write_all("äöü→日本語".as_bytes()),
                2 => write!(text, "\x1b[{};{}H", 1 + number % 7, 1 + number % 31),
                3 => text.write_all(b"\x1b]0;title\x1b\\"),
                4 => text.write_all(b"\x1b[K\x1b[2J"),
                _ => write!(text, "line {number}\r\n"),
            }
            .expect("memory takes it");
        }
        text.truncate(length);
        text
    }
}

/// The keys of a client: of the first small letters, of the second large ones.
pub(crate) fn key(scene: &mut Scene, client: u8) -> u8 {
    let stops = if scene.plan.kind == Kind::Lossless {
        50
    } else {
        60
    };
    let (letter, enter, stop) = [(b'a', b'\r', 0x03), (b'A', b'\n', 0x1a)][usize::from(client)];
    match scene.chance.below(stops) {
        0..40 => letter + scene.chance.below(26) as u8,
        40..50 => enter,
        _ => stop,
    }
}

fn is_of_the_second(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'\n' || byte == 0x1a
}
