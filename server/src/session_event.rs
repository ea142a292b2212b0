//! What a session is told, through its mailbox.

use psess_descriptor::Sink;
use psess_protocol::hello::Hello;
use psess_protocol::message::{Attach, Failure, History, SessionSummary, SessionUsage};
use psess_protocol::name::SessionName;
use psess_protocol::outcome::Outcome;
use tokio::sync::{mpsc, oneshot};

use crate::lent_terminal::Loan;
use crate::reader::Reader;
use crate::registry::Open;
use crate::session::{ConnectionId, Shown};

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
    /// Somebody asks what the session shows, with so much history.
    Show(History, oneshot::Sender<Result<Shown, Failure>>),
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
    /// The connection counts as open with it.
    pub(crate) open: Open,
    /// The session's own mailbox: a session that is forgotten goes on while somebody has that.
    pub(crate) mailbox: mpsc::Sender<Event>,
    /// The client's terminal, where it is lent to us.
    pub(crate) loan: Option<Loan>,
}
