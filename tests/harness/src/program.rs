//! Programs that run inside sessions, and say what they read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::screen::Screen;
use crate::skip::has;
use crate::terminal::Terminal;

/// The real Python interpreter, not a version manager's wrapper, which starts slowly.
///
/// # Panics
/// When there is none.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let found = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("python3 is installed: tests/setup/install installs it");
        PathBuf::from(String::from_utf8_lossy(&found.stdout).trim())
    })
}

/// `tests/programs/counter`: prints numbered lines, takes numbered keys, and writes what it read
/// to a file.
pub struct Counter {
    keys: PathBuf,
    lines_every_ms: Option<u32>,
}

impl Counter {
    /// One that answers each key `N;` with a row `key N`, and keeps what it read in a file of
    /// this name. Where there is no Python, says that the test is skipped.
    #[must_use]
    pub fn new(keys: impl Into<PathBuf>) -> Option<Self> {
        has("python3")?;
        Some(Self {
            keys: keys.into(),
            lines_every_ms: None,
        })
    }

    /// Prints `line N` as well, every so many milliseconds.
    #[must_use]
    pub fn with_lines_every_ms(mut self, milliseconds: u32) -> Self {
        self.lines_every_ms = Some(milliseconds);
        self
    }

    /// What to put behind `psess new NAME --`.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/counter");
        let mut command = vec![
            python().display().to_string(),
            "-IS".to_owned(),
            program.display().to_string(),
            self.keys.display().to_string(),
        ];
        command.extend(self.lines_every_ms.map(|ms| ms.to_string()));
        command
    }

    /// The keys that the program has read, in order: `1;2;3;` without the semicolons.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.keys).unwrap_or_default();
        text.split_terminator(';').map(str::to_owned).collect()
    }

    /// Waits until the terminal shows the row `line N` or a later one.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait_for_line(terminal: &Terminal, number: u64) {
        terminal.wait_for(&format!("line {number}"), |screen| {
            let rows = screen.rows();
            let numbers = rows
                .iter()
                .filter_map(|row| row.strip_prefix("line ")?.parse::<u64>().ok());
            numbers.max().filter(|last| *last >= number)
        });
    }

    /// The numbers of the `line N` rows that the user can see by scrolling, above the cursor.
    #[must_use]
    pub fn lines(screen: &mut Screen) -> Vec<u64> {
        numbers(screen, "line ")
    }

    /// The numbers of the `key N` rows that the user can see by scrolling, above the cursor.
    #[must_use]
    pub fn echoes(screen: &mut Screen) -> Vec<u64> {
        numbers(screen, "key ")
    }
}

fn numbers(screen: &mut Screen, prefix: &str) -> Vec<u64> {
    // The row of the cursor may still be going on.
    let unfinished = screen.rows().len() - usize::from(screen.cursor().0);
    let rows = screen.all_rows();
    rows[..rows.len() - unfinished]
        .iter()
        .filter_map(|row| row.strip_prefix(prefix)?.parse().ok())
        .collect()
}
