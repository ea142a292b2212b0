//! Files that psess keeps for itself below `$XDG_STATE_HOME/psess`: private, replaced as a whole
//! or appended to a line at a time, and locked while they are changed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Where this user's state files lie: `$XDG_STATE_HOME/psess`, or `~/.local/state/psess` (XDG
/// Base Directory Specification). `None` without a home.
#[must_use]
pub fn directory() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("psess"))
}

/// A file of the user's alone.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// The file of this path. Nothing is opened yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it, bytes that are no UTF-8 replaced; empty when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self) -> io::Result<String> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Appends a line, in one write.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, line: &str) -> io::Result<()> {
        let _lock = self.lock()?;
        let mut file = self.open(OpenOptions::new().append(true), &self.path)?;
        // After a line that was cut off, say by a full disk, this one is still whole.
        let ends_clean = self
            .read()?
            .chars()
            .next_back()
            .is_none_or(|last| last == '\n');
        let line = if ends_clean {
            format!("{line}\n")
        } else {
            format!("\n{line}\n")
        };
        file.write_all(line.as_bytes())
    }

    /// Replaces the content by what `change` makes of it; a reader sees the old or the new.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn change(&self, change: impl FnOnce(String) -> String) -> io::Result<()> {
        let _lock = self.lock()?;
        let content = change(self.read()?);
        let new = self.beside("new");
        let mut file = self.open(OpenOptions::new().write(true).truncate(true), &new)?;
        file.write_all(content.as_bytes())?;
        std::fs::rename(&new, &self.path)
    }

    /// Keeps other psess processes out until it is dropped.
    fn lock(&self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let file = self.open(OpenOptions::new().write(true), &self.beside("lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    fn open(&self, options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        options
            .create(true)
            .mode(0o600)
            .custom_flags(no_link)
            .open(path)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(ending);
        path.into()
    }
}
