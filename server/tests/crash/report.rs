//! What a client saw in the end.

use std::fmt;

use psess_protocol::outcome::Outcome;

/// What a client types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    Nothing,
    /// Numbered keys, and the one that ends the program once the others are told to end.
    Keys,
}

/// What one client saw.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) program: &'static str,
    pub(crate) bytes: u64,
    pub(crate) attached: u64,
    /// How often it was brought forward by a replay.
    pub(crate) gaps: u64,
    pub(crate) outcome: Outcome,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            bytes,
            attached,
            gaps,
            outcome,
        } = self;
        write!(
            f,
            "{program}: {bytes} bytes, attached {attached} times, {gaps} replays, {outcome:?}"
        )
    }
}
