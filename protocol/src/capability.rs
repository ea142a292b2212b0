//! What a build can do beyond the first messages: bits of the hello that come with the messages
//! that were appended since. A side sends such a message only to one that says that it knows it.

use std::fmt;

/// One bit of a hello. Its number never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Knows [`ClientMessage::RestartServer`](crate::message::ClientMessage::RestartServer) and
    /// [`ClientMessage::EndAll`](crate::message::ClientMessage::EndAll).
    Control = 0,
    /// Knows [`ClientMessage::AskEnvironment`](crate::message::ClientMessage::AskEnvironment).
    Environment = 1,
    /// Knows [`ClientMessage::AskUsage`](crate::message::ClientMessage::AskUsage).
    Usage = 2,
    /// Knows [`ClientMessage::AskEnding`](crate::message::ClientMessage::AskEnding).
    Ending = 3,
    /// Knows [`ClientMessage::Unwritten`](crate::message::ClientMessage::Unwritten).
    Unwritten = 4,
    /// Knows [`ClientMessage::Lend`](crate::message::ClientMessage::Lend).
    Lending = 5,
    /// Knows [`ServerMessage::Renamed`](crate::message::ServerMessage::Renamed).
    Renaming = 6,
    /// Knows [`ClientMessage::Typed`](crate::message::ClientMessage::Typed).
    Typing = 7,
    /// Knows [`DetachReason::ByCommand`](crate::message::DetachReason::ByCommand).
    DetachCommand = 8,
    /// Knows [`History::Since`](crate::message::History::Since).
    HistorySince = 9,
    /// Knows [`ClientMessage::Show`](crate::message::ClientMessage::Show).
    Showing = 10,
}

/// Not a capability: only a client's hello has it. A client that is sent it hears itself.
pub(crate) const CLIENT: u64 = 1 << 63;

impl Capability {
    /// What this build can do, as bits.
    pub const OF_THIS_BUILD: u64 = Self::Control.bit()
        | Self::Environment.bit()
        | Self::Usage.bit()
        | Self::Ending.bit()
        | Self::Unwritten.bit()
        | Self::Lending.bit()
        | Self::Renaming.bit()
        | Self::Typing.bit()
        | Self::DetachCommand.bit()
        | Self::HistorySince.bit()
        | Self::Showing.bit();

    /// Its bit in a hello.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u32
    }
}

impl fmt::Display for Capability {
    /// What it lets a client do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "restart or stop its server",
            Self::Environment => "tell the environment of a session's client",
            Self::Usage => "tell how much memory its sessions take",
            Self::Ending => "tell how it saw a connection end",
            Self::Unwritten => "count what a terminal has not taken yet",
            Self::Lending => "write to a terminal that is lent to it",
            Self::Renaming => "tell that a session was renamed",
            Self::Typing => "type straight into a session",
            Self::DetachCommand => "tell that a command detached a client",
            Self::HistorySince => "show the history from an offset on",
            Self::Showing => "show a session to who is not attached",
        })
    }
}
