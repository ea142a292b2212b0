//! Taking over the sessions that a server before this one had. Where there is not enough memory, or
//! not enough descriptors, for all of them, those that are left wait until there is: what the
//! keeper holds of them stays as it is.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use psess_protocol::identity::SessionId;
use psess_protocol::message::{ByteString, Failure, Target};
use psess_protocol::name::SessionName;
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::RegistryTask;
use crate::clock::unix_time;
use crate::journal::Journal;
use crate::journal_error::JournalError;
use crate::keeper::protocol::{HeldSession, ToKeeper};
use crate::record::Record;
use crate::registry::{Entry, Reply, Request};
use crate::session::{ConnectionId, Session};
use crate::session_event::{Event, MAILBOX};
use crate::session_task::SessionTask;

/// When to try again.
const TRY_AFTER: Duration = Duration::from_secs(1);

/// A session that could not be taken over yet.
pub(super) struct Waiting {
    record: Record,
    fds: Vec<OwnedFd>,
    /// Who wants to be let in. One that gives up is forgotten at the next try.
    entering: Vec<Entering>,
    /// Who waits for its end.
    killers: Vec<Reply<Result<(), Failure>>>,
}

impl Waiting {
    /// What is known of it.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }
}

/// What a client is let in with, and how it is told.
type Entering = (Vec<ByteString>, Reply<Result<mpsc::Sender<Event>, Failure>>);

impl RegistryTask {
    /// Takes over a session of a server before this one, now or later.
    pub(super) fn adopt(&mut self, held: HeldSession, fds: Vec<OwnedFd>) {
        let record = record_of(held);
        let Err(error) = self.run_session(record.clone(), &fds, None) else {
            return;
        };
        let name = &record.name;
        tracing::error!("session '{name}' cannot be taken over yet: {error:#}");
        // Two servers ago there may have been another of this name: then it is taken already.
        let _ = self.entries.reserve(Some(name), "");
        if self.waiting.is_empty() {
            self.take_over_later();
        }
        self.waiting.push(Waiting {
            record,
            fds,
            entering: Vec::new(),
            killers: Vec::new(),
        });
    }

    /// Tries again to take over what waits.
    pub(super) fn take_over_waiting(&mut self) {
        for mut waiting in std::mem::take(&mut self.waiting) {
            match self.run_session(waiting.record.clone(), &waiting.fds, None) {
                Ok(()) => {
                    let Record { id, name, .. } = waiting.record;
                    tracing::info!("session '{name}' is taken over at last");
                    if let Some(entry) = self.entries.get_mut(id) {
                        entry.killers = waiting.killers;
                    }
                    for (environment, reply) in waiting.entering {
                        let _ = reply.send(self.enter(&Target::Id(id), environment));
                    }
                }
                Err(_) => {
                    waiting.entering.retain(|(_, reply)| !reply.is_closed());
                    self.waiting.push(waiting);
                }
            }
        }
        if !self.waiting.is_empty() {
            self.take_over_later();
        }
    }

