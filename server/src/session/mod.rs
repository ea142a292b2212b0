//! A session: a program's output as an append-only log, the terminal model that shadows it, and
//! the clients that are cursors into it.
//!
//! Pure: it is told what happened (`handle_*`), and asked what to do (`poll_*`). It reads no
//! clock and no socket; `session_task` does, and the simulation does.

mod attaching;
mod attachment;
mod credit;
mod direct;
mod draft;
mod first_client;
mod input;
mod input_report;
mod line_marks;
mod milestone;
mod output;
mod packing;
mod past_clients;
mod plain_runs;
mod question;
mod scrollback;
mod shadow;
#[cfg(test)]
mod shadow_properties;
mod shown;
mod sizing;
mod tidying;

use std::time::{Duration, Instant};

use psess_protocol::capability::Capability;
use psess_protocol::message::{
    ClientMessage, DetachReason, EndingManner, Failure, FailureKind, ServerMessage, SessionUsage,
};
use psess_protocol::name::SessionName;
use psess_protocol::offset::Offset;
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

use crate::connections::Connections;
use crate::journal::Journal;
use crate::keeper::Predecessor;
use crate::record::Record;

use attachment::Attachment;
use draft::Draft;
use first_client::FirstClient;
use milestone::Milestones;
use past_clients::PastClients;
use question::Questions;
use shadow::Shadow;
use tidying::Tidying;

pub use shown::Shown;

/// With so much unsent, Ctrl-C, Ctrl-Z and Ctrl-\ bring a client forward.
const SKIP_BYTES: u64 = 64 << 10;

/// Bytes handed to a connection at once.
const TRANSMIT_BYTES: usize = 64 << 10;

/// The title of a session that was set aside.
const SET_ASIDE: &str = "(set aside: psess crashed on its output, and shows it as it comes)";

/// One connection among all that a server ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A session.
#[derive(Debug)]
pub struct Session {
    /// What does not change with output.
    pub record: Record,
    journal: Journal,
    shadow: Shadow,
    attachments: Connections<Attachment>,
    past_clients: PastClients,
    /// Who is waited for before any output is read.
    first_client: Option<FirstClient>,
    closed: Vec<ConnectionId>,
    questions: Questions,
    milestones: Milestones,
    /// The next checkpoint, if the program goes on as it does.
    draft: Option<Draft>,
    pty_size: Option<Size>,
    /// Whose size the session has.
    size_owner: Option<ConnectionId>,
    drained: bool,
    active: Instant,
    /// When a link to a client last died, if nobody attached since.
    lost: Option<Instant>,
    /// From where on output is kept for clients that were attached, and until when.
    held: Option<(Offset, Instant)>,
    /// From where on clients that a server before this one had may go on.
    inherited: Option<Offset>,
    /// Somebody knows how the program ended.
    seen: bool,
    /// Its output killed servers, so it is passed on and not looked at.
    set_aside: bool,
    /// Servers died of it, though not enough of them to set it aside.
    on_probation: bool,
    recovered: Instant,
    tidying: Tidying,
}

impl Session {
    /// A session whose program just began, or that a server before this one had.
    ///
    /// A journal with output in it is played back: the last checkpoint, and the log after it.
    #[must_use]
    pub fn new(now: Instant, record: Record, journal: Journal, limits: Limits) -> Self {
        Self::after(Predecessor::Killed, now, record, journal, limits)
    }

    /// The same, where it is known how the server before this one ended: a session that several
    /// servers died of is not looked into any more.
    #[must_use]
    pub fn after(
        predecessor: Predecessor,
        now: Instant,
        record: Record,
        journal: Journal,
        limits: Limits,
    ) -> Self {
        let size = record.size;
        let mut session = Self {
            record,
            journal,
            shadow: Shadow::new(now, Terminal::new(size, limits), Offset(0)),
            attachments: Connections::new(),
            past_clients: PastClients::default(),
            first_client: None,
            closed: Vec::new(),
            questions: Questions::default(),
            milestones: Milestones::default(),
            draft: None,
            pty_size: None,
            size_owner: None,
            drained: false,
            active: now,
            lost: None,
            held: None,
            inherited: None,
            seen: false,
            set_aside: false,
            on_probation: false,
            recovered: now,
            tidying: Tidying::new(now),
        };
        session.recover(limits, predecessor);
        session
    }

