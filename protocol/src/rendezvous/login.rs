//! Whether the keeper outlives the login that starts it: logind(8) may kill what a login leaves.
//!
//! What is known of the ways to end:
//! - A process in a login's scope (`session-N.scope`) is killed at the end of that login when
//!   `KillUserProcesses` says so (logind.conf(5)), and only then.
//! - A process under the user's manager (`user@UID.service`) is killed with it, some seconds
//!   after the user's last login ended, unless the user lingers (`loginctl enable-linger`).
//!
//! So the user's manager is the safer place only where the login's scope would be killed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;

/// Where the starting process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a login's scope.
    Login,
    /// Under the user's manager: from a terminal of a desktop, say.
    UserManager,
    /// Elsewhere: no systemd, a container, a system service.
    Elsewhere,
}

/// What decides how the keeper is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) place: Place,
    /// logind kills what this user's logins leave behind.
    pub(super) kills: bool,
    /// The user's manager goes on after the last logout.
    pub(super) lingers: bool,
    /// `systemd-run` is there, and the user's manager can be reached.
    pub(super) manager: bool,
}

/// How the keeper is started, and what to tell the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Through `systemd-run --user --scope`.
    pub(super) in_scope: bool,
    pub(super) warnings: Vec<String>,
}

impl Login {
    pub(super) fn plan(&self) -> Plan {
        let linger = "run 'loginctl enable-linger' once to keep them";
        match self.place {
            Place::Elsewhere => Plan::default(),
            Place::Login if !self.kills => Plan::default(),
            Place::Login if self.manager => Plan {
                in_scope: true,
                warnings: match self.lingers {
                    true => Vec::new(),
                    false => vec![format!(
                        "your sessions end with your last login on this machine (logind's \
                         KillUserProcesses); {linger}"
                    )],
                },
            },
            Place::Login => Plan {
                in_scope: false,
                warnings: vec![
                    "your sessions end with this login: logind's KillUserProcesses is on and \
                     your systemd user manager cannot be reached; run 'loginctl enable-linger', \
                     then 'psess server stop', and start again"
                        .to_owned(),
                ],
            },
            // A scope of its own, lest it end with the service or the desktop's scope.
            Place::UserManager => Plan {
                in_scope: self.manager,
                warnings: match self.lingers {
                    true => Vec::new(),
                    false => vec![format!(
                        "your sessions end with your last login on this machine; {linger}"
                    )],
                },
            },
        }
    }

    /// Looks at this process and machine.
    pub(super) fn probe() -> Self {
        let cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let place = place(&cgroups);
        if place == Place::Elsewhere {
            return Self {
                place,
                kills: false,
                lingers: false,
                manager: false,
            };
        }
        // Who has no account lingers nowhere.
        let user = Account::of_this_process()
            .map(|account| account.name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self {
            place,
            kills: place == Place::Login && kills(&logind_settings(), &user),
            lingers: !user.is_empty() && Path::new("/var/lib/systemd/linger").join(&user).exists(),
            manager: runtime_directory().join("systemd/private").exists() && in_path("systemd-run"),
        }
    }
}

/// The directory through which the user's manager is reached.
pub(super) fn runtime_directory() -> PathBuf {
    PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()))
}

/// Where a process with these lines in `/proc/PID/cgroup` runs (cgroups(7), systemd's hierarchy).
fn place(cgroups: &str) -> Place {
    let path = cgroups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        let systemd = controllers.is_empty() || controllers == "name=systemd";
        (systemd && path != "/").then_some(path)
    });
    let mut parts = path.unwrap_or_default().split('/');
    match parts.find_map(|part| {
        if part.starts_with("session-") && part.ends_with(".scope") {
            Some(Place::Login)
        } else if part.starts_with("user@") && part.ends_with(".service") {
            Some(Place::UserManager)
        } else {
            None
        }
    }) {
        Some(place) => place,
        None => Place::Elsewhere,
    }
}

/// Whether logind with these settings kills what this user leaves behind (logind.conf(5)). The
/// last assignment counts. Root is excluded unless the settings say otherwise.
fn kills(settings: &str, user: &str) -> bool {
    let mut kills = false;
    let mut only = Vec::new();
    let mut excluded = vec!["root"];
    for line in settings.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        match key.trim() {
            "KillUserProcesses" => {
                kills = matches!(
                    value.to_lowercase().as_str(),
                    "yes" | "true" | "on" | "1" | "y" | "t"
                );
            }
            "KillOnlyUsers" => only = value.split_whitespace().collect(),
            "KillExcludeUsers" => excluded = value.split_whitespace().collect(),
            _ => {}
        }
    }
    kills && !excluded.contains(&user) && (only.is_empty() || only.contains(&user))
}

