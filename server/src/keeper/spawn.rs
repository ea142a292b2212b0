//! Starting a session's program on a pty of its own, with errors that say what failed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use psess_protocol::account::Account;
use rustix::fs::{Access, AtFlags, MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use super::child::{self, Inheritance};
use super::protocol::{Spawn, SpawnStage};
use crate::pty::Pty;

/// The largest journal, in bytes. Memory that is not written costs nothing.
const MAX_JOURNAL: u64 = 4 * 1024 * 1024 * 1024;

/// A program that runs.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: Pid,
    /// Readable once the program ended (pidfd_open(2)).
    pub(super) pidfd: OwnedFd,
    pub(super) master: OwnedFd,
    pub(super) journal: OwnedFd,
    pub(super) input: OwnedFd,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct SpawnError {
    pub(super) stage: SpawnStage,
    /// errno(3), or 0.
    pub(super) errno: i32,
    pub(super) message: String,
}

impl SpawnError {
    fn new(stage: SpawnStage, what: &str, error: &io::Error) -> Self {
        Self {
            stage,
            errno: error.raw_os_error().unwrap_or(0),
            message: format!("{what}: {}", reason(error)),
        }
    }
}

/// Starts a program. Nothing is left behind when it fails.
pub(super) fn spawn(request: &Spawn, inheritance: &Inheritance) -> Result<Started, SpawnError> {
    refuse_nul(request)?;
    let cwd = open_directory(&request.cwd)?;
    let journal = memory("psess-journal", request.journal_bytes)?;
    let input = memory("psess-input", 0)?;
    let Pty { master, slave } = Pty::open(request.size.clamped()).map_err(|error| SpawnError {
        stage: SpawnStage::Pty,
        errno: error
            .downcast_ref::<Errno>()
            .map_or(0, |errno| errno.raw_os_error()),
        message: format!("cannot open a pty: {error:#}"),
    })?;

    let (program, mut command) = command(request);
    let streams = [slave.try_clone(), slave.try_clone(), Ok(slave)];
    let [stdin, stdout, stderr] = streams
        .map(|stream| stream.map_err(|error| SpawnError::new(SpawnStage::Pty, "a pty", &error)));
    command.stdin(stdin?).stdout(stdout?).stderr(stderr?);
    child::prepare_program(&mut command, cwd, request.umask, inheritance);
    let mut child = command
        .spawn()
        .map_err(|error| not_executed(&program, &request.cwd, &error))?;
    let pid = Pid::from_child(&child);
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Started {
            pid,
            pidfd,
            master,
            journal,
            input,
        }),
        Err(error) => {
            // A program that cannot be waited for is not kept. It is our child and not
            // reaped yet: neither can fail.
            drop(child.kill());
            drop(child.wait());
            let what = format!("cannot watch '{}'", program.display());
            Err(SpawnError::new(SpawnStage::Program, &what, &error.into()))
        }
    }
}

/// The program's path or name, and how to start it.
fn command(request: &Spawn) -> (PathBuf, Command) {
    let (program, argv0) = match request.argv.first() {
        Some(program) => (
            PathBuf::from(OsStr::from_bytes(program)),
            request.argv0.clone(),
        ),
        None => {
            let shell = login_shell(&request.environment);
            let mut argv0 = b"-".to_vec();
            argv0.extend_from_slice(shell.file_name().unwrap_or(OsStr::new("sh")).as_bytes());
            (shell, Some(argv0))
        }
    };
    let mut command = Command::new(&program);
    command.env_clear();
    let arguments = request.argv.iter().skip(1);
    command.args(arguments.map(|argument| OsStr::from_bytes(argument)));
    if let Some(argv0) = &argv0 {
        command.arg0(OsStr::from_bytes(argv0));
    }
    for entry in &request.environment {
        if let Some((key, value)) = split_entry(entry) {
            command.env(OsStr::from_bytes(key), OsStr::from_bytes(value));
        }
    }
    (program, command)
}

/// `$SHELL` of the session, else that of the password file, else /bin/sh; the first that can be
/// executed.
fn login_shell(environment: &[Vec<u8>]) -> PathBuf {
    let of_environment = environment.iter().rev().find_map(|entry| {
        let (key, value) = split_entry(entry)?;
        (key == b"SHELL").then(|| PathBuf::from(OsStr::from_bytes(value)))
    });
    let of_account = || Account::of_this_process().map(|account| account.shell);
    let executable = |path: &PathBuf| {
        path.is_absolute()
            && std::fs::metadata(path)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    of_environment
        .filter(executable)
        .or_else(|| of_account().filter(executable))
        .unwrap_or_else(|| PathBuf::from("/bin/sh"))
}

/// Key and value of `K=V`; `None` for what is no such entry.
fn split_entry(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = entry.iter().position(|byte| *byte == b'=')?;
    (equals > 0).then(|| (&entry[..equals], &entry[equals + 1..]))
}

fn refuse_nul(request: &Spawn) -> Result<(), SpawnError> {
    let argv = request.argv.iter().chain(&request.argv0);
    let mut all = argv.chain(&request.environment).chain([&request.cwd]);
    match all.any(|bytes| bytes.contains(&0)) {
        false => Ok(()),
        true => Err(SpawnError {
            stage: SpawnStage::Request,
            errno: libc::EINVAL,
            message: "a NUL byte in the command, the environment or the directory".to_owned(),
        }),
    }
}

/// Opens the working directory, which the child enters by descriptor: an error of the exec that
/// follows can only be about the program.
fn open_directory(path: &[u8]) -> Result<OwnedFd, SpawnError> {
    let path = Path::new(OsStr::from_bytes(path));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).and_then(|directory| {
        rustix::fs::accessat(&directory, ".", Access::EXEC_OK, AtFlags::EACCESS)?;
        Ok(directory)
    });
    opened.map_err(|error| {
        let what = format!("cannot enter directory '{}'", path.display());
        SpawnError::new(SpawnStage::Directory, &what, &error.into())
    })
}

fn memory(name: &str, bytes: u64) -> Result<OwnedFd, SpawnError> {
    if bytes > MAX_JOURNAL {
        return Err(SpawnError {
            stage: SpawnStage::Journal,
            errno: libc::EFBIG,
            message: format!("a journal of {bytes} bytes is larger than {MAX_JOURNAL}"),
        });
    }
    // Since Linux 6.3 a system may insist on memory that cannot be executed (memfd_create(2));
    // before, the flag is not known.
    let flags = MemfdFlags::CLOEXEC;
    let made = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        made => made,
    };
    let made = made.and_then(|memory| {
        rustix::fs::ftruncate(&memory, bytes)?;
        Ok(memory)
    });
    made.map_err(|error| {
        let what = format!("cannot get {bytes} bytes of memory for a journal");
        SpawnError::new(SpawnStage::Journal, &what, &error.into())
    })
}

fn not_executed(program: &Path, cwd: &[u8], error: &io::Error) -> SpawnError {
    let what = format!("cannot execute '{}'", program.display());
    let by_path = program.as_os_str().as_bytes().contains(&b'/');
    let there = Path::new(OsStr::from_bytes(cwd)).join(program).exists();
    let mut failed = SpawnError::new(SpawnStage::Program, &what, error);
    if error.kind() == io::ErrorKind::NotFound {
        failed.message = match (by_path, there) {
            (false, _) => format!("{what}: not found in the session's PATH"),
            (true, false) => format!("{what}: no such file"),
            // execve(2): ENOENT also for a script's interpreter or a program's loader.
            (true, true) => format!("{what}: the interpreter it names does not exist"),
        };
    }
    failed
}

/// An error without the number that std appends.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
