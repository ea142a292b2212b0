//! Where on a machine the server is found, and how it is started.
//!
//! The server listens on a socket in the first of a few [`Directory`]s in which the keeper
//! could make one. Clients and relays call this; the keeper uses the same directories.

mod directory;
mod login;
mod start;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use directory::{Directory, DirectoryError, ROLL_PREFIX, Surroundings};

use start::Launched;
pub use start::{HELD, READY};

/// How long a keeper may take to get ready.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before looking again for a keeper that just starts or ends.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// A connection to the server of this user on this machine.
#[derive(Debug)]
pub struct Connection {
    /// The stream, blocking and close-on-exec. Nothing was sent yet. When it ends before the
    /// server's hello, the keeper was just leaving: connect again.
    pub stream: UnixStream,
    /// What the user ought to know, each a sentence: that logout ends the sessions, say. Only
    /// when this call started the keeper.
    pub warnings: Vec<String>,
}

/// Connects to the server.
///
/// # Errors
/// [`RendezvousError::NoServer`] when none runs; otherwise what keeps it from being reached.
pub fn connect() -> Result<UnixStream, RendezvousError> {
    connect_in(&Surroundings::of_this_process().candidates())
}

/// Whether there is a roll of sessions where a server would be: where none runs, they were lost
/// with a keeper that was killed, and a new server can tell of them.
#[must_use]
pub fn has_roll() -> bool {
    let candidates = Surroundings::of_this_process().candidates();
    let mut trusted = candidates
        .iter()
        .filter(|directory| directory.exists().unwrap_or(false));
    trusted.any(Directory::has_roll)
}

/// Connects to the server; starts the keeper `exe keeper`, and by it the server, when there is
/// none. Waits up to 10 s for it.
///
/// # Errors
/// What keeps it from being reached or started.
pub fn connect_or_start(exe: &Path) -> Result<Connection, RendezvousError> {
    let candidates = Surroundings::of_this_process().candidates();
    let deadline = Instant::now() + START_TIMEOUT;
    let mut warnings = Vec::new();
    loop {
        match connect_in(&candidates) {
            Ok(stream) => return Ok(Connection { stream, warnings }),
            Err(RendezvousError::NoServer) => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Err(RendezvousError::Timeout(START_TIMEOUT));
        }
        match start::launch(exe, deadline)? {
            Launched::Ready(said) => warnings = said,
            // Another keeper holds the lock: one that gets ready, or one that is leaving.
            Launched::NotNeeded => std::thread::sleep(RETRY_PAUSE),
        }
    }
}

/// Connects to the first of these directories in which a server listens.
///
/// # Errors
/// [`RendezvousError::NoServer`]; [`RendezvousError::Directory`] when one that would be used for
/// a new server cannot be trusted; [`RendezvousError::Foreign`]; [`RendezvousError::Connect`].
pub fn connect_in(candidates: &[Directory]) -> Result<UnixStream, RendezvousError> {
    let mut problem = None;
    let mut usable = false;
    for directory in candidates {
        match directory.exists() {
            Ok(true) => {
                usable = true;
                if let Some(stream) = try_connect(&directory.socket())? {
                    return Ok(stream);
                }
            }
            Ok(false) => usable |= directory.path().parent().is_some_and(Path::is_dir),
            // What another user puts into /tmp does not matter while there is a better place.
            Err(_) if usable => {}
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    match problem {
        Some(error) => Err(error.into()),
        None => Err(RendezvousError::NoServer),
    }
}

fn try_connect(path: &Path) -> Result<Option<UnixStream>, RendezvousError> {
    let failed = |error| RendezvousError::Connect {
        path: path.to_owned(),
        error,
    };
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            // Refused: the file was left behind by a keeper that was killed.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => return Ok(None),
            _ => return Err(failed(error)),
        },
    };
    let peer = rustix::net::sockopt::socket_peercred(&stream)
        .map_err(|error| failed(error.into()))?
        .uid
        .as_raw();
    match peer == rustix::process::geteuid().as_raw() {
        true => Ok(Some(stream)),
        false => Err(RendezvousError::Foreign {
            path: path.to_owned(),
            uid: peer,
        }),
    }
}

/// Why the server is not reached.
#[derive(Debug, thiserror::Error)]
pub enum RendezvousError {
    /// None runs; `connect_or_start` would start one.
    #[error("no psess server runs here: 'psess new' starts one")]
    NoServer,
    /// The place for its socket cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Another user listens there.
    #[error("the server at {} is user {uid}'s, not yours: not connecting", .path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// Who listens.
        uid: u32,
    },
    /// The socket is there, but connecting failed.
    #[error("cannot connect to the server at {}: {error}", .path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The keeper could not be executed.
    #[error("cannot start the server with '{}': {error}", .program.display())]
    Launch {
        /// What was executed.
        program: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// The keeper began, but ended before it was ready.
    #[error("the server did not start: {0}")]
    Start(String),
    /// The keeper did not get ready in time.
    #[error("the server did not start within {} s: is the machine overloaded?", .0.as_secs())]
    Timeout(Duration),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn scratch() -> Directory {
        let name = format!("psess-test-{:?}", crate::identity::SessionId::random());
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .unwrap();
        Directory::new(path)
    }

    #[test]
    fn the_first_directory_with_a_server_is_used() {
        let [empty, stale, live] = [scratch(), scratch(), scratch()];
        drop(UnixListener::bind(stale.socket()).unwrap());
        let candidates = [empty, stale, live];
        assert!(matches!(
            connect_in(&candidates),
            Err(RendezvousError::NoServer)
        ));
        let listener = UnixListener::bind(candidates[2].socket()).unwrap();
        connect_in(&candidates).unwrap();
        listener.accept().unwrap();
        for directory in candidates {
            std::fs::remove_dir_all(directory.path()).unwrap();
        }
    }

    #[test]
    fn an_untrusted_directory_only_matters_where_there_is_no_better_one() {
        let good = scratch();
        let file = Directory::new(good.path().join("file"));
        std::fs::write(file.path(), "").unwrap();
        assert!(matches!(
            connect_in(&[file.clone(), good.clone()]),
            Err(RendezvousError::Directory(_))
        ));
        assert!(matches!(
            connect_in(&[good.clone(), file]),
            Err(RendezvousError::NoServer)
        ));
        std::fs::remove_dir_all(good.path()).unwrap();
    }
}
