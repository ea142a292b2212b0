//! A keeper under test, and the test's hold on its server's channel.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use psess_protocol::identity::SessionId;
use psess_protocol::outcome::Outcome;
use psess_protocol::rendezvous::{Directory, connect_in};
use psess_protocol::size::Size;
use psess_server::keeper::channel::{Channel, ServerChannel};
use psess_server::keeper::protocol::{Spawn, ToKeeper, ToServer, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};

/// A keeper with a directory of its own; both go with it.
pub(crate) struct Keeper {
    pub(crate) process: Child,
    pub(crate) directory: Directory,
}

impl Keeper {
    pub(crate) fn start() -> Self {
        let directory = scratch();
        let mut process = role("keeper", &directory).spawn().unwrap();
        let mut said = String::new();
        let mut output = process.stdout.take().unwrap();
        output.read_to_string(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        Self { process, directory }
    }

    pub(crate) fn connect(&self) -> Server {
        let stream = connect_in(std::slice::from_ref(&self.directory)).unwrap();
        Server(Channel::new(OwnedFd::from(stream)))
    }

    pub(crate) fn another_says(&self, expected: &str) -> bool {
        let output = role("keeper", &self.directory).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim() == expected
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended, as some tests want it to.
        let _ = rustix::process::kill_process(Pid::from_child(&self.process), Signal::TERM);
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(self.directory.path()));
    }
}

/// The test's hold on the server's channel.
pub(crate) struct Server(ServerChannel);

impl Server {
    pub(crate) fn send(&mut self, message: &ToKeeper) {
        self.0.send(message, &[]).unwrap();
        while self.0.wants_write() {
            wait(&self.0, PollFlags::OUT);
            self.0.flush().unwrap();
        }
    }

    pub(crate) fn next(&mut self) -> (ToServer, Vec<OwnedFd>) {
        loop {
            match self.0.receive().unwrap() {
                Some(received) => return received,
                None => wait(&self.0, PollFlags::IN),
            }
        }
    }

    pub(crate) fn expect_listener(&mut self) {
        let (message, descriptors) = self.next();
        assert_eq!(message, ToServer::Listener { version: VERSION });
        assert_eq!(descriptors.len(), 1);
    }

    pub(crate) fn expect_ready(&mut self, restarts: u32) {
        self.expect_listener();
        assert_eq!(self.next().0, ToServer::Ready { restarts });
    }

    pub(crate) fn expect_end(&mut self) {
        loop {
            match self.0.receive() {
                Ok(Some((message, _))) => panic!("{message:?}"),
                Ok(None) => wait(&self.0, PollFlags::IN),
                Err(_) => return,
            }
        }
    }

    pub(crate) fn spawn(&mut self, number: u8, argv: &[&str]) -> (u32, Vec<OwnedFd>) {
        self.send(&ToKeeper::Spawn(request(number, argv)));
        match self.next() {
            (ToServer::Spawned { session, pid }, descriptors) if session == id(number) => {
                (pid, descriptors)
            }
            (other, _) => panic!("{other:?}"),
        }
    }

    pub(crate) fn exit_of(&mut self, number: u8) -> Outcome {
        match self.next().0 {
            ToServer::Exited {
                session, outcome, ..
            } if session == id(number) => outcome,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn id(number: u8) -> SessionId {
    SessionId([number; 16])
}

pub(crate) fn request(number: u8, argv: &[&str]) -> Spawn {
    Spawn {
        session: id(number),
        argv: argv
            .iter()
            .map(|argument| argument.as_bytes().to_vec())
            .collect(),
        argv0: None,
        environment: vec![b"PATH=/usr/bin:/bin".to_vec()],
        cwd: b"/".to_vec(),
        umask: None,
        size: Size::default(),
        journal_bytes: 65_536,
        blob: Vec::new(),
    }
}

pub(crate) fn role(name: &str, directory: &Directory) -> Command {
    let mut command = Command::new(this_program());
    command
        .arg(name)
        .env("PSESS_DIR", directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

pub(crate) fn scratch() -> Directory {
    let path = std::env::temp_dir().join(format!("psess-keeper-{}", SessionId::random()));
    let directory = Directory::new(Path::new(&path));
    directory.create().unwrap();
    directory
}

pub(crate) fn end_of(pid: u32) -> OwnedFd {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap()
}

pub(crate) fn wait_for(end: &OwnedFd) {
    wait(end, PollFlags::IN);
}

/// Waits for a condition; the time only bounds a test that fails.
fn wait(fd: impl std::os::fd::AsFd, flags: PollFlags) {
    let mut fds = [PollFd::new(&fd, flags)];
    let limit = Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    let ready = rustix::event::poll(&mut fds, Some(&limit)).unwrap();
    assert!(ready > 0, "nothing came for 20 s");
}
