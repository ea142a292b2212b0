//! `@xterm/headless` sees cells, attributes, links, wrapped rows, scrollback, cursor, saved
//! cursors, margins, tab stops, modes, mouse, character sets, palette. It knows no keyboard
//! protocols. `npm ci` in this folder installs it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use psess_protocol::size::Size;
use serde::Deserialize;

use crate::recording::{Recording, directory};

/// A difference that is the oracle's own.
struct Fault {
    /// The recording's name, or its beginning.
    recording: &'static str,
    /// The field's name, or its beginning.
    field: &'static str,
    /// How what the replayed one shows begins.
    replayed: &'static str,
    #[allow(dead_code)]
    reason: &'static str,
}

const ERASE: &str = "EL while a wrap is pending erases nothing; in xterm it erases the last column";

/// All that are known.
const FAULTS: &[Fault] = &[
    Fault {
        recording: "top-80x24",
        field: "normal ",
        replayed: "cell 79: ",
        reason: ERASE,
    },
    Fault {
        recording: "top-200x50",
        field: "normal ",
        replayed: "cell 199: ",
        reason: ERASE,
    },
    Fault {
        recording: "vim-quit",
        field: "normal saved",
        replayed: "",
        reason: "DECSC counts rows in the scrollback; elsewhere rows of the screen",
    },
    Fault {
        recording: "scroll",
        field: "normal",
        replayed: "",
        reason: "SU drops what leaves at the top; in xterm it becomes scrollback",
    },
];

/// Cuts for each recording.
const CUTS: usize = 20;

#[derive(Debug, Deserialize)]
struct Difference {
    cut: usize,
    field: String,
    whole: String,
    replayed: String,
}

struct Oracle {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts it; `None`, and a message, where it is not installed. With CI=true that fails.
    fn start() -> Option<Self> {
        let directory = directory();
        let installed = directory.join("node_modules/@xterm/headless").exists();
        let process = Command::new("node")
            .arg("oracle.js")
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let (true, Ok(mut process)) = (installed, process) else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "the oracle is not installed: run 'npm ci' in {}",
                directory.display()
            );
            eprintln!(
                "skipped: run 'npm ci' in {} (needs node)",
                directory.display()
            );
            return None;
        };
        let input = process.stdin.take().expect("it was asked for above");
        let output = BufReader::new(process.stdout.take().expect("it was asked for above"));
        Some(Self {
            process,
            input,
            output,
        })
    }

    fn differences(&mut self, recording: &Recording, cuts: &[usize]) -> Vec<Difference> {
        let cuts: Vec<_> = cuts
            .iter()
            .map(|cut| serde_json::json!({ "cut": cut, "run": recording.from(*cut).to_json() }))
            .collect();
        let request = serde_json::json!({ "whole": recording.to_json(), "cuts": cuts });
        writeln!(self.input, "{request}").expect("the oracle reads");
        let mut answer = String::new();
        self.output
            .read_line(&mut answer)
            .expect("the oracle answers");
        serde_json::from_str(&answer).expect("the oracle answers with differences")
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Collects what no fault explains; gives the number of cuts that are equal.
fn judge(
    name: &str,
    differences: Vec<Difference>,
    unexplained: &mut BTreeMap<String, Vec<Difference>>,
) -> usize {
    let mut cuts = std::collections::BTreeSet::new();
    for difference in differences {
        let explained = FAULTS.iter().any(|fault| {
            name.starts_with(fault.recording)
                && difference.field.starts_with(fault.field)
                && difference.replayed.starts_with(fault.replayed)
        });
        if !explained {
            cuts.insert(difference.cut);
            unexplained
                .entry(name.to_owned())
                .or_default()
                .push(difference);
        }
    }
    cuts.len()
}

#[test]
fn replays_of_real_programs_equal_the_whole() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut unexplained = BTreeMap::new();
    let (mut cuts, mut failed) = (0, 0);
    for (name, recording) in Recording::all() {
        let spread = recording.spread_cuts(CUTS);
        cuts += spread.len();
        let differences = oracle.differences(&recording, &spread);
        failed += judge(&name, differences, &mut unexplained);
    }
    report(cuts, failed, &unexplained);
}

