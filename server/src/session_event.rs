//! What a session is told, through its mailbox.

use psess_descriptor::Sink;
use psess_protocol::hello::Hello;
use psess_protocol::message::{Attach, SessionSummary, SessionUsage};
use psess_protocol::name::SessionName;
use psess_protocol::outcome::Outcome;
use tokio::sync::{mpsc, oneshot};

use crate::lent_terminal::Loan;
use crate::reader::Reader;
use crate::registry::{Registry, Request};
use crate::session::ConnectionId;

/// How many messages may wait in a session's mailbox; its senders wait then.
pub(crate) const MAILBOX: usize = 256;

/// What a session is told.
pub(crate) enum Event {
    /// A connection wants to attach.
    Attach(Box<Arrival>),
    /// A connection that had started the session ended, started another, or has attached.
    Left(ConnectionId),
    /// The program ended, at a time in seconds since 1970.
    Exited(Outcome, u64),
    /// Somebody knows how the program ended, or ended it.
    Seen,
    /// Every client is to be detached.
    DetachAll,
    /// The session has another name now.
    Renamed(SessionName),
    /// The session's history may take so many bytes.
    HistoryShare(usize),
    /// Somebody asks for a line of the list.
    Summarize(oneshot::Sender<SessionSummary>),
    /// Somebody asks what the session takes.
    Measure(oneshot::Sender<SessionUsage>),
}

/// A connection that wants to attach.
pub(crate) struct Arrival {
    pub(crate) connection: ConnectionId,
    /// What its client said of itself.
    pub(crate) hello: Hello,
    pub(crate) attach: Attach,
    /// Terminal bytes that wait on its side.
    pub(crate) unwritten: u32,
    pub(crate) reader: Reader,
    pub(crate) output: Sink,
    /// Dropped with it.
    pub(crate) hold: Hold,
    /// The client's terminal, where it is lent to us.
    pub(crate) loan: Option<Loan>,
}

/// Keeps a session that is forgotten, and the server, until those who are attached have seen how it
/// ended.
pub(crate) struct Hold {
    _session: mpsc::Sender<Event>,
    registry: Registry,
}

impl Hold {
    /// For one connection.
    pub(crate) fn new(session: mpsc::Sender<Event>, registry: Registry) -> Self {
        registry.send(Request::Opened);
        Self {
            _session: session,
            registry,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.registry.send(Request::Closed);
    }
}
