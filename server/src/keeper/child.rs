//! What the keeper's children undergo between fork and exec. Everything in here is
//! async-signal-safe: system calls, and memory that was made ready before the fork.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, Signal};

const OOM_SCORE: &std::ffi::CStr = c"/proc/self/oom_score_adj";

/// The server is what is to go when memory runs out, rather than a program.
const OFFERED: &[u8] = b"500";

/// How much the keeper asks to be spared when memory runs out (proc(5), oom_score_adj).
const SPARED: i32 = -900;

/// What the keeper changed about its own process and programs must not inherit.
#[derive(Clone, Debug)]
pub(super) struct Inheritance {
    descriptors: Rlimit,
    oom_score: Option<Arc<[u8]>>,
}

impl Inheritance {
    /// Raises this process's limit of descriptors as far as it goes, asks the kernel to
    /// spare it (which only the privileged may), and remembers what was before.
    pub(super) fn take() -> Self {
        let descriptors = rustix::process::getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: descriptors.maximum,
            maximum: descriptors.maximum,
        };
        // Without it there is room for fewer sessions, no more.
        let _ = rustix::process::setrlimit(Resource::Nofile, raised);
        Self {
            descriptors,
            oom_score: spare_from_oom(),
        }
    }

    /// As if nothing had been changed.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self {
            descriptors: rustix::process::getrlimit(Resource::Nofile),
            oom_score: None,
        }
    }

    /// The same, as the keeper before this one had found it.
    pub(super) fn again(descriptors: Rlimit, oom_score: Option<&[u8]>) -> Self {
        Self {
            descriptors,
            oom_score: oom_score.map(Arc::from),
        }
    }

    /// The limit of descriptors before.
    pub(super) fn descriptors(&self) -> Rlimit {
        self.descriptors
    }

    /// The oom_score_adj before, where it was lowered.
    pub(super) fn oom_score(&self) -> Option<&[u8]> {
        self.oom_score.as_deref()
    }

    fn restore_descriptors(&self) {
        // Lowering a soft limit cannot fail.
        let _ = rustix::process::setrlimit(Resource::Nofile, self.descriptors);
    }

    fn restore_oom_score(&self) {
        if let Some(score) = &self.oom_score {
            write_oom_score(score);
        }
    }
}

fn write_oom_score(score: &[u8]) {
    if let Ok(file) = rustix::fs::open(OOM_SCORE, OFlags::WRONLY, Mode::empty()) {
        // Raising it is always allowed.
        let _ = rustix::io::write(file, score);
    }
}

/// The score before, where it could be lowered.
fn spare_from_oom() -> Option<Arc<[u8]>> {
    let path = OOM_SCORE.to_str().expect("ASCII");
    let before = std::fs::read_to_string(path).ok()?;
    let before = before.trim();
    if before.parse::<i32>().ok()? <= SPARED {
        return None;
    }
    std::fs::write(path, SPARED.to_string()).ok()?;
    Some(before.as_bytes().into())
}

/// Makes `command` begin as a session's program: a session of its own, with standard input (a
/// pty) as its controlling terminal, in the directory `cwd`, all signals at their defaults and
/// unblocked, no descriptors but the standard three.
pub(super) fn prepare_program(
    command: &mut Command,
    cwd: OwnedFd,
    umask: Option<u16>,
    inheritance: &Inheritance,
) {
    let inheritance = inheritance.clone();
    let begin = move || {
        reset_signals()?;
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        rustix::process::fchdir(&cwd)?;
        if let Some(umask) = umask {
            rustix::process::umask(Mode::from_raw_mode(umask.into()));
        }
        inheritance.restore_descriptors();
        inheritance.restore_oom_score();
        close_on_exec()
    };
    // SAFETY: the closure makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(begin) };
}

/// Makes `command` begin as the server: like a program, but without a terminal, with room for
/// many descriptors, and gone when the keeper is.
pub(super) fn prepare_server(command: &mut Command) {
    let begin = move || {
        reset_signals()?;
        // A server without its keeper could neither be found nor replaced.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // Its successor recovers everything, which no program could.
        write_oom_score(OFFERED);
        close_on_exec()
    };
    // SAFETY: the closure makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(begin) };
}

/// Gives every signal its default action, and blocks none.
fn reset_signals() -> io::Result<()> {
    // By number: the C library's sigaction(2) refuses the two signals it keeps to itself, which
    // may well come ignored from a parent. Zeroes are SIG_DFL, no flags and an empty mask in the
    // kernel's struct, which is no larger than this on any Linux.
    let default = [0_u64; 8];
    const LAST_SIGNAL: libc::c_int = 64;
    const MASK_BYTES: usize = 8;
    for signal in 1..=LAST_SIGNAL {
        let none = std::ptr::null_mut::<u64>();
        // Refused for KILL and STOP: those cannot be anything else.
        // SAFETY: `default` is valid for reading; the old action is not asked for.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                none,
                MASK_BYTES,
            )
        };
    }
    // SAFETY: zeroes are a valid set, which sigemptyset initialises all the same.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `none` is valid; the old mask is not asked for.
    let failed = unsafe {
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    match failed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Leaves a program the standard three descriptors, whatever else is open here.
fn close_on_exec() -> io::Result<()> {
    // By number: the C library of older systems lacks the function. Linux 5.11 has CLOEXEC; before,
    // what is left is close-on-exec anyway, since all of the keeper's descriptors are.
    // SAFETY: only sets a flag on descriptors.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    Ok(())
}

/// Closes every descriptor that this process was started with, but the standard three.
pub(super) fn close_inherited() {
    // SAFETY: called first thing by the keeper's role, when nothing in this process owns a
    // descriptor yet.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}
