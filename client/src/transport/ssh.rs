//! The system's ssh: its command line, and the one it runs on the far side.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::Dial;
use super::copying::{self, in_double_quotes};
use super::end::NOT_FOUND_MARK;

/// A host reached by ssh, with the user's own configuration, jump hosts, keys and agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTransport {
    host: String,
    destination: String,
    program: Vec<String>,
    options: Vec<String>,
    psess: Option<String>,
}

impl SshTransport {
    /// `host` as the user wrote it: `[USER@]HOST`, a `Host` of ssh's configuration, or an IPv6
    /// address in brackets. `program` is the ssh command, `["ssh"]` or with options of its own;
    /// each of `options` is passed on behind `-o`; `psess` is the binary's path on the far side,
    /// looked for when `None`.
    #[must_use]
    pub fn new(
        host: String,
        program: Vec<String>,
        options: Vec<String>,
        psess: Option<String>,
    ) -> Self {
        Self {
            destination: without_brackets(&host),
            host,
            program,
            options,
            psess,
        }
    }

    /// The host as the user wrote it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The command line. What the user gave comes first: for ssh the first value of an option
    /// is the one that counts (ssh_config(5)).
    pub(super) fn argv(&self, dial: Dial) -> Vec<OsString> {
        let (program, arguments) = self.program();
        let mut argv: Vec<&str> = vec![program];
        let around_master: &[&str] = match dial.shares_master {
            true => &[],
            // A dead one would hang a dial whatever its timeouts are.
            false => &["-o", "ControlMaster=no", "-o", "ControlPath=none"],
        };
        // Before what the user gave, who may have named a master; but a command of another name
        // takes ssh for an argument, and ssh's options behind it.
        let is_ssh = Path::new(program).file_name() == Some(OsStr::new("ssh"));
        let arguments = arguments.iter().map(String::as_str);
        if is_ssh {
            argv.extend(around_master);
            argv.extend(arguments);
        } else {
            argv.extend(arguments);
            argv.extend(around_master);
        }
        for option in &self.options {
            argv.extend(["-o", option]);
        }
        // No terminal on the far side, no escape character, and no command of the configuration
        // in the place of ours.
        argv.extend(["-T", "-e", "none", "-o", "RemoteCommand=none"]);
        if !dial.interactive {
            // Nobody answers questions; and the ports that the first connection forwards may
            // still be taken.
            argv.extend(["-o", "BatchMode=yes"]);
            argv.extend(["-o", "ExitOnForwardFailure=no"]);
        } else if dial.again {
            // Until the keys are exchanged, which is what this bounds (ssh_config(5)), ssh asks
            // nobody; and while it may, psess leaves it minutes. Its own limit is TCP's.
            argv.extend(["-o", "ConnectTimeout=20"]);
        }
        let remote_command = remote_command(self.psess.as_deref(), "relay");
        argv.extend(["--", &self.destination, &remote_command]);
        argv.into_iter().map(OsString::from).collect()
    }
}

impl SshTransport {
    /// The command line that runs psess in another role on the far side, asking nobody.
    pub(super) fn psess_argv(&self, role: &str) -> Vec<OsString> {
        self.run_argv(&[], &remote_command(self.psess.as_deref(), role))
    }

    /// The command line that runs `command` by the far side's login shell on a connection of its
    /// own, asking nobody. `options` come before those of the user.
    pub(super) fn run_argv(&self, options: &[&str], command: &str) -> Vec<OsString> {
        let (program, arguments) = self.program();
        let mut argv: Vec<&str> = vec![program];
        for option in options {
            argv.extend(["-o", option]);
        }
        argv.extend(arguments.iter().map(String::as_str));
        for option in &self.options {
            argv.extend(["-o", option]);
        }
        argv.extend(["-T", "-e", "none", "-o", "RemoteCommand=none"]);
        argv.extend(["-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes"]);
        argv.extend(["-o", "ControlMaster=no", "-o", "ControlPath=none"]);
        argv.extend(["--", &self.destination, command]);
        argv.into_iter().map(OsString::from).collect()
    }

