//! What is configured, as it would stand in a file, and where each value came from.

use std::fmt;
use std::path::PathBuf;

use toml::{Table, Value};

use super::Sources;

/// What holds where nothing else is said. Those of `[timing]` stand in `protocol/src/timing.rs`.
const DEFAULTS: &str = r#"
detach-key = "ctrl-\\"
history = "auto"
idle-detach = "off"
heartbeat = "15s"
respect-policy = false
ssh = "ssh"
"#;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The tables in which it stands, and its own key.
    path: Vec<String>,
    value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from. The later overrules the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was not configured.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
}

/// All that holds, in the order of the files. `ssh` is the flag `--ssh`.
///
/// # Errors
/// What is wrong with a file's text; one that [`Sources::config`] takes is good.
pub(super) fn settings(sources: &Sources, ssh: Option<&str>) -> Result<Vec<Setting>, String> {
    let mut settings = Settings::default();
    settings.add(DEFAULTS, &Origin::Default)?;
    for (path, text) in &sources.files {
        settings.add(text, &Origin::File(path.clone()))?;
    }
    for (key, origin, value) in [
        (
            "detach-key",
            Origin::Variable("PSESS_DETACH_KEY"),
            sources.detach_key.as_deref(),
        ),
        ("ssh", Origin::Variable("PSESS_SSH"), sources.ssh.as_deref()),
        ("ssh", Origin::Flag("--ssh"), ssh),
    ] {
        if let Some(value) = value {
            settings.set(vec![key.to_owned()], value.into(), origin);
        }
    }
    Ok(settings.0)
}

#[derive(Default)]
struct Settings(Vec<Setting>);

impl Settings {
    fn add(&mut self, text: &str, origin: &Origin) -> Result<(), String> {
        let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        for (key, value) in table {
            match value {
                Value::Table(timing) if key == "timing" => {
                    for (name, value) in timing {
                        self.set(vec![key.clone(), name], value, origin.clone());
                    }
                }
                Value::Table(hosts) if key == "host" => {
                    for (host, entry) in hosts {
                        self.set_host(&[key.clone(), host], entry, origin);
                    }
                }
                value => self.set(vec![key], value, origin.clone()),
            }
        }
        Ok(())
    }

    /// A host's entry takes the place of another as a whole: its keys depend on each other.
    fn set_host(&mut self, path: &[String], entry: Value, origin: &Origin) {
        self.0.retain(|setting| !setting.path.starts_with(path));
        let Value::Table(entry) = entry else { return };
        for (key, value) in entry {
            self.set([path, &[key]].concat(), value, origin.clone());
        }
    }

    fn set(&mut self, path: Vec<String>, value: Value, origin: Origin) {
        let setting = Setting {
            path,
            value,
            origin,
        };
        let is_it = |other: &&mut Setting| other.path == setting.path;
        match self.0.iter_mut().find(is_it) {
            Some(other) => *other = setting,
            None => self.0.push(setting),
        }
    }
}

impl fmt::Display for Setting {
    /// As a line of a file: `host."10.0.0.1".ssh = "ssh -p 2222"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, key) in self.path.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            match !key.is_empty() && key.chars().all(is_bare) {
                true => write!(f, "{dot}{key}")?,
                false => write!(f, "{dot}{}", Value::String(key.clone()))?,
            }
        }
        write!(f, " = {}", self.value)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(machine: &str, user: &str) -> Sources {
        Sources {
            files: vec![
                (PathBuf::from("/etc/psess/config.toml"), machine.to_owned()),
                (PathBuf::from("/home/ann/config.toml"), user.to_owned()),
            ],
            ..Sources::default()
        }
    }

    fn lines(sources: &Sources, ssh: Option<&str>) -> Vec<String> {
        let settings = settings(sources, ssh).expect("good files");
        let line = |setting: &Setting| format!("{setting} # {}", setting.origin);
        settings.iter().map(line).collect()
    }

    #[test]
    fn each_value_has_its_origin_and_the_nearest_one_holds() {
        let mut sources = sources(
            "heartbeat = '20s'\nssh = 'ssh -4'\n[timing]\ndead = '20s'\nbanner = '9s'\n\
             [host.box]\nssh = 'ssh -p 1'\noptions = ['A=b']",
            "heartbeat = '30s'\n[timing]\ndead = '30s'\n[host.box]\ncommand = ['docker']\n\
             [host.'10.0.0.1']\npsess = '~/psess'",
        );
        sources.detach_key = Some("ctrl-b".to_owned());
        let expected = [
            "detach-key = \"ctrl-b\" # PSESS_DETACH_KEY",
            "history = \"auto\" # default",
            "idle-detach = \"off\" # default",
            "heartbeat = \"30s\" # /home/ann/config.toml",
            "respect-policy = false # default",
            "ssh = \"ssh -4\" # /etc/psess/config.toml",
            "timing.dead = \"30s\" # /home/ann/config.toml",
            "timing.banner = \"9s\" # /etc/psess/config.toml",
            "host.box.command = [\"docker\"] # /home/ann/config.toml",
            "host.\"10.0.0.1\".psess = \"~/psess\" # /home/ann/config.toml",
        ];
        let mut found = lines(&sources, None);
        let mut expected = expected.map(str::to_owned);
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        sources.ssh = Some("ssh -6".to_owned());
        let has = |lines: &[String], line: &str| lines.iter().any(|found| found == line);
        assert!(has(&lines(&sources, None), "ssh = \"ssh -6\" # PSESS_SSH"));
        let flagged = lines(&sources, Some("ssh -v"));
        assert!(has(&flagged, "ssh = \"ssh -v\" # --ssh"));
    }

    /// What is printed may be made the file.
    #[test]
    fn what_holds_without_a_file_is_what_these_defaults_say() {
        let text = |sources: &Sources| {
            let settings = settings(sources, None).expect("good files");
            let lines = settings.iter().map(|setting| format!("{setting}\n"));
            lines.collect::<String>()
        };
        let none = Sources::default();
        let printed = sources("", &text(&none));
        let config = |sources: &Sources| {
            let config = sources.clone().config().expect("good files");
            format!("{config:?}")
        };
        assert_eq!(config(&printed), config(&none));
        let full = sources("", include_str!("../../../docs/config.toml"));
        assert_eq!(config(&sources("", &text(&full))), config(&full));
    }
}
