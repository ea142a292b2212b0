//! Processes that belong to a test, found in `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::patience::eventually;

/// A process that is not necessarily a child of the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// Its arguments, joined by blanks.
    pub command: String,
}

impl Process {
    /// The process of that id, dead or alive.
    #[must_use]
    pub fn new(pid: i32) -> Self {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Self {
            pid,
            command: command.trim_end().to_owned(),
        }
    }

    /// Every living process that has `path` in its environment or arguments, or works below it.
    #[must_use]
    pub fn all_that_name(path: &Path) -> Vec<Self> {
        let own = std::process::id().cast_signed();
        let mentions = |file: PathBuf| fs::read(file).is_ok_and(|bytes| names(&bytes, path));
        let Ok(folders) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let mut found: Vec<Self> = folders
            .flatten()
            .filter_map(|folder| {
                let pid: i32 = folder.file_name().to_str()?.parse().ok()?;
                let folder = folder.path();
                let ours = mentions(folder.join("environ"))
                    || mentions(folder.join("cmdline"))
                    || fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd.starts_with(path));
                (ours && pid != own).then(|| Self::new(pid))
            })
            .filter(Self::lives)
            .collect();
        found.sort_by_key(|process| process.pid);
        found
    }

    /// Whether it runs still; a zombie does not.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.stat()
            .is_some_and(|fields| !matches!(fields[0].as_str(), "Z" | "X"))
    }

    /// The living processes that it started.
    #[must_use]
    pub fn children(&self) -> Vec<Self> {
        let Ok(folders) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        folders
            .flatten()
            .filter_map(|folder| Some(Self::new(folder.file_name().to_str()?.parse().ok()?)))
            .filter(|process| {
                process.lives() && process.parent().is_some_and(|p| p.pid == self.pid)
            })
            .collect()
    }

    /// The process that started it, or took it over.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        Some(Self::new(self.stat()?[1].parse().ok()?))
    }

    /// Sends it a signal. One that is gone already is left in peace.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            // ESRCH: it is gone, which every test that signals must reckon with.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not go.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        eventually(&format!("{self:?} is gone"), || {
            (!self.lives()).then_some(())
        });
    }

    /// A limit or state from `/proc/PID/status`, such as `VmRSS` or `SigIgn`.
    #[must_use]
    pub fn status(&self, key: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }

    /// Whether it waits for something to happen; `None` when it is gone.
    #[must_use]
    pub fn waits(&self) -> Option<bool> {
        Some(self.status("State")?.starts_with('S'))
    }

    /// The fields of proc(5) `stat` behind the name: state, parent, …
    fn stat(&self) -> Option<Vec<String>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        Some(fields.split(' ').map(str::to_owned).collect())
    }
}

/// Whether `bytes` hold this path: it ends there, or something below it follows. `/tmp/w.1` is not
/// in `/tmp/w.12`.
fn names(bytes: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let mut places = bytes.windows(path.len()).enumerate();
    places.any(|(at, window)| window == path && !bytes.get(at + path.len()).is_some_and(goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_not_named_by_a_longer_one() {
        let path = Path::new("/tmp/pe7.1");
        for named in [
            "/tmp/pe7.1",
            "HOME=/tmp/pe7.1/home",
            "/tmp/pe7.1:/bin",
            "/tmp/pe7.1\0X=1",
        ] {
            assert!(names(named.as_bytes(), path), "{named}");
        }
        for other in ["", "/tmp/pe7", "HOME=/tmp/pe7.12/home", "/tmp/pe7.1x"] {
            assert!(!names(other.as_bytes(), path), "{other}");
        }
        assert!(names(b"/tmp/pe7.12:/tmp/pe7.1", path));
    }
}
