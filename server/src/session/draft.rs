//! A checkpoint that may be one later: it lacks the history.

use psess_protocol::message::History;
use psess_protocol::offset::Offset;
use psess_protocol::size::Size;
use psess_protocol::terminal::Terminal;

use crate::journal::MAX_CHECKPOINT_BYTES;

/// What recreates a terminal but for its history. That is in the log after it, once so much has
/// scrolled off that nothing is left of what the history was.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) position: Offset,
    pub(super) size: Size,
    pub(super) replay: Vec<u8>,
    ended_lines: u64,
}

impl Draft {
    /// Of a terminal that was fed everything before `position`, if the journal has room for it.
    pub(super) fn new(position: Offset, terminal: &Terminal) -> Option<Self> {
        let replay = terminal.replay(History::None);
        (replay.len() <= MAX_CHECKPOINT_BYTES).then(|| Self {
            position,
            size: terminal.size(),
            replay,
            ended_lines: terminal.ended_lines(),
        })
    }

    /// Whether it and the log after it recreate the terminal, of the same size, as it is now.
    pub(super) fn is_enough_for(&self, terminal: &Terminal) -> bool {
        terminal.ended_lines() - self.ended_lines >= terminal.lines_kept() as u64
    }
}
