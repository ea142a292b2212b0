//! Every message, on one page.
//!
//! A connection begins with requests of the client, each answered by exactly one
//! [`ServerMessage`] (or several [`ServerMessage::Sessions`]), until [`ClientMessage::Attach`]
//! is answered by [`ServerMessage::Attached`]. From then on it is a *link*: both sides send when
//! they have something to say.
//!
//! Variants are only ever appended, and fields never change: new variants come behind a
//! [`Capability`] that the hello tells. The golden bytes in `tests/golden.rs` pin them.

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::identity::{ClientId, Generation, SessionId};
use crate::name::SessionName;
use crate::offset::{InputOffset, Offset};
use crate::outcome::Outcome;
use crate::size::Size;

/// From the client to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// Environment entries of the client's side (`K=V`) that the next [`ClientMessage::New`]
    /// starts from. May be sent several times; entries add up, 512 KiB at most. No answer.
    Environment(Vec<ByteString>),
    /// Starts a session. Answered by `Created` or `Failed`. A duplicate (same id, after a lost
    /// link) is answered `Created` again and starts nothing.
    New(NewSession),
    /// Attaches this connection to a session. Answered by `Attached` or `Failed`. A duplicate
    /// of the same client with a higher generation takes over; with a lower one it is
    /// refused as `Superseded`.
    Attach(Attach),
    /// Asks for all sessions. Answered by one or more `Sessions`.
    List,
    /// Detaches every client of a session. Answered by `Done` or `Failed`; harmless when
    /// repeated.
    DetachAll(Target),
    /// Ends a session: sends its program the signal (SIGHUP when 0), and forgets a finished
    /// one. Answered by `Done` or `Failed`.
    Kill {
        /// Which session.
        session: Target,
        /// The signal's number, or 0.
        signal: u8,
    },
    /// Gives a session another name. Answered by `Done` or `Failed`.
    Rename {
        /// Which session.
        session: Target,
        /// Its new name.
        name: SessionName,
    },

    /// Attached: the user's terminal has another size now. No answer; the last one counts.
    Resize(Size),
    /// Attached: so many terminal bytes of this link, output and replay alike, were written to
    /// the user's terminal. Gives credit for as many more. Grows; a lower one is ignored.
    Written(u64),
    /// Attached: the user leaves, or has been told how the program ended. Answered by `Detached`,
    /// after which the server closes.
    Detach,
    /// Attached: the user's terminal needs a fresh replay, say after another program wrote to
    /// it. Answered by a `Replay`.
    Redraw,

    /// Either way, at any time after the hello: asks for a `Pong` with the same number.
    Ping(u64),
    /// Answers a `Ping`.
    Pong(u64),

    /// Asks what the server is. Answered by `Server`.
    Status,

    /// Asks for what the client attached last said of its side's environment: `DISPLAY` and the
    /// like, which a shell that runs for long may want to take over. Answered by
    /// `ClientEnvironment` or `Failed`.
    AskEnvironment(Target),

    /// Asks the server to make room for another one, of the program that is installed now: after
    /// an upgrade. Answered by `Done`; then the server ends, and every link resumes with the next.
    RestartServer,
    /// Asks to end all sessions, the server and the keeper. Answered by `Done`.
    EndAll,

    /// Asks what the server, its keeper and each session take of the machine. Answered by one or
    /// more `Usage`.
    AskUsage,

    /// Attached: asks how the server saw this client's connection before this one end. Answered by
    /// `Ending`.
    AskEnding,

    /// Before `Attach`: so many terminal bytes that came on earlier connections of this client wait
    /// for the user's terminal. They count for this link as if it had sent them first: they use up
    /// its credit, and are part of what `Written` tells. No answer; the last one counts.
    Unwritten(u32),

    /// Before `Attach`, on a unix socket: lends the user's terminal to the server, which may then
    /// write plain output to it by itself, whenever `Written` has told all that was sent. Two
    /// descriptors come along: the terminal, and a socket on which the server tells how far it is
    /// (see [`crate::lending`]). No answer.
    Lend,

    /// Attached: what the user typed since, the client wrote to the pty by itself, which the server
    /// had lent it (see [`crate::lending`]). It has no offset. No answer.
    Typed {
        /// Whether that was to stop the program: what is unsent may be skipped.
        stops: bool,
    },

    /// Asks for what a session shows, without attaching to it: it changes nothing, and nobody is told.
    /// Answered by `Shown` or `Failed`.
    Show {
        /// Which session.
        session: Target,
        /// How much history comes first; [`History::Since`] is none.
        history: History,
    },
}

