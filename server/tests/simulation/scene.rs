//! What all in a scenario share: the time, the network, and what the seed has in store.

use std::time::{Duration, Instant};

use psess_protocol::link::Reach;
use psess_protocol::size::Size;
use psess_protocol::terminal::Limits;

use crate::chance::Chance;
use crate::network::{Cut, Network};

/// The size that everything begins with.
pub(crate) const SCREEN: Size = Size {
    rows: 6,
    columns: 30,
    pixel_width: 0,
    pixel_height: 0,
};

/// A terminal whose history is nobody's concern.
pub(crate) const BARE: Limits = Limits {
    history_lines: 0,
    history_bytes: 0,
};

/// Where and when.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) chance: Chance,
    pub(crate) plan: Plan,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) network: Network,
    /// Things go wrong.
    pub(crate) troubled: bool,
}

/// What makes this scenario unlike others.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) reach: Reach,
    pub(crate) clients: u8,
    /// How often something goes wrong: once in so many steps.
    pub(crate) trouble: u64,
    /// How long things go wrong.
    pub(crate) lasts: Duration,
    /// Where the second connection is cut, and how.
    pub(crate) cut: Option<Cut>,
    /// What a socket takes before its writer has to wait.
    pub(crate) socket_bytes: usize,
    pub(crate) end: Ending,
}

/// What the user is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every byte.
    Lossless,
    /// Floods and Ctrl-C: lines may be skipped, but the picture is exact.
    Skipping,
    /// The user's terminal changes its size, or is written to by others: the picture is exact
    /// once it is drawn anew.
    Redrawn,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It goes on.
    None,
    /// The user detaches.
    Detach,
    /// The program ends when all is well.
    ExitInPeace,
    /// The program ends at some moment, and nobody may be there.
    ExitInTrouble,
}
