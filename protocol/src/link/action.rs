//! What the client's side of a link has to do, and how it ends.

use crate::identity::Generation;
use crate::message::{ClientMessage, DetachReason, Failure, ReplayPurpose};
use crate::offset::InputOffset;
use crate::outcome::Outcome;

/// What the client is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection and say hello on it, then report [`Link::handle_hello`](super::Link::handle_hello) or
    /// [`Link::handle_closed`](super::Link::handle_closed).
    Dial {
        /// The connection's name from now on.
        generation: Generation,
        /// Whether ssh may ask the user for passwords and the like.
        interactive: bool,
    },
    /// Drop this connection, whatever is in it. Nothing about it need be reported any more.
    Close(Generation),
    /// Send a message on this connection.
    Send(Generation, ClientMessage),
    /// Send typed bytes on this connection.
    SendInput(Generation, InputOffset, Vec<u8>),
    /// Stop: nothing more will be asked for.
    End(End),
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The client was detached, or left by itself.
    Detached {
        /// On whose wish.
        reason: DetachReason,
        /// Typed bytes that the program is not known to have got.
        undelivered_bytes: usize,
    },
    /// The program ended.
    Finished(Outcome),
    /// The server refused.
    Failed(Failure),
    /// The first dial failed.
    Unreached(Closed),
    /// The server that was there is gone.
    Gone(Closed),
}

/// Why a connection closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What follows from it.
    pub kind: ClosedKind,
    /// What ssh or the system said, for people.
    pub words: String,
}

/// What follows from a connection's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedKind {
    /// The host was not reached: dial again.
    Unreachable,
    /// The host was reached, and then it ended: dial again, but not too fast.
    Broken,
    /// No server is on this machine any more, nor a keeper that would start one: its sessions have
    /// ended.
    Gone,
    /// The user must act: permission denied, host key changed, a question to answer, psess
    /// missing on the far side, no common version.
    NeedsUser,
}

/// What a message from the server meant, where the client has to act before the next frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection carries the session now.
    Attached {
        /// Whether the link was up before.
        again: bool,
        /// Typed bytes that were given up, because the server knows another past of this client.
        given_up_bytes: usize,
    },
    /// A replay of so many bytes follows.
    Replay {
        /// What it is for.
        purpose: ReplayPurpose,
        /// Whether the user's terminal already showed a whole picture of this session.
        again: bool,
    },
    /// The session has another name now: see [`Link::session`](super::Link::session).
    Renamed,
}

impl Closed {
    /// A connection that broke for a reason of our own finding.
    pub(super) fn broken(words: &str) -> Self {
        Self {
            kind: ClosedKind::Broken,
            words: words.to_owned(),
        }
    }
}
