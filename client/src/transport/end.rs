//! What the end of a pipe means: ssh says it on stderr, in words that have been stable for two
//! decades, and by exit status 255; everything else is the far side's own status.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::Transport;

/// How a pipe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeEnd {
    /// What kind of end it was.
    pub class: EndClass,
    /// The exit status of the command behind the pipe; `None` for a socket, or when it had to be
    /// killed.
    pub status: Option<ExitStatus>,
    /// The last lines of its stderr, without control characters.
    pub stderr: String,
    /// Whether the user has seen these lines already, as they came.
    pub shown: bool,
}

/// What kind of end a pipe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndClass {
    /// ssh was not let in. Dialling again without the user is of no use.
    AuthFailed,
    /// The host's key is another one than known. Never dial again by oneself.
    HostKeyChanged,
    /// ssh had to ask something (an unknown host key) and was not allowed to.
    PromptNeeded,
    /// There is no psess on the far side.
    NotFound,
    /// The network, or sshd's refusal before authentication: dialling again may help.
    Unreachable,
    /// Anything else: the connection broke, the command was killed, the socket closed.
    Other,
}

/// Printed by the far side's shell, see `ssh::remote_command`.
pub(super) const NOT_FOUND_MARK: &str = "psess: not found on";

/// The address that ssh has where it came through a ProxyCommand or a jump host.
const BEHIND_A_PROXY: &str = "UNKNOWN port 65535";

impl PipeEnd {
    /// The end of a connection to the socket of this machine.
    pub(super) fn of_socket() -> Self {
        Self {
            class: EndClass::Other,
            status: None,
            stderr: String::new(),
            shown: false,
        }
    }

    /// The end of a command.
    pub(super) fn of_command(status: Option<ExitStatus>, stderr: &str, shown: bool) -> Self {
        Self {
            class: EndClass::of(status, stderr),
            status,
            stderr: printable(stderr),
            shown,
        }
    }

    /// Whether an sshd answered: such dials are kept apart further, as sshd penalises sources of
    /// quick failures (sshd_config(5), PerSourcePenalties).
    #[must_use]
    pub fn reached_server(&self) -> bool {
        match self.class {
            EndClass::AuthFailed
            | EndClass::HostKeyChanged
            | EndClass::PromptNeeded
            | EndClass::NotFound => true,
            EndClass::Unreachable | EndClass::Other => {
                self.stderr.contains("kex_exchange_identification")
                    || self.stderr.contains("Connection closed by")
                    || self.stderr.contains("Connection reset by")
                    || self.stderr.contains("Disconnected from")
            }
        }
    }

    /// Whether dialling again without the user may help.
    #[must_use]
    pub fn may_recover(&self) -> bool {
        match self.class {
            EndClass::AuthFailed
            | EndClass::HostKeyChanged
            | EndClass::PromptNeeded
            | EndClass::NotFound => false,
            EndClass::Unreachable | EndClass::Other => true,
        }
    }

    /// The line of stderr that says why, mostly the last; `None` when there was none.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        let last = self.stderr.lines().next_back()?;
        if !last.contains(BEHIND_A_PROXY) {
            return Some(last);
        }
        // What ssh was to come through has said why it ended before that.
        let mut lines = self.stderr.lines().rev();
        let why = lines.find(|line| {
            !line.contains(BEHIND_A_PROXY) && !line.starts_with("kex_exchange_identification")
        });
        why.or(Some(last))
    }

    fn status_in_words(&self) -> Option<String> {
        let status = self.status?;
        match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(format!("the command ended with status {code}")),
            (None, Some(signal)) => Some(format!("signal {signal} ended the command")),
            (None, None) => None,
        }
    }

    /// The command's own words where the user has not seen them yet, then what to do. `transport`
    /// is the way that ended.
    #[must_use]
    pub fn explain(&self, transport: &Transport) -> String {
        let mut words = String::new();
        if !self.shown && !self.stderr.is_empty() {
            words.push_str(&self.stderr);
            words.push('\n');
        }
        words.push_str(match self.class {
            EndClass::AuthFailed => {
                "the host did not let you in: see which keys and user ssh offers with 'ssh -v'"
            }
            EndClass::HostKeyChanged => {
                "the host's key is not the one known: find out why before you connect again"
            }
            EndClass::PromptNeeded => {
                "the host's key is not known yet: connect once with a terminal to confirm it"
            }
            EndClass::NotFound => {
                words.push_str(&install(transport));
                return words;
            }
            EndClass::Unreachable => "the host cannot be reached",
            EndClass::Other => {
                let status = self.status_in_words();
                words.push_str(status.as_deref().unwrap_or("the connection was closed"));
                return words;
            }
        });
        words
    }
}

