//! The server is killed at random moments, again and again, under sessions that flood, redraw and
//! echo. Nothing is lost: no session, no byte of output, no key, no exit status.
//!
//! This program is the keeper, the server and the sessions' programs as well, by its first
//! argument (so it has no harness). `PSESS_TEST_KILLS` says how often to kill,
//! `PSESS_TEST_SOAK_SECONDS` and `PSESS_TEST_SOAK_SESSIONS` how long and with how many sessions to
//! look for leaks.

mod crash {
    pub(crate) mod follower;
    pub(crate) mod memory;
    pub(crate) mod pace;
    pub(crate) mod program;
    pub(crate) mod report;
    pub(crate) mod soak;
    pub(crate) mod wire;
    pub(crate) mod world;
}

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use psess_protocol::hello::Hello;
use psess_protocol::identity::{ClientId, Generation, SessionId};
use psess_protocol::message::{
    Attach, ClientMessage, FailureKind, History, ServerMessage, SessionSummary, Target,
};
use psess_protocol::outcome::Outcome;
use psess_protocol::rendezvous::{Directory, connect_in};

use crash::follower::follow;
use crash::pace::Pace;
use crash::program::{self, Program};
use crash::report::{Report, Typing};
use crash::wire::{Sent, Wire};
use crash::world::{SIZE, World};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    match role.as_str() {
        "keeper" => return psess_server::keeper::run().expect("the keeper runs"),
        "server" => return psess_server::run().expect("the server runs"),
        "stranger" => {
            let directory = arguments.next().expect("a stranger has a directory");
            return stranger(&Directory::new(directory));
        }
        "program" => {
            let name = arguments.next().expect("a program has a name");
            let mut file = || PathBuf::from(arguments.next().expect("a program has two files"));
            let (stop, pace) = (file(), file());
            return program::run(&name, &stop, &pace);
        }
        _ => {}
    }
    let tests: [(&str, fn()); 14] = [
        (
            "nothing_is_lost_when_the_server_is_killed",
            nothing_is_lost_when_the_server_is_killed,
        ),
        (
            "nothing_is_lost_when_server_and_keeper_are_upgraded",
            nothing_is_lost_when_server_and_keeper_are_upgraded,
        ),
        (
            "a_session_that_servers_crash_on_is_set_aside",
            a_session_that_servers_crash_on_is_set_aside,
        ),
        (
            "no_session_is_lost_when_descriptors_run_out",
            no_session_is_lost_when_descriptors_run_out,
        ),
        (
            "a_journal_that_cannot_be_had_is_told_and_costs_nothing",
            a_journal_that_cannot_be_had_is_told_and_costs_nothing,
        ),
        (
            "a_session_for_which_there_is_no_memory_is_refused_and_costs_no_other",
            crash::memory::a_session_for_which_there_is_no_memory_is_refused_and_costs_no_other,
        ),
        (
            "sessions_for_which_a_server_has_no_memory_wait_until_there_is",
            crash::memory::sessions_for_which_a_server_has_no_memory_wait_until_there_is,
        ),
        (
            "a_full_disk_for_the_log_costs_nothing",
            a_full_disk_for_the_log_costs_nothing,
        ),
        (
            "the_kernel_is_asked_to_take_the_server_first",
            the_kernel_is_asked_to_take_the_server_first,
        ),
        (
            "an_outcome_outlives_servers_and_its_name_starts_nothing_again",
            an_outcome_outlives_servers_and_its_name_starts_nothing_again,
        ),
        ("another_user_is_refused", another_user_is_refused),
        (
            "what_waits_on_a_clients_side_uses_up_its_credit",
            what_waits_on_a_clients_side_uses_up_its_credit,
        ),
        (
            "timers_go_on_while_clients_talk_without_end",
            timers_go_on_while_clients_talk_without_end,
        ),
        ("nothing_leaks", nothing_leaks),
    ];
    for (name, test) in tests {
        if role.starts_with('-') || name.contains(&role) {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn nothing_is_lost_when_the_server_is_killed() {
    let kills: usize = std::env::var("PSESS_TEST_KILLS").ok().map_or(60, |kills| {
        kills.parse().expect("PSESS_TEST_KILLS is a number")
    });
    let seed = std::env::var("PSESS_TEST_SEED").ok();
    let seed = seed.map_or_else(
        || fastrand::u64(..),
        |seed| seed.parse().expect("PSESS_TEST_SEED is a number"),
    );
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);

    let world = Arc::new(World::new());
    let followers = start(&world);

    let begin = Instant::now();
    for kill in 0..kills {
        if kill + 3 == kills {
            // The last kills come while the programs end.
            world.stop();
        }
        std::thread::sleep(Duration::from_micros(random.u64(..600_000)));
        world.kill_server();
    }
    if kills < 3 {
        world.stop();
    }
    println!("{kills} kills in {:.1?}", begin.elapsed());
    check(&world, followers);
}

fn nothing_is_lost_when_server_and_keeper_are_upgraded() {
    let world = Arc::new(World::new());
    let followers = start(&world);
    for round in 0..6 {
        if round % 2 == 1 {
            world.upgrade();
            assert!(!world.is_keeper_upgraded());
        }
        world.restart_server();
        assert!(world.is_keeper_upgraded());
    }
    // What the second keeper knows of the programs' ends it learnt from the first.
    world.stop();
    check(&world, followers);
}

fn a_session_that_servers_crash_on_is_set_aside() {
    let world = World::new();
    world.start("quiet", Program::Echo);
    world.start("flood", Program::Flood);
    let is_set_aside = |session: &SessionSummary| session.title.contains("set aside");
    for _ in 0..3 {
        assert!(!world.list().iter().any(is_set_aside));
        world.crash_server_amid_output();
    }
    let sessions = world.list();
    let set_aside = sessions.iter().filter(|session| is_set_aside(session));
    let names: Vec<_> = set_aside.map(|session| session.name.as_str()).collect();
    assert_eq!(names, ["flood"]);
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session.finished.is_none()));
    // On purpose it is tried again.
    world.restart_server();
    assert!(!world.list().iter().any(is_set_aside));
}

