//! Starting the keeper, so that it outlives whoever needs it first.
//!
//! The keeper says `ready` or `held` on its standard output, or an error on its standard error;
//! then it lets go of both.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::login::{Login, Plan, runtime_directory};
use super::{RendezvousError, START_TIMEOUT, Surroundings};

/// What the keeper writes to its standard output once clients can connect.
pub const READY: &str = "ready\n";

/// What it writes there when another keeper runs.
pub const HELD: &str = "held\n";

/// The most that is read of what the keeper writes.
const MAX_SAID: usize = 4096;

/// A keeper was started.
pub(super) enum Launched {
    /// It runs; warnings for the user.
    Ready(Vec<String>),
    /// Another one runs.
    NotNeeded,
}

/// Starts `exe keeper` and waits until it is ready.
pub(super) fn launch(exe: &Path, deadline: Instant) -> Result<Launched, RendezvousError> {
    let plan = Login::probe().plan();
    let attempt = run(&mut command(exe, &plan), deadline);
    match attempt {
        Ok(true) => Ok(Launched::Ready(plan.warnings)),
        Ok(false) => Ok(Launched::NotNeeded),
        Err(error) if plan.in_scope => {
            // The user's manager refused; what would be killed in the end is better than nothing.
            let direct = Plan::default();
            match run(&mut command(exe, &direct), deadline)? {
                true => Ok(Launched::Ready(vec![format!(
                    "your sessions may end with this login: systemd-run failed ({error}); \
                     run 'loginctl enable-linger', then 'psess server stop', and start again"
                )])),
                false => Ok(Launched::NotNeeded),
            }
        }
        Err(error) => Err(error),
    }
}

fn command(exe: &Path, plan: &Plan) -> Command {
    // A program file that was replaced since this process began is still there for the kernel.
    let exe = match exe.is_file() {
        true => exe,
        false => Path::new("/proc/self/exe"),
    };
    let mut command = match plan.in_scope {
        false => Command::new(exe),
        true => {
            let mut wrapper = Command::new("systemd-run");
            wrapper.args(["--user", "--scope", "--quiet", "--collect"]);
            wrapper.arg("--description=psess keeper");
            wrapper.arg("--").arg(exe);
            if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
                wrapper.env("XDG_RUNTIME_DIR", runtime_directory());
            }
            wrapper
        }
    };
    command
        .arg("keeper")
        .env_remove("PSESS_SESSION")
        .env_remove("PSESS_SESSION_ID")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(directory) = Surroundings::of_this_process().psess_dir {
        command.env("PSESS_DIR", directory);
    }
    // SAFETY: setsid(2) is async-signal-safe and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            // Fails only for a leader of a process group, which a forked child is not.
            rustix::process::setsid()?;
            Ok(())
        });
    }
    command
}

/// Whether the keeper got ready (or another one is).
fn run(command: &mut Command, deadline: Instant) -> Result<bool, RendezvousError> {
    let mut child = command.spawn().map_err(|error| RendezvousError::Launch {
        program: OsString::from(command.get_program()).into(),
        error,
    })?;
    let said = match listen(&mut child, deadline) {
        Ok(said) => said,
        Err(error) => {
            // A keeper that hangs is not left behind; it may also have just ended.
            drop(child.kill());
            drop(child.wait());
            return Err(match error.kind() {
                io::ErrorKind::TimedOut => RendezvousError::Timeout(START_TIMEOUT),
                _ => RendezvousError::Start(error.to_string()),
            });
        }
    };
    if said.output == READY.as_bytes() {
        return Ok(true);
    }
    // It ends now, or has: not waiting would leave a zombie.
    let status = child
        .wait()
        .map_err(|error| RendezvousError::Start(error.to_string()))?;
    if said.output == HELD.as_bytes() {
        return Ok(false);
    }
    let error = String::from_utf8_lossy(&said.error);
    let error = error.trim().trim_start_matches("psess: ");
    Err(RendezvousError::Start(match error {
        "" => format!("the keeper ended at once ({status})"),
        error => error.to_owned(),
    }))
}

struct Said {
    output: Vec<u8>,
    error: Vec<u8>,
}

/// Reads what the keeper says; an error only where it said nothing else.
fn listen(child: &mut Child, deadline: Instant) -> io::Result<Said> {
    let mut output = child.stdout.take().expect("standard output is a pipe");
    let mut error = child.stderr.take().expect("standard error is a pipe");
    let output = read_all(&mut output, deadline)?;
    let error = match output.as_slice() {
        [] => read_all(&mut error, deadline)?,
        [..] => Vec::new(),
    };
    Ok(Said { output, error })
}

/// Reads until the other side lets go of the pipe; keeps no more than [`MAX_SAID`].
fn read_all(pipe: &mut (impl Read + AsFd), deadline: Instant) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(pipe, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let mut buffer = [0; 1024];
        let length = match pipe.read(&mut buffer) {
            Ok(0) => return Ok(said),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        said.extend_from_slice(&buffer[..length.min(MAX_SAID - said.len())]);
    }
}
