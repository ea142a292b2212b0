//! What a session survives, and when the processes behind it end.

use std::fs;
use std::time::{Duration, Instant};

use psess_harness::{Counter, Signal, Terminal, World, eventually};

use crate::{attach, open_shell, world};

#[test]
fn a_killed_client_leaves_the_session_and_the_next_attach_is_instant() {
    let world = world();
    let first = open_shell(&world, "build");
    first.type_keys("echo before-$((1 + 1))\r");
    first.wait_for_row("before-2");
    first.process().kill();
    let begin = Instant::now();
    let second = attach(&world, "build");
    second.wait_for_row("before-2");
    let took = begin.elapsed();
    // Whoever waited for a sign of the dead client would wait for a heartbeat at least.
    assert!(took < Duration::from_secs(5), "{took:?}");
    second.type_keys("echo after-$((1 + 1))\r");
    second.wait_for_row("after-2");
}

#[test]
fn a_closed_window_detaches() {
    let world = world();
    let terminal = open_shell(&world, "build");
    // As a program that SIGHUP ended: not by a panic over the message that nobody can read.
    assert_eq!(terminal.close().code(), Some(129));
    attach(&world, "build").wait_for_row("$");
}

#[test]
fn a_session_survives_the_end_of_the_login_that_started_it() {
    let world = world();
    let mut login = Terminal::new();
    let mut shell = world.command("/bin/bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    let shell = login.run(shell);
    login.type_keys("psess new -d build -- sleep 1000; echo started-$?\r");
    login.wait_for_row("started-0");
    login.type_keys("psess new -e PS1='$ ' other -- /bin/bash --norc\r");
    login.wait_for_row("$");
    // What a login's end does at its worst: each process of its session is killed.
    let of_login: Vec<_> = world
        .processes()
        .into_iter()
        .filter(|process| session_of(process.pid) == Some(shell.pid))
        .collect();
    assert!(of_login.len() >= 2, "{of_login:?}");
    for process in &of_login {
        process.kill();
    }
    drop(login);
    let list = world.succeed(["list"]);
    assert!(list.contains("build") && list.contains("other"), "{list}");
    attach(&world, "other").wait_for_row("$");
}

#[test]
fn keeper_and_server_run_in_sessions_of_their_own_without_a_terminal() {
    let world = world();
    let _terminal = open_shell(&world, "build");
    for role in ["keeper", "server"] {
        let processes = world.role(role);
        assert_eq!(processes.len(), 1, "{role}: {processes:?}");
        let process = &processes[0];
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_eq!(fields[4], "0", "{role} has a controlling terminal: {stat}");
        let cwd = fs::read_link(format!("/proc/{}/cwd", process.pid)).unwrap();
        assert_eq!(cwd.to_str(), Some("/"), "{role} keeps a folder busy");
    }
}

#[test]
fn keeper_and_server_end_with_the_last_session() {
    let world = world();
    world.succeed(["new", "-d", "one", "--", "sleep", "1000"]);
    let mut terminal = open_shell(&world, "two");
    world.succeed(["kill", "--yes", "one"]);
    terminal.type_keys("exit\r");
    assert!(terminal.wait_exit().success());
    world.wait_for_end();
    eventually("nothing is left", || {
        world.processes().is_empty().then_some(())
    });
    // Nothing that somebody could take for a session's, and the directory itself.
    let entries = fs::read_dir(world.path("psess")).unwrap().flatten();
    let mut left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, ["keeper.log", "lock"]);
    // And begin again with the next.
    world.succeed(["new", "-d", "three", "--", "sleep", "1000"]);
    assert!(world.succeed(["list"]).contains("three"));
}

#[test]
fn a_killed_server_costs_no_line_and_no_key() {
    let world = world();
    let Some(counter) = Counter::new(world.path("keys")) else {
        return;
    };
    let counter = counter.with_lines_every_ms(5);
    let new = ["new", "count", "--"].map(str::to_owned);
    let mut terminal = world.open(new.into_iter().chain(counter.command()));
    Counter::wait_for_line(&terminal, 20);
    for kill in 0..3 {
        let server = eventually("a server runs", || world.role("server").pop());
        for key in 0..20 {
            terminal.type_keys(format!("{};", kill * 40 + key));
        }
        server.kill();
        for key in 20..40 {
            terminal.type_keys(format!("{};", kill * 40 + key));
        }
        let last = format!("key {}", kill * 40 + 39);
        terminal.wait_for(&last, |screen| {
            screen.all_rows().contains(&last).then_some(())
        });
    }
    terminal.type_keys("q");
    assert!(terminal.wait_exit().success());
    let expected: Vec<u64> = (0..120).collect();
    assert_eq!(terminal.look(Counter::echoes), expected);
    assert_eq!(
        counter.keys(),
        expected.iter().map(u64::to_string).collect::<Vec<_>>()
    );
    let lines = terminal.look(Counter::lines);
    assert_eq!(lines, (0..lines.len() as u64).collect::<Vec<_>>());
}

