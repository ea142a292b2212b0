//! The configuration: `~/.config/psess/config.toml` and `/etc/psess/config.toml`.
//!
//! A flag goes before a `PSESS_*` variable, which goes before the user's file, which goes before the
//! machine's; this is where the last three meet.

mod duration;
mod history;
mod host;
mod setting;
mod sources;
mod timing;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use psess_protocol::timing::Timing;
use serde::Deserialize;

use crate::detach_key::{BadDetachKey, DetachKey};
use crate::transport::Transport;
use crate::transport::command::CommandTransport;
use crate::transport::ssh::SshTransport;
pub use duration::{BadDuration, Interval};
pub use history::{ShownHistory, parse as parse_history, parse_amount as parse_history_amount};
use host::{Host, Way};
pub use setting::{Origin, Setting};
pub use sources::Sources;
use timing::TimingSettings;

/// What the user configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// The key that detaches.
    pub detach_key: DetachKey,
    /// How much history is shown first when attaching.
    pub history: ShownHistory,
    /// After how long a client that nobody touches leaves by itself; `None`: never.
    pub idle_detach: Option<Duration>,
    /// Whether no heartbeats are sent where sshd is known to close sessions without data: that is
    /// its administrator's wish.
    pub respect_policy: bool,
    /// How links keep time.
    pub timing: Timing,
    /// The ssh command, split into words.
    ssh: Vec<String>,
    hosts: BTreeMap<String, Host>,
}

/// What flags say about how hosts are reached.
#[derive(Clone, Debug, Default)]
pub struct SshFlags {
    /// `--ssh`: the ssh command, as one text. Replaces a host's entry too.
    pub ssh: Option<String>,
    /// `-o`: options for ssh.
    pub options: Vec<String>,
}

impl Config {
    /// As [`Sources::read`] finds it. Without a file everything has its default.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file or the variable, the place in it and what is
    /// allowed there.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        Sources::read(named)?.config()
    }

    /// What the text of the file at `path` says, unless the variables say something else.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(
        path: &Path,
        text: &str,
        detach_key: Option<String>,
        ssh: Option<String>,
    ) -> Result<Self, ConfigError> {
        let sources = Sources {
            files: vec![(path.to_owned(), text.to_owned())],
            detach_key,
            ssh,
        };
        sources.config()
    }

    /// What a file says goes before what holds so far.
    fn apply(&mut self, file: File) {
        if let Some(key) = file.detach_key {
            self.detach_key = key;
        }
        if let Some(history) = file.history {
            self.history = history;
        }
        if let Some(Interval(idle)) = file.idle_detach {
            self.idle_detach = idle;
        }
        if let Some(respect) = file.respect_policy {
            self.respect_policy = respect;
        }
        if let Some(ssh) = file.ssh {
            self.ssh = ssh.0;
        }
        file.timing.apply(&mut self.timing);
        if let Some(heartbeat) = file.heartbeat {
            heartbeat.set_heartbeat(&mut self.timing);
        }
        self.hosts.extend(file.host);
    }

    /// How a host is reached; `None` is this machine.
    ///
    /// # Errors
    /// [`ConfigError::Ssh`]; [`ConfigError::UserOfCommand`]; [`ConfigError::OptionsOfCommand`].
    pub fn transport(
        &self,
        host: Option<&str>,
        flags: &SshFlags,
    ) -> Result<Transport, ConfigError> {
        let Some(host) = host else {
            return Ok(Transport::Local);
        };
        let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
        let entry = self.hosts.get(host).or_else(|| self.hosts.get(name));
        let mut program = self.ssh.clone();
        let mut options = flags.options.clone();
        let psess = entry.and_then(Host::psess);
        match entry.map(|entry| &entry.way) {
            Some(Way::Command(command)) if flags.ssh.is_none() => {
                if name != host && !self.hosts.contains_key(host) {
                    return Err(ConfigError::UserOfCommand(name.to_owned()));
                }
                if !options.is_empty() {
                    return Err(ConfigError::OptionsOfCommand(name.to_owned()));
                }
                let command = CommandTransport::new(host.to_owned(), command.clone(), psess);
                return Ok(Transport::Command(command));
            }
            Some(Way::Ssh {
                program: own,
                options: more,
            }) => {
                program = own.clone().unwrap_or(program);
                options.extend(more.iter().cloned());
            }
            Some(Way::Command(_)) | None => {}
        }
        if let Some(ssh) = &flags.ssh {
            program =
                host::split_command(ssh).map_err(|message| ConfigError::Ssh("--ssh", message))?;
        }
        let ssh = SshTransport::new(host.to_owned(), program, options, psess);
        Ok(Transport::Ssh(ssh))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            detach_key: DetachKey::default(),
            history: ShownHistory::Fitting,
            idle_detach: None,
            respect_policy: false,
            timing: Timing::default(),
            ssh: vec!["ssh".to_owned()],
            hosts: BTreeMap::new(),
        }
    }
}

