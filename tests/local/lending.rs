//! The terminal of a client on the same machine is lent to the server, which writes plain output
//! to it by itself; in return the client types into the pty.

use std::fs;
use std::path::{Path, PathBuf};

use psess_harness::{Process, Screen, Signal, Terminal, World, eventually, eventually_within};

use crate::{LONG, attach, open_shell, world};

/// Prints numbered lines as fast as it can, once it is told to.
fn flood(world: &World, lines: u64) -> Terminal {
    let terminal = run_script(world, &format!("read go; seq 1 {lines}; read end"));
    terminal.type_keys("go\r");
    terminal
}

/// Runs a script of a shell, in a session that has its terminal's size by now.
fn run_script(world: &World, script: &str) -> Terminal {
    let terminal = world.open(["new", "flood", "--", "sh", "-c", script]);
    terminal.settle();
    eventually("its size is the session's", || {
        world.succeed(["list"]).contains("flood").then_some(())
    });
    terminal
}

/// The last number that the screen shows whole.
fn last_number(screen: &mut Screen) -> Option<u64> {
    let rows = screen.rows();
    rows.iter().rev().skip(1).find_map(|row| row.parse().ok())
}

fn wait_for_number(terminal: &Terminal, number: u64) {
    terminal.wait_within(LONG, &format!("line {number}"), |screen| {
        last_number(screen).filter(|last| *last >= number)
    });
}

/// All numbered lines that the terminal was sent.
fn numbers(terminal: &Terminal) -> Vec<u64> {
    let received = String::from_utf8_lossy(&terminal.received()).into_owned();
    received
        .lines()
        .filter_map(|line| line.trim_end().parse().ok())
        .collect()
}

/// Bytes that a process wrote so far, wherever to.
fn written_by(process: &Process) -> u64 {
    let account = fs::read_to_string(format!("/proc/{}/io", process.pid)).expect("it runs");
    let written = account
        .lines()
        .find_map(|line| line.strip_prefix("wchar: "));
    written.expect("Linux counts it").parse().expect("a number")
}

#[test]
fn a_server_that_is_killed_while_it_writes_costs_no_byte() {
    const LINES: u64 = 1_500_000;
    let world = world();
    let terminal = flood(&world, LINES);
    wait_for_number(&terminal, 200_000);
    // Else another way was taken, and this shows nothing.
    let passed_on = written_by(&terminal.process());
    assert!(passed_on < 200_000, "the client wrote {passed_on} bytes");
    for kill in 1..=4 {
        wait_for_number(&terminal, kill * 300_000);
        let server = eventually("a server runs", || world.role("server").pop());
        server.kill();
    }
    wait_for_number(&terminal, LINES);
    let numbers = numbers(&terminal);
    let wrong = numbers
        .iter()
        .zip(1..)
        .find(|(number, line)| **number != *line);
    assert_eq!(wrong, None, "a line and what it should be");
    assert_eq!(numbers.len() as u64, LINES);
}

#[test]
fn a_terminal_that_stands_still_for_long_misses_nothing() {
    const STALLED: u64 = 2_500_000;
    const LINES: u64 = 2_700_000;
    for is_killed in [false, true] {
        let world = world();
        let printed = world.path("printed");
        let after = STALLED + 1;
        let script = format!(
            "read go; seq 1 {STALLED}; : > {}; read go; seq {after} {LINES}; read end",
            printed.display()
        );
        let terminal = run_script(&world, &script);
        terminal.type_keys("go\r");
        wait_for_number(&terminal, 100_000);
        terminal.stall(true);
        eventually_within(LONG, "all is printed", || printed.exists().then_some(()));
        // It has more to keep for the terminal than for itself.
        let server = eventually("a server runs", || world.role("server").pop());
        if is_killed {
            server.kill();
        }
        terminal.stall(false);
        wait_for_number(&terminal, STALLED);
        terminal.settle();
        terminal.type_keys("go\r");
        wait_for_number(&terminal, LINES);
        let numbers = numbers(&terminal);
        let expected = (1..=LINES).collect::<Vec<_>>();
        assert!(numbers == expected, "{} lines came", numbers.len());
    }
}

