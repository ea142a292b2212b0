//! `psess show`: what it prints of sessions, and that these do not notice.

use psess_harness::{Finished, Terminal, World, eventually};

use crate::{attach, open_shell, world};

/// Starts a session without attaching.
fn start(world: &World, name: &str, script: &str) {
    world.succeed(["new", "-d", name, "--", "/bin/bash", "-c", script]);
}

/// A session whose program has ended.
fn finished(world: &World, name: &str, script: &str) {
    start(world, name, script);
    wait_for_finish(world, name);
}

fn wait_for_finish(world: &World, name: &str) {
    eventually("the program has ended", || {
        line(world, name).contains("finished").then_some(())
    });
}

/// What a list says of a session.
#[track_caller]
fn line(world: &World, name: &str) -> String {
    let list = world.succeed(["list"]);
    let line = list.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("no {name} in {list}"))
        .to_owned()
}

/// What is told of all sessions, line by line, but for times that are reckoned from how long ago they
/// were.
fn facts(world: &World) -> Vec<String> {
    let list = world.succeed(["list", "--json"]);
    let lines = list.lines().filter(|line| !line.contains("\"active\""));
    lines
        .map(|line| match line.contains("\"lost\": 1") {
            true => "lost".to_owned(),
            false => line.to_owned(),
        })
        .collect()
}

#[test]
fn the_output_of_a_finished_session_is_printed_and_kept() {
    let world = world();
    let script =
        "seq 1 500; printf '\\033[1;31m%0300d\\033[m  \\n\\n' 7; printf 'tab\\tdone\\n'; exit 3";
    finished(&world, "build", script);
    let numbers: String = (1..=500).map(|number| format!("{number}\n")).collect();
    let expected = format!("{numbers}{:0300}\n\ntab     done\n", 7);
    let before = facts(&world);
    for _ in 0..2 {
        assert_eq!(world.succeed(["show", "build"]), expected);
    }
    assert_eq!(facts(&world), before);
    let mut terminal = attach(&world, "build");
    assert_eq!(terminal.wait_exit().code(), Some(3));
    terminal.wait_for_text("[build finished: exit 3]");
    world.wait_for_end();
}

#[test]
fn as_much_history_comes_as_is_asked_for() {
    let world = world();
    finished(&world, "build", "seq 1 20000");
    let shown = |history: &[&str]| {
        let text = world.succeed([&["show", "build"], history].concat());
        let numbers = text.lines().map(|line| line.parse().expect("a number"));
        numbers.collect::<Vec<u32>>()
    };
    // The cursor stands in the last of 24 rows.
    let last = |count: u32| (20_001 - count..=20_000).collect::<Vec<_>>();
    assert_eq!(shown(&["--history", "none"]), last(23));
    assert_eq!(shown(&["--history", "7"]), last(23 + 7));
    assert_eq!(shown(&["--history=all"]), last(23 + 10_000));
    assert_eq!(shown(&[]), last(23 + 10_000));
    // Who wants all of it is told that it is not.
    let missing = |history: &str| world.run(["show", "build", "--history", history]).stderr;
    let told = missing("all");
    assert!(
        told.starts_with("psess: 9,977 earlier lines are no longer kept"),
        "{told}"
    );
    assert_eq!(missing("20000"), "");
}

#[test]
fn neither_a_program_nor_who_is_attached_notices() {
    let world = world();
    let script = "trap 'echo winch' WINCH; seq 1 100; stty size; \
                  while read -r word; do echo got $word $(stty size); done";
    let start = ["new", "build", "--", "/bin/bash", "-c", script];
    let mut large = Terminal::sized(40, 120);
    large.run(world.psess(start));
    large.wait_for_row("40 120");
    let mut small = Terminal::sized(20, 60);
    small.run(world.psess(["attach", "--read-only", "build"]));
    small.wait_for_text("40 120");
    for terminal in [&large, &small] {
        terminal.settle();
    }
    let (received, before) = (large.received(), facts(&world));
    let text = world.succeed(["show", "build"]);
    let numbers: String = (1..=100).map(|number| format!("{number}\n")).collect();
    assert_eq!(text, format!("{numbers}40 120\n"));
    assert_eq!(facts(&world), before);
    large.type_keys("word\r");
    small.wait_for_text("got word 40 120");
    large.wait_for_row("got word 40 120");
    large.settle();
    // Nothing was drawn again, and the program was told of no other size.
    let new = large.received().split_off(received.len());
    let is_as_printed = new.starts_with(b"word\r\ngot word 40 120\r\n");
    assert!(is_as_printed, "{}", new.escape_ascii());
    assert!(!small.look(|screen| screen.shows("winch")));
}