    /// A message of an attached client.
    ///
    /// # Errors
    /// When it makes no sense from an attached client: the connection is to be closed.
    pub fn handle_message(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: &ClientMessage,
    ) -> Result<(), Failure> {
        let Some(attachment) = self.attachments.get_mut(connection) else {
            return Ok(());
        };
        attachment.heartbeat.handle_received(now);
        match message {
            ClientMessage::Resize(size) => self.handle_resize(now, connection, *size),
            ClientMessage::Written(total) => attachment.credit.handle_written(now, *total),
            ClientMessage::Unwritten(bytes) => attachment.credit.handle_unwritten(*bytes),
            ClientMessage::Detach => {
                self.seen |= attachment.is_told_outcome() && !attachment.read_only;
                attachment.send_last(&ServerMessage::Detached(DetachReason::Requested));
            }
            ClientMessage::Typed { stops } => self.handle_typed(now, connection, || *stops),
            ClientMessage::Redraw => self.handling(|session| session.redraw(now, connection)),
            ClientMessage::Ping(number) => attachment.send(&ServerMessage::Pong(*number)),
            ClientMessage::Pong(number) => attachment.heartbeat.handle_pong(now, *number),
            ClientMessage::AskEnding => {
                let ending = self.past_clients.ending(now, attachment.client);
                attachment.send(&ServerMessage::Ending(ending));
            }
            ClientMessage::Environment(_)
            | ClientMessage::Lend
            | ClientMessage::New(_)
            | ClientMessage::Attach(_)
            | ClientMessage::List
            | ClientMessage::DetachAll(_)
            | ClientMessage::Kill { .. }
            | ClientMessage::Rename { .. }
            | ClientMessage::AskEnvironment(_)
            | ClientMessage::Status
            | ClientMessage::RestartServer
            | ClientMessage::EndAll
            | ClientMessage::AskUsage
            | ClientMessage::Show { .. } => {
                return Err(protocol_failure(
                    "a request on a connection that is attached",
                ));
            }
        }
        Ok(())
    }

    /// The program ended; its last output may still lie in the pty.
    pub fn handle_exit(&mut self, outcome: Outcome, unix_time: u64) {
        // It waits for no answer.
        self.first_client = None;
        self.record.outcome = Some((outcome, unix_time));
    }

    /// Nothing more will be read from the pty.
    pub fn handle_end_of_output(&mut self, now: Instant) {
        self.drained = true;
        self.shadow.handle_end(&self.journal.log);
        self.handling(|session| session.conclude(now));
    }

