//! How much history is kept: of each session, and of all together.

use psess_protocol::retention::Retention;
use psess_protocol::terminal::Limits;

const DEFAULT_BUDGET: usize = 256 << 20;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistorySettings {
    /// Of each session.
    pub(crate) limits: Limits,
    /// Of all sessions, in memory.
    pub(crate) budget_bytes: usize,
}

impl HistorySettings {
    /// As configured, else 10,000 lines in at most 8 MiB of each session, and 256 MiB of all.
    pub(crate) fn new(configured: &Retention) -> Self {
        let default = Limits::default();
        Self {
            limits: Limits {
                history_lines: configured.history_lines.unwrap_or(default.history_lines),
                history_bytes: configured.history_bytes.unwrap_or(default.history_bytes),
            },
            budget_bytes: configured.history_budget.unwrap_or(DEFAULT_BUDGET),
        }
    }
}