#[test]
fn a_session_stays_lost_and_another_the_one_used_last() {
    let world = world();
    let first = open_shell(&world, "first");
    first.process().kill();
    eventually("the client is missed", || {
        line(&world, "first").contains("lost").then_some(())
    });
    let second = open_shell(&world, "second");
    second.type_keys("echo in-$PSESS_SESSION\r");
    second.wait_for_row("in-second");
    let is_second = || world.succeed(["show"]).contains("\nin-second\n");
    eventually("the second was used in a later second", || {
        attach(&world, "second").wait_for_row("in-second");
        is_second().then_some(())
    });
    let before = facts(&world);
    assert_eq!(world.succeed(["show", "first"]), "$\n");
    assert_eq!(facts(&world), before);
    assert!(line(&world, "first").contains("lost"));
    assert!(is_second());
}

#[test]
fn in_a_session_it_is_the_one_in_which_it_runs() {
    let world = world();
    let terminal = open_shell(&world, "one");
    world.succeed(["new", "-d", "two", "--", "sleep", "1000"]);
    terminal.type_keys("clear; echo here-$((1 + 1)); psess show > shown; echo done-$((1 + 1))\r");
    terminal.wait_for_row("done-2");
    let shown = std::fs::read_to_string(world.path("home/shown")).unwrap();
    assert!(shown.ends_with("here-2\n"), "{shown}");
}

#[test]
fn a_full_screen_program_is_shown_behind_the_history() {
    let world = world();
    let script = "seq 1 30; printf '\\033[?1049h\\033[H\\033[2Jeditor\\033[5;3Hstatus'; read";
    start(&world, "build", script);
    let expected: String = (1..=7).map(|number| format!("{number}\n")).collect();
    let expected = expected + "editor\n\n\n\n  status\n";
    eventually("the program has drawn its screen", || {
        let text = world.succeed(["show", "build"]);
        (text == expected).then_some(())
    });
}

#[test]
fn control_characters_of_a_program_do_not_get_through() {
    let world = world();
    let script = "printf 'a\\033[31mb\\302\\233c\\007\\177\\033]0;title\\007d\\033Pq#0\\033\\\\\\n\\377e\\n'";
    finished(&world, "build", script);
    let text = world.succeed(["show", "build"]);
    assert!(text.starts_with("ab"), "{text:?}");
    let controls = text.chars().filter(|c| c.is_control() && *c != '\n');
    assert_eq!(controls.count(), 0, "{text:?}");
}

#[test]
fn a_reader_that_has_enough_ends_it_silently_and_a_full_disk_with_words() {
    let world = world();
    // More than a pipe holds.
    finished(&world, "build", "seq -f %0100.f 1 9000");
    let mut command = world.command("/bin/bash");
    command.args(["-c", "psess show build | head -n 1; echo ${PIPESTATUS[0]}"]);
    let finished = Finished::of(command);
    assert_eq!(finished.stdout, format!("{:0100}\n141\n", 1));
    assert_eq!(finished.stderr, "", "{finished:?}");
    let mut command = world.command("/bin/sh");
    command.args(["-c", "exec psess show build > /dev/full"]);
    let finished = Finished::of(command);
    assert_eq!(finished.status, Some(1), "{finished:?}");
    let words = "psess: cannot write to standard output: No space left on device";
    assert!(finished.stderr.starts_with(words), "{finished:?}");
}

#[test]
fn who_is_not_one_session_is_an_error() {
    let world = world();
    for name in ["bench", "build"] {
        start(&world, name, "sleep 1000");
    }
    for (arguments, status, words) in [
        (
            &["show", "b"][..],
            1,
            "'b' could be bench or build: say which",
        ),
        (&["show", "work"], 3, "no session 'work'"),
        (&["--ssh", "false", "show", "devbox:build"], 1, "devbox: "),
    ] {
        let finished = world.run(arguments);
        assert_eq!(finished.status, Some(status), "{finished:?}");
        assert!(finished.stderr.contains(words), "{finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[test]
fn the_history_is_there_behind_a_restart_of_the_server() {
    let world = world();
    start(&world, "build", "seq 1 3000; sleep 1000");
    let expected: String = (1..=3000).map(|number| format!("{number}\n")).collect();
    let shows = || (world.run(["show", "build"]).stdout == expected).then_some(());
    eventually("all is printed", shows);
    for server in world.role("server") {
        server.kill();
    }
    eventually("the next server shows the same", shows);
}
