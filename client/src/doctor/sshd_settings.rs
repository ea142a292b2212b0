//! The sshd that this process runs under, and its settings.
//!
//! It is found among this process's ancestors, so that a second sshd with a configuration of its
//! own is read as it is. `sshd -T` tells the effective settings where it may be run (mostly by
//! root alone); else the files are read.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arithmetic::{Between, client_alive};
use super::evidence::SshdRemark;
use super::sshd_log;

/// What sshd is told, and what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SshdSettings {
    /// How they were read: `sshd -T`, or files; empty where they could not be.
    pub source: String,
    /// The file to change them in.
    pub file: String,
    /// ClientAliveInterval, in seconds.
    pub client_alive_interval: u32,
    /// ClientAliveCountMax.
    pub client_alive_count_max: u32,
    /// TCPKeepAlive.
    pub tcp_keepalive: bool,
    /// ChannelTimeout of sessions, in seconds; 0: none.
    pub channel_timeout: u32,
    /// UnusedConnectionTimeout, in seconds; 0: none.
    pub unused_connection_timeout: u32,
    /// LoginGraceTime, in seconds; 0: none.
    pub login_grace_time: u32,
    /// PerSourcePenalties, where sshd has them (OpenSSH 9.8) and they are on.
    pub per_source_penalties: Option<String>,
    /// How long ago the listening sshd was started.
    pub started_seconds_ago: Option<u64>,
    /// Whether its log may be read, and speaks of the connection before this one.
    pub has_log: bool,
    /// What its log says of the connection before this one from the same address.
    pub remarks: Vec<SshdRemark>,
}

/// The command line of a listening sshd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listener {
    program: String,
    config: Option<String>,
    log: Option<String>,
    options: Vec<String>,
}

impl SshdSettings {
    /// Reads those of the sshd among this process's ancestors; `None` where there is none.
    #[must_use]
    pub fn of_this_connection() -> Option<Self> {
        let client = env::var("SSH_CONNECTION").ok()?;
        let listener = ancestors().find_map(|id| {
            let command = fs::read(format!("/proc/{id}/cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            Some((id, Listener::parse(&command)?))
        });
        let started_seconds_ago = listener
            .as_ref()
            .and_then(|(id, _)| seconds_since_start(*id));
        let listener = listener.map(|(_, listener)| listener).unwrap_or_default();
        let mut settings = listener.effective().unwrap_or_else(|| listener.written());
        settings.file = listener.config_file().to_owned();
        settings.started_seconds_ago = started_seconds_ago;
        let address = client.split(' ').next().unwrap_or_default();
        let log = sshd_log::tail(listener.log.as_deref());
        if let Some(remarks) = log.and_then(|log| sshd_log::remarks(&log, address)) {
            settings.has_log = true;
            settings.remarks = remarks;
        }
        Some(settings)
    }

    /// After how long a silent client is given up.
    #[must_use]
    pub fn client_alive(&self) -> Option<Between> {
        let interval = Duration::from_secs(self.client_alive_interval.into());
        client_alive(interval, self.client_alive_count_max)
    }

    /// After how long a channel without data is closed.
    #[must_use]
    pub fn channel_timeout(&self) -> Option<Duration> {
        let seconds = self.channel_timeout;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// After how long a connection without channels is closed.
    #[must_use]
    pub fn unused_connection_timeout(&self) -> Option<Duration> {
        let seconds = self.unused_connection_timeout;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// Reads keywords and values, the first one of each counts (sshd_config(5)).
    fn parse(text: &str, source: &str) -> Self {
        let mut settings = Self {
            source: source.to_owned(),
            client_alive_count_max: 3,
            tcp_keepalive: true,
            login_grace_time: 120,
            ..Self::default()
        };
        let mut seen: Vec<String> = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let (keyword, value) = line
                .split_once(|c: char| c.is_whitespace() || c == '=')
                .unwrap_or((line, ""));
            let keyword = keyword.to_lowercase();
            let value = value.trim().trim_matches('"');
            // What stands behind holds for some connections only, and sshd -T has resolved it.
            if keyword == "match" {
                break;
            }
            if keyword.is_empty() || seen.contains(&keyword) {
                continue;
            }
            match keyword.as_str() {
                "clientaliveinterval" => settings.client_alive_interval = seconds(value),
                "clientalivecountmax" => {
                    settings.client_alive_count_max = value.parse().unwrap_or(3);
                }
                "tcpkeepalive" => settings.tcp_keepalive = value != "no",
                "channeltimeout" => settings.channel_timeout = session_timeout(value),
                "unusedconnectiontimeout" => settings.unused_connection_timeout = seconds(value),
                "persourcepenalties" => {
                    settings.per_source_penalties = (value != "no").then(|| value.to_owned());
                }
                "logingracetime" => settings.login_grace_time = seconds(value),
                _ => continue,
            }
            seen.push(keyword);
        }
        settings
    }
}

impl Listener {
    /// Reads a process title as sshd sets it: `sshd: /usr/sbin/sshd -D -f FILE [listener] 0 of …`.
    fn parse(command: &str) -> Option<Self> {
        let command = command.strip_prefix("sshd: ").unwrap_or(command);
        let command = command.split(" [listener]").next().unwrap_or(command);
        let mut words = command.split(' ').filter(|word| !word.is_empty());
        let program = words.next().filter(|program| {
            let is_sshd = Path::new(program)
                .file_name()
                .is_some_and(|name| name == "sshd");
            is_sshd && program.starts_with('/')
        })?;
        let mut listener = Self {
            program: program.to_owned(),
            ..Self::default()
        };
        while let Some(word) = words.next() {
            match word {
                "-f" => listener.config = words.next().map(str::to_owned),
                "-E" => listener.log = words.next().map(str::to_owned),
                "-o" => listener.options.extend(words.next().map(str::to_owned)),
                _ => {}
            }
        }
        Some(listener)
    }

    fn config_file(&self) -> &str {
        self.config.as_deref().unwrap_or("/etc/ssh/sshd_config")
    }

    /// What `sshd -T` prints.
    fn effective(&self) -> Option<SshdSettings> {
        let program = match self.program.as_str() {
            "" => "/usr/sbin/sshd",
            program => program,
        };
        let mut command = Command::new(program);
        command.args(["-T", "-f", self.config_file()]);
        for option in &self.options {
            command.args(["-o", option]);
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
        let output = output.ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout);
        Some(SshdSettings::parse(&text, "sshd -T"))
    }

    fn written(&self) -> SshdSettings {
        match read_with_includes(Path::new(self.config_file()), 4) {
            Some(text) => {
                let options: String = self.options.iter().map(|o| format!("{o}\n")).collect();
                SshdSettings::parse(&(options + &text), self.config_file())
            }
            None => SshdSettings::parse("", ""),
        }
    }
}

/// sshd's times: `90`, `5m`, `1h30m`; `none` and `0` are 0.
fn seconds(value: &str) -> u32 {
    let mut total = 0_u32;
    let mut number = 0_u32;
    for character in value.trim().chars() {
        let unit = match character.to_ascii_lowercase() {
            '0'..='9' => {
                let digit = character.to_digit(10).unwrap_or(0);
                number = number.saturating_mul(10).saturating_add(digit);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return 0,
        };
        total = total.saturating_add(number.saturating_mul(unit));
        number = 0;
    }
    total.saturating_add(number)
}

/// The shortest timeout that holds for a session's channel: `session:*=5m`, `*=1h`.
fn session_timeout(value: &str) -> u32 {
    let timeouts = value.split_whitespace().filter_map(|entry| {
        let (kind, timeout) = entry.split_once('=')?;
        let is_session = ["*", "global", "session"].contains(&kind)
            || ["session:*", "session:command", "session:shell"].contains(&kind);
        is_session
            .then(|| seconds(timeout))
            .filter(|timeout| *timeout > 0)
    });
    timeouts.min().unwrap_or(0)
}

fn read_with_includes(file: &Path, depth: u32) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut whole = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [keyword, pattern] if depth > 0 && keyword.eq_ignore_ascii_case("include") => {
                for file in matching(pattern) {
                    whole.push_str(&read_with_includes(&file, depth - 1).unwrap_or_default());
                }
            }
            _ => {
                whole.push_str(line);
                whole.push('\n');
            }
        }
    }
    Some(whole)
}

/// Files of a pattern as distributions use it: `/etc/ssh/sshd_config.d/*.conf`.
fn matching(pattern: &str) -> Vec<std::path::PathBuf> {
    let pattern = Path::new("/etc/ssh").join(pattern);
    let name = pattern
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let Some((before, after)) = name.split_once('*') else {
        return vec![pattern];
    };
    let folder = pattern.parent().unwrap_or(Path::new("/"));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(before) && name.ends_with(after) && !name.starts_with('.')
        })
        .collect();
    files.sort();
    files
}

