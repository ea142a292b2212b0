//! The server as the keeper's child: its start, the channel to it, its death and the pause
//! before the next.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus};

use super::backoff::{Backoff, Death};
use super::channel::{Channel, KeeperChannel};
use super::child;
use super::introduction::{Introduction, Predecessor};
use super::log;
use crate::clock::unix_time;

/// How long a server may live after it closed its channel.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The server, or the lack of one.
#[derive(Debug)]
pub(super) struct ServerProcess {
    program: PathBuf,
    backoff: Backoff,
    /// How many were started.
    starts: u32,
    /// What the next one is told.
    introduction: Introduction,
    state: State,
}

#[derive(Debug)]
enum State {
    Running(Running),
    /// About to end. The next one waits for that: no two may read the same pty.
    Ending {
        pidfd: OwnedFd,
        started: Instant,
        /// It broke the protocol.
        at_fault: bool,
        /// When it is killed, unless it was.
        kill_due: Option<Instant>,
    },
    Pausing {
        until: Instant,
    },
}

#[derive(Debug)]
struct Running {
    channel: KeeperChannel,
    pidfd: OwnedFd,
    started: Instant,
}

impl ServerProcess {
    /// Not started yet: due at once.
    pub(super) fn new(program: PathBuf, now: Instant) -> Self {
        Self {
            program,
            backoff: Backoff::default(),
            starts: 0,
            introduction: Introduction {
                predecessor: Predecessor::Left,
                keeper_build: env!("CARGO_PKG_VERSION").to_owned(),
                keeper_started: unix_time(),
            },
            state: State::Pausing { until: now },
        }
    }

    /// How many were started, to begin with: by a keeper before this one.
    pub(super) fn count_earlier(&mut self, starts: u32) {
        self.starts = starts;
    }

    /// How many were started.
    pub(super) fn starts(&self) -> u32 {
        self.starts
    }

    /// Where the program is installed.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// How many servers were there before the one that runs.
    pub(super) fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// The channel to it, while it runs.
    pub(super) fn channel(&mut self) -> Option<&mut KeeperChannel> {
        match &mut self.state {
            State::Running(running) => Some(&mut running.channel),
            State::Ending { .. } | State::Pausing { .. } => None,
        }
    }

    /// The channel to it, to poll.
    pub(super) fn channel_to_poll(&self) -> Option<&KeeperChannel> {
        match &self.state {
            State::Running(running) => Some(&running.channel),
            State::Ending { .. } | State::Pausing { .. } => None,
        }
    }

    /// Readable once it ended.
    pub(super) fn end_to_poll(&self) -> Option<&OwnedFd> {
        match &self.state {
            State::Running(Running { pidfd, .. }) | State::Ending { pidfd, .. } => Some(pidfd),
            State::Pausing { .. } => None,
        }
    }

