//! All sessions of a server: finds, starts, lists and ends them, on behalf of connections, with
//! the keeper's help.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use psess_protocol::identity::SessionId;
use psess_protocol::message::{
    ByteString, Created, Failure, FailureKind, NewSession, ProcessUsage, ServerStatus,
    SessionSummary, Target,
};
use psess_protocol::name::SessionName;
use tokio::sync::{mpsc, oneshot, watch};

use crate::record::Record;
use crate::session::ConnectionId;
use crate::session_event::Event;

/// Whom connections and sessions ask. A handle: the registry itself is a task.
#[derive(Clone, Debug)]
pub(crate) struct Registry(mpsc::UnboundedSender<Request>);

/// Answers a request.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What the registry is asked and told. The queue is not bounded by itself: a connection waits
/// for its answer before it asks again, and a session tells of events that are rare.
#[derive(Debug)]
pub(crate) enum Request {
    /// Start a session on behalf of a connection, in this environment.
    New(
        ConnectionId,
        NewSession,
        Vec<ByteString>,
        Reply<Result<Created, Failure>>,
    ),
    /// The connection that a session was started for has ended, started another, or attached.
    Left(SessionId, ConnectionId),
    /// Find the mailbox of a session, for a client with these entries of its own.
    Enter(
        Target,
        Vec<ByteString>,
        Reply<Result<mpsc::Sender<Event>, Failure>>,
    ),
    /// Say what the client that entered last has in its environment.
    Environment(Target, Reply<Result<Vec<ByteString>, Failure>>),
    /// Say what a list says of each session, in order of creation.
    Lines(Reply<Vec<Line>>),
    /// Find the mailboxes of all sessions that run, in order of creation.
    Mailboxes(Reply<Vec<mpsc::Sender<Event>>>),
    /// Detach all clients of a session.
    DetachAll(Target, Reply<Result<(), Failure>>),
    /// End a session, or send it a signal.
    Kill(Target, u8, Reply<Result<(), Failure>>),
    /// Give a session another name.
    Rename(Target, SessionName, Reply<Result<(), Failure>>),
    /// Say what the server is.
    Status(Reply<ServerStatus>),
    /// Say what the server and its keeper take.
    Usage(Reply<[ProcessUsage; 2]>),
    /// A session that was asked to end has not: insist with this signal.
    Insist(SessionId, u8),
    /// A session's record changed.
    Save(Box<Record>),
    /// A session's history takes so many bytes now.
    History(SessionId, usize),
    /// A session is over, and its outcome was seen.
    Forget(SessionId),
    /// A finished session is kept no longer.
    Expire(SessionId),
    /// Sessions of the server before this one wait to be taken over: it is time to try again.
    TakeOver,
    /// Make room for another server.
    Restart,
    /// End all sessions, and the keeper.
    EndAll,
    /// A connection was accepted.
    Opened,
    /// A connection ended.
    Closed,
}

/// A connection that was accepted: the server stays as long as there is one.
#[derive(Debug)]
pub(crate) struct Open(Registry);

/// What a list says of a session.
#[derive(Debug)]
pub(crate) enum Line {
    /// As it told last.
    Told(SessionSummary),
    /// It has mail to read first, which may change it: it was asked.
    Asked(oneshot::Receiver<SessionSummary>),
}

impl Open {
    /// Tells that there is one more.
    pub(crate) fn new(registry: Registry) -> Self {
        registry.send(Request::Opened);
        Self(registry)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send(Request::Closed);
    }
}

impl Registry {
    /// A handle, and the queue for the task.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Request>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the server is about to end.
    pub(crate) async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> io::Result<T> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply));
        answer
            .await
            .map_err(|_| io::Error::other("the server ends"))
    }

    /// Tells something. A registry that is gone needs not know it any more.
    pub(crate) fn send(&self, request: Request) {
        let _ = self.0.send(request);
    }

    /// A session is over, and its outcome was seen.
    pub(crate) fn forget(&self, session: SessionId) {
        self.send(Request::Forget(session));
    }

    /// What a list says of each session, in order of creation. One that ends meanwhile is left
    /// out.
    pub(crate) async fn lines(&self) -> io::Result<Vec<SessionSummary>> {
        let lines = self.ask(Request::Lines).await?;
        let mut summaries = Vec::with_capacity(lines.len());
        for line in lines {
            summaries.extend(match line {
                Line::Told(summary) => Some(summary),
                Line::Asked(answer) => answer.await.ok(),
            });
        }
        Ok(summaries)
    }

    /// What each session that runs answers, in order of creation. One that ends meanwhile does
    /// not answer.
    pub(crate) async fn ask_all<T>(
        &self,
        question: impl Fn(Reply<T>) -> Event,
    ) -> io::Result<Vec<T>> {
        let mut asked = Vec::new();
        for session in self.ask(Request::Mailboxes).await? {
            let (reply, answer) = oneshot::channel();
            // One that has ended drops the question, and with it the answer.
            let _ = session.send(question(reply)).await;
            asked.push(answer);
        }
        let mut answers = Vec::with_capacity(asked.len());
        for asked in asked {
            answers.extend(asked.await.ok());
        }
        Ok(answers)
    }
}

/// A session as the registry knows it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    pub(crate) mailbox: mpsc::Sender<Event>,
    /// What a list says of it, as it told last.
    pub(crate) line: watch::Receiver<SessionSummary>,
    /// What the client that entered last has in its environment.
    pub(crate) client_environment: Vec<ByteString>,
    /// Who waits for its end.
    pub(crate) killers: Vec<Reply<Result<(), Failure>>>,
}