impl ClientMessage {
    /// What the server must be able to do to understand this; `None`: every server can.
    #[must_use]
    pub fn capability(&self) -> Option<Capability> {
        match self {
            Self::AskEnvironment(_) => Some(Capability::Environment),
            Self::RestartServer | Self::EndAll => Some(Capability::Control),
            Self::AskUsage => Some(Capability::Usage),
            Self::AskEnding => Some(Capability::Ending),
            Self::Unwritten(_) => Some(Capability::Unwritten),
            Self::Lend => Some(Capability::Lending),
            Self::Typed { .. } => Some(Capability::Typing),
            Self::Show { .. } => Some(Capability::Showing),
            Self::Environment(_)
            | Self::New(_)
            | Self::Attach(_)
            | Self::List
            | Self::DetachAll(_)
            | Self::Kill { .. }
            | Self::Rename { .. }
            | Self::Resize(_)
            | Self::Written(_)
            | Self::Detach
            | Self::Redraw
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::Status => None,
        }
    }
}

/// From the server to the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// A request was carried out.
    Done,
    /// A request, or the attachment, failed; nothing was left behind.
    Failed(Failure),
    /// The session runs.
    Created(Created),
    /// Sessions that the server knows, in order of creation.
    Sessions {
        /// Some of them.
        sessions: Vec<SessionSummary>,
        /// Whether another `Sessions` follows.
        more: bool,
    },
    /// The connection is a link to a session now. Output follows: from the resumed position when
    /// `resumed`, else a `Replay` first.
    Attached(Attached),

    /// Attached: the next `length` bytes of `Replay` frames draw the screen anew. Ends a replay
    /// before it that is not complete; its bytes begin with an ESC, so that a terminal in the
    /// middle of anything understands them.
    Replay(Replay),
    /// Attached: all input of this client before the offset was written to the pty, and will
    /// not be asked for again. Grows; a lower one is ignored.
    InputWritten(InputOffset),
    /// Attached: the program ended, and all of its output was sent. Answered by `Detach`, after
    /// which the outcome counts as seen and the session is forgotten, unless the client only
    /// watches. Without an answer it is kept, and told to whoever attaches next.
    Finished(Outcome),
    /// Attached: the client is detached. The server closes.
    Detached(DetachReason),

    /// Either way, at any time after the hello: asks for a `Pong` with the same number.
    Ping(u64),
    /// Answers a `Ping`.
    Pong(u64),

    /// What the server is.
    Server(ServerStatus),

    /// Entries (`K=V`) of the environment of the client attached last.
    ClientEnvironment(Vec<ByteString>),

    /// What the server, its keeper and some of the sessions take of the machine.
    Usage(Usage),

    /// How this client's connection before this one ended, as the server saw it; `None` when it does
    /// not know, say because it was started since.
    Ending(Option<Ending>),

    /// Attached: the session has another name now. No answer. Only for a client that says in its
    /// hello that it knows this ([`Capability::Renaming`]).
    Renamed(SessionName),

    /// What a session shows: the next `length` bytes of `Replay` frames recreate it on a blank terminal
    /// of this size. Then the next request may come.
    Shown {
        /// The session's size.
        size: Size,
        /// Bytes in the `Replay` frames that follow.
        length: u64,
        /// Lines before the oldest of its history that are kept no more, but for those that the program
        /// cleared, and for those of which a server before this one knew.
        gone_lines: u64,
    },
}

