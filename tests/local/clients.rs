//! Several clients on one session.

use std::time::Duration;

use psess_harness::{Counter, Screen, Signal, Terminal, World, eventually_within};

use crate::{LONG, attach, open_shell, world};

/// An echo takes milliseconds; so long only where the machine is busy with other things.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn every_client_sees_the_output_and_may_type() {
    let world = world();
    let (first, second) = two_users(&world);
    first.type_keys("echo one-$((1 + 1))\r");
    second.wait_for_row("one-2");
    second.type_keys("echo two-$((1 + 1))\r");
    first.wait_for_row("two-2");
}

#[test]
fn a_read_only_client_sees_all_changes_nothing_and_can_leave() {
    let world = world();
    let writer = open_shell(&world, "build");
    let mut reader = Terminal::sized(50, 150);
    reader.run(world.psess(["attach", "--read-only", "build"]));
    reader.wait_for_text("$");
    reader.type_keys("echo forbidden\r");
    let is_told = |screen: &mut Screen| screen.shows("what you type does not reach the session");
    reader.wait_for("the reader is told", |screen| is_told(screen).then_some(()));
    // Nothing is printed meanwhile: what is takes the line away for a moment.
    reader.wait_for("the line goes again", |screen| {
        (!is_told(screen)).then_some(())
    });
    writer.type_keys("echo size $(stty size)\r");
    writer.wait_for_row("size 24 80");
    reader.wait_for_row("size 24 80");
    assert!(!writer.look(|screen| screen.shows("forbidden")));
    reader.type_keys("again\r");
    writer.type_keys("echo more-$((1 + 1))\r");
    reader.wait_for_row("more-2");
    assert!(!reader.look(is_told), "once");
    reader.type_keys(b"\x1c");
    assert!(reader.wait_exit().success());
    reader.wait_for_text("[detached from build]");
}

#[test]
fn the_size_follows_the_client_that_typed_last() {
    let world = world();
    let small = open_shell(&world, "build");
    let mut large = Terminal::sized(40, 120);
    large.run(world.psess(["attach", "build"]));
    large.wait_for_text("$");
    let becomes = |typist: &Terminal, size: &str, word: &str| {
        typist.type_keys(format!(
            "until [ \"$(stty size)\" = '{size}' ]; do :; done; echo {word}-$((1 + 1))\r"
        ));
        typist.wait_for_row(&format!("{word}-2"));
    };
    becomes(&large, "40 120", "large");
    becomes(&small, "24 80", "small");
    becomes(&large, "40 120", "again");
}

/// Sees each number once in the terminal's scrollback and screen, in order.
fn assert_each_number_once(terminal: &Terminal, last: u32) {
    terminal.wait_for_row(&last.to_string());
    terminal.settle();
    assert_eq!(terminal.look(numbers), (1..=last).collect::<Vec<_>>());
    let rows = terminal.look(Screen::all_rows);
    assert!(!rows.iter().any(|row| row.contains("went by")));
}

fn numbers(screen: &mut Screen) -> Vec<u32> {
    let rows = screen.all_rows();
    rows.iter().filter_map(|row| row.parse().ok()).collect()
}

#[test]
fn no_line_is_missing_or_doubled_where_clients_of_two_sizes_take_turns() {
    let world = world();
    let small = open_shell(&world, "build");
    small.type_keys("seq 1 200\r");
    small.wait_for_row("200");
    let mut large = Terminal::sized(30, 80);
    large.run(world.psess(["attach", "build"]));
    large.wait_for_row("200");
    let mut next = 201;
    let print = |terminal: &Terminal, from: u32, count: u32| {
        let last = from + count - 1;
        terminal.type_keys(format!("seq {from} {last}\r"));
        terminal.wait_for_row(&last.to_string());
    };
    // Fewer than there are rows, and more.
    for count in [1, 3, 20, 40] {
        for terminal in [&large, &small] {
            print(terminal, next, count);
            next += count;
        }
    }
    assert_each_number_once(&small, next - 1);
    print(&large, next, 1);
    assert_each_number_once(&large, next);
}

#[test]
fn a_client_of_another_size_whose_server_was_killed_misses_nothing_either() {
    let world = world();
    let small = open_shell(&world, "build");
    small.type_keys("seq 1 100\r");
    small.wait_for_row("100");
    let mut large = Terminal::sized(30, 80);
    large.run(world.psess(["attach", "build"]));
    large.wait_for_row("100");
    large.type_keys("seq 101 200\r");
    small.wait_for_row("200");
    for server in world.role("server") {
        server.kill();
    }
    large.type_keys("seq 201 300\r");
    small.wait_for_row("300");
    small.type_keys("seq 301 310\r");
    small.wait_for_row("310");
    small.settle();
    // The new server does not know in which of the two sizes it left, nor does the client have all of
    // a picture each time: some may stand there twice.
    let mut numbers = small.look(numbers);
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (1..=310).collect::<Vec<_>>());
    assert!(all <= 310 + 2 * 24, "{all}");
}

