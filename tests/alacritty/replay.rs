//! Replays on Alacritty's terminal, which knows what the others of `tests/oracle` do not: the
//! kitty keyboard protocol, flags and stacks. It is another opinion on cells, links, colours and
//! modes as well.

use std::path::Path;
use std::sync::{Arc, Mutex};

use alacritty_terminal::Term;
use alacritty_terminal::event::{Event, EventListener};
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Cell;
use alacritty_terminal::term::color::COUNT;
use alacritty_terminal::term::test::TermSize;
use alacritty_terminal::term::{Config, TermMode};
use alacritty_terminal::vte::ansi::Processor;
use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

/// Differences that are Alacritty's own: the recording's name without its size, how the field
/// begins, why. Only the last cell of a row may differ.
const OWN: &[(&str, &str, &str)] = &[
    (
        "fish",
        "row 20",
        "a row whose wrapped end is erased stays wrapped; in xterm it does not",
    ),
    (
        "top",
        "row ",
        "EL while a wrap is pending erases nothing; in xterm it erases the last column",
    ),
];

/// As deep as kitty's stack, and one more.
const DEPTH: usize = 9;

/// The title that the program gave.
#[derive(Clone, Default)]
struct Title(Arc<Mutex<String>>);

impl EventListener for Title {
    fn send_event(&self, event: Event) {
        if let Event::Title(title) = event {
            *self.0.lock().expect("nobody panicked with it") = title;
        }
    }
}

/// All that Alacritty knows after these bytes, as pairs of a name and a text.
fn taken_through(size: Size, bytes: &[u8]) -> Vec<(String, String)> {
    let cells = TermSize::new(size.columns.into(), size.rows.into());
    let config = Config {
        kitty_keyboard: true,
        ..Config::default()
    };
    let title = Title::default();
    let mut terminal = Term::new(config, &cells, title.clone());
    let mut parser: Processor = Processor::new();
    parser.advance(&mut terminal, bytes);
    // What comes within a synchronized update is kept back until it ends.
    parser.stop_sync(&mut terminal);

    let mut found = Vec::new();
    let mut add = |name: String, value: String| found.push((name, value));
    let grid = terminal.grid();
    for line in 0..grid.screen_lines() {
        let row = &grid[Line(line as i32)];
        let shown: Vec<_> = (0..grid.columns())
            .map(|column| shown(&row[Column(column)]))
            .collect();
        add(format!("row {line}"), shown.join("|"));
    }
    let cursor = &grid.cursor;
    add(
        "cursor".into(),
        format!("{:?} {}", cursor.point, cursor.input_needs_wrap),
    );
    add("pen".into(), shown(&cursor.template));
    add(
        "cursor style".into(),
        format!("{:?}", terminal.cursor_style()),
    );
    let set = (0..COUNT).filter_map(|index| Some((index, terminal.colors()[index]?)));
    add("colours".into(), format!("{:?}", set.collect::<Vec<_>>()));
    add(
        "title".into(),
        title.0.lock().expect("nobody panicked with it").clone(),
    );
    add("modes".into(), format!("{:?}", terminal.mode()));
    // The stack is seen by taking it apart.
    let mut stack = Vec::new();
    for _ in 0..DEPTH {
        stack.push(*terminal.mode() & TermMode::KITTY_KEYBOARD_PROTOCOL);
        parser.advance(&mut terminal, b"\x18\x1b[<1u");
    }
    add("keyboard".into(), format!("{stack:?}"));
    found
}

fn shown(cell: &Cell) -> String {
    let link = cell.hyperlink().map(|link| {
        // Links without an id of their own are numbered.
        let id = link.id().to_owned();
        let id = if id.ends_with("_alacritty") {
            String::new()
        } else {
            id
        };
        (id, link.uri().to_owned())
    });
    let flags = cell.flags;
    // A tab is kept in the first of its blank cells.
    let text = if cell.c == '\t' { ' ' } else { cell.c };
    let more = cell.zerowidth();
    let line = cell.underline_color();
    format!(
        "{text:?}{more:?} {:?} {:?} {flags:?} {line:?} {link:?}",
        cell.fg, cell.bg
    )
}