#[test]
fn the_server_is_found_again_when_its_socket_file_was_deleted() {
    let world = world();
    world.succeed(["new", "-d", "build", "--", "sleep", "1000"]);
    for entry in fs::read_dir(world.path("psess")).unwrap().flatten() {
        if !entry.path().is_dir() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    eventually("the session is listed again", || {
        let finished = world.run(["list"]);
        (finished.status == Some(0) && finished.stdout.contains("build")).then_some(())
    });
    assert_eq!(world.role("keeper").len(), 1);
}

#[test]
fn a_removed_directory_is_made_again_with_the_roll_of_sessions() {
    let world = world();
    world.succeed(["new", "-d", "work", "--", "sleep", "1000"]);
    // As by whoever cleans /tmp; what the keeper puts there meanwhile is removed as well.
    eventually("the directory is empty for a moment", || {
        fs::remove_dir_all(world.path("psess")).ok()
    });
    eventually("the session is listed again", || {
        let finished = world.run(["list"]);
        (finished.status == Some(0) && finished.stdout.contains("work")).then_some(())
    });
    assert_eq!(world.role("keeper").len(), 1);
    world.role("keeper").pop().expect("it runs").kill();
    eventually("the server and the program are gone", || {
        world.processes().is_empty().then_some(())
    });
    assert_eq!(count(&world, "lost: its keeper was killed"), 1);
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    fs::set_permissions(world.path("psess"), fs::Permissions::from_mode(0o777)).unwrap();
    let finished = world.run(["new", "-d", "build", "--", "sleep", "1000"]);
    let place = world.path("psess").display().to_string();
    assert_ne!(finished.status, Some(0), "{finished:?}");
    assert!(finished.stderr.contains(&place), "{finished:?}");
    assert_eq!(world.processes(), []);
}

#[test]
fn two_that_start_at_once_share_one_keeper() {
    let world = world();
    let children: Vec<_> = (0..8)
        .map(|n| {
            let mut command = world.psess(["new", "-d", &format!("s{n}"), "--", "sleep", "1000"]);
            command.spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(count(&world, "sleep 1000"), 8);
    assert_eq!(world.role("keeper").len(), 1);
}

#[test]
fn a_hundred_sessions_on_one_server() {
    let world = world();
    for n in 0..100 {
        world.succeed([
            "new",
            "-d",
            &format!("s{n}"),
            "--",
            "/bin/sh",
            "-c",
            &format!("echo in-{n}; exec sleep 1000"),
        ]);
    }
    assert_eq!(count(&world, "sleep 1000"), 100);
    for n in [0, 57, 99] {
        attach(&world, &format!("s{n}")).wait_for_row(&format!("in-{n}"));
    }
    let shell = open_shell(&world, "shell");
    shell.type_keys("echo echo-$((1 + 1))\r");
    shell.wait_for_row("echo-2");
}

#[test]
fn a_stopped_program_holds_nothing_up() {
    let world = world();
    world.succeed(["new", "-d", "still", "--", "sleep", "1000"]);
    let program = eventually("the program runs", || {
        world
            .processes()
            .into_iter()
            .find(|process| process.command == "sleep 1000")
    });
    program.signal(Signal::STOP);
    let terminal = attach(&world, "still");
    terminal.type_keys("x".repeat(100_000));
    let other = open_shell(&world, "other");
    other.type_keys("echo echo-$((1 + 1))\r");
    other.wait_for_row("echo-2");
}

#[test]
fn a_killed_keeper_ends_its_sessions_and_their_clients_are_told() {
    let world = world();
    let mut terminal = open_shell(&world, "work");
    let keeper = world.role("keeper").pop().expect("it runs");
    keeper.kill();
    terminal.wait_for_text("its sessions are gone");
    assert!(!terminal.wait_exit().success());
    eventually("the server and the program are gone", || {
        world.processes().is_empty().then_some(())
    });
    // Nothing is in the way of new ones.
    world.succeed(["new", "-d", "other", "--", "sleep", "1000"]);
    assert_eq!(count(&world, "sleep 1000"), 1);
}

#[test]
fn clients_of_a_server_that_is_stopped_are_told_so() {
    let world = world();
    let mut terminal = open_shell(&world, "work");
    world.succeed(["server", "stop", "--yes"]);
    terminal.wait_for_text("the server was stopped, and with it its sessions");
    assert_eq!(terminal.wait_exit().code(), Some(1));
    assert!(terminal.is_cooked());
}

#[test]
fn who_comes_after_a_killed_keeper_is_told_what_was_lost() {
    let world = world();
    world.succeed(["new", "-d", "work", "--", "sleep", "1000"]);
    world.succeed(["new", "-d", "gone", "--", "sleep", "1000"]);
    world.succeed(["kill", "--yes", "gone"]);
    world.succeed(["new", "-d", "done", "--", "sh", "-c", "exit $((1 + 2))"]);
    // Not what it is called: how it ended.
    eventually("it has finished", || {
        (count(&world, "exit 3") == 1).then_some(())
    });
    world.role("keeper").pop().expect("it runs").kill();
    eventually("the server and the programs are gone", || {
        world.processes().is_empty().then_some(())
    });
    for _ in 0..2 {
        let list = world.succeed(["list"]);
        assert_eq!(count(&world, "lost: its keeper was killed"), 2, "{list}");
        assert_eq!(count(&world, "work "), 1, "{list}");
        assert_eq!(count(&world, "exit 3"), 1, "{list}");
        assert_eq!(count(&world, "gone "), 0, "{list}");
        // A server that comes later knows it as well.
        world.succeed(["server", "restart"]);
    }
    let again = world.run(["new", "-d", "work", "--", "sleep", "1000"]);
    assert_ne!(again.status, Some(0), "no name starts its job again");
    let mut terminal = world.open(["attach", "work"]);
    terminal.wait_for_text("psess lost this session: its keeper was killed");
    terminal.wait_for_text("[work finished: killed by SIGHUP]");
    assert!(!terminal.wait_exit().success());
    let mut terminal = world.open(["attach", "done"]);
    terminal.wait_for_text("[done finished: exit 3]");
    assert_eq!(terminal.wait_exit().code(), Some(3));
    // Both were seen.
    world.succeed(["new", "-d", "work", "--", "sleep", "1000"]);
    assert_eq!(count(&world, "lost"), 0);
    // What is ended on purpose is not lost.
    world.succeed(["server", "stop", "--yes"]);
    world.wait_for_end();
    world.succeed(["new", "-d", "last", "--", "sleep", "1000"]);
    assert_eq!(count(&world, "sleep 1000"), 1);
}

#[test]
fn who_attaches_first_after_a_killed_keeper_is_told_what_was_lost() {
    let world = world();
    world.succeed(["new", "-d", "work", "--", "sleep", "1000"]);
    world.role("keeper").pop().expect("it runs").kill();
    eventually("the server and the programs are gone", || {
        world.processes().is_empty().then_some(())
    });
    let mut terminal = world.open(["attach", "work"]);
    terminal.wait_for_text("psess lost this session: its keeper was killed");
    assert!(!terminal.wait_exit().success());
}

#[test]
fn a_program_is_hung_up_on_though_a_stopped_client_has_its_terminal() {
    let world = world();
    let terminal = world.open([
        "new",
        "work",
        "--",
        "sh",
        "-c",
        "echo ready; exec sleep 1000",
    ]);
    terminal.wait_for_text("ready");
    terminal.process().signal(Signal::STOP);
    world.role("keeper").pop().expect("it runs").kill();
    eventually("the server is gone", || {
        world.role("server").is_empty().then_some(())
    });
    assert_eq!(count(&world, "lost: its keeper was killed"), 1);
    eventually("the program is gone", || {
        let mut left = world.processes().into_iter();
        left.all(|process| process.command != "sleep 1000")
            .then_some(())
    });
}

/// Lines of the list that contain this.
fn count(world: &World, text: &str) -> usize {
    world
        .succeed(["list"])
        .lines()
        .filter(|line| line.contains(text))
        .count()
}

/// The session id of a process (proc(5) `stat`).
fn session_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}