#[test]
fn a_client_of_another_size_sees_a_correct_clipped_picture() {
    let world = world();
    let program = r#"stty raw -echo; while :; do printf '\033[H\033[2J'
for row in 1 2 3 4 5; do printf '\033[%d;1Hrow %d %0110d|' $row $row $row; done
printf '\033[7;3Hround %s' "$key"; read -rsn1 key; done"#;
    let mut large = Terminal::sized(40, 120);
    large.run(world.psess(["new", "picture", "--", "/bin/bash", "-c", program]));
    large.wait_for_text("round");
    let small = attach(&world, "picture");
    small.wait_for_text("round");
    for key in ["a", "b"] {
        large.type_keys(key);
        let expected = large.wait_for("the round", |screen| {
            screen.shows(&format!("round {key}")).then(|| screen.rows())
        });
        let clipped: Vec<String> = expected[..24]
            .iter()
            .map(|row| {
                row.chars()
                    .take(80)
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            })
            .collect();
        small.wait_for(&format!("the clipped picture {clipped:#?}"), |screen| {
            (screen.rows() == clipped).then_some(())
        });
    }
}

#[test]
fn a_stopped_client_in_a_flood_does_not_hold_up_the_others() {
    let world = world();
    let (stopped, active) = two_users(&world);
    let other = open_shell(&world, "other");
    let client = stopped.process();
    client.signal(Signal::STOP);
    flood(&active);
    active.wait_for_text("psess-flood");
    for round in 0..20 {
        assert_echo(&other, round);
    }
    wait_behind_flood(&active, "flood-2");
    assert_echo(&active, 99);
    assert_memory_is_bounded(&world);
    client.signal(Signal::CONT);
    wait_behind_flood(&stopped, "flood-2");
    stopped.wait_for_row("echo-100");
}

#[test]
fn a_terminal_that_takes_nothing_does_not_hold_up_the_others() {
    let world = world();
    let (stalled, active) = two_users(&world);
    stalled.stall(true);
    flood(&active);
    wait_behind_flood(&active, "flood-2");
    assert_echo(&active, 99);
    assert_memory_is_bounded(&world);
    stalled.stall(false);
    wait_behind_flood(&stalled, "echo-100");
}

#[test]
fn a_session_with_a_terminal_that_takes_nothing_can_be_killed() {
    let world = world();
    let (mut stalled, active) = two_users(&world);
    stalled.stall(true);
    flood(&active);
    wait_behind_flood(&active, "flood-2");
    world.succeed(["kill", "--yes", "build"]);
    assert!(!world.succeed(["list"]).contains("build"));
    // The server stays for whoever has not seen the end, though no session is left.
    stalled.stall(false);
    stalled.wait_for_text("[build finished: killed by SIGHUP]");
    assert_eq!(stalled.wait_exit().code(), Some(129));
}

#[test]
fn a_detached_flood_runs_to_its_end() {
    let world = world();
    let file = world.path("home/done");
    let script = format!(
        "yes flood | head -c 10000000; echo > {}; exec sleep 1000",
        file.display()
    );
    world.succeed(["new", "-d", "flood", "--", "/bin/sh", "-c", &script]);
    eventually_within(LONG, "the flood is through", || file.exists().then_some(()));
    assert_memory_is_bounded(&world);
}

#[test]
fn every_client_sees_every_line_once() {
    let world = world();
    let Some(counter) = Counter::new(world.path("keys")) else {
        return;
    };
    let counter = counter.with_lines_every_ms(1);
    let mut first = world.open(
        ["new", "count", "--"]
            .map(str::to_owned)
            .into_iter()
            .chain(counter.command()),
    );
    Counter::wait_for_line(&first, 300);
    let mut second = attach(&world, "count");
    Counter::wait_for_line(&second, 900);
    first.type_keys("q");
    for terminal in [&mut first, &mut second] {
        assert!(terminal.wait_exit().success());
        let lines = terminal.look(Counter::lines);
        let expected: Vec<u64> = (lines[0]..lines[0] + lines.len() as u64).collect();
        assert!(lines == expected && lines.len() > 600, "{lines:?}");
    }
}

/// Two users in front of one session, `build`, with a shell.
fn two_users(world: &World) -> (Terminal, Terminal) {
    let first = open_shell(world, "build");
    let second = attach(world, "build");
    second.wait_for_row("$");
    (first, second)
}

/// Prints far more than every buffer on the way takes, then `flood-2`.
fn flood(terminal: &Terminal) {
    terminal.type_keys("yes psess-flood | head -n 800000; echo flood-$((1 + 1))\r");
}

/// Waits until a terminal that had to show a flood has this row behind it.
fn wait_behind_flood(terminal: &Terminal, text: &str) {
    terminal.wait_within(LONG, text, |screen| {
        screen.rows().iter().any(|row| row == text).then_some(())
    });
}

/// Asserts that a shell answers while others do not: had it to wait for them, it would for ever.
#[track_caller]
fn assert_echo(terminal: &Terminal, round: u32) {
    let row = format!("echo-{}", round + 1);
    terminal.type_keys(format!("echo echo-$(({round} + 1))\r"));
    terminal.wait_within(AT_ONCE, &row, |screen| {
        screen.rows().contains(&row).then_some(())
    });
}

#[track_caller]
fn assert_memory_is_bounded(world: &World) {
    for server in world.role("server") {
        let anonymous = server.status("RssAnon").unwrap_or_default();
        let kib: u64 = anonymous
            .trim_end_matches(" kB")
            .parse()
            .expect("RssAnon is a number");
        assert!(kib < 64 * 1024, "the server has {anonymous}");
    }
}
