//! What real programs wrote, and how it is cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

/// What a program wrote to a terminal, and how that was resized meanwhile.
pub(crate) struct Recording {
    pub(crate) size: Size,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone)]
pub(crate) enum Step {
    Output(Vec<u8>),
    Resize(Size),
}

impl Recording {
    /// All of real programs, by name; those only whose names have `$RECORDING` in them.
    pub(crate) fn all() -> BTreeMap<String, Self> {
        let wanted = std::env::var("RECORDING").unwrap_or_default();
        let entries = std::fs::read_dir(directory().join("recordings"))
            .expect("the recordings are in the repository");
        let paths = entries.map(|entry| entry.expect("the directory can be read").path());
        let named = paths.map(|path| {
            let name = path.file_name().expect("a file has a name").to_owned();
            (name.into_string().expect("names are ASCII"), path)
        });
        named
            .filter(|(name, _)| name.contains(&wanted))
            .map(|(name, path)| {
                let (_, size) = name.rsplit_once('-').expect("NAME-COLUMNSxROWS");
                let bytes = std::fs::read(path).expect("it can be read");
                let recording = Self::parse(parse_size(size), &bytes);
                (name, recording)
            })
            .collect()
    }

    /// Output with `ESC ] 7777 ; COLUMNSxROWS BEL` where the terminal got another size.
    pub(crate) fn parse(size: Size, bytes: &[u8]) -> Self {
        const MARK: &[u8] = b"\x1b]7777;";
        let mut steps = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
            let marked = &rest[at + MARK.len()..];
            let end = marked.iter().position(|byte| *byte == 0x07);
            let end = end.expect("a mark ends with BEL");
            let resized = std::str::from_utf8(&marked[..end]).expect("a mark is ASCII");
            steps.push(Step::Output(rest[..at].to_vec()));
            steps.push(Step::Resize(parse_size(resized)));
            rest = &marked[end + 1..];
        }
        steps.push(Step::Output(rest.to_vec()));
        Self { size, steps }
    }

    /// Bytes of output.
    pub(crate) fn length(&self) -> usize {
        let lengths = self.steps.iter().map(|step| match step {
            Step::Output(bytes) => bytes.len(),
            Step::Resize(_) => 0,
        });
        lengths.sum()
    }

    /// Cuts spread over the bytes, not at even places, the end among them.
    pub(crate) fn spread_cuts(&self, count: usize) -> Vec<usize> {
        let cut = |part| self.length() * part / count;
        (1..=count)
            .map(|part| cut(part).saturating_sub(part % 7 * usize::from(part < count)))
            .collect()
    }

    /// The replay made at the cut, and what comes after.
    pub(crate) fn from(&self, cut: usize) -> Self {
        let mut terminal = Terminal::new(self.size, Limits::default());
        let mut left = cut;
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Resize(size) => terminal.resize(*size),
                Step::Output(bytes) if bytes.len() < left => {
                    terminal.feed(bytes);
                    left -= bytes.len();
                }
                Step::Output(bytes) => {
                    let (before, after) = bytes.split_at(left);
                    terminal.feed(before);
                    // In one piece: the oracle loses a character that is cut after its second
                    // byte (E2 80 | A6).
                    let replayed = [&terminal.replay(History::All), after].concat();
                    let later = self.steps[index + 1..].iter().cloned();
                    return Self {
                        size: terminal.size(),
                        steps: std::iter::once(Step::Output(replayed))
                            .chain(later)
                            .collect(),
                    };
                }
            }
        }
        panic!("a cut lies within the output");
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let steps: Vec<_> = self
            .steps
            .iter()
            .map(|step| match step {
                Step::Output(bytes) => serde_json::json!(base64(bytes)),
                Step::Resize(size) => serde_json::json!([size.rows, size.columns]),
            })
            .collect();
        serde_json::json!({ "rows": self.size.rows, "columns": self.size.columns, "steps": steps })
    }
}

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn parse_size(size: &str) -> Size {
    let (columns, rows) = size.split_once('x').expect("COLUMNSxROWS");
    Size::new(
        rows.parse().expect("a number"),
        columns.parse().expect("a number"),
    )
}
