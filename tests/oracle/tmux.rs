//! tmux sees what `@xterm/headless` does not answer for: the palette and the dynamic colours as a
//! program reads them back, titles. And it is a second opinion on cells and modes. It knows no
//! kitty keyboard protocol; links it knows from 3.4 on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use psess_harness::{Screen, eventually, has};
use psess_protocol::size::Size;
use rustix::fs::OFlags;
use rustix::termios::{LocalModes, tcgetattr};

use crate::recording::{Recording, Step};

/// What tmux tells of a pane; a field that a version does not know is empty.
const FIELDS: &[&str] = &[
    "alternate_on",
    "alternate_saved_x",
    "alternate_saved_y",
    "cursor_x",
    "cursor_y",
    "cursor_flag",
    "cursor_shape",
    "cursor_blinking",
    "insert_flag",
    "keypad_cursor_flag",
    "keypad_flag",
    "mouse_all_flag",
    "mouse_button_flag",
    "mouse_standard_flag",
    "mouse_sgr_flag",
    "mouse_utf8_flag",
    "origin_flag",
    "wrap_flag",
    "bracket_paste_flag",
    "pane_key_mode",
    "scroll_region_upper",
    "scroll_region_lower",
    "pane_tabs",
    "pane_title",
    "pane_path",
];

/// Differences that are tmux's own: the recording's name without its size, the field or its
/// beginning, why.
const OWN: &[(&str, &str, &str)] = &[
    ("dialog", "row 9", LINES),
    ("dialog", "line 9", LINES),
    ("fish", "line ", WRAP),
    ("unicode", "row ", EMOJI),
    ("unicode", "line ", EMOJI),
];

const LINES: &str =
    "it keeps drawn lines as letters of another set; a replay has the lines themselves";

const WRAP: &str = "a row whose wrapped end is erased stays wrapped; in xterm it does not";

const EMOJI: &str = "emoji that are joined take two columns together; in xterm each takes two";

/// Asks for colours that scripts set; then for a status, which is always answered.
const QUESTIONS: &[u8] = b"\x1b]4;1;?\x07\x1b]4;2;?\x07\x1b]4;3;?\x07\x1b]4;200;?\x07\
    \x1b]10;?\x07\x1b]11;?\x07\x1b]12;?\x07\x1b[5n";

/// What [`QUESTIONS`] ends with, and what comes then.
const STATUS: (&[u8], &[u8]) = (b"\x1b[5n", b"\x1b[0n");

/// A server of the test's own.
struct Tmux {
    folder: PathBuf,
}

