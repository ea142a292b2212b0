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
    let history = match text {
        "auto" => return Ok(ShownHistory::Fitting),
        "all" => History::All,
        "none" => History::None,
        lines => lines.parse().map(History::Lines).map_err(|_| {
            let text = text.escape_default();
            format!(
                "'{text}' is no amount of history: use a number of lines, 'auto', 'all' or 'none'"
            )
        })?,
    };
    Ok(ShownHistory::Exactly(history))
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
