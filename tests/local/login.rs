//! The end of a login that takes its processes with it: logind's KillUserProcesses, played by a
//! control group named as logind names a login's, which is killed as a whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use psess_harness::{Finished, PATIENCE, World, eventually, root, skip};

use crate::world;

/// The group of one login, and one beside it where a user's manager puts its scopes.
struct Groups {
    folder: PathBuf,
}

impl Groups {
    /// `None` where control groups cannot be made or killed; says so.
    fn new(name: &str) -> Option<Self> {
        if !root() {
            return None;
        }
        let name = format!("psess-{}-{name}", std::process::id());
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let mount = mounts
            .lines()
            .find(|line| line.split(' ').nth(2) == Some("cgroup2"))
            .and_then(|line| line.split(' ').nth(1));
        let groups = Self {
            folder: Path::new(mount.unwrap_or_default()).join(name),
        };
        let made = mount.is_some()
            && [groups.login(), groups.manager()]
                .iter()
                .all(|group| fs::create_dir_all(group).is_ok());
        if !made || !groups.login().join("cgroup.kill").exists() {
            skip("it needs a control group (cgroup2) that can be made and killed");
            return None;
        }
        Some(groups)
    }

    fn login(&self) -> PathBuf {
        self.folder.join("session-9.scope")
    }

    fn manager(&self) -> PathBuf {
        self.folder.join("psess.scope")
    }

    /// A command that runs `psess new -d build -- sleep 1000` in the login's group, on a machine
    /// whose logind kills what a login leaves. `prepare` runs before, in a namespace of its own
    /// for mounts.
    fn new_in_login(&self, world: &World, prepare: &str) -> Command {
        // The answer of busctl(1) for KillUserProcesses, KillOnlyUsers and KillExcludeUsers.
        world.script(
            "busctl",
            "#!/bin/sh\necho 'b true'; echo 'as 0'; echo 'as 0'\n",
        );
        let mut command = world.command("unshare");
        let script = format!(
            "set -e; {prepare}\necho $$ >{}/cgroup.procs; exec psess new -d build -- sleep 1000",
            self.login().display()
        );
        command.args(["-m", "/bin/sh", "-c", &script]);
        command
    }

    /// What logind does at the login's end.
    fn end_login(&self) {
        fs::write(self.login().join("cgroup.kill"), "1").expect("root may kill a group");
        eventually("the login's group is empty", || {
            let left = fs::read_to_string(self.login().join("cgroup.procs")).ok()?;
            left.is_empty().then_some(())
        });
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in [self.login(), self.manager()] {
            // Not made, or killed already.
            let _ = fs::write(group.join("cgroup.kill"), "1");
            // It can be removed once the killed are gone.
            let start = Instant::now();
            while fs::remove_dir(&group).is_err() && start.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // What is left of it is empty.
        let _ = fs::remove_dir(&self.folder);
    }
}

#[test]
fn where_logout_kills_and_nothing_helps_new_says_so_at_once_and_names_the_remedy() {
    let world = world();
    let Some(groups) = Groups::new("without-manager") else {
        return;
    };
    // No user's manager, whatever this machine has.
    let finished = Finished::of(groups.new_in_login(&world, "mount -t tmpfs none /run"));
    assert_eq!(finished.status, Some(0), "{finished:?}");
    for words in [
        "your sessions end with this login",
        "loginctl enable-linger",
    ] {
        assert!(finished.stderr.contains(words), "{finished:?}");
    }
    groups.end_login();
    let list = world.succeed(["list"]);
    let lost = list.contains("build  finished") && list.contains("lost: its keeper was killed");
    assert!(lost, "the warning was true: {list}");
}

#[test]
fn where_logout_kills_the_session_goes_on_under_the_users_manager() {
    let world = world();
    let Some(groups) = Groups::new("with-manager") else {
        return;
    };
    // systemd-run puts what it runs into another group.
    world.script(
        "systemd-run",
        &format!(
            "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift\n\
             echo $$ >{}/cgroup.procs; exec \"$@\"\n",
            groups.manager().display()
        ),
    );
    let prepare = "mount -t tmpfs none /run; mkdir -p /run/user/$(id -u)/systemd; \
                   touch /run/user/$(id -u)/systemd/private";
    let finished = Finished::of(groups.new_in_login(&world, prepare));
    assert_eq!(finished.status, Some(0), "{finished:?}");
    // It ends with the *last* login then, unless the user lingers.
    assert!(
        finished.stderr.contains("with your last login"),
        "{finished:?}"
    );
    groups.end_login();
    assert!(world.succeed(["list"]).contains("sleep 1000"));
}