/// logind's settings: as logind itself says, with what was compiled in; else as its files do.
fn logind_settings() -> String {
    let asked = Command::new("busctl")
        .args(["--timeout=2", "get-property", "org.freedesktop.login1"])
        .args(["/org/freedesktop/login1", "org.freedesktop.login1.Manager"])
        .args(["KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    if let Ok(answer) = asked
        && answer.status.success()
        && let Some(settings) = settings_of_bus(&String::from_utf8_lossy(&answer.stdout))
    {
        return settings;
    }
    let mut files = vec![
        PathBuf::from("/usr/lib/systemd/logind.conf"),
        PathBuf::from("/etc/systemd/logind.conf"),
    ];
    for parent in ["/usr/lib", "/run", "/etc"] {
        let folder = Path::new(parent).join("systemd/logind.conf.d");
        // No folder: no settings in it.
        let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        found.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        });
        found.sort();
        files.append(&mut found);
    }
    // A file that cannot be read says nothing.
    let texts = files.iter().flat_map(std::fs::read_to_string);
    texts.collect::<Vec<_>>().join("\n")
}

/// The answer of busctl(1), as lines of a settings file: `b true`, `as 1 "root"`.
fn settings_of_bus(answer: &str) -> Option<String> {
    let mut lines = answer.lines();
    let kills = lines.next()?.strip_prefix("b ")?;
    let mut list = || -> Option<String> {
        let names = lines.next()?.strip_prefix("as ")?;
        let names = names.split_whitespace().skip(1);
        Some(names.collect::<Vec<_>>().join(" ").replace('"', ""))
    };
    let (only, excluded) = (list()?, list()?);
    Some(format!(
        "KillUserProcesses={kills}\nKillOnlyUsers={only}\nKillExcludeUsers={excluded}\n"
    ))
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login = Login {
        place: Place::Login,
        kills: true,
        lingers: true,
        manager: true,
    };

    #[test]
    fn a_login_that_is_not_killed_needs_nothing() {
        let login = Login {
            kills: false,
            lingers: false,
            ..LOGIN
        };
        assert_eq!(login.plan(), Plan::default());
    }

    #[test]
    fn a_login_that_is_killed_is_left_for_the_users_manager() {
        assert_eq!(
            LOGIN.plan(),
            Plan {
                in_scope: true,
                warnings: Vec::new()
            }
        );
        let ends = Login {
            lingers: false,
            ..LOGIN
        };
        assert!(ends.plan().in_scope);
        assert!(ends.plan().warnings[0].contains("loginctl enable-linger"));
    }

    #[test]
    fn without_a_manager_the_remedy_is_said() {
        let login = Login {
            manager: false,
            ..LOGIN
        };
        let plan = login.plan();
        assert!(!plan.in_scope);
        assert!(plan.warnings[0].contains("loginctl enable-linger"));
    }

    #[test]
    fn the_place_is_read_from_either_hierarchy() {
        for (cgroups, expected) in [
            (
                "0::/user.slice/user-1000.slice/session-3.scope\n",
                Place::Login,
            ),
            (
                "5:devices:/\n1:name=systemd:/user.slice/user-1000.slice/session-c1.scope\n0::/\n",
                Place::Login,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-1.scope\n",
                Place::UserManager,
            ),
            ("0::/system.slice/cron.service\n", Place::Elsewhere),
            ("0::/\n", Place::Elsewhere),
            ("", Place::Elsewhere),
        ] {
            assert_eq!(place(cgroups), expected, "{cgroups}");
        }
    }

    #[test]
    fn the_last_setting_counts() {
        assert!(!kills("#KillUserProcesses=yes\n", "ann"));
        assert!(kills("[Login]\nKillUserProcesses = yes\n", "ann"));
        assert!(!kills("KillUserProcesses=yes\nKillUserProcesses=no", "ann"));
        assert!(!kills("KillUserProcesses=yes", "root"));
        assert!(!kills(
            "KillUserProcesses=yes\nKillExcludeUsers=bob ann",
            "ann"
        ));
        assert!(!kills("KillUserProcesses=yes\nKillOnlyUsers=bob", "ann"));
    }

    #[test]
    fn logind_answers_like_a_settings_file() {
        let settings = settings_of_bus("b true\nas 0\nas 1 \"root\"\n").unwrap();
        assert!(kills(&settings, "ann"));
        assert!(!kills(&settings, "root"));
        assert_eq!(settings_of_bus("Call failed"), None);
    }
}
