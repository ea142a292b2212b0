//! How much history is kept: of each session, and of all together.

use psess_protocol::terminal::Limits;

use crate::journal::MAX_CHECKPOINT_BYTES;

/// Lines of each session. All three stand in the environment of whoever started the keeper.
const LINES: &str = "PSESS_HISTORY_LINES";

/// Bytes of each session, as they were printed: `512K`, `8M`. Packed they take less memory. At most
/// what a server can leave to the one after it.
const BYTES: &str = "PSESS_HISTORY_BYTES";

/// Memory of all sessions together: `256M`, `1G`. The copies in the journals, which are not packed,
/// are not counted.
const BUDGET: &str = "PSESS_HISTORY_BUDGET";

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
    pub(crate) fn from_environment() -> Self {
        let default = Limits::default();
        let lines = setting(LINES, parse_lines, "a number of lines");
        let bytes = setting(BYTES, parse_bytes, "a size like 512K or 8M");
        let budget = setting(BUDGET, parse_bytes, "a size like 256M or 1G");
        let limits = Limits {
            history_lines: lines.unwrap_or(default.history_lines),
            history_bytes: bytes.unwrap_or(default.history_bytes),
        };
        Self {
            limits: bounded(limits),
            budget_bytes: budget.unwrap_or(DEFAULT_BUDGET),
        }
    }
}

fn setting<T>(variable: &str, parse: fn(&str) -> Option<T>, form: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    let value = parse(&text);
    if value.is_none() {
        tracing::warn!("{variable} is not {form}: the default is taken");
    }
    value
}

fn bounded(limits: Limits) -> Limits {
    if limits.history_bytes > MAX_CHECKPOINT_BYTES {
        tracing::warn!(
            "{BYTES} is too much: {}M is taken",
            MAX_CHECKPOINT_BYTES >> 20
        );
    }
    Limits {
        history_bytes: limits.history_bytes.min(MAX_CHECKPOINT_BYTES),
        ..limits
    }
}

fn parse_lines(text: &str) -> Option<u32> {
    text.parse().ok()
}

/// A number, and `K`, `M` or `G`.
fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        assert_eq!(parse_bytes("0"), Some(0));
        assert_eq!(parse_bytes("4096"), Some(4096));
        assert_eq!(parse_bytes("512K"), Some(512 << 10));
        assert_eq!(parse_bytes("256M"), Some(DEFAULT_BUDGET));
        assert_eq!(parse_bytes("2G"), Some(2 << 30));
        for wrong in [
            "",
            "M",
            "8MB",
            "8MM",
            "8m",
            "-1M",
            "1.5G",
            "8 M",
            "99999999999999G",
        ] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_session_keeps_no_more_than_a_server_can_leave_to_the_next() {
        let limits = Limits {
            history_lines: 1_000_000,
            history_bytes: 1 << 30,
        };
        assert_eq!(bounded(limits).history_bytes, MAX_CHECKPOINT_BYTES);
        assert_eq!(bounded(limits).history_lines, 1_000_000);
        assert_eq!(bounded(Limits::default()), Limits::default());
    }
}