#[test]
fn what_is_plain_and_what_is_not_come_in_their_order() {
    let world = world();
    let script = "read go; i=0; while [ $i -lt 20000 ]; do echo $i; \
                  [ $((i % 7)) = 0 ] && printf '\\033]2;title %s\\007\\033[s' $i; \
                  i=$((i + 1)); done; echo printed; read end";
    let terminal = world.open(["new", "mixed", "--", "sh", "-c", script]);
    terminal.settle();
    terminal.type_keys("go\r");
    terminal.wait_for_row("printed");
    let received = String::from_utf8_lossy(&terminal.received()).into_owned();
    let mut expected = String::new();
    for number in 0..20_000 {
        expected += &format!("{number}\r\n");
        if number % 7 == 0 {
            expected += &format!("\x1b]2;title {number}\x07\x1b[s");
        }
    }
    assert!(
        received.contains(&expected),
        "something came in another order"
    );
}

#[test]
fn a_stopped_client_holds_up_neither_the_program_nor_others() {
    const LINES: u64 = 1_000_000;
    let world = world();
    let terminal = flood(&world, LINES);
    wait_for_number(&terminal, 100_000);
    terminal.process().signal(Signal::STOP);
    let other = world.open(["attach", "flood", "--history", "none"]);
    wait_for_number(&other, LINES);
    terminal.process().signal(Signal::CONT);
    wait_for_number(&terminal, LINES);
}

