//! Names of sessions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a session: 1 to 64 of letters, digits, `.`, `_` and `-`, not beginning with `-`
/// or `.`. A name is unique among the sessions that a server lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionName(String);

impl SessionName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A valid name as near to `text` as can be: for a session named after its command.
    #[must_use]
    pub fn nearest(text: &str) -> Self {
        let mut name: String = text
            .chars()
            .map(|c| if is_name_char(c) { c } else { '-' })
            .take(Self::MAX_BYTES - 8)
            .collect();
        name = name.trim_matches(['-', '.']).to_owned();
        if name.is_empty() {
            name.push_str("session");
        }
        Self(name)
    }

    /// The same name with `-2`, `-3` … behind it.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let mut stem = self.0.clone();
        stem.truncate(Self::MAX_BYTES - 11);
        Self(format!("{stem}-{number}"))
    }
}

impl FromStr for SessionName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let well_formed = (1..=Self::MAX_BYTES).contains(&text.len())
            && text.chars().all(is_name_char)
            && !text.starts_with(['-', '.']);
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for SessionName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<SessionName> for String {
    fn from(name: SessionName) -> Self {
        name.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no name of a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' cannot name a session: use 1 to 64 letters, digits, '.', '_' or '-', \
     not beginning with '-' or '.'", .0.escape_default()
)]
pub struct BadName(pub String);

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["build", "a", "A.b_c-9", &"x".repeat(64)] {
            assert!(good.parse::<SessionName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-d",
            ".hidden",
            "a/b",
            "a b",
            "a:b",
            "\x1b[2J",
            "é",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<SessionName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn any_text_has_a_nearest_name() {
        for (text, name) in [("make", "make"), ("my prog!", "my-prog"), ("", "session")] {
            assert_eq!(SessionName::nearest(text).as_str(), name);
            let numbered = SessionName::nearest(text).numbered(u32::MAX);
            assert!(numbered.as_str().parse::<SessionName>().is_ok());
        }
    }
}
