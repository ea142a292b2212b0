//! What a session shows to who is not attached.

use std::time::Instant;

use psess_protocol::message::{Failure, FailureKind, History};
use psess_protocol::size::Size;

use super::Session;

/// What a session shows, with some of its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The session's size.
    pub size: Size,
    /// What recreates it on a blank terminal of that size.
    pub replay: Vec<u8>,
    /// Lines before the oldest of its history that it keeps no more, but for those that the program
    /// cleared.
    pub gone_lines: u64,
}

impl Session {
    /// What it shows now. Nobody who is attached, nor a list, sees that somebody asked.
    ///
    /// # Errors
    /// When it was set aside: its output is not looked at.
    pub fn shown(&mut self, now: Instant, history: History) -> Result<Shown, Failure> {
        if self.set_aside {
            return Err(Failure {
                kind: FailureKind::Internal,
                message: format!(
                    "psess crashed on the output of '{name}', and does not look at it any more; \
                     'psess attach {name}' shows it as it comes",
                    name = self.record.name
                ),
            });
        }
        Ok(self.handling(|session| {
            session.catch_up(now);
            let terminal = session.shadow.terminal();
            Shown {
                size: terminal.size(),
                replay: terminal.replay(history),
                gone_lines: terminal.gone_lines(),
            }
        }))
    }
}