#[test]
fn a_stopped_client_leaves_the_terminal_to_the_shell_that_started_it() {
    const LINES: u64 = 3_000_000;
    let world = world();
    let script = world.write("flood", &format!("read go; seq 1 {LINES}; read end"));
    let mut shell = world.command("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.env("PS1", "outer$ ");
    let mut terminal = Terminal::new();
    terminal.run(shell);
    terminal.wait_for_text("outer$");
    terminal.type_keys(format!("psess new flood -- sh {}\r", script.display()));
    eventually("its size is the session's", || {
        world.succeed(["list"]).contains("flood").then_some(())
    });
    terminal.type_keys("go\r");
    wait_for_number(&terminal, 100_000);
    let mut clients = world.processes();
    clients.retain(|process| process.command.starts_with("psess new"));
    clients.pop().expect("it runs").signal(Signal::STOP);
    // The shell has the terminal back, and somebody works there.
    let came = |text: &str| {
        let received = terminal.received();
        let mut places = received.windows(text.len());
        places.rposition(|part| part == text.as_bytes())
    };
    eventually("the shell says so", || came("Stopped"));
    terminal.type_keys("echo outer-$((1 + 1))\r");
    let answered = eventually("the shell answers", || came("outer-2"));
    let other = world.open(["attach", "flood", "--history", "none"]);
    wait_for_number(&other, LINES);
    terminal.settle();
    let after = terminal.received().split_off(answered);
    let after = String::from_utf8_lossy(&after);
    assert!(after.lines().count() < 5, "{} bytes came", after.len());
    terminal.type_keys("fg\r");
    wait_for_number(&terminal, LINES);
}

#[test]
fn a_server_that_stands_still_is_told_of_when_somebody_types() {
    let world = world();
    let terminal = open_shell(&world, "build");
    terminal.type_keys("echo before-$((1 + 1))\r");
    terminal.wait_for_row("before-2");
    let server = world.role("server").pop().expect("it runs");
    server.signal(Signal::STOP);
    terminal.type_keys("echo during-$((1 + 1))\r");
    terminal.wait_for_text("psess: no contact for");
    server.signal(Signal::CONT);
    terminal.wait_for("all is as if nothing had been", |screen| {
        let rows = screen.rows();
        let has = |text: &str| rows.iter().any(|row| row == text);
        (has("before-2") && has("during-2") && !screen.shows("psess:")).then_some(())
    });
    terminal.type_keys("echo after-$((1 + 1))\r");
    terminal.wait_for_row("after-2");
}

#[test]
fn what_a_slow_terminal_has_not_shown_yet_is_dropped_when_the_program_is_stopped() {
    let world = world();
    let script = "trap 'echo stopped; read end; exit' INT; read go; \
                  while :; do echo $((i = i + 1)) and some more words; done";
    let terminal = world.open(["new", "flood", "--", "bash", "-c", script]);
    terminal.settle();
    terminal.type_keys("go\r");
    terminal.wait_for("much is shown", |screen| {
        let rows = screen.rows();
        let numbers = rows
            .iter()
            .filter_map(|row| row.split(' ').next()?.parse().ok());
        numbers.max().filter(|last: &u64| *last > 10_000)
    });
    terminal.stall(true);
    let before = terminal.received().len();
    let client = terminal.process();
    let mut programs = world.processes();
    programs.retain(|process| process.command.starts_with("bash -c"));
    let program = programs.pop().expect("it runs");
    let printed = written_by(&program);
    eventually("much is unsent", || {
        (written_by(&program) > printed + (512 << 10)).then_some(())
    });
    let written = written_by(&client);
    terminal.type_keys(b"\x03");
    // The terminal was full. What passes on the key is less than a screen.
    eventually("the client draws", || {
        (written_by(&client) > written + 500).then_some(())
    });
    terminal.stall(false);
    // Behind ^C, where that came between two lines.
    terminal.wait_for_text("stopped");
    let received = terminal.received();
    let mark = b"[psess: ";
    let marked = received.windows(mark.len()).position(|part| part == mark);
    let marked = marked.expect("what went by is said");
    // What a pty's reader has for itself: Linux' n_tty keeps 4096 bytes, the harness a read.
    assert!(
        marked - before < 10_000,
        "{} bytes came before it",
        marked - before
    );
}

#[test]
fn a_server_that_stood_still_writes_nothing_to_a_terminal_that_was_left() {
    let world = world();
    let printed = world.path("printed");
    let script = format!(
        "read go; seq 1 2000000; touch {}; read end",
        printed.display()
    );
    let mut terminal = world.open(["new", "flood", "--", "sh", "-c", &script]);
    terminal.settle();
    terminal.type_keys("go\r");
    wait_for_number(&terminal, 1000);
    // So that the server is not in the middle of writing when it is stopped.
    terminal.stall(true);
    eventually_within(LONG, "all is printed", || printed.exists().then_some(()));
    let server = world.role("server").pop().expect("a server runs");
    server.signal(Signal::STOP);
    terminal.stall(false);
    terminal.type_keys("\x1c");
    terminal.wait_exit();
    terminal.settle();
    let left = terminal.received().len();
    server.signal(Signal::CONT);
    eventually("the server knows that nobody is attached", || {
        let listed = world.succeed(["list"]);
        (listed.contains("flood") && listed.contains("detached")).then_some(())
    });
    terminal.settle();
    let late = terminal.received().split_off(left);
    let lines = late.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 0, "lines that were written late");
}

