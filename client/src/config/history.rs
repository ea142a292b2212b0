//! How much history is shown first: a number of lines, `auto`, `all` or `none`.

use psess_protocol::message::History;
use serde::{Deserialize, Deserializer};

/// How much history is shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownHistory {
    /// As much as the way to the session carries in a moment: `auto`.
    Fitting,
    /// So much.
    Exactly(History),
}

/// Reads what a flag or the file says.
///
/// # Errors
/// What is allowed, when it is something else.
pub fn parse(text: &str) -> Result<ShownHistory, String> {
    match text {
        "auto" => Ok(ShownHistory::Fitting),
        text => {
            amount(text, "a number of lines, 'auto', 'all' or 'none'").map(ShownHistory::Exactly)
        }
    }
}

/// Reads what a flag says where there is no `auto`.
///
/// # Errors
/// What is allowed, when it is something else.
pub fn parse_amount(text: &str) -> Result<History, String> {
    amount(text, "a number of lines, 'all' or 'none'")
}

fn amount(text: &str, allowed: &str) -> Result<History, String> {
    match text {
        "all" => Ok(History::All),
        "none" => Ok(History::None),
        lines => lines.parse().map(History::Lines).map_err(|_| {
            let text = text.escape_default();
            format!("'{text}' is no amount of history: use {allowed}")
        }),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ShownHistory>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of lines, 'auto', 'all' or 'none'")]
    enum Setting {
        Lines(u32),
        Text(String),
    }
    match Setting::deserialize(deserializer)? {
        Setting::Lines(lines) => Ok(Some(ShownHistory::Exactly(History::Lines(lines)))),
        Setting::Text(text) => parse(&text).map(Some).map_err(serde::de::Error::custom),
    }
}