    /// When [`ServerProcess::handle_time`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Running(_) => None,
            State::Ending { kill_due, .. } => *kill_due,
            State::Pausing { until } => Some(*until),
        }
    }

    /// What [`ServerProcess::due`] said has come, perhaps. Whether the next server is to start.
    pub(super) fn handle_time(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::Running(_) => false,
            State::Ending {
                pidfd, kill_due, ..
            } => {
                if kill_due.is_some_and(|due| due <= now) {
                    *kill_due = None;
                    // Fails only for one that ended already.
                    let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
                }
                false
            }
            State::Pausing { until } => *until <= now,
        }
    }

    /// Starts it. One that cannot be started counts as having died at once.
    pub(super) fn start(&mut self, now: Instant, log: &Path) {
        match execute(&self.program, log, &self.introduction) {
            Ok((channel, pidfd)) => {
                self.starts = self.starts.saturating_add(1);
                self.state = State::Running(Running {
                    channel,
                    pidfd,
                    started: now,
                });
            }
            Err(error) => {
                log::append(log, &format!("{error:#}"));
                self.pause(now, Death::Itself, Duration::ZERO);
            }
        }
    }

    /// It closed its channel, as one that ends does: it gets a moment to do so.
    pub(super) fn handle_closed(&mut self, now: Instant) {
        self.end(false, Some(now + LAST_MOMENT));
    }

    /// Ends the one that runs, without asking: it broke the protocol, or the keeper leaves.
    pub(super) fn kill(&mut self) {
        if let State::Running(running) = &self.state {
            // Fails only for one that ended already.
            let _ = rustix::process::pidfd_send_signal(&running.pidfd, Signal::KILL);
        }
        self.end(true, None);
    }

    fn end(&mut self, at_fault: bool, kill_due: Option<Instant>) {
        // Never seen: replaced before this returns.
        let until = Instant::now();
        self.state = match std::mem::replace(&mut self.state, State::Pausing { until }) {
            State::Running(Running { pidfd, started, .. }) => State::Ending {
                pidfd,
                started,
                at_fault,
                kill_due,
            },
            other @ (State::Ending { .. } | State::Pausing { .. }) => other,
        };
    }

    /// It ended. How, in words, once it really did.
    pub(super) fn handle_end(&mut self, now: Instant) -> Option<(String, Predecessor)> {
        let status = reap(self.end_to_poll()?)?;
        let (started, at_fault) = match &self.state {
            State::Running(Running { started, .. }) => (*started, false),
            State::Ending {
                started, at_fault, ..
            } => (*started, *at_fault),
            State::Pausing { .. } => (now, true),
        };
        let (how, predecessor) = match (status.exit_status(), status.terminating_signal()) {
            (Some(0), _) => ("exit 0".to_owned(), Predecessor::Left),
            (Some(status), _) => (format!("exit {status}"), Predecessor::Crashed),
            (None, Some(libc::SIGKILL)) if !at_fault => ("killed".to_owned(), Predecessor::Killed),
            (None, Some(signal)) => (format!("signal {signal}"), Predecessor::Crashed),
            (None, None) => ("an unknown end".to_owned(), Predecessor::Crashed),
        };
        let death = match predecessor {
            Predecessor::Left | Predecessor::Killed => Death::Outside,
            Predecessor::Crashed => Death::Itself,
        };
        self.introduction.predecessor = predecessor;
        self.pause(now, death, now.saturating_duration_since(started));
        Some((how, predecessor))
    }

    fn pause(&mut self, now: Instant, death: Death, lived: Duration) {
        let until = now + self.backoff.handle_death(death, lived);
        self.state = State::Pausing { until };
    }
}

/// The status of a child that ended.
pub(super) fn reap(pidfd: &OwnedFd) -> Option<WaitIdStatus> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    // An error would mean that it is no child of ours: it is, and reaped only here.
    rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options).ok()?
}

fn execute(
    program: &Path,
    log: &Path,
    introduction: &Introduction,
) -> anyhow::Result<(KeeperChannel, OwnedFd)> {
    let (channel, theirs) = Channel::pair().context("cannot make a channel to the server")?;
    // What stands at the path now: after an upgrade, the new program. While there is none, the
    // keeper's own, which the kernel still has.
    let program = match program.is_file() {
        true => program,
        false => Path::new("/proc/self/exe"),
    };
    let mut command = Command::new(program);
    command
        .arg("server")
        .current_dir("/")
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(log::open(log).map_or_else(|_| Stdio::null(), Stdio::from));
    introduction.tell(&mut command);
    child::prepare_server(&mut command);
    let child = command
        .spawn()
        .with_context(|| format!("cannot start the server '{}'", program.display()))?;
    let pid = Pid::from_child(&child);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty());
    match pidfd {
        Ok(pidfd) => Ok((channel, pidfd)),
        Err(error) => {
            let mut child = child;
            // Our child and not reaped yet: neither can fail.
            drop(child.kill());
            drop(child.wait());
            Err(error).context("cannot watch the server")
        }
    }
}
