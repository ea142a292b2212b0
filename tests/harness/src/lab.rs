//! A forgetful NAT between two machines: `tests/lab/natlab`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::skip::{has, root, skip};
use crate::world::{Finished, World};

/// A client and a server in network namespaces of their own, and a NAT between them that
/// breaks on request. The host is called `server`.
pub struct Lab {
    prefix: String,
}

/// What the NAT is like.
#[derive(Clone, Copy, Debug)]
pub struct LabOptions {
    /// It forgets a connection after so many seconds without a packet.
    pub idle_timeout_s: u32,
    /// What it does with what still comes for such a connection: `drop` or `reset`.
    pub on_expiry: &'static str,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            idle_timeout_s: 600,
            on_expiry: "drop",
        }
    }
}

impl Lab {
    /// Builds one, or says that the test is skipped where it cannot be built.
    ///
    /// # Panics
    /// When building fails although everything for it is there.
    #[must_use]
    pub fn up(world: &World, options: LabOptions) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !root() {
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let lab = Self {
            prefix: format!("pe{}-{number}", std::process::id()),
        };
        // What the tests run in it, see `Counter`.
        has("python3")?;
        let check = lab.natlab(["check"]).output();
        match check {
            Ok(check) if check.status.success() => {}
            Ok(check) => {
                skip(String::from_utf8_lossy(&check.stderr).trim());
                return None;
            }
            Err(error) => panic!("natlab does not start: {error}"),
        }
        let psess = world.executable().parent().unwrap_or(Path::new("/"));
        let mut up = lab.natlab(["up", "--on-expiry", options.on_expiry, "--idle-timeout"]);
        up.arg(options.idle_timeout_s.to_string())
            .arg("--client-path")
            .arg(psess)
            .arg("--server-path")
            .arg(psess)
            .arg("--server-env")
            .arg(format!("PSESS_DIR={}", world.path("far/psess").display()));
        let up = Finished::of(up);
        assert_eq!(up.status, Some(0), "natlab up: {}", up.stderr);
        Some(lab)
    }

    /// `psess` with these arguments, to run on the client's side.
    #[must_use]
    pub fn psess<A: AsRef<std::ffi::OsStr>>(
        &self,
        world: &World,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = world.command(natlab());
        command
            .args(["-p", &self.prefix, "client", "psess"])
            .args(arguments);
        command
    }

    /// Runs one of natlab's verbs: `flush`, `blackhole on`, `kill-sshd children` …
    ///
    /// # Panics
    /// When it fails.
    pub fn fault(&self, verb: &str) -> String {
        let done = Finished::of(self.natlab(verb.split(' ')));
        assert_eq!(done.status, Some(0), "natlab {verb}: {}", done.stderr);
        done.stdout
    }

    fn natlab<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(natlab());
        command.args(["-p", &self.prefix]).args(arguments);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What `down` cannot end is ended with the world.
        let _ = self.natlab(["down"]).output();
    }
}

fn natlab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/natlab")
}