impl Tmux {
    /// Starts one, where it is installed.
    fn start() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        has("tmux")?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("psess-oracle-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("there is room for a folder");
        let tmux = Self { folder };
        let base =
            "start-server ; set -g exit-empty off ; set -g status off ; set -g remain-on-exit on";
        tmux.run(&base.split(' ').collect::<Vec<_>>());
        Some(tmux)
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-f", "/dev/null", "-S"])
            .arg(self.folder.join("socket"))
            .args(arguments)
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("tmux runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a pane shows and tells that was taken through the recording.
    fn taken_through(&self, recording: &Recording) -> BTreeMap<String, String> {
        let Size { rows, columns, .. } = recording.size;
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let format = "#{pane_id} #{pane_tty}";
        let made = self.run(&[
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            "-P",
            "-F",
            format,
            "stty raw -echo -iexten; exec sleep 1000",
        ]);
        let (pane, tty) = made.trim().split_once(' ').expect("two words");
        let mut program = Program::open(tty);
        for step in &recording.steps {
            match step {
                Step::Output(bytes) => program.write(bytes),
                Step::Resize(_) => panic!("tmux wraps in its own way when it is resized"),
            }
        }
        program.ask(STATUS.0);
        let colors = program.ask(QUESTIONS);
        let mut found = BTreeMap::new();
        found.insert("colours".to_owned(), colors.escape_ascii().to_string());
        let format: Vec<_> = FIELDS.iter().map(|field| format!("#{{{field}}}")).collect();
        let told = self.run(&["display-message", "-p", "-t", pane, &format.join("\n")]);
        let fields = FIELDS.iter().map(|field| (*field).to_owned());
        found.extend(fields.zip(told.split('\n').map(str::to_owned)));
        // A fresh tmux has no stop in the first column, where every tab backwards ends anyway.
        if let Some(stops) = found.get_mut("pane_tabs") {
            *stops = stops.trim_start_matches("0,").to_owned();
        }
        let mut buffers = vec![("", "-p")];
        if found["alternate_on"] == "1" {
            buffers.push(("main ", "-pa"));
        } else {
            found.retain(|field, _| !field.starts_with("alternate_saved"));
        }
        for (name, how) in buffers {
            let cells = self.run(&["capture-pane", how, "-e", "-t", pane]);
            let mut screen = Screen::new(recording.size.rows, recording.size.columns);
            screen.feed(
                cells
                    .trim_end_matches('\n')
                    .replace('\n', "\r\n")
                    .as_bytes(),
            );
            let columns = usize::from(recording.size.columns);
            for (row, cells) in screen.picture().chunks(columns).enumerate() {
                found.insert(format!("{name}row {row}"), cells.join("|"));
            }
            let joined = self.run(&["capture-pane", how, "-J", "-t", pane]);
            for (number, line) in joined.split('\n').enumerate() {
                found.insert(format!("{name}line {number}"), line.trim_end().to_owned());
            }
        }
        self.run(&["kill-session", "-t", pane]);
        found
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// The test in the place of the program that runs in a pane.
struct Program(File);

impl Program {
    fn open(tty: &str) -> Self {
        let tty = File::options().read(true).write(true).open(tty);
        let tty = tty.expect("tmux gave its pane a terminal");
        // Its child, which tmux does not wait for, first gives it settings, then stty others.
        eventually("the pane's terminal is raw", || {
            let settings = tcgetattr(&tty).expect("it is a terminal");
            (!settings.local_modes.contains(LocalModes::ICANON)).then_some(())
        });
        Self(tty)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("tmux reads its panes");
    }

    /// Writes questions of which the last is for the status, and gives the answers before that's.
    fn ask(&mut self, questions: &[u8]) -> Vec<u8> {
        self.write(questions);
        let flags = rustix::fs::fcntl_getfl(self.0.as_fd()).expect("it is open");
        rustix::fs::fcntl_setfl(self.0.as_fd(), flags | OFlags::NONBLOCK).expect("it is open");
        let mut answers = Vec::new();
        eventually("tmux answers", || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = self.0.read(&mut piece) {
                answers.extend_from_slice(&piece[..length]);
            }
            answers.ends_with(STATUS.1).then_some(())
        });
        rustix::fs::fcntl_setfl(self.0.as_fd(), flags).expect("it is open");
        answers.truncate(answers.len() - STATUS.1.len());
        answers
    }
}

/// Compares the replays at these cuts; adds what differs to `unequal`.
fn compare(tmux: &Tmux, name: &str, recording: &Recording, cuts: &[usize], unequal: &mut String) {
    let bare = name.rsplit_once('-').map_or(name, |(bare, _)| bare);
    let whole = tmux.taken_through(recording);
    for &cut in cuts {
        let replayed = tmux.taken_through(&recording.from(cut));
        let fields: BTreeSet<_> = whole.keys().chain(replayed.keys()).collect();
        for field in fields {
            let (whole, replayed) = (whole.get(field), replayed.get(field));
            let is_own = OWN
                .iter()
                .any(|(recording, own, _)| bare == *recording && field.starts_with(own));
            if whole != replayed && !is_own {
                unequal.push_str(&format!(
                    "{name} cut at {cut}, {field}:\n  whole    {whole:?}\n  replayed {replayed:?}\n"
                ));
            }
        }
    }
}

#[test]
fn tmux_shows_real_programs_alike() {
    let Some(tmux) = Tmux::start() else { return };
    let mut unequal = String::new();
    for (name, recording) in Recording::all() {
        let resized = recording.steps.len() > 1;
        if !resized {
            let cuts = recording.spread_cuts(3);
            compare(&tmux, &name, &recording, &cuts, &mut unequal);
        }
    }
    assert!(unequal.is_empty(), "{unequal}");
}

#[test]
fn tmux_tells_the_same_after_every_byte() {
    let Some(tmux) = Tmux::start() else { return };
    let scripts: &[(&str, &[u8])] = &[
        ("palette", b"\x1b]4;1;rgb:10/20/30\x07\x1b]4;2;#aabbcc;3;#010203\x1b\\x\x1b]104;2\x07\x1b]4;200;#123456\x07\x1b]104;1\x1b\\"),
        ("dynamic", b"\x1b]10;#ffffff\x07\x1b]11;#123456\x07x\x1b]110\x07\x1b]12;rgb:1/2/3\x1b\\\x1b]10;#010203\x07\x1b]112\x07"),
        ("titles", "\x1b]2;one\x07\x1b[22;2t\x1b]0;zwei ü\x1b\\\x1b[22;0t\x1b]2;three\x07\x1b[23;0t\x1b]7;file://host/tmp\x07".as_bytes()),
        ("links", b"\x1b]8;id=1;http://a.b/\x1b\\a link that wraps\x1b]8;;\x1b\\ x\r\n\x1b]8;;http://c\x07\x1b[1mc\x1b]8;;\x07"),
        ("modes", b"\x1b[?1h\x1b=\x1b[?1002;1006h\x1b[?2004h\x1b[2;4r\x1b[?6h\x1b[?25l\x1b[3gab\x1bH\x1b[4h\x1b[?1002l\x1b[4 q\x1b[?7l"),
    ];
    let mut unequal = String::new();
    for (name, script) in scripts {
        let recording = Recording::parse(Size::new(5, 12), script);
        let cuts: Vec<_> = (0..=script.len()).collect();
        compare(&tmux, name, &recording, &cuts, &mut unequal);
    }
    assert!(unequal.is_empty(), "{unequal}");
}