impl Sources {
    /// What they say together.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn config(self) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        for (path, text) in self.files {
            let file = File::parse(&text).map_err(|message| ConfigError::File { path, message })?;
            config.apply(file);
        }
        if let Some(key) = self.detach_key {
            config.detach_key = key.parse().map_err(ConfigError::DetachKey)?;
        }
        if let Some(ssh) = self.ssh {
            config.ssh = host::split_command(&ssh)
                .map_err(|message| ConfigError::Ssh("PSESS_SSH", message))?;
        }
        Ok(config)
    }

    /// Each value that holds, with its origin; `ssh` is the flag `--ssh`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn settings(self, ssh: Option<&str>) -> Result<Vec<Setting>, ConfigError> {
        self.clone().config()?;
        Ok(setting::settings(&self, ssh).expect("these files were just understood"))
    }
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(deserialize_with = "some_text")]
    detach_key: Option<DetachKey>,
    #[serde(deserialize_with = "history::deserialize")]
    history: Option<ShownHistory>,
    #[serde(deserialize_with = "idle_detach")]
    idle_detach: Option<Interval>,
    heartbeat: Option<Interval>,
    respect_policy: Option<bool>,
    ssh: Option<host::Command>,
    timing: TimingSettings,
    host: BTreeMap<String, Host>,
}

