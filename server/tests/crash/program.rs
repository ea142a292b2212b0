//! What runs in the sessions. Every byte that a program prints follows from its offset, so that
//! whoever reads from any offset on knows what must stand there.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pace;

/// Bytes of a line of the flood, of a picture and of a key; also the unit that ends whole.
const LINE: u64 = 64;
const PICTURE: u64 = 4000;
pub(crate) const KEY: u64 = 8;

/// A session's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Prints numbered lines, without a pause unless its reader is far behind.
    Flood,
    /// Redraws the alternate screen as a full-screen editor does.
    Redraw,
    /// Prints what is typed.
    Echo,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Redraw => "redraw",
            Self::Echo => "echo",
        }
    }

    /// The unit of this number, as it arrives.
    fn unit(self, number: u64) -> Vec<u8> {
        match self {
            Self::Flood => {
                format!("{number:>12} the quick brown fox jumps over the lazy dog .....\r\n")
                    .into_bytes()
            }
            Self::Redraw => picture(number),
            Self::Echo => format!("{number:07} ").into_bytes(),
        }
    }

    fn unit_bytes(self) -> u64 {
        match self {
            Self::Flood => LINE,
            Self::Redraw => PICTURE,
            Self::Echo => KEY,
        }
    }

    /// `length` bytes of the output, or of the keys, from `offset` on.
    pub(crate) fn stream(self, offset: u64, length: usize) -> Vec<u8> {
        let unit = self.unit_bytes();
        let mut bytes = Vec::with_capacity(length + unit as usize);
        let mut number = offset / unit;
        let skip = (offset % unit) as usize;
        while bytes.len() < skip + length {
            bytes.extend(self.unit(number));
            number += 1;
        }
        bytes[skip..skip + length].to_vec()
    }

    /// Whether the output may end at this offset.
    pub(crate) fn is_whole(self, offset: u64) -> bool {
        offset.is_multiple_of(self.unit_bytes())
    }
}

/// A picture that begins with the switch to the alternate screen, moves about, colours, and fills
/// up to its size. It draws each row whole: terminals differ in whether a switch to the screen
/// that is shown already empties it (the vt100 crate does, xterm.js does not).
fn picture(number: u64) -> Vec<u8> {
    let mut picture = b"\x1b[?1049h\x1b[H".to_vec();
    let mut row = number % 24 + 1;
    while picture.len() < PICTURE as usize - 120 {
        let colour = 30 + (number + row) % 8;
        let column = (number * 7 + row * 13) % 60 + 1;
        let line = format!("\x1b[{row};{column}H\x1b[1K\x1b[{colour}m{number:08} é日\x1b[0m\x1b[K");
        picture.extend(line.into_bytes());
        row = row % 24 + 1;
    }
    picture.extend(b"\x1b[24;1H");
    picture.resize(PICTURE as usize - 1, b'.');
    picture.push(b'\r');
    picture
}

/// Runs a program until the file `stop` is there; the file `pace` says how far its reader is.
pub(crate) fn run(name: &str, stop: &Path, pace: &Path) {
    raw_mode();
    std::fs::write(ready_file(pace), "").expect("a file can be written in the test's folder");
    let mut out = std::io::stdout().lock();
    let mut print = |bytes: &[u8]| {
        if out.write_all(bytes).is_err() {
            // Hung up on.
            std::process::exit(1);
        }
        let _ = out.flush();
    };
    let mut number = 0;
    match name {
        "flood" => {
            while !stop.exists() {
                if pace::is_far_ahead(number * LINE, pace) {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let lines = Program::Flood.stream(number * LINE, 256 * LINE as usize);
                number += 256;
                print(&lines);
            }
            std::process::exit(7);
        }
        "redraw" => {
            while !stop.exists() {
                print(&Program::Redraw.unit(number));
                number += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            std::process::exit(8);
        }
        "echo" => {
            let mut keys = [0; 1024];
            loop {
                let read = std::io::stdin().read(&mut keys).unwrap_or(0);
                let end = keys[..read].iter().position(|key| *key == 4);
                print(&keys[..end.unwrap_or(read)]);
                if end.is_some() || read == 0 {
                    std::process::exit(9);
                }
            }
        }
        other => panic!("there is no program '{other}'"),
    }
}

/// Is there once the program has the terminal to itself: what is typed before, the kernel echoes.
pub(crate) fn ready_file(pace: &Path) -> PathBuf {
    pace.with_extension("ready")
}

/// What is printed and typed arrives as it is.
fn raw_mode() {
    let stdin = rustix::stdio::stdin();
    let mut modes = rustix::termios::tcgetattr(stdin).expect("standard input is a pty");
    modes.make_raw();
    rustix::termios::tcsetattr(stdin, rustix::termios::OptionalActions::Now, &modes)
        .expect("a pty takes modes");
}