/// This process's parent, its parent …, up to the first process.
fn ancestors() -> impl Iterator<Item = u32> {
    std::iter::successors(Some(std::process::id()), |id| parent(*id)).skip(1)
}

/// proc_pid_stat(5): what stands behind the name, which may hold anything.
fn stat(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.to_owned())
}

fn parent(id: u32) -> Option<u32> {
    let parent = stat(id)?.split_whitespace().nth(1)?.parse().ok()?;
    (parent > 1).then_some(parent)
}

/// Field 22 of the stat file, in hundredths of a second after the boot (USER_HZ).
fn seconds_since_start(id: u32) -> Option<u64> {
    let started: u64 = stat(id)?.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    Some((uptime as u64).saturating_sub(started / 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listeners_own_configuration_is_found() {
        let title = "sshd: /usr/sbin/sshd -D -f /run/x/sshd_config -E /run/x/log -o Port=7 \
                     [listener] 0 of 10-100 startups";
        let listener = Listener::parse(title).unwrap();
        assert_eq!(listener.config_file(), "/run/x/sshd_config");
        assert_eq!(listener.log.as_deref(), Some("/run/x/log"));
        assert_eq!(listener.options, ["Port=7"]);
        assert_eq!(Listener::parse("sshd: me@notty"), None);
        assert_eq!(Listener::parse("/bin/sh -c psess facts"), None);
    }

    #[test]
    fn settings_are_read_as_sshd_reads_them() {
        let text = "clientaliveinterval 5m\nClientAliveCountMax 2\n# TCPKeepAlive no\n\
            ChannelTimeout x11-connection=5s session:*=20s\nUnusedConnectionTimeout=1h30m\n\
            clientaliveinterval 7\nMatch User x\nTCPKeepAlive no\n";
        let settings = SshdSettings::parse(text, "sshd -T");
        assert_eq!(settings.client_alive_interval, 300);
        assert_eq!(settings.client_alive_count_max, 2);
        assert_eq!(settings.channel_timeout, 20);
        assert_eq!(settings.unused_connection_timeout, 5_400);
        assert!(settings.tcp_keepalive);
        let bounds = settings.client_alive().unwrap();
        assert_eq!(bounds.earliest, Duration::from_secs(900));
        assert_eq!(SshdSettings::parse("", "").client_alive(), None);
    }
}
