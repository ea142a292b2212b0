//! How a server is reached: a byte pipe to the unix socket of this machine, or through ssh (or
//! any other command that gives a byte pipe) to `psess relay` on another one.
//!
//! Owns the processes behind a pipe, their stderr, and what their end means. Knows nothing of
//! hellos and frames: `handshake` and `attach` speak through what [`Transport::dial`] gives.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

pub mod command;
mod copying;
pub mod end;
pub(crate) mod local_address;
pub mod pipe;
mod process;
pub mod ssh;
mod unix;

use command::CommandTransport;
use pipe::Pipe;
use psess_protocol::rendezvous::RendezvousError;
use ssh::SshTransport;

use crate::place::Place;

/// A way to a server, to be dialled as often as needed.
#[derive(Clone, Debug)]
pub enum Transport {
    /// The unix socket of this user on this machine.
    Local,
    /// The system's ssh, with the user's own configuration, keys and agent.
    Ssh(SshTransport),
    /// Any other command that gives a byte pipe: `docker exec -i box`.
    Command(CommandTransport),
}

/// What kind of dial is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Whether the command may ask the user questions on the terminal (passwords, host keys) and
    /// its stderr is shown as it comes, until [`Pipe::quiet`]. Only before raw mode.
    pub interactive: bool,
    /// Whether a keeper is started on this machine where none runs: `new` wants that, `list`
    /// does not, unless there are lost sessions to tell of. On another machine the relay always
    /// starts one.
    pub start: bool,
    /// Whether the user waits for a session that was attached before: a host that does not answer
    /// is to be told of soon, so that she may try again.
    pub again: bool,
    /// Whether ssh may go through a master that several connections share (ControlMaster), where
    /// the user has one. It may hang.
    pub shares_master: bool,
}

impl Transport {
    /// Opens a byte pipe to the server. The bytes behind it are a client's: hello first.
    ///
    /// Through a command this returns as soon as it runs; whether it reaches anything shows in
    /// the handshake, and in [`Pipe::ended`] when that fails.
    ///
    /// # Errors
    /// [`DialError`]: nothing runs behind it then.
    pub async fn dial(&self, dial: Dial) -> Result<Pipe, DialError> {
        match self {
            Self::Local => unix::dial(dial).await,
            Self::Ssh(ssh) => Pipe::spawn(&ssh.argv(dial), dial.interactive),
            Self::Command(command) => Pipe::spawn(&command.argv(), dial.interactive),
        }
    }

    /// The command line that runs psess on the far side in another role (`facts`, words parted by
    /// single blanks) on a connection of its own, asking nobody; `None` on this machine.
    #[must_use]
    pub fn psess_argv(&self, role: &str) -> Option<Vec<OsString>> {
        match self {
            Self::Local => None,
            Self::Ssh(ssh) => Some(ssh.psess_argv(role)),
            Self::Command(command) => Some(command.psess_argv(role)),
        }
    }

    /// The command line that runs any command on the far side by ssh, with these settings of ssh
    /// before all others; `None` where the way is not ssh.
    #[must_use]
    pub fn run_argv(&self, options: &[&str], command: &str) -> Option<Vec<OsString>> {
        match self {
            Self::Local | Self::Command(_) => None,
            Self::Ssh(ssh) => Some(ssh.run_argv(options, command)),
        }
    }

    /// The command line that prints ssh's effective settings (`ssh -G`) for its host, or for one
    /// on the way there; `None` where the way is not ssh.
    #[must_use]
    pub fn settings_argv(&self, hop: Option<&str>) -> Option<Vec<OsString>> {
        match self {
            Self::Local | Self::Command(_) => None,
            Self::Ssh(ssh) => Some(ssh.settings_argv(hop)),
        }
    }

    /// Whether the server is on this machine, behind a socket that cannot die unnoticed.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }

    /// Whether it is ssh.
    #[must_use]
    pub fn is_ssh(&self) -> bool {
        matches!(self, Self::Ssh(_))
    }

    /// Where it leads.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::new(self.host())
    }

    /// The command that gives the pipe, for a shell, without what ssh is to run on the far side;
    /// `None` on this machine.
    #[must_use]
    pub fn command_line(&self) -> Option<String> {
        match self {
            Self::Local => None,
            Self::Ssh(ssh) => Some(shell_words::join(ssh.login_argv())),
            Self::Command(command) => {
                let argv = command.argv();
                Some(shell_words::join(
                    argv.iter().map(|word| word.to_string_lossy()),
                ))
            }
        }
    }

    /// A line for a shell that copies this machine's psess to the far side, where both machines
    /// are alike; `None` on this machine.
    #[must_use]
    pub fn install_line(&self) -> Option<String> {
        match self {
            Self::Local => None,
            Self::Ssh(ssh) => Some(ssh.install_line()),
            Self::Command(command) => Some(command.install_line()),
        }
    }

    /// What psess is called there, where that is configured.
    #[must_use]
    pub fn configured_psess(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Ssh(ssh) => ssh.configured_psess(),
            Self::Command(command) => command.configured_psess(),
        }
    }

    /// The host as the user wrote it, to put before a colon; `None` on this machine.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Ssh(ssh) => Some(ssh.host()),
            Self::Command(command) => Some(command.host()),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

/// Why a dial gave no pipe.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The server of this machine cannot be reached.
    #[error(transparent)]
    Rendezvous(#[from] RendezvousError),
    /// This program's own file, which is to be the keeper, cannot be found.
    #[error("cannot find psess's own program file: {0}")]
    Program(io::Error),
    /// The connection to the socket cannot be waited for.
    #[error("cannot use the connection to the server on this machine: {0}")]
    Socket(io::Error),
    /// The command that was to give the pipe could not be run.
    #[error("cannot run '{}': {error}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}
