//! The terminal model takes any output, of any size, cut anywhere; a replay at any moment
//! recreates it; its memory is bounded; plain output is known, and may be skimmed.

use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Picture, PlainScan, Terminal};

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
                terminal.pack();
            }
        }
        terminal.feed(output);
        assert!(terminal.history_lines() <= u64::from(LIMITS.history_lines));
    }
    replays(&terminal);
    skims(bytes);
    scans(bytes);
}

/// Whether output is plain does not depend on the pieces that it comes in.
fn scans(bytes: &[u8]) {
    for output in bytes.split(|byte| *byte == 0xff) {
        let (mut whole, mut bytewise) = (PlainScan::default(), PlainScan::default());
        let is_plain = whole.is_plain(output);
        let mut pieces = output.chunks(1);
        assert_eq!(is_plain, pieces.all(|piece| bytewise.is_plain(piece)));
        if is_plain {
            assert_eq!(whole.begun_bytes(), bytewise.begun_bytes());
        }
    }
}

/// Plain output that is skimmed, as a server does in a flood, leaves the terminal as if all of it
/// had been fed.
fn skims(bytes: &[u8]) {
    // So few lines that little output is a flood, and no bound in bytes: what that leaves depends
    // on where blocks begin.
    let limits = Limits {
        history_lines: 3,
        history_bytes: usize::MAX,
    };
    let mut fed = Terminal::new(Size::new(5, 12), limits);
    let mut skimmed = Terminal::new(Size::new(5, 12), limits);
    let mut parts = bytes.split(|byte| *byte == 0xff);
    let mut next = parts.next().map(|output| (None, output));
    while let Some((size, output)) = next {
        if let Some(size) = size {
            fed.resize(size);
            skimmed.resize(size);
        }
        fed.feed(output);
        let mut from = 0;
        if skimmed.is_at_ground() && PlainScan::default().is_plain(output) {
            // Half of it first, as more comes while the terminal is behind.
            for part in [4, 2] {
                let (beginning, rest) = output[from..].split_at((output.len() - from) / part);
                let lines_after = rest.iter().filter(|byte| **byte == b'\n').count();
                from += skimmed.skim(beginning, lines_after);
            }
        }
        skimmed.feed(&output[from..]);
        if let Some(difference) = skimmed.snapshot().difference(&fed.snapshot()) {
            panic!("after {from} bytes were skimmed: {difference}");
        }
        next = parts.next().map(|part| match part {
            [action, rows, columns, output @ ..] => {
                let size = Size::new(u16::from(*rows % 16), u16::from(*columns % 160).max(2));
                ((action % 5 == 0).then_some(size), output)
            }
            output => (None, output),
        });
    }
}

/// A blank terminal that is fed the replay is the same terminal.
fn replays(terminal: &Terminal) {
    let mut copy = Terminal::new(terminal.size(), LIMITS);
    copy.feed(&terminal.replay(History::All));
    if let Some(difference) = copy.snapshot().difference(&terminal.snapshot()) {
        panic!("a replay differs: {difference}");
    }
    assert_eq!(lines(&copy), lines(terminal), "a replay has other lines");
    let _ = terminal.replay(History::Lines(3));
    let _ = terminal.replay(History::None);
}

/// Its plain text, which no control character gets into.
fn lines(terminal: &Terminal) -> Vec<String> {
    let mut lines = Vec::new();
    terminal.visit_lines(&mut |line| {
        assert!(!line.contains(char::is_control), "{line:?}");
        lines.push(line.to_owned());
    });
    lines
}