    fn program(&self) -> (&str, &[String]) {
        let (program, arguments) = self
            .program
            .split_first()
            .expect("a transport names its program");
        (program, arguments)
    }

    /// The command line that logs in there.
    pub(super) fn login_argv(&self) -> Vec<&str> {
        let mut argv: Vec<&str> = self.program.iter().map(String::as_str).collect();
        for option in &self.options {
            argv.extend(["-o", option]);
        }
        argv.push(&self.destination);
        argv
    }

    /// What psess is called there, where that is configured.
    pub(super) fn configured_psess(&self) -> Option<&str> {
        self.psess.as_deref()
    }

    /// The line of a shell that copies this machine's psess to where [`remote_command`] looks.
    pub(super) fn install_line(&self) -> String {
        copying::line(
            self.login_argv(),
            self.configured_psess(),
            "~/.local/bin/psess",
        )
    }

    /// The command line that prints ssh's effective settings for this host, or for a hop on the
    /// way: ssh dials that without the options meant for the host, though with the program's own.
    pub(super) fn settings_argv(&self, hop: Option<&str>) -> Vec<OsString> {
        let mut argv: Vec<&str> = self.program.iter().map(String::as_str).collect();
        if hop.is_none() {
            for option in &self.options {
                argv.extend(["-o", option]);
            }
        }
        argv.extend(["-G", "--", hop.unwrap_or(&self.destination)]);
        argv.into_iter().map(OsString::from).collect()
    }
}

/// ssh takes an IPv6 address without the brackets that part it from a session's name.
fn without_brackets(host: &str) -> String {
    let (user, address) = match host.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, host),
    };
    let address = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'))
        .unwrap_or(address);
    user.map_or_else(|| address.to_owned(), |user| format!("{user}@{address}"))
}

