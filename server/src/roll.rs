//! The roll of sessions: a file for each, beside the socket, so that it is known which were lost
//! when a keeper was killed. A keeper that ends in order leaves none behind.
//!
//! The server writes it, as the keeper parses nothing. Nothing but the [`Record`] is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use psess_protocol::identity::SessionId;
use psess_protocol::rendezvous::ROLL_PREFIX;

use crate::record::Record;

/// A record is a name, a command of 200 characters and some numbers.
const MOST_BYTES: u64 = 4096;

/// The roll in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roll(PathBuf);

impl Roll {
    /// The one in the directory that the server's socket is in.
    pub(crate) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// Enters a session, or what is new of it, in one step.
    ///
    /// # Errors
    /// When the directory is gone or full.
    pub(crate) fn enter(&self, record: &Record) -> io::Result<()> {
        let path = self.path(record.id);
        let new = path.with_extension("new");
        let bytes = record.encode().map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&new)?.write_all(&bytes)?;
        fs::rename(&new, &path)
    }

    /// Strikes a session off, which may not be on it.
    pub(crate) fn strike(&self, session: SessionId) {
        let _ = fs::remove_file(self.path(session));
    }

    /// All that are on it. What cannot be read, half written when a server was killed, is struck
    /// off.
    pub(crate) fn all(&self) -> Vec<Record> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(ROLL_PREFIX))
        });
        files
            .filter_map(|path| match read(&path) {
                Ok(record) if self.path(record.id) == path => Some(record),
                Ok(_) | Err(_) => {
                    let _ = fs::remove_file(path);
                    None
                }
            })
            .collect()
    }

    fn path(&self, session: SessionId) -> PathBuf {
        self.0.join(format!("{ROLL_PREFIX}{session}"))
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Record::decode(&bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use psess_protocol::size::Size;

    use super::*;

    #[test]
    fn who_was_entered_and_not_struck_off_is_on_it() {
        let folder = std::env::temp_dir().join(format!("psess-roll-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let roll = Roll::new(&folder);
        let record = |id, name: &str| Record {
            id: SessionId([id; 16]),
            name: name.parse().unwrap(),
            command: "make".to_owned(),
            created: 300,
            attached: 0,
            size: Size::new(24, 80),
            pid: 1234,
            outcome: None,
        };
        roll.enter(&record(1, "one")).unwrap();
        roll.enter(&record(2, "two")).unwrap();
        roll.enter(&record(1, "renamed")).unwrap();
        roll.strike(SessionId([2; 16]));
        roll.strike(SessionId([3; 16]));
        for (name, bytes) in [
            ("session-07", "nonsense"),
            ("session-x.new", ""),
            ("log", "a"),
        ] {
            fs::write(folder.join(name), bytes).unwrap();
        }
        assert_eq!(roll.all(), [record(1, "renamed")]);
        let mut left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left[0], "log");
        assert_eq!(left.len(), 2, "what nobody can read is gone: {left:?}");
        fs::remove_dir_all(&folder).unwrap();
        assert!(roll.all().is_empty());
        assert!(roll.enter(&record(1, "late")).is_err());
    }
}