fn no_session_is_lost_when_descriptors_run_out() {
    let world = World::limited("-n 256", |_| {});
    let mut started = 0;
    let failure = loop {
        match world.try_start(&format!("s{started}"), Program::Echo) {
            (_, ServerMessage::Created(_)) => started += 1,
            (_, ServerMessage::Failed(failure)) => break failure,
            (_, other) => panic!("{other:?}"),
        }
    };
    assert_eq!(failure.kind, FailureKind::Limit, "{}", failure.message);
    assert!(started > 5);
    let crowd: Vec<_> = (0..200)
        .map_while(|_| connect_in(&[world.directory()]).ok())
        .collect();
    assert!(crowd.len() > 20);
    drop(crowd);
    assert_eq!(world.list().len(), started);
    let server = world.server();
    world.kill_server();
    assert_eq!(world.list().len(), started);
    assert_ne!(world.server(), server);
}

fn a_journal_that_cannot_be_had_is_told_and_costs_nothing() {
    // In KiB: less than a journal.
    let world = World::limited("-f 1000", |_| {});
    // Keeps the server, which has no session.
    let mut wire = Wire::connect(&world.directory());
    let (server, keeper) = (world.server(), world.keeper());
    for name in ["first", "second"] {
        let (_, ServerMessage::Failed(failure)) = world.try_start(name, Program::Echo) else {
            panic!("there is memory for a journal");
        };
        assert_eq!(failure.kind, FailureKind::Limit);
        let words = "bytes of memory for a journal: File too large";
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    assert!(world.list().is_empty());
    assert_eq!((world.server(), world.keeper()), (server, keeper));
    assert_eq!(
        wire.ask(&ClientMessage::Ping(1)),
        ServerMessage::Pong(1),
        "nobody was cut"
    );
}

fn a_full_disk_for_the_log_costs_nothing() {
    use std::os::unix::fs::{DirBuilderExt, symlink};
    let world = World::limited("-n 100000", |folder| {
        let directory = Directory::new(folder.join("psess"));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(directory.path())
            .unwrap();
        // Every write to it fails with ENOSPC.
        symlink("/dev/full", directory.log()).unwrap();
    });
    let session = world.start("quiet", Program::Echo);
    let server = world.server();
    let mut wire = Wire::connect(&world.directory());
    wire.send(&attach(session)).unwrap();
    // What makes no sense on a link is logged.
    wire.send(&ClientMessage::List).unwrap();
    while wire.next(None).is_ok() {}
    assert_eq!(world.list().len(), 1);
    assert_eq!(world.server(), server);
    // Its end is logged by the keeper.
    world.kill_server();
    assert_eq!(world.list().len(), 1);
}

fn the_kernel_is_asked_to_take_the_server_first() {
    let world = World::new();
    world.start("quiet", Program::Echo);
    let program = world.list()[0].pid;
    let server = world.server().expect("it has a session");
    let score = |pid: u32| -> i32 {
        let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj"));
        score.unwrap().trim().parse().unwrap()
    };
    let own = score(std::process::id());
    assert_eq!(score(server.as_raw_nonzero().get().cast_unsigned()), 500);
    assert_eq!(score(program), own, "a program is as it would be without");
    // Only the privileged may ask to be spared.
    if score(world.keeper()) == own {
        println!("skipped: the keeper may not ask to be spared");
    } else {
        assert_eq!(score(world.keeper()), -900);
    }
}

fn an_outcome_outlives_servers_and_its_name_starts_nothing_again() {
    let world = World::new();
    world.start("stays", Program::Echo);
    let session = world.start("job", Program::Flood);
    let mut wire = Wire::connect(&world.directory());
    wire.send(&attach(session)).unwrap();
    while !matches!(
        wire.next(None).expect("the server answers"),
        Some(Sent::Output(..))
    ) {}
    drop(wire);
    world.stop();
    let outcome = || {
        let job = world.list().into_iter().find(|job| job.id == session);
        job.expect("it is kept").finished
    };
    let first = loop {
        if let Some(finished) = outcome() {
            break finished;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(first.0, Outcome::Exited(7));
    for _ in 0..3 {
        world.kill_server();
        assert_eq!(outcome(), Some(first), "how it ended, and when");
        let (_, ServerMessage::Failed(failure)) = world.try_start("job", Program::Flood) else {
            panic!("a name starts its job again");
        };
        assert_eq!(failure.kind, FailureKind::NameTaken);
        assert!(failure.message.contains("it has finished"));
    }
    // Whoever attaches is shown its last screen, and is told.
    let mut wire = Wire::connect(&world.directory());
    wire.send(&attach(session)).unwrap();
    let mut shown = Vec::new();
    let told = loop {
        match wire.next(None).expect("the server answers") {
            Some(Sent::Message(ServerMessage::Finished(outcome))) => break outcome,
            Some(Sent::Replay(bytes) | Sent::Output(_, bytes)) => shown.extend(bytes),
            Some(Sent::Message(_)) | None => {}
        }
    };
    assert_eq!(told, Outcome::Exited(7));
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("the quick brown fox"), "{shown}");
    // Not confirmed: it is told to the next one as well.
    drop(wire);
    assert_eq!(outcome(), Some(first));
    let mut wire = Wire::connect(&world.directory());
    wire.send(&attach(session)).unwrap();
    while !matches!(
        wire.next(None).expect("the server answers"),
        Some(Sent::Message(ServerMessage::Finished(_)))
    ) {}
    wire.send(&ClientMessage::Detach).unwrap();
    while wire.next(None).is_ok() {}
    assert!(world.list().iter().all(|listed| listed.id != session));
    // Free again.
    world.start("job", Program::Flood);
}

fn another_user_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root has other users at hand");
        return;
    }
    let world = World::new();
    world.start("quiet", Program::Echo);
    let directory = world.directory();
    // As far as the file system goes, anybody may.
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(directory.socket(), PermissionsExt::from_mode(0o666)).unwrap();
    let said = Command::new(std::env::current_exe().unwrap())
        .current_dir("/")
        .arg0("stranger")
        .arg("stranger")
        .arg(directory.path())
        .uid(65_534)
        .output();
    // Where this program itself is out of the stranger's reach there is nothing to see.
    if let Ok(said) = said {
        assert_eq!(String::from_utf8_lossy(&said.stdout), "refused\n");
    }
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(world.list().len(), 1);
}