    /// Sessions that wait to be taken over.
    pub(super) fn waiting_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.waiting.iter().map(|waiting| waiting.record.id)
    }

    /// Whether this target waits to be taken over.
    pub(super) fn waits(&self, target: &Target) -> bool {
        self.waiting
            .iter()
            .any(|waiting| is_meant(target, &waiting.record))
    }

    /// Lets a client in once the session, which waits, is taken over.
    pub(super) fn enter_later(
        &mut self,
        target: &Target,
        environment: Vec<ByteString>,
        reply: Reply<Result<mpsc::Sender<Event>, Failure>>,
    ) {
        let mut waiting = self.waiting.iter_mut();
        if let Some(waiting) = waiting.find(|waiting| is_meant(target, &waiting.record)) {
            waiting.entering.push((environment, reply));
        }
    }

    /// Ends a session that waits, or sends it a signal, as if it did not: that may be what makes
    /// room for the others.
    pub(super) fn kill_waiting(
        &mut self,
        target: &Target,
        signal: u8,
        reply: Reply<Result<(), Failure>>,
    ) -> anyhow::Result<()> {
        let mut waiting = self.waiting.iter_mut();
        let Some(waiting) = waiting.find(|waiting| is_meant(target, &waiting.record)) else {
            return Ok(());
        };
        let session = waiting.record.id;
        if signal != 0 && waiting.record.outcome.is_none() {
            let _ = reply.send(Ok(()));
            return self.keeper.send(&ToKeeper::Signal { session, signal });
        }
        waiting.killers.push(reply);
        if waiting.record.outcome.is_some() {
            return self.forget_waiting(session);
        }
        self.keeper.send(&ToKeeper::Signal { session, signal: 0 })?;
        self.insist_later(session, libc::SIGTERM as u8);
        Ok(())
    }

    /// Whether a session waits, and somebody for its end.
    pub(super) fn is_waited_to_end(&self, session: SessionId) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| waiting.record.id == session && !waiting.killers.is_empty())
    }

    /// The program of a session that waits ended.
    pub(super) fn note_exit(
        &mut self,
        session: SessionId,
        outcome: Outcome,
        time: u64,
    ) -> anyhow::Result<()> {
        let mut waiting = self.waiting.iter_mut();
        if let Some(waiting) = waiting.find(|waiting| waiting.record.id == session) {
            waiting.record.outcome = Some((outcome, time));
        }
        match self.is_waited_to_end(session) {
            true => self.forget_waiting(session),
            false => Ok(()),
        }
    }

    fn forget_waiting(&mut self, session: SessionId) -> anyhow::Result<()> {
        let mut waiting = self.waiting.iter();
        let Some(place) = waiting.position(|waiting| waiting.record.id == session) else {
            return Ok(());
        };
        let waiting = self.waiting.remove(place);
        self.entries.release(&waiting.record.name);
        self.let_go(session)?;
        for killer in waiting.killers {
            let _ = killer.send(Ok(()));
        }
        for (environment, reply) in waiting.entering {
            let _ = reply.send(self.enter(&Target::Id(session), environment));
        }
        Ok(())
    }

    /// Runs a session with what the keeper holds of it: pty, journal and input. When it fails,
    /// that stays as it is. One that just began waits for the connection that it was started for.
    pub(super) fn run_session(
        &mut self,
        record: Record,
        fds: &[OwnedFd],
        started_for: Option<ConnectionId>,
    ) -> anyhow::Result<()> {
        let [pty, journal, input] = fds else {
            return Err(anyhow!("descriptors are missing"));
        };
        let again = || Ok::<_, JournalError>((journal.try_clone()?, input.try_clone()?));
        let opened = again().and_then(|(journal, input)| Journal::open(journal, input));
        let opened = match opened {
            Err(JournalError::Unreadable(reason)) => {
                tracing::error!(
                    "the past of session '{}' is lost: its journal cannot be read: {reason}",
                    record.name
                );
                again()
                    .and_then(|(journal, input)| Journal::begin_anew(journal, input, unix_time()))
            }
            opened => opened,
        };
        let journal = opened.context("no memory for its journal")?;
        let pty = pty.try_clone().context("no descriptor for its terminal")?;
        let now = Instant::now();
        let mut session = Session::after(
            self.introduction.predecessor,
            now,
            record.clone(),
            journal,
            self.history_limits,
        );
        if session.is_set_aside() {
            tracing::error!("session '{}' is set aside: servers died of it", record.name);
        }
        if let Some(connection) = started_for {
            session.wait_for_first_client(now, connection);
        }
        let task = SessionTask::new(session, pty, self.registry.clone(), self.turns.clone())?;
        let line = task.line();
        let (mailbox, mail) = mpsc::channel(MAILBOX);
        let (id, finished) = (record.id, record.outcome);
        self.entries.insert(Entry {
            record,
            mailbox,
            line,
            client_environment: Vec::new(),
            killers: Vec::new(),
        });
        tokio::spawn(Box::new(task).run(mail));
        if let Some((_, time)) = finished {
            self.expire_later(id, time);
        }
        Ok(())
    }

    fn take_over_later(&self) {
        let registry = self.registry.clone();
        tokio::spawn(async move {
            sleep(TRY_AFTER).await;
            registry.send(Request::TakeOver);
        });
    }
}

/// What a session is, as the server before this one told the keeper, and what the keeper knows.
fn record_of(held: HeldSession) -> Record {
    let mut record = Record::decode(&held.blob).unwrap_or_else(|error| {
        tracing::error!("session {} has lost its record: {error}", held.session);
        Record {
            id: held.session,
            name: SessionName::nearest(&format!("recovered-{}", held.pid)),
            command: String::new(),
            created: held.created,
            attached: 0,
            size: Size::default(),
            pid: held.pid,
            outcome: None,
        }
    });
    record.pid = held.pid;
    record.outcome = held.finished;
    record
}

/// Whether a session is meant by its whole name or its id.
fn is_meant(target: &Target, record: &Record) -> bool {
    match target {
        Target::Id(session) => *session == record.id,
        Target::Name(name) => name == record.name.as_str(),
        Target::Latest => false,
    }
}
