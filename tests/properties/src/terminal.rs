//! The terminal model takes any output, of any size, cut anywhere; a replay at any moment
//! recreates it; its memory is bounded.

use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Picture, Terminal};

const LIMITS: Limits = Limits {
    history_lines: 100,
    history_bytes: 64 << 10,
};

/// The bytes are a program's output; 0xFF, which no text has, begins a command: what to do, and
/// two bytes of a size.
pub(crate) fn check(bytes: &[u8]) {
    let mut terminal = Terminal::new(Size::new(5, 12), LIMITS);
    let mut picture = Picture::default();
    let mut drawn = Size::new(5, 12);
    let mut parts = bytes.split(|byte| *byte == 0xff);
    terminal.feed(parts.next().unwrap_or_default());
    for part in parts {
        let [action, rows, columns, output @ ..] = part else {
            terminal.feed(part);
            continue;
        };
        // A wide character has no place on a single column, also not in a replay.
        let size = Size::new(u16::from(*rows % 64), u16::from(*columns % 160).max(2));
        match action % 5 {
            0 => terminal.resize(size),
            1 => {
                if drawn != size {
                    (drawn, picture) = (size, Picture::default());
                }
                let _ = terminal.draw(drawn, &mut picture);
            }
            2 => replays(&terminal),
            3 => {
                let _ = terminal.repaint(u16::from(*rows)..u16::from(*columns));
                let _ = terminal.leave();
            }
            _ => {
                let _ = terminal.take_queries();
            }
        }
        terminal.feed(output);
        assert!(terminal.history_lines() <= u64::from(LIMITS.history_lines));
    }
    replays(&terminal);
}

/// A blank terminal that is fed the replay is the same terminal.
fn replays(terminal: &Terminal) {
    let mut copy = Terminal::new(terminal.size(), LIMITS);
    copy.feed(&terminal.replay(History::All));
    if let Some(difference) = copy.snapshot().difference(&terminal.snapshot()) {
        panic!("a replay differs: {difference}");
    }
    let _ = terminal.replay(History::Lines(3));
    let _ = terminal.replay(History::None);
}
