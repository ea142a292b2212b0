//! The keeper as a process, with a server that only passes its conversation on to the test.
//!
//! This program is all three: `keeper` and `server` are roles of it, as of psess; without an
//! argument it runs the tests (so it has no harness; a name may be given to run some).

mod rig;
mod roles;

use std::process::Child;
use std::time::{Duration, Instant};

use psess_protocol::outcome::Outcome;
use psess_protocol::rendezvous::Directory;
use psess_server::keeper::protocol::{HeldSession, Spawn, SpawnStage, ToKeeper, ToServer};
use rustix::process::{Pid, Signal};

use rig::{Keeper, end_of, id, request, role, scratch, wait_for};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("programs_start_and_end", programs_start_and_end),
    (
        "programs_inherit_nothing_of_the_keeper",
        programs_inherit_nothing_of_the_keeper,
    ),
    ("failures_are_told", failures_are_told),
    (
        "a_server_that_dies_is_replaced",
        a_server_that_dies_is_replaced,
    ),
    (
        "a_server_killed_again_and_again_is_replaced_at_once",
        a_server_killed_again_and_again_is_replaced_at_once,
    ),
    (
        "a_malformed_request_ends_the_server_only",
        a_malformed_request_ends_the_server_only,
    ),
    (
        "many_sessions_are_handed_over",
        many_sessions_are_handed_over,
    ),
    ("an_idle_keeper_leaves", an_idle_keeper_leaves),
    ("nobody_who_waits_is_lost", nobody_who_waits_is_lost),
    (
        "a_vanished_socket_is_made_again",
        a_vanished_socket_is_made_again,
    ),
    (
        "a_vanished_directory_is_made_again",
        a_vanished_directory_is_made_again,
    ),
    ("forgetting_hangs_up", forgetting_hangs_up),
    (
        "term_hangs_up_on_all_programs",
        term_hangs_up_on_all_programs,
    ),
    (
        "two_first_clients_start_one_keeper",
        two_first_clients_start_one_keeper,
    ),
    ("a_start_that_fails_says_why", a_start_that_fails_says_why),
];

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let by_test = std::env::var("PSESS_DIR").is_ok_and(|path| path.contains("psess-keeper-"));
    match argument.as_str() {
        // `cargo test keeper` means tests of that name.
        _ if !by_test => {}
        "keeper" => return roles::keeper(),
        "server" => return roles::server(),
        "connect" => return roles::connect(),
        _ => {}
    }
    for (name, test) in TESTS {
        if argument.starts_with('-') || name.contains(&argument) {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn programs_start_and_end() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    let (pid, descriptors) = server.spawn(1, &["sh", "-c", "exit 3"]);
    assert!(pid > 1);
    assert_eq!(descriptors.len(), 3);
    assert_eq!(rustix::fs::fstat(&descriptors[1]).unwrap().st_size, 65_536);
    assert_eq!(rustix::fs::fstat(&descriptors[2]).unwrap().st_size, 0);
    assert_eq!(server.exit_of(1), Outcome::Exited(3));

    server.spawn(2, &["sh", "-c", "kill -9 $$"]);
    assert_eq!(server.exit_of(2), Outcome::Signaled(9));

    server.spawn(3, &["sleep", "1000"]);
    server.send(&ToKeeper::Signal {
        session: id(3),
        signal: 0,
    });
    assert_eq!(server.exit_of(3), Outcome::Signaled(1));
}

fn programs_inherit_nothing_of_the_keeper() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    let score = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let descriptors = descriptors.current.expect("a limit of open files");
    let score = score.trim();
    let script = format!(
        "test $(cat /proc/self/oom_score_adj) = {score} || exit 1
         test $(ulimit -Sn) = {descriptors} || exit 2"
    );
    server.spawn(1, &["sh", "-c", &script]);
    assert_eq!(server.exit_of(1), Outcome::Exited(0));
}

