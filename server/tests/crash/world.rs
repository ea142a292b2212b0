//! A keeper of the test's own, with the server that it starts and that is killed.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use psess_protocol::identity::SessionId;
use psess_protocol::message::{
    ByteString, ClientMessage, NewSession, ServerMessage, ServerStatus, SessionSummary,
};
use psess_protocol::rendezvous::Directory;
use psess_protocol::size::Size;
use rustix::process::{Pid, Signal, kill_process};

use super::program::{Program, ready_file};
use super::wire::Wire;

pub(crate) const SIZE: Size = Size {
    rows: 24,
    columns: 80,
    pixel_width: 0,
    pixel_height: 0,
};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    folder: PathBuf,
    /// The program file that the keeper was started from.
    exe: PathBuf,
    keeper: Child,
    /// When the server was last killed, in microseconds after `begin`; 0: not yet.
    killed: AtomicU64,
    begin: Instant,
    /// How long clients took to be attached again.
    pub(crate) reattached: Mutex<Vec<Duration>>,
}

/// Worlds of this process.
static COUNT: AtomicU64 = AtomicU64::new(0);

impl World {
    pub(crate) fn new() -> Self {
        Self::limited("-n 100000", |_| {})
    }

    /// One whose keeper and server have this limit each, as of ulimit(1p), and which begins in a
    /// folder that was prepared.
    pub(crate) fn limited(limit: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = PathBuf::from(format!(
            "/tmp/psess-crash-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir(&folder).expect("a folder can be made in /tmp");
        let exe = folder.join("psess-installed");
        install(&exe);
        prepare(&folder);
        let limited = format!("ulimit {limit} 2>/dev/null; exec \"$0\" keeper");
        let keeper = Command::new("sh")
            .args(["-c", &limited])
            .arg(&exe)
            .env("PSESS_DIR", folder.join("psess"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the keeper starts");
        Self {
            folder,
            exe,
            keeper,
            killed: AtomicU64::new(0),
            begin: Instant::now(),
            reattached: Mutex::default(),
        }
    }

    /// Puts another file at the place of the program, as an upgrade does.
    pub(crate) fn upgrade(&self) {
        install(&self.exe);
    }

    /// Asks the server to be replaced, and waits until it is.
    pub(crate) fn restart_server(&self) {
        let before = self.status();
        self.killed.store(self.now(), Ordering::SeqCst);
        let mut wire = Wire::connect(&self.directory());
        let answer = wire.ask(&ClientMessage::RestartServer);
        assert_eq!(answer, ServerMessage::Done);
        while wire.next(Some(PATIENCE)).is_ok() {}
        let after = self.status();
        assert_eq!(after.restarts, before.restarts + 1);
        assert_eq!(after.sessions, before.sessions);
        assert_eq!(after.keeper_pid, before.keeper_pid);
    }

    fn status(&self) -> ServerStatus {
        match Wire::connect(&self.directory()).ask(&ClientMessage::Status) {
            ServerMessage::Server(status) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Whether the keeper runs the program that is installed.
    pub(crate) fn is_keeper_upgraded(&self) -> bool {
        let running = std::fs::metadata(format!("/proc/{}/exe", self.keeper()));
        let installed = std::fs::metadata(&self.exe);
        match (running, installed) {
            (Ok(running), Ok(installed)) => running.ino() == installed.ino(),
            _ => false,
        }
    }

    /// What keeper and server take now.
    pub(crate) fn footprint(&self) -> Footprint {
        let keeper = self.keeper();
        let server = self.status().pid;
        let descriptors = |pid: u32| {
            std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count())
        };
        // It closes the connection that asked before it waits for anything else.
        let deadline = Instant::now() + PATIENCE;
        while !waits(server) {
            assert!(Instant::now() < deadline, "the server never rests");
            std::thread::sleep(Duration::from_millis(1));
        }
        let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"));
        Footprint {
            keeper_descriptors: descriptors(keeper),
            server_descriptors: descriptors(server),
            processes: children.unwrap_or_default().split_whitespace().count(),
            keeper_kib: resident_kib(keeper),
            server_kib: resident_kib(server),
        }
    }

    fn now(&self) -> u64 {
        self.begin.elapsed().as_micros() as u64
    }

    pub(crate) fn directory(&self) -> Directory {
        Directory::new(self.folder.join("psess"))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop_file().exists()
    }

    pub(crate) fn keeper(&self) -> u32 {
        self.keeper.id()
    }

    fn stop_file(&self) -> PathBuf {
        self.folder.join("stop")
    }

    /// Where a session's reader says how far it is.
    pub(crate) fn pace_file(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("pace")
    }

    /// Starts a session, whose program may be typed to.
    pub(crate) fn start(&self, name: &str, program: Program) -> SessionId {
        let (id, created) = self.try_start(name, program);
        assert!(matches!(created, ServerMessage::Created(_)), "{created:?}");
        let ready = ready_file(&self.pace_file(name));
        let deadline = Instant::now() + PATIENCE;
        while !ready.exists() {
            assert!(
                Instant::now() < deadline,
                "the program of {name} is not ready"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        id
    }

    /// Tries to start a session; what the server said.
    pub(crate) fn try_start(&self, name: &str, program: Program) -> (SessionId, ServerMessage) {
        let id = SessionId::random();
        let (stop, pace) = (self.stop_file(), self.pace_file(name));
        let exe = std::env::current_exe().expect("this program has a file");
        let command = [
            exe.to_str().expect("a path of text"),
            "program",
            program.name(),
            stop.to_str().expect("a path of text"),
            pace.to_str().expect("a path of text"),
        ];
        let mut wire = Wire::connect(&self.directory());
        let created = wire.ask(&ClientMessage::New(NewSession {
            id,
            name: Some(name.parse().expect("a valid name")),
            command: command.into_iter().map(ByteString::from).collect(),
            cwd: None,
            environment: Vec::new(),
            size: SIZE,
        }));
        (id, created)
    }

    /// All sessions.
    pub(crate) fn list(&self) -> Vec<SessionSummary> {
        let mut wire = Wire::connect(&self.directory());
        let mut answer = wire.ask(&ClientMessage::List);
        let mut all = Vec::new();
        loop {
            let ServerMessage::Sessions { sessions, more } = answer else {
                panic!("{answer:?}");
            };
            all.extend(sessions);
            if !more {
                return all;
            }
            answer = wire.answer();
        }
    }

    /// Lets the programs end.
    pub(crate) fn stop(&self) {
        std::fs::write(self.stop_file(), "").expect("a file can be written");
    }

    /// Kills the server that runs, once there is one; without it when all have ended.
    pub(crate) fn kill_server(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(server) = self.server() {
                self.killed.store(self.now(), Ordering::SeqCst);
                // It may have ended by itself: then another follows.
                if kill_process(server, Signal::KILL).is_ok() {
                    return;
                }
            }
            if self.is_stopped() && !self.directory().socket().exists() {
                // Nothing was left to serve.
                return;
            }
            assert!(Instant::now() < deadline, "there is no server");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Crashes the server at a moment when it looks at a session's output.
    pub(crate) fn crash_server_amid_output(&self) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(server) = self.server() else {
                continue;
            };
            let signal = |signal| {
                // One that has ended by itself is replaced.
                let _ = kill_process(server, signal);
            };
            signal(Signal::STOP);
            if is_working(server) {
                signal(Signal::ABORT);
                signal(Signal::CONT);
                while self.server() == Some(server) {
                    assert!(Instant::now() < deadline, "the server goes on");
                }
                return;
            }
            signal(Signal::CONT);
        }
        panic!("the server never looks at output");
    }

    /// A client is attached again.
    pub(crate) fn note_reattached(&self) {
        let killed = Duration::from_micros(self.killed.load(Ordering::SeqCst));
        let took = self.begin.elapsed().saturating_sub(killed);
        self.reattached
            .lock()
            .expect("no follower panicked")
            .push(took);
    }

    /// The server that runs: the keeper's child that is neither a program nor dead.
    pub(crate) fn server(&self) -> Option<Pid> {
        let keeper = self.keeper();
        let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"));
        children.ok()?.split_whitespace().find_map(|child| {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).ok()?;
            let is_server = line.split(|byte| *byte == 0).nth(1) == Some(b"server");
            is_server
                .then(|| Pid::from_raw(child.parse().ok()?))
                .flatten()
        })
    }
}

/// What keeper and server take.
#[derive(Debug)]
pub(crate) struct Footprint {
    pub(crate) keeper_descriptors: usize,
    pub(crate) server_descriptors: usize,
    pub(crate) processes: usize,
    pub(crate) keeper_kib: u64,
    pub(crate) server_kib: u64,
}

/// Whether a process waits for something to happen.
fn waits(pid: u32) -> bool {
    status(pid, "State:").is_some_and(|state| state.contains("S (sleeping)"))
}

fn resident_kib(pid: u32) -> u64 {
    let resident = status(pid, "VmRSS:").unwrap_or_default();
    let number = resident.split_whitespace().next();
    number
        .and_then(|number| number.parse().ok())
        .expect("the process lives")
}

/// What the kernel says of a process behind `key` (proc_pid_status(5)).
fn status(pid: u32, key: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    lines.find_map(|line| Some(line.strip_prefix(key)?.to_owned()))
}

/// Whether a server, which is stopped, is at work on a session: as its journal's header says.
fn is_working(server: Pid) -> bool {
    const HANDLING: u64 = 12;
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{}/fd", server.as_raw_nonzero())) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        let path = descriptor.path();
        let is_journal = std::fs::read_link(&path)
            .is_ok_and(|target| target.to_string_lossy().contains("psess-journal"));
        let mut handling = [0; 4];
        is_journal
            && std::fs::File::open(&path)
                .and_then(|journal| journal.read_exact_at(&mut handling, HANDLING))
                .is_ok_and(|()| u32::from_le_bytes(handling) == 1)
    })
}

/// Copies this program to a path, in one step.
fn install(path: &Path) {
    let new = path.with_extension("new");
    std::fs::copy(
        std::env::current_exe().expect("this program has a file"),
        &new,
    )
    .expect("a program can be copied");
    std::fs::rename(&new, path).expect("a file can be renamed");
}

impl Drop for World {
    fn drop(&mut self) {
        // With the keeper go the server and, hung up on, all programs.
        let _ = kill_process(Pid::from_child(&self.keeper), Signal::TERM);
        let _ = self.keeper.wait();
        if std::env::var_os("PSESS_TEST_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
