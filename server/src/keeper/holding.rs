//! What the keeper holds: sessions with their descriptors, and programs that nobody asks for any
//! more but that must still be reaped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use psess_protocol::identity::SessionId;
use psess_protocol::outcome::Outcome;
use rustix::process::{Pid, Signal, WaitIdStatus};

use super::protocol::{HeldSession, SESSION_DESCRIPTORS};
use super::server_process::reap;
use super::spawn::Started;
use crate::process_group;

/// All sessions, in order of their creation.
#[derive(Debug, Default)]
pub(super) struct Holding {
    sessions: Vec<Session>,
    /// Programs of sessions that were forgotten while they ran.
    forgotten: Vec<OwnedFd>,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    created: u64,
    pid: Pid,
    master: OwnedFd,
    journal: OwnedFd,
    input: OwnedFd,
    blob: Vec<u8>,
    program: Program,
}

#[derive(Debug)]
enum Program {
    /// Until its end can be read here.
    Running(OwnedFd),
    /// How it ended and when, in seconds since 1970.
    Ended(Outcome, u64),
}

/// A session, its descriptors, and while its program runs the one that tells of its end.
pub(super) type BequestedSession<'a> = (
    HeldSession,
    [BorrowedFd<'a>; SESSION_DESCRIPTORS],
    Option<BorrowedFd<'a>>,
);

impl Session {
    pub(super) fn new(id: SessionId, started: Started, blob: Vec<u8>, created: u64) -> Self {
        Self {
            id,
            created,
            pid: started.pid,
            master: started.master,
            journal: started.journal,
            input: started.input,
            blob,
            program: Program::Running(started.pidfd),
        }
    }

    /// One that a keeper before this one held; `None` when it neither runs nor ended.
    pub(super) fn inherited(
        held: HeldSession,
        [master, journal, input]: [OwnedFd; SESSION_DESCRIPTORS],
        end: Option<OwnedFd>,
    ) -> Option<Self> {
        Some(Self {
            id: held.session,
            created: held.created,
            pid: Pid::from_raw(held.pid.try_into().ok()?)?,
            master,
            journal,
            input,
            blob: held.blob,
            program: match (held.finished, end) {
                (None, Some(end)) => Program::Running(end),
                (Some((outcome, time)), None) => Program::Ended(outcome, time),
                (None, None) | (Some(_), Some(_)) => return None,
            },
        })
    }

    /// As the next keeper is told of it.
    fn bequeathed(&self) -> BequestedSession<'_> {
        let end = match &self.program {
            Program::Running(end) => Some(end.as_fd()),
            Program::Ended(..) => None,
        };
        (self.held(), self.descriptors(), end)
    }

    /// As a server is told of it.
    pub(super) fn held(&self) -> HeldSession {
        HeldSession {
            session: self.id,
            pid: self.pid.as_raw_nonzero().get().unsigned_abs(),
            created: self.created,
            finished: match &self.program {
                Program::Running(_) => None,
                Program::Ended(outcome, time) => Some((*outcome, *time)),
            },
            blob: self.blob.clone(),
        }
    }

    /// In the protocol's order.
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; SESSION_DESCRIPTORS] {
        [&self.master, &self.journal, &self.input].map(AsFd::as_fd)
    }

    fn signal(&self, signal: Signal) {
        let mut groups = Vec::new();
        // The number of a program that was reaped may be another's by now.
        if let Program::Running(_) = self.program {
            groups.push(self.pid);
        }
        if let Ok(foreground) = rustix::termios::tcgetpgrp(&self.master)
            && foreground != self.pid
        {
            groups.push(foreground);
        }
        for group in groups {
            process_group::signal(group, signal);
        }
    }
}

impl Holding {
    /// What a keeper before this one held.
    pub(super) fn inherited(sessions: Vec<Session>, forgotten: Vec<OwnedFd>) -> Self {
        Self {
            sessions,
            forgotten,
        }
    }

    /// All of it, for the next keeper.
    pub(super) fn bequeathed(&self) -> (Vec<BequestedSession<'_>>, Vec<BorrowedFd<'_>>) {
        let sessions = self.sessions.iter().map(Session::bequeathed);
        let forgotten = self.forgotten.iter().map(AsFd::as_fd);
        (sessions.collect(), forgotten.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.sessions.iter().map(|session| session.id).collect()
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    pub(super) fn insert(&mut self, session: Session) {
        self.sessions.push(session);
    }

    pub(super) fn set_blob(&mut self, id: SessionId, blob: Vec<u8>) {
        if let Some(session) = self.get_mut(id) {
            session.blob = blob;
        }
    }

    /// 0 means SIGHUP; numbers without a name are ignored.
    pub(super) fn signal(&self, id: SessionId, signal: u8) {
        let signal = match signal {
            0 => Some(Signal::HUP),
            number => Signal::from_named_raw(number.into()),
        };
        if let (Some(session), Some(signal)) = (self.get(id), signal) {
            session.signal(signal);
        }
    }

    /// Closes the session's terminal and journals, and hangs up on a program that still runs: the
    /// kernel does so when nobody else has the terminal open, as a client may that is stopped.
    pub(super) fn forget(&mut self, id: SessionId) {
        if let Some(place) = self.sessions.iter().position(|session| session.id == id) {
            let session = self.sessions.remove(place);
            if let Program::Running(_) = session.program {
                session.signal(Signal::HUP);
            }
            match session.program {
                Program::Running(end) => self.forgotten.push(end),
                Program::Ended(..) => {}
            }
        }
    }

    /// Hangs up on every program.
    pub(super) fn hang_up(&self) {
        self.sessions
            .iter()
            .for_each(|session| session.signal(Signal::HUP));
    }

    /// What to poll for the end of programs.
    pub(super) fn ends(&self) -> impl Iterator<Item = (SessionId, &OwnedFd)> {
        self.sessions
            .iter()
            .filter_map(|session| match &session.program {
                Program::Running(end) => Some((session.id, end)),
                Program::Ended(..) => None,
            })
    }

    /// What to poll for the end of programs that were forgotten.
    pub(super) fn forgotten_ends(&self) -> impl Iterator<Item = &OwnedFd> {
        self.forgotten.iter()
    }

    /// How a session's program ended, once it did: told once.
    pub(super) fn reap(&mut self, id: SessionId, now: u64) -> Option<(Outcome, u64)> {
        let session = self.get_mut(id)?;
        let Program::Running(end) = &session.program else {
            return None;
        };
        let outcome = outcome(&reap(end)?)?;
        session.program = Program::Ended(outcome, now);
        Some((outcome, now))
    }

    /// Reaps forgotten programs that ended.
    pub(super) fn reap_forgotten(&mut self) {
        self.forgotten.retain(|end| reap(end).is_none());
    }

    fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }
}

/// Statuses and signals are below 256 (wait(2)).
fn outcome(status: &WaitIdStatus) -> Option<Outcome> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Some(Outcome::Exited(u8::try_from(status).unwrap_or(u8::MAX))),
        (None, Some(signal)) => Some(Outcome::Signaled(u8::try_from(signal).unwrap_or(u8::MAX))),
        (None, None) => None,
    }
}
