//! Servers that are refused memory by the system: a limit on their address space, of which a
//! journal takes its size, though hardly any memory.

use std::time::{Duration, Instant};

use psess_protocol::identity::SessionId;
use psess_protocol::message::{ClientMessage, FailureKind, ServerMessage, SessionSummary, Target};
use psess_protocol::offset::InputOffset;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::program::Program;
use super::wire::{Sent, Wire};
use super::world::{PATIENCE, World};
use crate::attach;

/// Bytes of address space that a journal takes while no client lags: a ring, twice.
const JOURNAL: u64 = 32 << 20;

pub(crate) fn a_session_for_which_there_is_no_memory_is_refused_and_costs_no_other() {
    // In KiB.
    let world = World::limited("-v 200000", |_| {});
    let mut started = Vec::new();
    let failure = loop {
        // In the order in which they are listed.
        let name = format!("s{:03}", started.len());
        match world.try_start(&name, Program::Echo) {
            (id, ServerMessage::Created(_)) => started.push(id),
            (_, ServerMessage::Failed(failure)) => break failure,
            (_, other) => panic!("{other:?}"),
        }
    };
    assert!(started.len() > 2, "{}", failure.message);
    assert_eq!(failure.kind, FailureKind::Limit, "{}", failure.message);
    let words = "no memory for its journal: Cannot allocate memory";
    assert!(failure.message.contains(words), "{}", failure.message);
    let all_run = |started: &[SessionId]| {
        let listed = world.list();
        let running = listed.iter().filter(|session| session.finished.is_none());
        running.map(|session| session.id).collect::<Vec<_>>() == started
    };
    assert!(all_run(&started));
    eventually("nothing is left of the one that was refused", || {
        let programs = std::fs::read_to_string(children(world.keeper())).unwrap();
        programs.split_whitespace().count() == started.len() + 1
    });
    // Room for what it is to look again.
    let mut wire = Wire::connect(&world.directory());
    let kill = ClientMessage::Kill {
        session: Target::Id(started.pop().expect("there are some")),
        signal: 0,
    };
    assert_eq!(wire.ask(&kill), ServerMessage::Done);
    world.kill_server();
    eventually("all sessions are there again", || all_run(&started));
}

pub(crate) fn sessions_for_which_a_server_has_no_memory_wait_until_there_is() {
    let world = World::new();
    let sessions = ["s0", "s1", "s2", "s3"].map(|name| {
        let session = world.start(name, Program::Echo);
        // The next server is to know what was typed.
        let mut wire = Wire::connect(&world.directory());
        wire.send(&attach(session)).unwrap();
        let keys = Program::Echo.stream(0, 16);
        wire.send_input(InputOffset(0), &keys).unwrap();
        shown(&mut wire, &keys);
        session
    });
    let keeper = Pid::from_raw(world.keeper().cast_signed());
    let server = world.server().expect("it has sessions");
    // Its successor inherits the limit: two journals and a half have no room.
    let limit = address_space(server) - 5 * JOURNAL / 2;
    set_limit(keeper, Some(limit));
    world.kill_server();
    let mut listed = Vec::new();
    eventually("a server with less memory runs", || {
        listed = world.list();
        world.server() != Some(server)
    });
    set_limit(keeper, None);
    assert!(listed.iter().all(|session| session.finished.is_none()));
    // All are listed, and those that wait say so.
    assert_eq!(
        listed.iter().map(|one| one.id).collect::<Vec<_>>(),
        sessions
    );
    let waits = |session: &&SessionSummary| session.title.contains("waits");
    let waiting: Vec<_> = listed.iter().filter(waits).collect();
    assert!(waiting.len() > 1, "{listed:?}");
    let (missing, to_end) = (waiting[0].id, waiting[1].id);
    // It can be ended as if it did not wait.
    let mut wire = Wire::connect(&world.directory());
    let detach = ClientMessage::DetachAll(Target::Id(to_end));
    let answer = wire.ask(&detach);
    assert!(matches!(&answer, ServerMessage::Failed(failure) if failure.message.contains("waits")));
    let kill = ClientMessage::Kill {
        session: Target::Id(to_end),
        signal: 0,
    };
    assert_eq!(wire.ask(&kill), ServerMessage::Done);
    assert_eq!(world.list().len(), 3);
    let sessions = sessions.map(|id| (id != to_end).then_some(id));
    // Whoever comes back is not told that it is gone, and no name starts its job again.
    let mut wire = Wire::connect(&world.directory());
    wire.send(&attach(missing)).unwrap();
    let nothing = wire.next(Some(Duration::from_millis(200))).unwrap();
    assert!(nothing.is_none(), "{nothing:?}");
    let name = format!(
        "s{}",
        sessions.iter().position(|id| *id == Some(missing)).unwrap()
    );
    let (_, ServerMessage::Failed(failure)) = world.try_start(&name, Program::Echo) else {
        panic!("a name starts its job again");
    };
    assert_eq!(failure.kind, FailureKind::NameTaken);
    let successor = world.server().expect("it has sessions");
    set_limit(Some(successor), None);
    shown(&mut wire, &Program::Echo.stream(0, 16));
    eventually("all are there", || {
        !world.list().iter().any(|session| waits(&session))
    });
    assert_eq!(world.list().len(), 3);
    assert_eq!(world.server(), Some(successor));
    for session in sessions.into_iter().flatten() {
        let mut wire = Wire::connect(&world.directory());
        wire.send(&attach(session)).unwrap();
        shown(&mut wire, &Program::Echo.stream(0, 16));
    }
}

/// Waits until this is shown, in a replay or as it comes.
fn shown(wire: &mut Wire, text: &[u8]) {
    let text = String::from_utf8_lossy(text.trim_ascii());
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(&*text) {
        match wire.next(Some(PATIENCE)).expect("the server answers") {
            Some(Sent::Replay(bytes) | Sent::Output(_, bytes)) => all.extend(bytes),
            Some(Sent::Message(ServerMessage::Failed(failure))) => panic!("{}", failure.message),
            Some(Sent::Message(_)) => {}
            None => panic!("not shown: {text}"),
        }
    }
}

fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The soft limit of a process' address space; `None`: no limit.
fn set_limit(process: Option<Pid>, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(process, Resource::As, limit).expect("limits of one's own processes can be set");
}

fn address_space(process: Pid) -> u64 {
    let status = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = std::fs::read_to_string(status).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") << 10
}

fn children(process: u32) -> String {
    format!("/proc/{process}/task/{process}/children")
}