fn what_waits_on_a_clients_side_uses_up_its_credit() {
    const WAITS: u32 = 1 << 20;
    let world = World::new();
    let session = world.start("flood", Program::Flood);
    let mut wire = Wire::connect(&world.directory());
    wire.send(&ClientMessage::Unwritten(WAITS)).unwrap();
    wire.send(&attach(session)).unwrap();
    // Terminal bytes would come along with the first of these.
    let is_pong = |message: &ServerMessage| *message == ServerMessage::Pong(7);
    while !is_pong(&match wire.answer() {
        ServerMessage::Replay(_) => wire.ask(&ClientMessage::Ping(7)),
        other => other,
    }) {}
    wire.send(&ClientMessage::Written(WAITS.into())).unwrap();
    while !matches!(
        wire.next(None).expect("the server answers"),
        Some(Sent::Replay(_))
    ) {}
}

fn timers_go_on_while_clients_talk_without_end() {
    let world = World::new();
    let session = world.start("idle", Program::Echo);
    for _ in 0..4 {
        let mut talker = Wire::connect(&world.directory());
        talker.send(&attach(session)).unwrap();
        // Until the server ends with its world.
        let size = ClientMessage::Resize(SIZE);
        std::thread::spawn(move || while talker.send_times(&size, 5000).is_ok() {});
    }
    let mut quiet = Wire::connect(&world.directory());
    let mut request = attach(session);
    if let ClientMessage::Attach(attach) = &mut request {
        attach.heartbeat_ms = 1000;
    }
    quiet.send(&request).unwrap();
    // It is asked each second, and sent away after 8 s without a word.
    let mut pings = 0;
    while let Ok(sent) = quiet.next(None) {
        let is_ping = |message| matches!(message, Some(Sent::Message(ServerMessage::Ping(_))));
        pings += usize::from(is_ping(sent));
    }
    assert!(pings >= 4, "asked {pings} times");
}