fn failures_are_told() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    for (cwd, program, stage, errno) in [
        ("/", "/nowhere/at/all", SpawnStage::Program, libc::ENOENT),
        (
            "/",
            "psess-is-not-in-path",
            SpawnStage::Program,
            libc::ENOENT,
        ),
        ("/", "/", SpawnStage::Program, libc::EACCES),
        ("/nowhere", "true", SpawnStage::Directory, libc::ENOENT),
        ("/dev/null", "true", SpawnStage::Directory, libc::ENOTDIR),
    ] {
        server.send(&ToKeeper::Spawn(Spawn {
            cwd: cwd.into(),
            ..request(1, &[program])
        }));
        match server.next().0 {
            ToServer::SpawnFailed {
                session,
                stage: failed,
                errno: number,
                message,
            } => {
                assert_eq!(
                    (session, failed, number),
                    (id(1), stage, errno),
                    "{message}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

fn a_server_that_dies_is_replaced() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    let (pid, before) = server.spawn(1, &["sleep", "1000"]);
    server.spawn(2, &["true"]);
    let outcome = server.exit_of(2);
    server.send(&ToKeeper::SetBlob {
        session: id(1),
        blob: b"renamed".to_vec(),
    });
    server.send(&roles::DIE);
    server.expect_end();

    let mut server = keeper.connect();
    server.expect_listener();
    let (first, after) = server.next();
    let ToServer::Session(first) = first else {
        panic!("{first:?}");
    };
    assert_eq!((first.session, first.pid), (id(1), pid));
    assert_eq!(
        (first.finished, first.blob.as_slice()),
        (None, &b"renamed"[..])
    );
    assert_eq!(after.len(), 3);
    for (before, after) in before.iter().zip(&after) {
        let [before, after] = [before, after].map(|fd| rustix::fs::fstat(fd).unwrap());
        assert_eq!((before.st_dev, before.st_ino), (after.st_dev, after.st_ino));
    }
    let (second, _) = server.next();
    let ToServer::Session(HeldSession {
        session, finished, ..
    }) = second
    else {
        panic!("{second:?}");
    };
    assert_eq!((session, finished.unwrap().0), (id(2), outcome));
    assert_eq!(server.next().0, ToServer::Ready { restarts: 1 });
}

fn a_server_killed_again_and_again_is_replaced_at_once() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    server.spawn(1, &["sleep", "1000"]);
    let began = Instant::now();
    for restarts in 1..=12 {
        server.send(&roles::DIE);
        server.expect_end();
        server = keeper.connect();
        server.expect_listener();
        assert!(matches!(server.next().0, ToServer::Session(_)));
        assert_eq!(server.next().0, ToServer::Ready { restarts });
    }
    // The pauses after as many crashes would add up to half a minute.
    assert!(began.elapsed() < Duration::from_secs(10));
}

fn a_malformed_request_ends_the_server_only() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    server.spawn(1, &["sleep", "1000"]);
    server.send(&roles::SEND_GARBAGE);
    server.expect_end();
    let mut server = keeper.connect();
    server.expect_listener();
    assert!(matches!(server.next().0, ToServer::Session(_)));
    assert_eq!(server.next().0, ToServer::Ready { restarts: 1 });
}

fn many_sessions_are_handed_over() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    for number in 0..60 {
        server.send(&ToKeeper::Spawn(Spawn {
            blob: vec![number; 60_000],
            ..request(number, &["sleep", "1000"])
        }));
        assert!(matches!(server.next().0, ToServer::Spawned { .. }));
    }
    server.send(&roles::DIE);
    server.expect_end();
    let mut server = keeper.connect();
    server.expect_listener();
    for number in 0..60 {
        match server.next().0 {
            ToServer::Session(held) => {
                assert_eq!(
                    (held.session, held.blob),
                    (id(number), vec![number; 60_000])
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.next().0, ToServer::Ready { restarts: 1 });
}

fn an_idle_keeper_leaves() {
    let mut keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    server.spawn(1, &["true"]);
    server.exit_of(1);
    server.send(&ToKeeper::Idle);
    assert_eq!(server.next().0, ToServer::Stay, "there is a session");
    server.send(&ToKeeper::Forget { session: id(1) });
    server.send(&ToKeeper::Idle);
    server.expect_end();
    assert!(keeper.process.wait().unwrap().success());
    assert!(!keeper.directory.socket().exists());
}

fn nobody_who_waits_is_lost() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    let mut waiting = keeper.connect();
    server.send(&ToKeeper::Idle);
    assert_eq!(server.next().0, ToServer::Stay);
    // The server of this test serves one after the other.
    drop(server);
    waiting.spawn(1, &["sleep", "1000"]);
}

fn a_vanished_socket_is_made_again() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    std::fs::remove_file(keeper.directory.socket()).unwrap();
    server.expect_listener();
    let mut next = keeper.connect();
    drop(server);
    next.spawn(1, &["sleep", "1000"]);
}

fn a_vanished_directory_is_made_again() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    let aside = keeper.directory.path().with_extension("aside");
    std::fs::rename(keeper.directory.path(), &aside).unwrap();
    server.expect_listener();
    let mut next = keeper.connect();
    drop(server);
    next.spawn(1, &["sleep", "1000"]);
    assert!(keeper.another_says("held"), "the lock was made again, too");
    std::fs::remove_dir_all(aside).unwrap();
}

fn forgetting_hangs_up() {
    let keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    let (pid, descriptors) = server.spawn(1, &["sleep", "1000"]);
    let end = end_of(pid);
    server.send(&ToKeeper::Forget { session: id(1) });
    drop(descriptors);
    wait_for(&end);
    server.send(&ToKeeper::Idle);
    server.expect_end();
}

fn term_hangs_up_on_all_programs() {
    let mut keeper = Keeper::start();
    let mut server = keeper.connect();
    server.expect_ready(0);
    let (pid, descriptors) = server.spawn(1, &["sleep", "1000"]);
    let end = end_of(pid);
    rustix::process::kill_process(Pid::from_child(&keeper.process), Signal::TERM).unwrap();
    wait_for(&end);
    assert!(keeper.process.wait().unwrap().success());
    assert!(!keeper.directory.socket().exists());
    server.expect_end();
    drop(descriptors);
}

fn two_first_clients_start_one_keeper() {
    let directory = scratch();
    let clients: Vec<Child> = (0..4)
        .map(|_| role("connect", &directory).spawn().unwrap())
        .collect();
    let mut keepers = Vec::new();
    for client in clients {
        let output = client.wait_with_output().unwrap();
        keepers.push(String::from_utf8(output.stdout).unwrap());
    }
    keepers.dedup();
    assert_eq!(keepers.len(), 1, "{keepers:?}");
    let keeper = Pid::from_raw(keepers[0].trim().parse().unwrap()).unwrap();
    let end = rustix::process::pidfd_open(keeper, rustix::process::PidfdFlags::empty()).unwrap();
    rustix::process::kill_process(keeper, Signal::TERM).unwrap();
    wait_for(&end);
    std::fs::remove_dir_all(directory.path()).unwrap();
}

fn a_start_that_fails_says_why() {
    let parent = scratch();
    let directory = Directory::new(parent.path().join("not/there"));
    let output = role("connect", &directory).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cannot create") && said.contains("not/there"),
        "{said}"
    );
    std::fs::remove_dir_all(parent.path()).unwrap();
}