impl Entry {
    /// Whether it knows all that it was told, so that what it told last is still so. Both run on
    /// one thread, and it tells before anybody else's turn.
    pub(crate) fn has_read_its_mail(&self) -> bool {
        self.mailbox.capacity() == self.mailbox.max_capacity()
    }
}

/// The sessions by incarnation, and the names that are given away.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    entries: BTreeMap<SessionId, Entry>,
    /// Names of sessions that are being started.
    reserved: BTreeSet<SessionName>,
}

impl Entries {
    pub(crate) fn get(&self, session: SessionId) -> Option<&Entry> {
        self.entries.get(&session)
    }

    pub(crate) fn get_mut(&mut self, session: SessionId) -> Option<&mut Entry> {
        self.entries.get_mut(&session)
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        self.reserved.remove(&entry.record.name);
        self.entries.insert(entry.record.id, entry);
    }

    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Entry> {
        self.entries.remove(&session)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none, and none is being started.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.reserved.is_empty()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Gives a name to a session that is about to start: the one asked for, or one made of its
    /// command.
    pub(crate) fn reserve(
        &mut self,
        asked: Option<&SessionName>,
        command: &str,
    ) -> Result<SessionName, Failure> {
        let name = match asked {
            Some(name) => {
                self.check_free(name)?;
                name.clone()
            }
            None => {
                let program = command.split(' ').next().unwrap_or_default();
                let stem = SessionName::nearest(program.rsplit('/').next().unwrap_or_default());
                let numbered = (2..).map(|number| stem.numbered(number));
                std::iter::once(stem.clone())
                    .chain(numbered)
                    .find(|name| self.check_free(name).is_ok())
                    .expect("there are more numbers than sessions")
            }
        };
        self.reserved.insert(name.clone());
        Ok(name)
    }

    /// The session was not started after all.
    pub(crate) fn release(&mut self, name: &SessionName) {
        self.reserved.remove(name);
    }

    pub(crate) fn check_free(&self, name: &SessionName) -> Result<(), Failure> {
        let holder = self
            .entries
            .values()
            .find(|entry| entry.record.name == *name);
        let finished = holder.is_some_and(|holder| holder.record.outcome.is_some());
        if holder.is_none() && !self.reserved.contains(name) {
            return Ok(());
        }
        let hint = if finished {
            format!(
                "it has finished: 'psess attach {name}' shows how, 'psess forget {name}' drops it"
            )
        } else {
            format!("'psess attach {name}' attaches to it")
        };
        Err(Failure {
            kind: FailureKind::NameTaken,
            message: format!("a session '{name}' is there already; {hint}"),
        })
    }

    /// The session that is meant.
    pub(crate) fn find(&self, target: &Target) -> Result<&Entry, Failure> {
        match target {
            Target::Id(session) => self.get(*session).ok_or_else(no_longer_there),
            Target::Latest => {
                let used = |entry: &&Entry| (entry.record.attached, entry.record.created);
                self.entries.values().max_by_key(used).ok_or_else(|| {
                    no_such_session("no session is there; 'psess new' starts one".to_owned())
                })
            }
            Target::Name(name) => self.find_name(name),
        }
    }

    fn find_name(&self, name: &str) -> Result<&Entry, Failure> {
        let entries = self.entries.values();
        if let Some(entry) = entries
            .clone()
            .find(|entry| entry.record.name.as_str() == name)
        {
            return Ok(entry);
        }
        let begins = |entry: &&Entry| entry.record.name.as_str().starts_with(name);
        let matching: Vec<_> = entries.filter(begins).collect();
        match matching.as_slice() {
            [entry] => Ok(entry),
            [] => Err(no_such_session(format!(
                "no session '{}'; 'psess list' shows what runs",
                name.escape_default()
            ))),
            several => {
                let names = several.iter().map(|entry| entry.record.name.as_str());
                Err(Failure {
                    kind: FailureKind::Ambiguous,
                    message: format!("'{name}' could be {}: say which", any_of(names.collect())),
                })
            }
        }
    }
}

/// `a, b or c`, in order, and no more of them than are read.
fn any_of(mut names: Vec<&str>) -> String {
    const NAMED: usize = 8;
    names.sort_unstable();
    let last = match names.len().saturating_sub(NAMED) {
        0 => names.pop().unwrap_or_default().to_owned(),
        others => format!("{others} more"),
    };
    names.truncate(NAMED);
    match names.is_empty() {
        true => last,
        false => format!("{} or {last}", names.join(", ")),
    }
}

/// The session was there before.
pub(crate) fn no_longer_there() -> Failure {
    no_such_session("that session is no longer there: it was ended".to_owned())
}

fn no_such_session(message: String) -> Failure {
    Failure {
        kind: FailureKind::NoSuchSession,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_meant_is_named_in_order_and_not_without_end() {
        assert_eq!(any_of(vec!["b", "a"]), "a or b");
        assert_eq!(any_of(vec!["b", "c", "a"]), "a, b or c");
        let many: Vec<String> = (10..30).rev().map(|number| format!("s{number}")).collect();
        assert_eq!(
            any_of(many.iter().map(String::as_str).collect()),
            "s10, s11, s12, s13, s14, s15, s16, s17 or 12 more"
        );
    }
}