/// What to do where psess is missing.
fn install(transport: &Transport) -> String {
    let place = transport.place();
    let line = transport.install_line().unwrap_or_default();
    let entry = format!("[host.\"{place}\"]\n  psess = \"/path/to/psess\"");
    match transport.configured_psess() {
        None => format!(
            "psess is needed there. Where that machine is like this one, copy it:\n  {line}\n\
             else build it there. If it is there, in another place, name that in the \
             configuration:\n  {entry}"
        ),
        Some(path) if path.contains('/') => format!(
            "the configuration says that psess is {path} there. Where that machine is like this \
             one, copy it to that place:\n  {line}\n\
             else build it there. If it is in another place, name that instead:\n  {entry}"
        ),
        Some(name) => format!(
            "the configuration says that psess is called {name} there, and is on the PATH. \
             Without that it is found where this line copies it, where that machine is like this \
             one:\n  {line}\n\
             If it is there, in another place, name that instead:\n  {entry}"
        ),
    }
}

impl EndClass {
    /// Reads ssh's words (OpenSSH 7 to 10).
    fn of(status: Option<ExitStatus>, stderr: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
        let code = status.and_then(|status| status.code());
        if says(&[NOT_FOUND_MARK]) || code == Some(127) {
            Self::NotFound
        } else if says(&["REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
            Self::HostKeyChanged
        } else if says(&["Host key verification failed"]) {
            Self::PromptNeeded
        } else if says(&[
            "Permission denied (",
            "Permission denied, please try again",
            "Too many authentication failures",
            "No more authentication methods",
        ]) {
            Self::AuthFailed
        } else if says(&[
            "Could not resolve hostname",
            "Connection refused",
            "Connection timed out",
            "Operation timed out",
            "No route to host",
            "Network is unreachable",
            "Host is down",
            "kex_exchange_identification",
            "banner exchange",
            "Connection closed by",
            "Connection reset by",
        ]) {
            Self::Unreachable
        } else {
            Self::Other
        }
    }
}

/// The last lines of `text`, without control characters, empty lines and `\r`.
fn printable(text: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: i32, stderr: &str) -> EndClass {
        PipeEnd::of_command(Some(ExitStatus::from_raw(code << 8)), stderr, false).class
    }

    #[test]
    fn sshs_words_are_understood() {
        for (words, expected) in [
            (
                "ssh: Could not resolve hostname nowhere: Name or service not known\r\n",
                EndClass::Unreachable,
            ),
            (
                "ssh: connect to host 10.0.0.1 port 22: Connection timed out\r\n",
                EndClass::Unreachable,
            ),
            (
                "ssh: connect to host x port 22: No route to host",
                EndClass::Unreachable,
            ),
            (
                "kex_exchange_identification: read: Connection reset by peer\r\n",
                EndClass::Unreachable,
            ),
            (
                "me@box: Permission denied (publickey,keyboard-interactive).\r\n",
                EndClass::AuthFailed,
            ),
            (
                "No ED25519 host key is known for box and you have requested strict checking.\r\n\
                 Host key verification failed.\r\n",
                EndClass::PromptNeeded,
            ),
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n\
                 Host key verification failed.\r\n",
                EndClass::HostKeyChanged,
            ),
            (
                "client_loop: send disconnect: Broken pipe\r\n",
                EndClass::Other,
            ),
        ] {
            assert_eq!(class(255, words), expected, "{words}");
        }
        assert_eq!(
            class(127, "psess: not found on this machine"),
            EndClass::NotFound
        );
        // A file that may not be read on the way is not ssh's refusal.
        assert_eq!(
            class(1, "cat: /etc/motd: Permission denied"),
            EndClass::Other
        );
    }

    #[test]
    fn what_is_shown_has_no_control_characters() {
        let end = PipeEnd::of_command(None, "\x1b[2Jhello\r\n\r\n\x07there\r\n", false);
        assert_eq!(end.stderr, "[2Jhello\nthere");
        assert_eq!(end.reason(), Some("there"));
    }

    #[test]
    fn why_a_jump_host_was_not_reached_is_the_reason_and_not_that_it_was_to_be_gone_through() {
        let ended = "kex_exchange_identification: Connection closed by remote host\r\n\
                     Connection closed by UNKNOWN port 65535\r\n";
        let refused = "ssh: connect to host jump port 22: Connection refused";
        let end = PipeEnd::of_command(None, &format!("{refused}\r\n{ended}"), false);
        assert_eq!(end.reason(), Some(refused));
        let silent = PipeEnd::of_command(None, ended, false);
        let last = "Connection closed by UNKNOWN port 65535";
        assert_eq!(silent.reason(), Some(last));
    }
}
