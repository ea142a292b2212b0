//! What a machine's settings say about who may cut a connection: read on this machine, or on the
//! far one by `psess facts`, whose output this is.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounded_command;
use super::evidence::FarEvidence;
use super::kernel_settings::KernelSettings;
use super::seconds::span;
use super::shell_settings::ShellSettings;
use super::sshd_settings::SshdSettings;

/// The line that begins the facts: what start-up files printed before it is skipped.
const MARK: &str = "psess-facts-1";

/// How long the far side may take to tell what it knows.
const WITHIN: Duration = Duration::from_secs(15);

/// What a machine's settings say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The kernel's boot.
    pub boot_id: String,
    /// The kernel's timeouts.
    pub kernel: KernelSettings,
    /// The sshd that this process runs under; `None` where there is none.
    pub sshd: Option<SshdSettings>,
    /// The user's login shell.
    pub shell: ShellSettings,
    /// What happens at logout.
    pub logout: LogoutSettings,
}

/// What a logout does to what runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogoutSettings {
    /// Whether logind manages sessions here.
    pub has_logind: bool,
    /// logind's KillUserProcesses, and the file that sets it.
    pub kill_user_processes: Option<(bool, String)>,
    /// Whether the user's processes and runtime directory outlive the last logout.
    pub linger: bool,
    /// $XDG_RUNTIME_DIR.
    pub runtime_directory: Option<String>,
}

impl Facts {
    /// Reads this machine's.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            boot_id: boot_id.trim().to_owned(),
            kernel: KernelSettings::of_this_machine(),
            sshd: SshdSettings::of_this_connection(),
            shell: ShellSettings::of_this_user(),
            logout: LogoutSettings::of_this_user(),
        }
    }

    /// Runs `psess facts` on the far side.
    ///
    /// # Errors
    /// What was said instead: the last line on stderr, of ssh mostly.
    pub async fn ask(argv: &[OsString]) -> Result<Self, String> {
        let Some(output) = bounded_command::output(argv, WITHIN).await else {
            return Err(format!("no answer within {}", span(WITHIN)));
        };
        Self::parse(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            last.unwrap_or("it knows no 'psess facts'")
                .trim()
                .to_owned()
        })
    }

    /// As `psess facts` prints them.
    #[must_use]
    pub fn print(&self) -> String {
        // Plain numbers, strings and lists can always be written.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{MARK}\n{json}\n")
    }

    /// Reads what `psess facts` printed; `None` when that is not among it.
    #[must_use]
    pub fn parse(output: &str) -> Option<Self> {
        let mut lines = output.lines().skip_while(|line| *line != MARK).skip(1);
        serde_json::from_str(lines.next()?).ok()
    }
}

impl FarEvidence {
    /// What these facts tell of a cut on whose connection something last came `ago`.
    #[must_use]
    pub fn of_facts(facts: &Facts, ago: Duration) -> Self {
        let Some(sshd) = &facts.sshd else {
            return Self::default();
        };
        let started = sshd.started_seconds_ago.map(Duration::from_secs);
        Self {
            knows_sshd: !sshd.source.is_empty(),
            client_alive: sshd.client_alive().map(|limit| limit.earliest),
            keepalive: facts.kernel.keepalive().filter(|_| sshd.tcp_keepalive),
            channel_timeout: sshd.channel_timeout(),
            unused_connection_timeout: sshd.unused_connection_timeout(),
            knows_sshd_log: sshd.has_log,
            sshd_log: sshd.remarks.clone(),
            sshd_restarted: started.is_some_and(|started| started <= ago),
        }
    }
}

impl LogoutSettings {
    fn of_this_user() -> Self {
        let user = env::var("USER").or_else(|_| env::var("LOGNAME"));
        let linger =
            user.is_ok_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists());
        Self {
            has_logind: Path::new("/run/systemd/seats").exists(),
            kill_user_processes: kill_user_processes(),
            linger,
            runtime_directory: env::var("XDG_RUNTIME_DIR").ok(),
        }
    }
}

/// The last file that sets it counts (logind.conf(5)).
fn kill_user_processes() -> Option<(bool, String)> {
    let mut files = vec![
        PathBuf::from("/usr/lib/systemd/logind.conf"),
        PathBuf::from("/etc/systemd/logind.conf"),
    ];
    for directory in [
        "/usr/lib/systemd/logind.conf.d",
        "/etc/systemd/logind.conf.d",
    ] {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        entries.sort();
        files.extend(entries);
    }
    files.into_iter().rev().find_map(|file| {
        let text = fs::read_to_string(&file).ok()?;
        let value = text.lines().rev().find_map(|line| {
            let (key, value) = line.trim().split_once('=')?;
            (key.trim() == "KillUserProcesses").then(|| value.trim().to_lowercase())
        })?;
        let is_on = ["yes", "true", "on", "1"].contains(&value.as_str());
        Some((is_on, file.display().to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_far_side_that_tells_nothing_is_quoted() {
        let ask = async |script: &str| {
            let argv = ["sh", "-c", script].map(OsString::from);
            Facts::ask(&argv).await
        };
        let refused = "echo Welcome; echo 'ssh: no such host' >&2; exit 255";
        assert_eq!(ask(refused).await, Err("ssh: no such host".to_owned()));
        let older = Err("it knows no 'psess facts'".to_owned());
        assert_eq!(ask("echo Welcome").await, older);
    }

    #[test]
    fn facts_are_found_behind_the_noise_of_start_up_files() {
        let facts = Facts::of_this_machine();
        let output = format!("Welcome!\n{{}}\n{}", facts.print());
        assert_eq!(Facts::parse(&output), Some(facts));
        assert_eq!(Facts::parse("sh: psess: not found\n"), None);
        // Of an older or a newer psess.
        let other = "psess-facts-1\n{\"boot_id\":\"x\",\"weather\":\"fine\"}\n";
        assert_eq!(Facts::parse(other).unwrap().boot_id, "x");
    }
}