#[test]
fn what_is_printed_below_a_warning_is_whole_once_that_is_taken_away() {
    let world = world();
    let go = world.path("go");
    let script = format!(
        "echo ready; until test -e {}; do sleep 0.05; done; seq 1 60; exec cat",
        go.display()
    );
    let mut command = world.psess(["new", "warned", "--", "sh", "-c", &script]);
    command.env("TERM", "no-such-terminal");
    let mut terminal = Terminal::new();
    terminal.run(command);
    terminal.wait_for("the output and the warning", |screen| {
        (screen.shows("ready") && screen.shows("does not know the terminal")).then_some(())
    });
    terminal.settle();
    fs::write(go, "").expect("the world is writable");
    // By then all that is under way has been written.
    eventually("all is printed", || {
        let rows = terminal.look(|screen| screen.rows());
        rows.iter().any(|row| row == "60").then_some(())
    });
    terminal.type_keys("x");
    let expected: Vec<u64> = (1..=60).collect();
    terminal.wait_for("nothing but the numbers", |screen| {
        let rows = screen.all_rows();
        let start = rows.iter().position(|row| row == "ready")?;
        let numbers = rows[start + 1..].iter().map_while(|row| row.parse().ok());
        (numbers.collect::<Vec<u64>>() == expected).then_some(())
    });
}

/// A program that keeps all that is typed in a file, and the file.
fn typist(world: &World) -> (Terminal, PathBuf) {
    let typed = world.path("typed");
    let script = format!("stty raw -echo; echo ready; cat > {}", typed.display());
    let terminal = world.open(["new", "typist", "--", "sh", "-c", &script]);
    terminal.wait_for_text("ready");
    terminal.settle();
    (terminal, typed)
}

fn wait_for_typed(file: &Path, expected: &str) {
    eventually("all that was typed came", || {
        let typed = fs::read_to_string(file).ok()?;
        (typed.len() >= expected.len()).then_some(())
    });
    let typed = fs::read_to_string(file).expect("it is text");
    assert!(typed == expected, "something else was typed");
}

/// Waits until what server and client tell each other when one attaches has arrived: from then on
/// keys need no server.
fn wait_until_keys_pass(world: &World, terminal: &Terminal) {
    // A list is asked for by another connection, and answered when the session is done with this.
    eventually("the server knows of the client", || {
        world.succeed(["list"]).contains(" attached ").then_some(())
    });
    let client = terminal.process();
    eventually("the client has read all there is", || {
        client.waits()?.then_some(())
    });
}

#[test]
fn keys_reach_the_program_past_a_server_that_stands_still() {
    let world = world();
    let (terminal, typed) = typist(&world);
    wait_until_keys_pass(&world, &terminal);
    let server = world.role("server").pop().expect("a server runs");
    server.signal(Signal::STOP);
    terminal.type_keys("k");
    wait_for_typed(&typed, "k");
    server.signal(Signal::CONT);
    terminal.type_keys("l");
    wait_for_typed(&typed, "kl");
}

#[test]
fn keys_and_what_is_pasted_keep_their_order_whoever_is_killed() {
    let world = world();
    let (terminal, typed) = typist(&world);
    let mut expected = String::new();
    for round in 0..4 {
        let server = eventually("a server runs", || world.role("server").pop());
        for key in 0..60 {
            let mut keys = format!("{round}:{key};");
            if key % 7 == 0 {
                keys += &"pasted ".repeat(50 + key);
            }
            terminal.type_keys(&keys);
            expected += &keys;
            if key == 30 {
                server.kill();
            }
        }
        wait_for_typed(&typed, &expected);
    }
}

#[test]
fn what_is_typed_right_behind_a_key_comes_whole_and_in_order() {
    let world = world();
    let (terminal, typed) = typist(&world);
    let pasted: String = (0..1500).map(|number| format!("{number:07},")).collect();
    let mut expected = String::new();
    for _ in 0..20 {
        // The client passed the key, and has not told anybody when more comes.
        for behind in [&[&pasted[..]][..], &["\x1b", ":", "w", "q"]] {
            wait_until_keys_pass(&world, &terminal);
            terminal.type_keys("k");
            expected += "k";
            wait_for_typed(&typed, &expected);
            for keys in behind {
                terminal.type_keys(keys);
                expected += keys;
            }
            wait_for_typed(&typed, &expected);
        }
    }
}