fn report(cuts: usize, failed: usize, unexplained: &BTreeMap<String, Vec<Difference>>) {
    println!("{} of {cuts} cuts equal", cuts - failed);
    let mut text = String::new();
    for (name, differences) in unexplained {
        text.push_str(&format!(
            "{name}: {} differences, such as\n",
            differences.len()
        ));
        for difference in differences.iter().take(4) {
            let Difference {
                cut,
                field,
                whole,
                replayed,
            } = difference;
            text.push_str(&format!(
                "  cut {cut}, {field}:\n    whole    {whole}\n    replayed {replayed}\n"
            ));
        }
    }
    assert!(
        failed == 0,
        "{} of {cuts} cuts equal\n{text}",
        cuts - failed
    );
}

#[test]
fn every_byte_of_short_scripts_can_be_a_cut() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let scripts: &[(&str, &[u8])] = &[
        ("lines", b"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\nsix\r\nseven\r\n\x1b[2;3Hx"),
        ("wrap", b"a line that wraps at twenty columns and goes on and on until it scrolls the screen, yes\r\nend"),
        ("colors", b"\x1b[1;31mbold\x1b[0m \x1b[38;5;200mi\x1b[48;2;1;2;3mrgb\x1b[K\r\n\x1b[7mx\x1b[27;4my\x1b[m"),
        ("wide", "日本語日本語日本語日本語日本語 漢\x1b[1;2Hx\x1b[2;1H한글".as_bytes()),
        ("combining", "e\u{301}o\u{308} \u{1f44d}\x1b[3Cx\u{302}".as_bytes()),
        ("alternate", b"shell$ vim\r\n\x1b[?1049h\x1b[2J\x1b[Htext\x1b[3;4H\x1b[?25l\x1b[?1049l\x1b[?25hdone"),
        ("margins", b"\x1b[2;4r\x1b[4;1Ha\r\nb\r\nc\x1bM\x1bM\x1bM\x1b[rx\x1b[?6h\x1b[2;2Hy"),
        ("modes", b"\x1b[?1h\x1b=\x1b[?1002;1006h\x1b[?2004h\x1b[4hinsert\x1b[1;1Hxy\x1b[4l\x1b[?1002l\x1b[?7l0123456789012345678901234"),
        ("charsets", b"\x1b(0lqqk\x1b(B \x1b)0\x0ex\x0fx\x1b7\x1b[3;3H\x1b8y"),
        ("tabs", b"\ta\tb\r\n\x1b[3g\x1b[5G\x1bH\r\tc\x1b[Zd\x1b[0g\x1b[2I"),
        ("edits", b"0123456789\x1b[5D\x1b[2P\x1b[3@ab\x1b[X\r\nx\x1b[A\x1b[L\x1b[M\x1b[Tz\x1b[1J"),
        ("links", b"\x1b]8;id=1;http://a.b/\x1b\\a link that wraps at the margin\x1b]8;;\x1b\\ x\r\n\x1b]8;;http://c\x07\x1b[1mc\x1b]8;;\x07"),
        ("palette", b"\x1b]4;1;rgb:10/20/30\x07\x1b]4;2;#aabbcc;3;#010203\x1b\\x\x1b]104;2\x07\x1b]10;#ffffff\x07\x1b]110\x07\x1b]11;#123456\x07"),
        ("scroll", b"1\r\n2\r\n3\x1b[2S4\x1b[T"),
    ];
    let mut unexplained = BTreeMap::new();
    let (mut cuts, mut failed) = (0, 0);
    for (name, script) in scripts {
        let every: Vec<usize> = (0..=script.len()).collect();
        cuts += every.len();
        let recording = Recording::parse(Size::new(5, 20), script);
        let differences = oracle.differences(&recording, &every);
        failed += judge(name, differences, &mut unexplained);
    }
    report(cuts, failed, &unexplained);
}
