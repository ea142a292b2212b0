//! The program: it prints, it reads, it ends.

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
    /// What a terminal shows that got all of it.
    pub(crate) terminal: Terminal,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self {
            printed: Vec::new(),
            read: [Vec::new(), Vec::new()],
            terminal: Terminal::new(SCREEN, BARE),
        }
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
        self.note(scene, &text);
    }

    /// Prints just this.
    pub(crate) fn print_text(&mut self, scene: &Scene, session: &mut Session, text: &[u8]) {
        session.output_buffer()[..text.len()].copy_from_slice(text);
        session.handle_output(scene.now, text.len());
        self.note(scene, text);
    }

    /// Prints something that a server reads as the last thing in its life.
    pub(crate) fn print_unseen(&mut self, scene: &mut Scene, session: &mut Session) {
        let length = scene.chance.length(READ_BYTES);
        let text = self.text(scene, length);
        session.output_buffer()[..text.len()].copy_from_slice(&text);
        self.note(scene, &text);
    }

    /// Reads what was typed, and may echo it.
    pub(crate) fn read(&mut self, scene: &mut Scene, session: &mut Session) {
        let input = session
            .take_input(scene.now)
            .expect("the input file is good");
        for byte in &input {
            self.read[usize::from(is_of_the_second(*byte))].push(*byte);
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
                0 => text.extend_from_slice(format!("\x1b[{}m", 30 + number % 8).as_bytes()),
                1 => text.extend_from_slice("äöü→日本語".as_bytes()),
                2 => text.extend_from_slice(
                    format!("\x1b[{};{}H", 1 + number % 7, 1 + number % 31).as_bytes(),
                ),
                3 => text.extend_from_slice(b"\x1b]0;title\x1b\\"),
                4 => text.extend_from_slice(b"\x1b[K\x1b[2J"),
                _ => text.extend_from_slice(format!("line {number}\r\n").as_bytes()),
            }
        }
        text.truncate(length);
        text
    }

    fn note(&mut self, scene: &Scene, text: &[u8]) {
        if scene.plan.kind != Kind::Redrawn {
            self.terminal.feed(text);
        }
        self.printed.extend_from_slice(text);
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