#[test]
fn keys_of_a_client_that_was_sent_away_are_nobodys() {
    let world = world();
    let (mut terminal, typed) = typist(&world);
    let mut expected = String::new();
    for _ in 0..5 {
        wait_until_keys_pass(&world, &terminal);
        let client = terminal.process();
        client.signal(Signal::STOP);
        let other = world.open(["attach", "typist", "--detach-others"]);
        other.type_keys("b");
        expected += "b";
        wait_for_typed(&typed, &expected);
        // It does not know yet that it was sent away.
        terminal.type_keys("a");
        client.signal(Signal::CONT);
        terminal.wait_exit();
        other.type_keys("c");
        expected += "c";
        wait_for_typed(&typed, &expected);
        terminal = other;
    }
}

#[test]
fn keys_do_not_overtake_what_was_pasted_before_a_detach() {
    let world = world();
    let typed = world.path("typed");
    let go = world.path("go");
    // It reads when it is told to, which is when the server stands still.
    let script = format!(
        "stty raw -echo; echo ready; until test -e {}; do sleep 0.02; done; exec cat > {}",
        go.display(),
        typed.display()
    );
    let mut terminal = world.open(["new", "deaf", "--", "sh", "-c", &script]);
    terminal.wait_for_text("ready");
    terminal.settle();
    let pasted = "pasted ".repeat(8000);
    terminal.type_keys(&pasted);
    terminal.type_keys("\x1c");
    terminal.wait_exit();
    let terminal = attach(&world, "deaf");
    terminal.wait_for_text("ready");
    terminal.settle();
    let server = world.role("server").pop().expect("a server runs");
    server.signal(Signal::STOP);
    fs::write(&go, "").expect("the world is writable");
    // What the kernel has of it comes through; the rest waits for the server.
    eventually("the program reads", || {
        (fs::metadata(&typed).ok()?.len() > 0).then_some(())
    });
    terminal.type_keys("key");
    terminal.settle();
    server.signal(Signal::CONT);
    wait_for_typed(&typed, &format!("{pasted}key"));
}

#[test]
fn each_key_comes_with_the_size_of_the_terminal_that_it_was_typed_on() {
    let world = world();
    let small = sizes(&world);
    let mut large = Terminal::sized(40, 120);
    large.run(world.psess(["attach", "sizes"]));
    large.wait_for_text("ready");
    large.settle();
    for (terminal, key, size) in [
        (&large, 'a', "40 120"),
        (&small, 'b', "24 80"),
        (&small, 'c', "24 80"),
        (&large, 'd', "40 120"),
        (&large, 'e', "40 120"),
        (&small, 'f', "24 80"),
    ] {
        terminal.type_keys(key.to_string());
        assert_eq!(size_at(&large, key), size, "at key {key}");
    }
}

/// A program that answers each key with its size.
fn sizes(world: &World) -> Terminal {
    // Between two reads bash lets the terminal echo.
    let script =
        "stty -echo; echo ready; while read -rsn1 key; do echo \"$key: $(stty size).\"; done";
    let terminal = world.open(["new", "sizes", "--", "bash", "-c", script]);
    terminal.wait_for_text("ready");
    terminal.settle();
    terminal
}

/// What it answered.
fn size_at(terminal: &Terminal, key: char) -> String {
    let start = format!("{key}: ");
    terminal.wait_for("an answer", |screen| {
        let rows = screen.rows();
        let answer = rows.iter().find_map(|row| row.strip_prefix(&start))?;
        Some(answer.strip_suffix('.')?.to_owned())
    })
}

#[test]
fn a_program_knows_the_size_that_its_terminal_has_before_the_next_key() {
    let world = world();
    let terminal = sizes(&world);
    for round in 0..25 {
        let (rows, columns) = (20 + round % 3, 60 + round);
        let key = char::from(b'a' + u8::try_from(round).expect("few"));
        terminal.resize(rows, columns);
        terminal.type_keys(key.to_string());
        assert_eq!(size_at(&terminal, key), format!("{rows} {columns}"));
    }
}