impl File {
    /// The message of an error names line, column and key, and what is allowed.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

/// After no time at all nothing could be done in a session.
fn idle_detach<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Interval>, D::Error> {
    match Interval::deserialize(deserializer)? {
        Interval(Some(Duration::ZERO)) => Err(serde::de::Error::custom(
            "it would detach at once: use a time as '2h', or 'off'",
        )),
        interval => Ok(Some(interval)),
    }
}

/// Reads a text by its `FromStr`.
fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// The same for what may be missing.
fn some_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    from_text(deserializer).map(Some)
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file says something that makes no sense.
    #[error("in the configuration {}: {message}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where, what, and what is allowed.
        message: String,
    },
    /// `PSESS_DETACH_KEY` names none.
    #[error("in PSESS_DETACH_KEY: {0}")]
    DetachKey(BadDetachKey),
    /// A command that stands for ssh cannot be split into words.
    #[error("in {0}: {1}")]
    Ssh(&'static str, String),
    /// A user was given for a host whose entry is a command.
    #[error("the entry [host.{0}] is a command, which takes no USER@: name another entry")]
    UserOfCommand(String),
    /// Options for ssh were given for a host whose entry is a command.
    #[error("the entry [host.{0}] is a command, not ssh: it takes no -o")]
    OptionsOfCommand(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use psess_protocol::message::History;

    fn config(text: &str) -> Config {
        Config::parse(Path::new("config.toml"), text, None, None).expect("a good file")
    }

    #[test]
    fn everything_has_a_default() {
        let config = config("");
        assert_eq!(config.detach_key, DetachKey::default());
        assert_eq!(config.timing, Timing::default());
        assert_eq!(config.history, ShownHistory::Fitting);
        assert!(
            config
                .transport(None, &SshFlags::default())
                .unwrap()
                .is_local()
        );
    }

    #[test]
    fn a_full_file_is_understood() {
        let config = config(
            r#"
            detach-key = "ctrl-b"
            history = "all"
            idle-detach = "30m"
            respect-policy = true
            heartbeat = "off"
            ssh = "ssh -F 'my file'"
            [timing]
            dead = "20s"
            redial = ["0s", "1s"]
            ask-after = "off"
            [host.box]
            command = ["docker", "exec", "-i", "box"]
            [host.far]
            ssh = "ssh -p 2222"
            options = ["LogLevel=ERROR"]
            psess = "~/opt/psess"
            "#,
        );
        assert_eq!(config.detach_key.to_string(), "Ctrl-B");
        assert_eq!(config.history, ShownHistory::Exactly(History::All));
        assert_eq!(config.idle_detach, Some(Duration::from_secs(1800)));
        assert!(config.respect_policy);
        assert_eq!(config.timing.heartbeat_idle, None);
        assert_eq!(config.timing.dead, Duration::from_secs(20));
        assert_eq!(config.timing.ask_after, None);
        assert_eq!(config.timing.redial.len(), 2);

        let flags = SshFlags::default();
        let command = config.transport(Some("box"), &flags).unwrap();
        assert!(matches!(command, Transport::Command(_)));
        let with_user = config.transport(Some("me@box"), &flags);
        assert!(matches!(with_user, Err(ConfigError::UserOfCommand(_))));
        let far = format!("{:?}", config.transport(Some("me@far"), &flags).unwrap());
        assert!(far.contains("2222") && far.contains("opt/psess"), "{far}");
        let other = format!("{:?}", config.transport(Some("other"), &flags).unwrap());
        assert!(other.contains("my file"), "{other}");
        let flags = SshFlags {
            ssh: Some("ssh -v".to_owned()),
            options: vec![],
        };
        let flagged = config.transport(Some("box"), &flags).unwrap();
        assert!(matches!(flagged, Transport::Ssh(_)));
    }

    #[test]
    fn the_documented_file_is_understood_and_shows_the_defaults_of_the_link() {
        let config = config(include_str!("../../../docs/config.toml"));
        assert_eq!(config.detach_key, DetachKey::default());
        assert_eq!(config.timing, Timing::default());
        assert_eq!(config.hosts.len(), 3);
    }

    #[test]
    fn an_error_names_the_line_the_key_and_what_is_allowed() {
        for (text, words) in [
            (
                "detach-kye = 'x'",
                &["line 1", "detach-kye", "detach-key"][..],
            ),
            ("\ndetach-key = 'q'", &["line 2", "'q'", "ctrl-"]),
            ("heartbeat = 'soon'", &["line 1", "'soon'", "15s"]),
            ("history = 'some'", &["line 1", "'some'", "all"]),
            (
                "idle-detach = '0s'",
                &["line 1", "idle-detach", "at once", "'off'"],
            ),
            ("[timing]\ndaed = '1s'", &["line 2", "daed", "dead"]),
            ("[timing]\ninput-bytes = 100", &["line 2", "100", "8192"]),
            ("[timing]\ndials-at-once = -1", &["line 2", "-1", "2"]),
            ("[host.x]\ncommand = []", &["line 2", "command"]),
            ("[host.x]\npsess = \"it's\"", &["line 2", "it's"]),
            ("ssh = \"ssh 'x\"", &["line 1", "quote"]),
            (
                "[host.x]\ncommand = ['docker']\nssh = 'ssh -p 1'",
                &["line 1", "'command' stands in for ssh", "leave out 'ssh'"],
            ),
            (
                "[host.x]\ncommand = ['docker']\noptions = ['LogLevel=ERROR']",
                &["line 1", "leave out 'options'"],
            ),
        ] {
            let message = File::parse(text).expect_err(text);
            for word in words {
                assert!(message.contains(word), "{word:?} is not in {message}");
            }
        }
    }

    #[test]
    fn variables_go_before_the_file() {
        let sources = Sources {
            files: vec![(PathBuf::new(), "detach-key = 'ctrl-b'".to_owned())],
            detach_key: Some("ctrl-a".to_owned()),
            ssh: Some("myssh -x".to_owned()),
        };
        let config = sources.config().unwrap();
        assert_eq!(config.detach_key.to_string(), "Ctrl-A");
        assert_eq!(config.ssh, ["myssh", "-x"]);
    }

    #[test]
    fn the_users_file_goes_before_the_machines_key_by_key() {
        let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
        let sources = Sources {
            files: vec![
                file(
                    "/etc/psess/config.toml",
                    "heartbeat = '20s'\nhistory = 'all'\n[timing]\ndead = '20s'\n[host.a]\nssh = 'ssh -4'",
                ),
                file(
                    "config.toml",
                    "history = 'none'\n[timing]\nheartbeat-idle = '30s'\n[host.b]\nssh = 'ssh -6'",
                ),
            ],
            ..Sources::default()
        };
        let config = sources.config().unwrap();
        assert_eq!(config.history, ShownHistory::Exactly(History::None));
        assert_eq!(config.timing.dead, Duration::from_secs(20));
        assert_eq!(config.timing.heartbeat_idle, Some(Duration::from_secs(30)));
        assert_eq!(config.hosts.len(), 2);
        let wrong = Sources {
            files: vec![
                file("/etc/psess/config.toml", "x = 1"),
                file("config.toml", ""),
            ],
            ..Sources::default()
        };
        let error = wrong.config().unwrap_err().to_string();
        assert!(error.contains("/etc/psess/config.toml"), "{error}");
    }
}
