//! A host's entry: `[host.NAME]`.

use serde::{Deserialize, Deserializer};

/// How a host is reached, where that differs from plain ssh.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Entry")]
pub(super) struct Host {
    pub(super) way: Way,
    psess: Option<FarPath>,
}

/// What gives the byte pipe.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Any command, as a list of words.
    Command(Vec<String>),
    /// ssh: another command than the usual one, and options for it.
    Ssh {
        program: Option<Vec<String>>,
        options: Vec<String>,
    },
}

impl Host {
    /// What psess is called there, where that is not found out.
    pub(super) fn psess(&self) -> Option<String> {
        self.psess.as_ref().map(|path| path.0.clone())
    }
}

/// The entry as it is written.
#[derive(Default, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table with 'command', or 'ssh' and 'options', and 'psess'"
)]
struct Entry {
    command: Option<Words>,
    ssh: Option<Command>,
    options: Vec<String>,
    psess: Option<FarPath>,
}

impl TryFrom<Entry> for Host {
    type Error = &'static str;

    fn try_from(entry: Entry) -> Result<Self, Self::Error> {
        let way = match (entry.command, entry.ssh) {
            (Some(_), Some(_)) => return Err("'command' stands in for ssh: leave out 'ssh'"),
            (Some(_), None) if !entry.options.is_empty() => {
                return Err("'command' stands in for ssh: leave out 'options', which are ssh's");
            }
            (Some(command), None) => Way::Command(command.0),
            (None, ssh) => Way::Ssh {
                program: ssh.map(|ssh| ssh.0),
                options: entry.options,
            },
        };
        Ok(Self {
            way,
            psess: entry.psess,
        })
    }
}

/// A command as one text, split as a shell does.
#[derive(Clone, Debug)]
pub(super) struct Command(pub(super) Vec<String>);

/// Splits a command as a shell does, without expanding anything.
pub(super) fn split_command(text: &str) -> Result<Vec<String>, String> {
    match shell_words::split(text) {
        Ok(words) if words.is_empty() => Err("the command is empty".to_owned()),
        Ok(words) => Ok(words),
        Err(_) => Err(format!("a quote is missing in the command {text}")),
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        split_command(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// A command as a list of words.
#[derive(Clone, Debug)]
struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        if words.first().is_none_or(String::is_empty) {
            return Err(serde::de::Error::custom(
                "the command is empty: list its words, as [\"docker\", \"exec\", \"-i\", \"box\"]",
            ));
        }
        Ok(Self(words))
    }
}

/// Where psess is on the far side.
#[derive(Clone, Debug)]
struct FarPath(String);

impl<'de> Deserialize<'de> for FarPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        // It goes through the login shell of the far side, whichever that is, and then sh.
        let plain = |c: char| c.is_alphanumeric() || "/._-+@%,= ~".contains(c);
        if path.is_empty() || !path.chars().all(plain) {
            return Err(serde::de::Error::custom(format!(
                "'{path}' cannot be psess's path: it holds a character that a shell would change"
            )));
        }
        Ok(Self(path))
    }
}
