//! A second machine: this one once more, behind a real sshd on loopback.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::patience::eventually;
use crate::processes::{Process, Signal};
use crate::skip::{has, root, skip};
use crate::world::World;

/// What PAM is to do for sshd.
const PAM_SERVICE: &str = "/etc/pam.d/sshd";

/// How a user is let in.
#[derive(Clone, Copy)]
enum Login {
    Key,
    OneTimePassword,
}

/// A running sshd with keys, configuration and port of its own. The host is called `far`; a
/// script `ssh` in the world's `PATH` knows it. Sessions there have a home and a psess directory
/// of their own, below `far/`.
pub struct Sshd {
    child: Child,
}

impl Sshd {
    /// Starts one, or says that the test is skipped where there is no sshd.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(world: &World) -> Option<Self> {
        Self::with_environment(world, &[])
    }

    /// Starts one whose sessions have these entries of the environment as well.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with_environment(world: &World, environment: &[(&str, &str)]) -> Option<Self> {
        Self::launch(world, environment, Login::Key)
    }

    /// Starts one that lets in whoever knows one of these passwords, each once: PAM asks, and
    /// sshd's method is keyboard-interactive. Without root the test is skipped.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with_one_time_passwords(world: &World, passwords: &[&str]) -> Option<Self> {
        if !root() {
            return None;
        }
        if !Path::new(PAM_SERVICE).exists() {
            skip("sshd has no PAM here");
            return None;
        }
        let list = world.write("one_time_passwords", &(passwords.join("\n") + "\n"));
        let list = list.display();
        // pam_exec(8) gives it the password with a NUL behind it.
        let check = world.script(
            "check_password",
            &format!(
                "#!/bin/sh\npassword=$(tr -d '\\000')\n\
                 grep -qxF -e \"$password\" {list} && sed -i \"/^$password\\$/d\" {list}\n"
            ),
        );
        world.write(
            "pam",
            &format!(
                "auth required pam_exec.so quiet expose_authtok {}\nauth required pam_permit.so\n\
                 account required pam_permit.so\nsession required pam_permit.so\n",
                check.display()
            ),
        );
        Self::launch(world, &[], Login::OneTimePassword)
    }

    fn launch(world: &World, environment: &[(&str, &str)], login: Login) -> Option<Self> {
        let sshd = has("sshd")?;
        let ssh = has("ssh")?;
        for name in ["host_key", "user_key"] {
            let key = world.path(name);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&key)
                .status();
            assert!(
                made.is_ok_and(|status| status.success()),
                "ssh-keygen makes {key:?}"
            );
        }
        let keys = world.path("authorized_keys");
        fs::copy(world.path("user_key.pub"), &keys).expect("a key can be copied");
        // sshd wants this folder, and makes it only from a service file.
        let _ = fs::create_dir_all("/run/sshd");
        let (port, child) = eventually("sshd takes a free port", || {
            start_on_free_port(world, &sshd, environment, login)
        });
        let config = world.write(
            "ssh_config",
            &format!(
                "Host far\n HostName 127.0.0.1\n Port {port}\n IdentityFile {key}\n\
                 IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile {known}\n\
                 StrictHostKeyChecking accept-new\n LogLevel ERROR\n\
                 Host refusing\n HostName 127.0.0.1\n Port 1\n\
                 Host stranger\n HostName 127.0.0.1\n Port {port}\n IdentityFile /dev/null\n\
                 IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile {known}\n\
                 StrictHostKeyChecking accept-new\n",
                key = world.path("user_key").display(),
                known = world.path("known_hosts").display(),
            ),
        );
        world.script(
            "ssh",
            &format!(
                "#!/bin/sh\nexec {} -F {} \"$@\"\n",
                ssh.display(),
                config.display()
            ),
        );
        Some(Self { child })
    }

    /// The sshd processes that serve one connection each.
    #[must_use]
    pub fn connections(&self) -> Vec<Process> {
        let listener = Process::new(self.child.id().cast_signed());
        let children = listener.children();
        let grandchildren = children.iter().flat_map(Process::children);
        let mut processes: Vec<_> = grandchildren.chain(children.clone()).collect();
        processes.retain(|process| process.command.starts_with("sshd"));
        processes
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        Process::new(self.child.id().cast_signed()).signal(Signal::KILL);
        // Its status is of no interest.
        let _ = self.child.wait();
    }
}

/// `None` when another process took the port first.
fn start_on_free_port(
    world: &World,
    sshd: &Path,
    environment: &[(&str, &str)],
    login: Login,
) -> Option<(u16, Child)> {
    let port = TcpListener::bind("127.0.0.1:0")
        .ok()?
        .local_addr()
        .ok()?
        .port();
    let mut set = vec![
        (
            "HOME".to_owned(),
            world.path("far/home").display().to_string(),
        ),
        (
            "PSESS_DIR".to_owned(),
            world.path("far/psess").display().to_string(),
        ),
        ("PATH".to_owned(), world.search_path()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ];
    for (name, value) in environment {
        set.retain(|(known, _)| known != name);
        set.push(((*name).to_owned(), (*value).to_owned()));
    }
    let set: String = set
        .iter()
        .map(|(name, value)| format!(" \"{name}={value}\""))
        .collect();
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let locked = shadow.lines().any(|line| line.starts_with("root:!"));
    let login_settings = match login {
        Login::Key => format!(
            "PermitRootLogin prohibit-password\nKbdInteractiveAuthentication no\nUsePAM {}\n",
            // Without PAM, sshd refuses a locked account even with a key.
            if locked { "yes" } else { "no" },
        ),
        Login::OneTimePassword => "PermitRootLogin yes\nKbdInteractiveAuthentication yes\n\
             AuthenticationMethods keyboard-interactive\nUsePAM yes\n"
            .to_owned(),
    };
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
         {login_settings}PasswordAuthentication no\nStrictModes no\nUseDNS no\nPrintMotd no\n\
         PrintLastLog no\nMaxStartups 200\nSetEnv{set}\n",
        world.path("host_key").display(),
        world.path("authorized_keys").display(),
    );
    let config = world.write("sshd_config", &config);
    let log = world.path("sshd.log");
    let stderr = fs::File::create(&log).ok()?;
    let mut command = match login {
        Login::Key => Command::new(sshd),
        // sshd's PAM service has a fixed name: it alone sees another file in its place.
        Login::OneTimePassword => {
            let mut command = Command::new("unshare");
            let script = format!("mount --bind \"$1\" {PAM_SERVICE} && shift && exec \"$@\"");
            command.args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                &script,
                "sh",
            ]);
            command.arg(world.path("pam")).arg(sshd);
            command
        }
    };
    let mut child = command
        .args(["-D", "-e", "-f"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("sshd can be started");
    // Whoever took the port first would take a connection as well.
    let listens = format!("Server listening on 127.0.0.1 port {port}.");
    eventually("sshd listens or gives up", || {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return Some(false);
        }
        let said = fs::read_to_string(&log).ok()?;
        said.contains(&listens).then_some(true)
    })
    .then_some((port, child))
}