/// A session to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSession {
    /// Drawn by the client, so that a repeated request starts nothing twice.
    pub id: SessionId,
    /// Its name, or `None`: the server names it after the command.
    pub name: Option<SessionName>,
    /// Program and arguments; empty: the user's login shell.
    pub command: Vec<ByteString>,
    /// Working directory; `None`: the requesting process's own.
    pub cwd: Option<ByteString>,
    /// Entries (`K=V`) that override the environment.
    pub environment: Vec<ByteString>,
    /// The size that the pty begins with.
    pub size: Size,
}

/// Bytes that are text to the operating system: an argument, a path, an environment entry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteString(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl From<&str> for ByteString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl std::fmt::Debug for ByteString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Which session is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The one with this name; where there is none, the only one whose name begins with it.
    Name(String),
    /// This incarnation and no other.
    Id(SessionId),
    /// The one that a client attached to or created last.
    Latest,
}

/// What [`Attach::heartbeat_ms`] is where a client is far and wants no heartbeats. A server that
/// does not know of it takes it for the seven weeks that it is, in which as little happens.
pub const NO_HEARTBEAT_MS: u32 = u32::MAX;

/// A request to attach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Which session.
    pub session: Target,
    /// Who attaches; the same across redials.
    pub client: ClientId,
    /// Grows with each dial of this client.
    pub generation: Generation,
    /// The size of the user's terminal.
    pub size: Size,
    /// What the user's terminal shows up to: every byte before it was written there. `None`:
    /// nothing to go on from, send a replay.
    pub position: Option<Offset>,
    /// How much history a replay begins with.
    pub history: History,
    /// Whether what this client types is ignored.
    pub read_only: bool,
    /// How often the server sends something, in milliseconds; 0: no heartbeat, as the client is
    /// on this machine, on a unix socket, which cannot die unnoticed;
    /// [`NO_HEARTBEAT_MS`]: none either, though it is far.
    pub heartbeat_ms: u32,
    /// Detaches every other client of the session.
    pub detach_others: bool,
}

/// How much history a replay begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum History {
    /// None: only the screen.
    None,
    /// At most so many lines.
    Lines(u32),
    /// All that is kept.
    All,
    /// What scrolled off since: the user's scrollback has the lines that did so before this
    /// offset, though the screen is not what the output before it left. Only for a server that says
    /// in its hello that it knows this ([`Capability::HistorySince`]).
    Since {
        /// The offset.
        offset: Offset,
        /// So many of the last of them the user's terminal may have taken back since, as it was
        /// resized.
        taken_back: u32,
    },
}

/// The session was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its incarnation, as requested.
    pub id: SessionId,
    /// Its name, as requested or given.
    pub name: SessionName,
    /// What the user ought to know, each a sentence: that logout ends it, say.
    pub warnings: Vec<String>,
}

/// The link is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The incarnation.
    pub id: SessionId,
    /// The session's name now.
    pub name: SessionName,
    /// Whether output goes on from `Attach::position`; else a `Replay` comes first.
    pub resumed: bool,
    /// All input of this client before this was taken, and reaches the pty: go on from here.
    pub input: InputOffset,
    /// The session's size.
    pub size: Size,
}

/// A replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Bytes in the `Replay` frames that follow.
    pub length: u64,
    /// Where the terminal stands once all of them are written; `None`: the picture is drawn for
    /// another size than the session's, and cannot be resumed from.
    pub position: Option<Offset>,
    /// What kind of picture it is.
    pub purpose: ReplayPurpose,
}

/// What a replay is for: it decides what the client does with its terminal before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplayPurpose {
    /// The first after attaching: it may begin with history. What stood on the user's screen
    /// goes to its scrollback first.
    Attach,
    /// The client fell behind, changed its size, or needs its screen drawn anew: it is brought
    /// forward, beginning with the history that it missed. `skipped_lines` of output went by unseen,
    /// as far as counted.
    CatchUp {
        /// Lines of output that the user's terminal never got.
        skipped_lines: u64,
    },
    /// Only what changed in a picture drawn before.
    Update,
}

