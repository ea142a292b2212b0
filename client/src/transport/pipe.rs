//! A byte pipe to a server, and the processes behind it.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use psess_descriptor::{Sink, Source};

use super::DialError;
use super::end::PipeEnd;
use super::process::Process;

/// A byte pipe to a server. Dropping it ends every process behind it.
pub struct Pipe {
    /// What the server sends.
    pub reader: Source,
    /// What the server gets.
    pub writer: Sink,
    /// What the user ought to know, each a sentence, when this dial started a keeper: that
    /// logout ends the sessions, say. Over a command they come by its stderr.
    pub warnings: Vec<String>,
    process: Option<Process>,
}

impl Pipe {
    /// Runs `argv` with pipes for stdin, stdout and stderr.
    pub(super) fn spawn(argv: &[OsString], interactive: bool) -> Result<Self, DialError> {
        let (process, stdin, stdout) = Process::spawn(argv, interactive)?;
        Ok(Self {
            reader: stdout,
            writer: stdin,
            warnings: Vec::new(),
            process: Some(process),
        })
    }

    /// Takes over a connected socket.
    pub(crate) fn from_socket(socket: UnixStream, warnings: Vec<String>) -> io::Result<Self> {
        let socket = OwnedFd::from(socket);
        Ok(Self {
            writer: Sink::new(socket.try_clone()?)?,
            reader: Source::new(socket)?,
            warnings,
            process: None,
        })
    }

    /// The server has answered: what the command writes to its stderr from now on is only kept,
    /// not shown, as the terminal may be in raw mode. What it wrote so far is forgotten: far
    /// start-up files speak there, which know nothing of the connection's end. And what the command
    /// has started by now, a ProxyCommand say, ends with the pipe, also where it outlives the command.
    pub fn quiet(&mut self) {
        if let Some(process) = &mut self.process {
            process.quiet();
        }
    }

    /// The process id of the command, while it runs; `None` for a socket.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    /// The address of this machine that the command speaks from; `None` where that is not known,
    /// as through a ControlMaster, and for a socket.
    #[must_use]
    pub fn local_address(&self) -> Option<IpAddr> {
        self.process.as_ref().and_then(Process::local_address)
    }

    /// The last lines that the command wrote to its stderr since [`Pipe::quiet`]; empty for a
    /// socket.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process
            .as_ref()
            .map(Process::stderr)
            .unwrap_or_default()
    }

    /// Tells why the pipe ended: to be called after the reader or the writer failed. Waits a
    /// moment for the command to exit, and ends it when it does not.
    pub async fn ended(&mut self) -> PipeEnd {
        match &mut self.process {
            Some(process) => process.ended().await,
            None => PipeEnd::of_socket(),
        }
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
