//! A machine of a test's own: its folders, its environment, its processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::patience::{PATIENCE, eventually};
use crate::processes::{Process, Signal};
use crate::terminal::Terminal;

/// A home, a psess directory and an environment that no other test shares.
///
/// When it is dropped, every process that knows of its folder is killed, and the folder removed.
pub struct World {
    folder: PathBuf,
    psess: PathBuf,
}

/// How a command ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl World {
    /// An empty one, in which `psess` is the executable to test.
    ///
    /// # Panics
    /// When its folder cannot be made.
    #[must_use]
    pub fn new(psess: impl Into<PathBuf>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, because the path of a unix socket has at most 107 bytes.
        let folder = PathBuf::from(format!("/tmp/pe{}.{number}", std::process::id()));
        let world = Self {
            folder,
            psess: psess.into(),
        };
        for name in [
            "home",
            "run",
            "psess",
            "bin",
            "far",
            "far/home",
            "far/psess",
        ] {
            let folder = world.path(name);
            fs::create_dir_all(&folder).expect("a folder can be made in /tmp");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
                .expect("one's own folder can be closed");
        }
        world
    }

    /// A file or folder of this world.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file of this world, with the folders it needs.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder can be made in a test's own");
        }
        fs::write(&path, text).expect("a file can be written in a test's own folder");
        path
    }

    /// Writes an executable script into a folder that is first in the world's `PATH`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(format!("bin/{name}"));
        install(&self.write(&format!("scripts/{name}"), text), &path);
        path
    }

    /// The executable that is tested.
    #[must_use]
    pub fn executable(&self) -> &Path {
        &self.psess
    }

    /// The value of `PATH`: the world's scripts, the tested psess, the system.
    #[must_use]
    pub fn search_path(&self) -> String {
        let psess = self.psess.parent().unwrap_or(Path::new("/"));
        format!(
            "{}:{}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
            self.path("bin").display(),
            psess.display()
        )
    }

    /// A command that is to run in this world.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", self.search_path())
            .env("HOME", self.path("home"))
            .env("USER", "root")
            .env("SHELL", "/bin/bash")
            .env("TERM", "xterm-256color")
            .env("COLORTERM", "truecolor")
            .env("LANG", "C.UTF-8")
            .env("PSESS_DIR", self.path("psess"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("XDG_STATE_HOME", self.path("home/.local/state"))
            .env("TMUX_TMPDIR", self.path("run"))
            .current_dir(self.path("home"));
        command
    }

    /// `psess` with these arguments, to run in this world.
    #[must_use]
    pub fn psess<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.command(&self.psess);
        command.args(arguments);
        command
    }

    /// Runs `psess` to its end, without a terminal.
    ///
    /// # Panics
    /// When it does not end for [`PATIENCE`].
    pub fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Finished {
        Finished::of(self.psess(arguments))
    }

    /// Runs `psess` to its end, and expects it to succeed: its output.
    ///
    /// # Panics
    /// When it fails.
    pub fn succeed<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        let command = self.psess(arguments);
        let words = format!("{command:?}");
        let finished = Finished::of(command);
        assert_eq!(finished.status, Some(0), "{words}: {finished:?}");
        finished.stdout
    }

    /// Runs `psess` on a new terminal of 24 × 80.
    #[must_use]
    pub fn open<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Terminal {
        let mut terminal = Terminal::new();
        terminal.run(self.psess(arguments));
        terminal
    }

    /// The living processes that belong to this world.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        Process::all_that_name(&self.folder)
    }

    /// The living processes of this world that run psess in this role: `keeper`, `server`,
    /// `relay`, `attach` …
    #[must_use]
    pub fn role(&self, role: &str) -> Vec<Process> {
        let mut processes = self.processes();
        processes.retain(|process| {
            let mut words = process.command.split(' ');
            let program = words.next().unwrap_or_default();
            Path::new(program)
                .file_name()
                .is_some_and(|name| name == "psess")
                && words.any(|word| word == role)
        });
        processes
    }

    /// Waits until no keeper or server of this world is left.
    ///
    /// # Panics
    /// When one stays.
    pub fn wait_for_end(&self) {
        eventually("keeper and server have ended", || {
            (self.role("keeper").is_empty() && self.role("server").is_empty()).then_some(())
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let start = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() || start.elapsed() > PATIENCE {
                break;
            }
            for process in left {
                process.signal(Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // What is left of the folder lies in /tmp, where it harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Finished {
    /// Runs a command to its end, with nothing on its stdin.
    ///
    /// # Panics
    /// When it cannot be started, or does not end for [`PATIENCE`].
    #[must_use]
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = reader(child.stdout.take().expect("stdout is piped"));
        let stderr = reader(child.stderr.take().expect("stderr is piped"));
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if start.elapsed() > PATIENCE {
                Process::new(child.id().cast_signed()).kill();
                panic!("{command:?} does not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Self {
            status: status.code(),
            stdout: stdout(),
            stderr: stderr(),
        }
    }
}

/// Collects what a command prints until the command has ended: a daemon that holds the pipe
/// open must not hold up the test, but fail it.
fn reader(mut pipe: impl std::io::Read + Send + 'static) -> impl FnOnce() -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that cannot be read gives what was read before.
        let _ = pipe.read_to_end(&mut bytes);
        // Nobody waits any more: the test has failed.
        let _ = sender.send(bytes);
    });
    move || {
        let bytes = receiver
            .recv_timeout(PATIENCE)
            .expect("nothing keeps the output of a finished command open");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Copies a file to where it can be executed at once.
///
/// No file that is open for writing can be executed (execve(2), ETXTBSY), and what this process
/// opens is open in each child that another test starts meanwhile, until that executes its program.
/// So another process writes it.
///
/// # Panics
/// When it cannot be copied.
pub fn install(file: &Path, path: &Path) {
    let mut command = Command::new("install");
    command.args(["-m", "755"]).arg(file).arg(path);
    let done = command.status();
    assert!(done.is_ok_and(|status| status.success()), "{command:?}");
}