impl ReplayPurpose {
    /// Whether output is left out that the user would have seen otherwise.
    #[must_use]
    pub fn skips(self) -> bool {
        matches!(self, Self::CatchUp { skipped_lines } if skipped_lines > 0)
    }
}

/// Why a client was detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DetachReason {
    /// It asked for it.
    Requested,
    /// Another client that attached alone; also `psess detach`, where the client does not know
    /// `ByCommand`.
    ByOther,
    /// A higher generation of the same client took over.
    Superseded,
    /// `psess detach`. Only for a client that says in its hello that it knows this
    /// ([`Capability::DetachCommand`]).
    ByCommand,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// The incarnation.
    pub id: SessionId,
    /// Its name.
    pub name: SessionName,
    /// Its command, for people, without control characters; empty for a login shell.
    pub command: String,
    /// Its title as the program set it, without control characters.
    pub title: String,
    /// When it began, in seconds since 1970.
    pub created: u64,
    /// How it ended and when, in seconds since 1970; `None` while it runs.
    pub finished: Option<(Outcome, u64)>,
    /// Clients attached now.
    pub clients: u32,
    /// When a client's link last died, in seconds since 1970; `None` once anybody attached after
    /// that.
    pub lost: Option<u64>,
    /// When output or input last came, in seconds since 1970.
    pub active: u64,
    /// The session's size.
    pub size: Size,
    /// Process id of the program.
    pub pid: u32,
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its build.
    pub build: String,
    /// Its process id.
    pub pid: u32,
    /// Its keeper's process id.
    pub keeper_pid: u32,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// How many servers the keeper has started before this one.
    pub restarts: u32,
    /// `/proc/sys/kernel/random/boot_id`: another one after a reboot.
    pub boot_id: String,
    /// Sessions it has.
    pub sessions: u32,
}

/// How a connection ended, as one side saw it. Times are before the answer, as the two sides' clocks
/// differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// In what way.
    pub manner: EndingManner,
    /// When it ended, so many milliseconds ago.
    pub ended_ago_ms: u64,
    /// When something last came on it.
    pub received_ago_ms: u64,
    /// When something was last sent on it.
    pub sent_ago_ms: u64,
}

/// In what way a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndingManner {
    /// It was closed, or broke: the sshd that it came through ended, say.
    Closed,
    /// Nothing came on it for so long that it was given up.
    Silent,
    /// It was still open when another one of the same client took over.
    Replaced,
}

/// What a server, its keeper and some of its sessions take of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The server.
    pub server: ProcessUsage,
    /// Its keeper.
    pub keeper: ProcessUsage,
    /// Some of the sessions, in order of creation.
    pub sessions: Vec<SessionUsage>,
    /// Whether another `Usage` follows, with further sessions.
    pub more: bool,
}

/// What a process is and takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessUsage {
    /// Its build; empty where it does not say.
    pub build: String,
    /// When it started, in seconds since 1970; 0 where it does not say.
    pub started: u64,
    /// Its share of memory in bytes (proc_pid_smaps(5), Pss), where the kernel tells it.
    pub pss: Option<u64>,
}

/// What a session takes, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionUsage {
    /// The incarnation.
    pub id: SessionId,
    /// Its name.
    pub name: SessionName,
    /// Output that is kept for clients that come back.
    pub log: u64,
    /// Lines that scrolled off its screen.
    pub history: u64,
    /// All that the keeper holds in memory for the next server; the log is part of it.
    pub journal: u64,
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure, for programs.
    pub kind: FailureKind,
    /// What failed, on what, and what to do: a sentence for people.
    pub message: String,
}

/// What kind of failure a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// No session is meant by that target.
    NoSuchSession,
    /// A session of that name is there already.
    NameTaken,
    /// Several sessions could be meant.
    Ambiguous,
    /// The command could not be executed (127: not found).
    NotFound,
    /// The command could not be executed (126: not permitted, no directory, …).
    NotExecutable,
    /// A later dial of the same client has taken over.
    Superseded,
    /// The message made no sense at this point.
    Protocol,
    /// A limit of the machine or of psess was met.
    Limit,
    /// Something else failed on the server's side.
    Internal,
}