/// Differences of the replays at these cuts.
fn compare(name: &str, size: Size, bytes: &[u8], cuts: &[usize]) -> String {
    let bare = name.rsplit_once('-').map_or(name, |(bare, _)| bare);
    let whole = taken_through(size, bytes);
    let mut unequal = String::new();
    for &cut in cuts {
        let mut model = Terminal::new(size, Limits::default());
        model.feed(&bytes[..cut]);
        let replay = model.replay(History::All);
        let replayed = taken_through(size, &[&replay, &bytes[cut..]].concat());
        for ((field, whole), (_, replayed)) in whole.iter().zip(&replayed) {
            let is_own = OWN.iter().any(|(recording, own, _)| {
                bare == *recording
                    && field.starts_with(own)
                    && but_last(whole) == but_last(replayed)
            });
            if whole != replayed && !is_own {
                let (whole, replayed) = narrowed(whole, replayed);
                unequal.push_str(&format!(
                    "{name} cut at {cut}, {field}:\n  whole    {whole}\n  replayed {replayed}\n"
                ));
            }
        }
    }
    unequal
}

fn but_last(row: &str) -> Option<&str> {
    Some(row.rsplit_once('|')?.0)
}

/// Of rows only the cells from the first difference on.
fn narrowed(whole: &str, replayed: &str) -> (String, String) {
    let cells = whole.split('|').zip(replayed.split('|'));
    let equal = cells.take_while(|(one, two)| one == two).count();
    let rest = |text: &str| {
        let rest: Vec<_> = text.split('|').skip(equal).take(3).collect();
        format!("cell {equal}: {}", rest.join("|"))
    };
    (rest(whole), rest(replayed))
}

#[test]
fn alacritty_knows_the_same_after_every_byte() {
    let scripts: &[(&str, &str)] = &[
        (
            "keyboard",
            "\x1b[>1u\x1b[>5uab\x1b[=2;2u\x1b[=4;3u\x1b[>31u\x1b[<u\x1b[?1049h\x1b[>8u\x1b[=16;1ucd\x1b[?1049l\x1b[<uef",
        ),
        (
            "pushed",
            "\x1b[>1u\x1b[>2u\x1b[>3u\x1b[>4u\x1b[>5u\x1b[>6u\x1b[>7ux\x1b[<3u",
        ),
        (
            "links",
            "\x1b]8;id=1;http://a.b/\x1b\\a link that wraps\x1b]8;;\x1b\\ x\r\n\x1b]8;;http://c\x07\x1b[1mc\x1b]8;;\x07",
        ),
        (
            "palette",
            "\x1b]4;1;rgb:10/20/30\x07\x1b]4;2;#aabbcc;3;#010203\x1b\\x\x1b]104;2\x07\x1b]10;#ffffff\x07\x1b]12;#040506\x07\x1b]110\x07\x1b]11;#123456\x07",
        ),
        (
            "lines",
            "\x1b[4:3;58:2::1:2:3mx\x1b[4:4;58:5:9my\x1b[59;4:2mz\x1b[4:5mu\x1b[4:0;9mv\x1b[m",
        ),
        (
            "modes",
            "\x1b[?1h\x1b=\x1b[?1002;1006h\x1b[?2004h\x1b[2;4r\x1b[?6h\x1b[?25l\x1b[4h\x1b[?1002l\x1b[4 q\x1b[?7l\x1b[20h\x1b[?1004;1007h",
        ),
    ];
    let mut unequal = String::new();
    for (name, script) in scripts {
        let cuts: Vec<_> = (0..=script.len()).collect();
        unequal += &compare(name, Size::new(5, 12), script.as_bytes(), &cuts);
    }
    assert!(unequal.is_empty(), "{unequal}");
}

#[test]
fn alacritty_shows_real_programs_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oracle/recordings");
    let mut unequal = String::new();
    for entry in std::fs::read_dir(folder).expect("the recordings are in the repository") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy();
        // Alacritty wraps in its own way when it is resized.
        if name.starts_with("resized-") {
            continue;
        }
        let (_, size) = name.rsplit_once('-').expect("NAME-COLUMNSxROWS");
        let (columns, rows) = size.split_once('x').expect("COLUMNSxROWS");
        let number = |text: &str| text.parse().expect("a number");
        let bytes = std::fs::read(&path).expect("it can be read");
        let cuts: Vec<_> = (1..=10).map(|part| bytes.len() * part / 10).collect();
        unequal += &compare(
            &name,
            Size::new(number(rows), number(columns)),
            &bytes,
            &cuts,
        );
    }
    assert!(unequal.is_empty(), "{unequal}");
}
