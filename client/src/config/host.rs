//! A host's entry: `[host.NAME]`.

use serde::{Deserialize, Deserializer};

use super::sources;

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

/// Splits a command as a shell does. A word that begins with `~/` names a file in the user's home;
/// nothing else is expanded.
pub(super) fn split_command(text: &str) -> Result<Vec<String>, String> {
    split(text, &home())
}

fn split(text: &str, home: &str) -> Result<Vec<String>, String> {
    let bad = |_| format!("a quote is missing in the command {text}");
    let mut words = shell_words::split(text).map_err(bad)?;
    if words.is_empty() {
        return Err("the command is empty".to_owned());
    }
    // Where a tilde is quoted already, a backslash before it stays.
    let escaped = shell_words::split(&text.replace('~', "\\~")).map_err(bad)?;
    for (word, escaped) in words.iter_mut().zip(escaped) {
        if escaped.starts_with('~') {
            expand_home(word, home);
        }
    }
    Ok(words)
}

fn expand_home(word: &mut String, home: &str) {
    if word.starts_with("~/") {
        word.replace_range(..1, home);
    }
}

/// The user's home; `~`, which is no directory, where there is none that could stand in a command.
fn home() -> String {
    let home = sources::home().and_then(|home| home.into_os_string().into_string().ok());
    home.unwrap_or_else(|| "~".to_owned())
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        split_command(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// A command as a list of words, which are taken as they are: only its program may begin with `~/`.
#[derive(Clone, Debug)]
struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut words = Vec::<String>::deserialize(deserializer)?;
        match words.first_mut().filter(|program| !program.is_empty()) {
            Some(program) => expand_home(program, &home()),
            None => {
                return Err(serde::de::Error::custom(
                    "the command is empty: list its words, as [\"docker\", \"exec\", \"-i\", \"box\"]",
                ));
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_begins_with_a_tilde_is_in_the_users_home_unless_it_is_quoted() {
        for (text, words) in [
            (
                "ssh -F ~/.ssh/work",
                &["ssh", "-F", "/home/ann b/.ssh/work"][..],
            ),
            ("~/bin/ssh -p 1", &["/home/ann b/bin/ssh", "-p", "1"]),
            ("ssh '~/a b' \"~/c\" \\~/d", &["ssh", "~/a b", "~/c", "~/d"]),
            ("ssh -F~/x a~/b ~ann/c", &["ssh", "-F~/x", "a~/b", "~ann/c"]),
            ("ssh ~/'a b' '~'", &["ssh", "/home/ann b/a b", "~"]),
        ] {
            assert_eq!(split(text, "/home/ann b").expect(text), words);
        }
        assert!(split("", "/").is_err());
        assert!(split("ssh '~/x", "/").is_err());
    }
}