/// A request to attach as a client that was never there before.
fn attach(session: SessionId) -> ClientMessage {
    ClientMessage::Attach(Attach {
        session: Target::Id(session),
        client: ClientId::random(),
        generation: Generation(1),
        size: SIZE,
        position: None,
        // No more than is sent to one who acknowledges nothing.
        history: History::None,
        read_only: false,
        heartbeat_ms: 0,
        detach_others: false,
    })
}

fn nothing_leaks() {
    let number = |name, default| {
        let value = std::env::var(name).ok();
        value.map_or(default, |value| value.parse().expect("a number"))
    };
    crash::soak::soak(
        number("PSESS_TEST_SOAK_SECONDS", 5),
        number("PSESS_TEST_SOAK_SESSIONS", 50) as usize,
    );
}

/// Connects without looking at the directory, as psess itself would.
fn stranger(directory: &Directory) {
    let mut stream = UnixStream::connect(directory.socket()).expect("anybody may connect");
    // It may be closed by now.
    let _ = stream.write_all(&Hello::of_client().encode());
    match stream.read(&mut [0]) {
        Ok(0) | Err(_) => println!("refused"),
        Ok(_) => println!("answered"),
    }
}

fn start(world: &Arc<World>) -> Vec<JoinHandle<Report>> {
    [
        ("flood-1", Program::Flood, Typing::Nothing),
        ("flood-2", Program::Flood, Typing::Nothing),
        ("flood-3", Program::Flood, Typing::Nothing),
        ("redraw", Program::Redraw, Typing::Nothing),
        ("echo", Program::Echo, Typing::Keys),
    ]
    .into_iter()
    .map(|(name, program, typing)| {
        let pace = Pace::of_reader(&world.pace_file(name));
        let session = world.start(name, program);
        let world = world.clone();
        std::thread::spawn(move || follow(&world, session, program, typing, &pace))
    })
    .collect()
}

fn check(world: &World, followers: Vec<JoinHandle<Report>>) {
    let reports: Vec<Report> = followers
        .into_iter()
        .map(|follower| follower.join().expect("a follower saw nothing lost"))
        .collect();
    for (report, status) in reports.iter().zip([7, 7, 7, 8, 9]) {
        println!("{report}");
        assert_eq!(report.outcome, Outcome::Exited(status));
    }
    let mut reattached = world
        .reattached
        .lock()
        .expect("no follower panicked")
        .clone();
    reattached.sort();
    if !reattached.is_empty() {
        let median = reattached[reattached.len() / 2];
        let worst = reattached[reattached.len() - 1];
        println!("reattached after {median:.1?} (median), {worst:.1?} (worst)");
        assert!(median < Duration::from_secs(1));
    }
}
