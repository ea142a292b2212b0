//! The cuts of the last weeks, on this machine only: a line of JSON each, appended.
//!
//! Bounded: beyond half a mebibyte the oldest half goes. Lines that cannot be read, cut off by a
//! full disk or written by another version, are skipped.

use std::io;

use super::cut::Cut;
use super::state_file::{StateFile, directory};

/// How large the log may grow: about 300 cuts.
const MOST_BYTES: usize = 512 * 1024;

/// The log of cuts.
#[derive(Clone, Debug)]
pub struct CutLog {
    file: StateFile,
}

impl CutLog {
    /// This user's log; `None` without a home.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let path = directory()?.join("cuts.jsonl");
        Some(Self::in_file(StateFile::new(path)))
    }

    /// A log in this file.
    #[must_use]
    pub fn in_file(file: StateFile) -> Self {
        Self { file }
    }

    /// Adds a cut, or what was learned of one since.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, cut: &Cut) -> io::Result<()> {
        let line = serde_json::to_string(cut)?;
        self.file.append(&line)?;
        let size = std::fs::metadata(self.file.path())?.len();
        if size > MOST_BYTES as u64 {
            self.file.change(|content| newest(&content))?;
        }
        Ok(())
    }

    /// All cuts, in the order in which they were noticed.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn cuts(&self) -> io::Result<Vec<Cut>> {
        Ok(parse(&self.file.read()?))
    }
}

/// The cuts of a log, each as it was logged last.
fn parse(content: &str) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for line in content.lines() {
        let Ok(cut) = serde_json::from_str::<Cut>(line) else {
            continue;
        };
        match cuts.iter_mut().rev().find(|known| known.id == cut.id) {
            Some(known) => *known = cut,
            None => cuts.push(cut),
        }
    }
    cuts.sort_by_key(|cut| cut.noticed_at);
    cuts
}

/// The newest cuts of a log, as a log of half the size that it may have.
fn newest(content: &str) -> String {
    let mut lines = Vec::new();
    let mut size = 0;
    for cut in parse(content).iter().rev() {
        // What was read from JSON can be written as JSON.
        let Ok(line) = serde_json::to_string(cut) else {
            continue;
        };
        size += line.len() + 1;
        if size > MOST_BYTES / 2 {
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::evidence::Evidence;
    use super::*;

    fn cut(second: u64) -> Cut {
        let now = UNIX_EPOCH + Duration::from_secs(second);
        Cut::new(
            now,
            Some("box".to_owned()),
            "work".to_owned(),
            Evidence::default(),
        )
    }

    /// A log in a folder of its own, removed at the end.
    struct Scratch(std::path::PathBuf, CutLog);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("psess-{name}-{}", std::process::id()));
            let log = CutLog::in_file(StateFile::new(folder.join("psess/cuts.jsonl")));
            Self(folder, log)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // What is left lies in /tmp and harms nobody.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_last_entry_of_a_cut_counts_and_damage_costs_only_its_line() {
        let Scratch(_, log) = &Scratch::new("cut-log");
        assert_eq!(log.cuts().unwrap(), []);
        let mut first = cut(100);
        log.append(&first).unwrap();
        log.append(&cut(200)).unwrap();
        first.evidence.auto_logout = true;
        log.append(&first).unwrap();
        let path = log.file.path();
        let mut content = std::fs::read(path).unwrap();
        content.extend_from_slice(b"\xff{}\n{\"id\":\"half");
        std::fs::write(path, content).unwrap();
        log.append(&cut(300)).unwrap();
        assert_eq!(log.cuts().unwrap(), [first, cut(200), cut(300)]);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_log_forgets_the_oldest_before_it_grows_large() {
        let mut content = String::new();
        for second in 0..2_000 {
            content += &serde_json::to_string(&cut(second)).unwrap();
            content.push('\n');
        }
        let kept = newest(&content);
        assert!(kept.len() <= MOST_BYTES / 2);
        let cuts = parse(&kept);
        assert_eq!(cuts.last(), Some(&cut(1_999)));
        assert!(cuts.len() > 100);
    }
}