/// Runs the relay, wherever psess was installed: the PATH of a shell that is not interactive
/// mostly lacks the places where users install programs.
///
/// sshd hands this line to the user's login shell, whichever it is. So it asks that shell for
/// nothing but `exec` and single quotes, without newlines (csh), backslashes (fish) and
/// exclamation marks (csh) between them; sh does the rest.
fn remote_command(psess: Option<&str>, role: &str) -> String {
    let script = match psess {
        Some(path) => format!(
            "p={}; command -v \"$p\" >/dev/null 2>&1 && exec \"$p\" {role}; \
             echo \"{NOT_FOUND_MARK} $(uname -n) as $p\" >&2; exit 127",
            in_double_quotes(path),
        ),
        None => format!(
            "command -v psess >/dev/null 2>&1 && exec psess {role}; \
             for d in \"$HOME/.cargo/bin\" \"$HOME/.local/bin\" \"$HOME/bin\" /usr/local/bin \
             /opt/homebrew/bin; do \
             test -x \"$d/psess\" && exec \"$d/psess\" {role}; done; \
             echo \"{NOT_FOUND_MARK} $(uname -n): looked on PATH, in ~/.cargo/bin, ~/.local/bin, \
             ~/bin and /usr/local/bin\" >&2; exit 127"
        ),
    };
    format!("exec sh -c '{script}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(transport: &SshTransport, interactive: bool) -> Vec<String> {
        let dial = Dial {
            interactive,
            start: true,
            again: false,
            shares_master: interactive,
        };
        let argv = transport.argv(dial);
        argv.into_iter()
            .map(|word| word.into_string().expect("all words are text"))
            .collect()
    }

    fn ssh(host: &str) -> SshTransport {
        let program = ["ssh", "-p", "2222"].map(str::to_owned).to_vec();
        SshTransport::new(
            host.to_owned(),
            program,
            vec!["LogLevel=ERROR".to_owned()],
            None,
        )
    }

    #[test]
    fn the_first_dial_is_the_users_own_ssh() {
        let argv = argv(&ssh("me@devbox"), true);
        assert_eq!(argv[..5], ["ssh", "-p", "2222", "-o", "LogLevel=ERROR"]);
        assert_eq!(argv[argv.len() - 3..argv.len() - 1], ["--", "me@devbox"]);
        assert!(!argv.iter().any(|word| word.starts_with("BatchMode")));
        assert!(!argv.iter().any(|word| word.starts_with("Control")));
    }

    #[test]
    fn a_redial_that_may_ask_does_not_wait_for_a_host_that_is_not_there() {
        let dial = Dial {
            interactive: true,
            start: true,
            again: true,
            shares_master: false,
        };
        let argv = ssh("devbox").argv(dial);
        assert!(argv.iter().any(|word| word == "ConnectTimeout=20"));
        assert!(!argv.iter().any(|word| word == "BatchMode=yes"));
    }

    #[test]
    fn a_redial_asks_nothing_and_uses_no_master() {
        let argv = argv(&ssh("devbox"), false);
        for option in ["BatchMode=yes", "ControlMaster=no", "ControlPath=none"] {
            assert!(argv.iter().any(|word| word == option), "{option}");
        }
    }

    /// For ssh the first value of an option counts.
    #[test]
    fn a_master_that_the_user_named_is_passed_by_as_well() {
        let argv = |program: &[&str]| {
            let program = program.iter().copied().map(str::to_owned).collect();
            let options = vec!["ControlPath=/tmp/master".to_owned()];
            argv(
                &SshTransport::new("devbox".to_owned(), program, options, None),
                false,
            )
        };
        let around = ["-o", "ControlMaster=no", "-o", "ControlPath=none"];
        let user = ["-o", "ControlPath=/tmp/master"];
        let direct = argv(&["/usr/bin/ssh", "-S", "/tmp/master"]);
        let expected = [&around[..], &["-S", "/tmp/master"], &user].concat();
        assert_eq!(direct[1..9], expected);
        let wrapped = argv(&["torsocks", "ssh"]);
        assert_eq!(wrapped[1..8], [&["ssh"], &around[..], &user].concat());
    }

    #[test]
    fn an_address_loses_its_brackets() {
        assert_eq!(ssh("[fe80::1]").destination, "fe80::1");
        assert_eq!(ssh("me@[::1]").destination, "me@::1");
        assert_eq!(ssh("me@box").destination, "me@box");
    }

    #[test]
    fn the_remote_command_suits_any_login_shell() {
        for psess in [None, Some("~/opt/psess")] {
            let command = remote_command(psess, "relay");
            let script = command
                .strip_prefix("exec sh -c '")
                .and_then(|rest| rest.strip_suffix('\''))
                .expect("one word in single quotes");
            assert!(!script.contains(['\'', '\\', '!', '\n']), "{script}");
        }
    }

    #[test]
    fn the_remote_command_finds_psess_off_the_path_or_says_so() {
        let home = std::env::temp_dir().join(format!("psess-ssh-test-{}", std::process::id()));
        let bin = home.join(".cargo/bin");
        std::fs::create_dir_all(&bin).expect("a directory for the test");
        let run = || {
            std::process::Command::new("sh")
                .args(["-c", &remote_command(None, "relay")])
                .env("HOME", &home)
                .env("PATH", "/usr/bin:/bin")
                .output()
                .expect("sh is there")
        };
        let missing = run();
        assert_eq!(missing.status.code(), Some(127));
        assert!(String::from_utf8_lossy(&missing.stderr).contains(NOT_FOUND_MARK));

        let psess = bin.join("psess");
        psess_harness::install(Path::new("/bin/echo"), &psess);
        let found = run();
        assert_eq!(found.stdout, b"relay\n");
        std::fs::remove_dir_all(&home).expect("the test's own directory");
    }
}