    /// How the program ended, once all of its output is there.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let (outcome, _) = self.record.outcome?;
        self.drained.then_some(outcome)
    }

    /// Whether somebody knows how the program ended, so that it need not be kept: a client that
    /// was told, and left then. Not one that only watches, which is to change nothing.
    #[must_use]
    pub fn was_seen(&self) -> bool {
        self.seen
    }

    /// Somebody knows how the program ended, or ended it.
    pub fn handle_seen(&mut self) {
        self.seen = true;
    }

    /// What to send on a connection next, appended to `out`; and whether to close it then.
    ///
    /// To be called again once that is written, until nothing is appended: before, nothing is
    /// due for this connection but its heartbeat.
    #[must_use]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        out: &mut Vec<u8>,
    ) -> Transmit {
        self.handling(|session| session.transmit(now, connection, out))
    }

    fn transmit(&mut self, now: Instant, connection: ConnectionId, out: &mut Vec<u8>) -> Transmit {
        if self.needs_model(now, connection) {
            self.catch_up(now);
        }
        let skips = self.is_to_skip(connection);
        if let Some(attachment) = self.attachments.get_mut(connection) {
            attachment.forget_skip();
        }
        if skips {
            self.skip_ahead(now, connection);
        }
        let is_in_log = self.fill(now, connection, TRANSMIT_BYTES, out);
        if !is_in_log {
            self.skip_ahead(now, connection);
            let _ = self.fill(now, connection, TRANSMIT_BYTES, out);
        }
        let (outcome, log) = (self.outcome(), &self.journal.log);
        if let Some(outcome) = outcome
            && let Some(attachment) = self.attachments.get_mut(connection)
            && !attachment.is_closing()
            && attachment.is_caught_up(log)
            && attachment.tell_outcome(outcome)
        {
            let _ = self.fill(now, connection, usize::MAX, out);
        }
        let attachment = self.attachments.get(connection);
        match attachment.is_none_or(Attachment::is_closing) {
            true => Transmit::ThenClose,
            false => Transmit::GoOn,
        }
    }

    /// Appends what an attachment is sent next to `out`, until that holds about `enough` bytes;
    /// whether the log has it still.
    fn fill(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        enough: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let (log, shadow, questions) = (&self.journal.log, &self.shadow, &self.questions);
        self.attachments
            .get_mut(connection)
            .is_none_or(|attachment| {
                attachment.poll_transmit(now, log, shadow, questions, enough, out)
            })
    }

    /// Connections to close at once, without a word.
    pub fn poll_closed(&mut self) -> Option<ConnectionId> {
        self.closed.pop()
    }

    /// When `handle_timeout` is to be called, unless something else comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let attachments = self.attachments.values();
        attachments
            .filter_map(|attachment| {
                let heartbeat = &attachment.heartbeat;
                [
                    heartbeat.poll_timeout(),
                    heartbeat.lost_at(),
                    attachment.next_draw(),
                    attachment.next_report(),
                ]
                .into_iter()
                .flatten()
                .min()
            })
            .chain(self.poll_release())
            .chain(self.first_client_due())
            .chain(self.shadow.due())
            .chain(self.shadow.pack_due())
            .chain(self.tidy_due())
            .min()
    }

    /// Time went by: the terminal model catches up, some of its history is packed, heartbeats are
    /// sent, clients that fell silent are given up, as is a first one that did not come, and what was
    /// held for those that did not come back is let go.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.settle(now);
        self.give_up_first_client(now);
        let mut silent = Vec::new();
        for (connection, attachment) in self.attachments.iter_mut() {
            if let Some(number) = attachment.heartbeat.poll_ping(now) {
                attachment.send(&ServerMessage::Ping(number));
            }
            if attachment
                .heartbeat
                .lost_at()
                .is_some_and(|lost| now >= lost)
            {
                silent.push(connection);
            }
        }
        for connection in silent {
            self.end(now, connection, EndingManner::Silent);
            self.closed.push(connection);
        }
        self.trim(now);
    }

    /// The session has another name from now on: clients that understand that are told.
    pub fn rename(&mut self, name: SessionName) {
        self.record.name = name;
        for attachment in self.attachments.values_mut() {
            if attachment.can(Capability::Renaming) {
                attachment.send(&ServerMessage::Renamed(self.record.name.clone()));
            }
        }
    }

    /// Connections that are attached.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.attachments.connections()
    }

    /// The title that the program set, or why there is none.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.set_aside {
            return SET_ASIDE;
        }
        self.shadow.title()
    }

    /// What it takes.
    #[must_use]
    pub fn usage(&self) -> SessionUsage {
        let log = &self.journal.log;
        SessionUsage {
            id: self.record.id,
            name: self.record.name.clone(),
            log: log.end().bytes_since(log.start()),
            history: self.history_bytes() as u64,
            // The kernel tells the size of files that are open.
            journal: self.journal.memory_bytes().unwrap_or(0),
        }
    }

    /// How long ago output or input came.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.active)
    }

    /// How long ago the last link to a client died, if nobody is attached now, nor attached since:
    /// whoever did, the lost client or another, has the session in sight again.
    #[must_use]
    pub fn lost(&self, now: Instant) -> Option<Duration> {
        let lost = self.lost.filter(|_| self.attachments.is_empty())?;
        Some(now.saturating_duration_since(lost))
    }

    /// Whether its output is no longer looked at, because servers died of it.
    #[must_use]
    pub fn is_set_aside(&self) -> bool {
        self.set_aside
    }

    fn position(&self, connection: ConnectionId) -> Option<Offset> {
        self.attachments
            .get(connection)
            .and_then(Attachment::position)
    }

    /// Works on one attachment and the rest of the session at the same time.
    fn with_attachment<T>(
        &mut self,
        connection: ConnectionId,
        work: impl FnOnce(&Self, &mut Attachment) -> T,
    ) -> Option<T> {
        let mut attachment = self.attachments.remove(connection)?;
        let result = work(self, &mut attachment);
        self.attachments.insert(connection, attachment);
        Some(result)
    }
}

/// What follows what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// More may come.
    GoOn,
    /// It was the last.
    ThenClose,
}

fn protocol_failure(what: &str) -> Failure {
    Failure {
        kind: FailureKind::Protocol,
        message: format!("the client broke the protocol: {what}; update psess on either side"),
    }
}
