//! Attaching, detaching, and how the user's terminal is left.

use std::fs;

use psess_harness::{Process, Signal, Terminal, World, eventually};

use crate::{attach, open_shell, world};

/// The detach key as a plain terminal sends it.
const DETACH: &[u8] = b"\x1c";

/// Switches on about everything that a program may leave on, then waits.
const MESSY: &str = r"printf '\033[?1049h\033[?1000h\033[?1006h\033[?2004h\033[?25l\033[?1h\033='
printf '\033[>1u\033[>4;2m\033]2;messy\007\033]11;#ff0000\007\033[1;4;31;42mready'; exec sleep 1000";

#[test]
fn detach_and_attach_in_another_terminal_show_the_same_screen() {
    let world = world();
    let mut first = open_shell(&world, "build");
    first.type_keys("echo hello-$((40 + 2))\r");
    first.wait_for_row("hello-42");
    let before = first.wait_for("the next prompt", |screen| {
        (screen.cursor() == (2, 2)).then(|| (screen.rows(), screen.cursor()))
    });
    first.type_keys(DETACH);
    assert!(first.wait_exit().success());
    first.wait_for_text("[detached from build]");

    let second = attach(&world, "build");
    second.wait_for("the same screen", |screen| {
        ((screen.rows(), screen.cursor()) == before).then_some(())
    });
    second.type_keys("echo again-$((1 + 1))\r");
    second.wait_for_row("again-2");
}

#[test]
fn what_stood_on_the_screen_before_is_there_afterwards() {
    let world = world();
    let mut terminal = Terminal::new();
    let mut shell = world.command("/bin/bash");
    shell.args(["--norc", "--noprofile"]).env("PS1", "outside ");
    terminal.run(shell);
    terminal.type_keys("echo before-$((1 + 1))\r");
    terminal.wait_for_row("before-2");
    terminal.type_keys("psess new build -e PS1='inside ' -- /bin/bash --norc\r");
    terminal.wait_for_row("inside");
    terminal.type_keys("echo within-$((1 + 1))\r");
    terminal.wait_for_row("within-2");
    terminal.type_keys(DETACH);
    terminal.wait_for_text("[detached from build]");
    terminal.wait_for("the shell's prompt", |screen| {
        screen
            .rows()
            .iter()
            .rev()
            .find(|row| !row.is_empty())
            .filter(|row| *row == "outside")
            .cloned()
    });
    let rows = terminal.look(|screen| screen.all_rows());
    let count = |text: &str| rows.iter().filter(|row| *row == text).count();
    assert_eq!((count("before-2"), count("within-2")), (1, 1), "{rows:#?}");
}

#[test]
fn the_detach_key_pressed_twice_goes_through_once() {
    let world = world();
    let terminal = show_next_bytes(&world, ":", 2);
    // At once, as the two must come within a moment.
    terminal.type_keys([DETACH, DETACH, b"x"].concat());
    terminal.wait_for_text("<1c 78>");
}

#[test]
fn the_detach_key_works_in_the_kitty_keyboard_protocol() {
    detaches_by(r"printf '\033[>1u'", b"\x1b[92;5u");
}

#[test]
fn the_detach_key_works_with_caps_lock_and_event_types_of_the_kitty_protocol() {
    detaches_by(r"printf '\033[>3u'", b"\x1b[92;69:1u");
}

#[test]
fn the_detach_key_works_with_modify_other_keys() {
    detaches_by(r"printf '\033[>4;2m'", b"\x1b[27;5;92~");
}

#[test]
fn other_control_keys_of_the_kitty_protocol_go_through() {
    let world = world();
    let terminal = show_next_bytes(&world, r"printf '\033[>1u'", 7);
    terminal.type_keys(b"\x1b[93;5u");
    terminal.wait_for_text("<1b 5b 39 33 3b 35 75>");
}

fn detaches_by(preparation: &str, key: &[u8]) {
    let world = world();
    let mut terminal = show_next_bytes(&world, preparation, 1);
    terminal.type_keys(key);
    assert!(terminal.wait_exit().success());
    terminal.wait_for_text("[detached from keys]");
    assert_left_clean(&terminal);
}

/// A session that shows the next so many bytes it reads, as `<1c 78>`.
fn show_next_bytes(world: &World, preparation: &str, count: usize) -> Terminal {
    let program = format!(
        "stty raw -echo; {preparation}; printf ready; \
         printf '<%s>' \"$(head -c {count} | od -An -v -tx1 | xargs)\"; exec sleep 1000"
    );
    let terminal = world.open(["new", "keys", "--", "/bin/bash", "-c", &program]);
    terminal.wait_for_text("ready");
    terminal
}

#[test]
fn detaching_leaves_the_terminal_clean() {
    let world = world();
    let mut terminal = open_messy(&world);
    terminal.type_keys(b"\x1b[92;5u");
    assert!(terminal.wait_exit().success());
    assert_left_clean(&terminal);
}

#[test]
fn being_detached_from_elsewhere_leaves_the_terminal_clean() {
    let world = world();
    let mut terminal = open_messy(&world);
    world.succeed(["detach", "messy"]);
    assert!(terminal.wait_exit().success());
    terminal.wait_for_text("[detached from messy");
    assert_left_clean(&terminal);
}

#[test]
fn a_client_that_nobody_touches_leaves_by_itself_where_that_is_wanted() {
    let world = world();
    world.write("home/.config/psess/config.toml", "idle-detach = \"1s\"\n");
    // That the program prints is no touch. It has begun before, whatever a second is worth here.
    let ticks = world.path("ticks");
    let program = format!(
        "while echo tick; do touch {}; sleep 0.1; done",
        ticks.display()
    );
    world.succeed(["new", "-d", "build", "--", "/bin/sh", "-c", &program]);
    eventually("the program prints", || ticks.exists().then_some(()));
    let mut terminal = attach(&world, "build");
    terminal.wait_for_row("tick");
    assert!(terminal.wait_exit().success());
    terminal.wait_for_row("[detached from build after 1 s without a key (idle-detach)]");
    assert!(world.succeed(["list"]).contains("build"));
}

#[test]
fn a_program_that_is_killed_leaves_the_terminal_clean() {
    let world = world();
    let mut terminal = open_messy(&world);
    world.succeed(["kill", "--yes", "messy"]);
    assert_eq!(terminal.wait_exit().code(), Some(129));
    terminal.wait_for_text("[messy finished: killed by SIGHUP]");
    assert_left_clean(&terminal);
}

#[test]
fn a_client_that_gets_term_or_hup_leaves_the_terminal_clean_and_tells_the_signal() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let world = world();
        let mut terminal = open_messy(&world);
        terminal.process().signal(signal);
        assert_eq!(terminal.wait_exit().code(), Some(status));
        terminal.wait_for_text("[detached from messy]");
        assert_left_clean(&terminal);
        assert!(world.succeed(["list"]).contains("messy"));
    }
}

#[test]
fn a_client_that_is_to_stop_leaves_the_terminal_clean_meanwhile() {
    let world = world();
    let mut terminal = open_messy(&world);
    let client = terminal.process();
    client.signal(Signal::TSTP);
    eventually("the client stands still", || {
        client
            .status("State")
            .filter(|state| state.starts_with('T'))
    });
    terminal.settle();
    assert_left_clean(&terminal);
    client.signal(Signal::CONT);
    terminal.wait_for("the mess", |screen| {
        (screen.shows("ready") && screen.modes_left().len() > 10).then_some(())
    });
    terminal.type_keys(b"\x1b[92;5u");
    assert!(terminal.wait_exit().success());
    assert_left_clean(&terminal);
}

fn open_messy(world: &World) -> Terminal {
    let terminal = world.open(["new", "messy", "--", "/bin/sh", "-c", MESSY]);
    terminal.wait_for("the mess", |screen| {
        (screen.shows("ready") && screen.modes_left().len() > 10).then_some(())
    });
    assert!(!terminal.is_cooked());
    terminal
}

fn assert_left_clean(terminal: &Terminal) {
    assert_eq!(terminal.look(|screen| screen.modes_left()), [""; 0]);
    assert!(terminal.is_cooked());
}

#[test]
fn the_programs_exit_status_becomes_psesss_own() {
    let world = world();
    let mut terminal = world.open(["new", "build", "--", "/bin/sh", "-c", "exit 7"]);
    assert_eq!(terminal.wait_exit().code(), Some(7));
    terminal.wait_for_text("[build finished: exit 7]");
    let mut terminal = world.open(["new", "build", "--", "/bin/sh", "-c", "kill -9 $$"]);
    assert_eq!(terminal.wait_exit().code(), Some(137));
    terminal.wait_for_text("[build finished: killed by SIGKILL]");
    assert!(
        !world.succeed(["list"]).contains("build"),
        "a seen end is forgotten"
    );
}

#[test]
fn all_that_a_program_printed_before_its_end_is_shown() {
    let world = world();
    let mut terminal = world.open(["new", "build", "--", "seq", "1", "5000"]);
    assert!(terminal.wait_exit().success());
    let rows = terminal.look(|screen| screen.all_rows());
    let numbers: Vec<u32> = rows.iter().filter_map(|row| row.parse().ok()).collect();
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!((numbers.len(), numbers[0], gap), (5_000, 1, None));
}

#[test]
fn a_session_that_finished_unseen_shows_its_end_when_it_is_attached() {
    let world = world();
    world.succeed([
        "new",
        "-d",
        "build",
        "--",
        "/bin/sh",
        "-c",
        "echo the-last-words; exit 3",
    ]);
    let list = eventually("the list shows the end", || {
        Some(world.succeed(["list"])).filter(|list| list.contains("finished"))
    });
    assert!(list.contains(", exit 3"), "{list}");
    let mut terminal = attach(&world, "build");
    assert_eq!(terminal.wait_exit().code(), Some(3));
    terminal.wait_for_row("the-last-words");
    terminal.wait_for_text("[build finished: exit 3]");
    world.wait_for_end();
}

#[test]
fn a_finished_session_is_neither_dropped_by_who_watches_nor_by_a_redirection() {
    let world = world();
    let script = "echo the-last-words; exit 3";
    world.succeed(["new", "-d", "build", "--", "/bin/sh", "-c", script]);
    eventually("the list shows the end", || {
        world.succeed(["list"]).contains("exit 3").then_some(())
    });
    let file = world.path("home/build.log");
    let mut terminal = Terminal::new();
    let mut shell = world.command("/bin/sh");
    shell.args(["-c", "psess attach build >build.log"]);
    terminal.run(shell);
    assert_eq!(terminal.wait_exit().code(), Some(1));
    terminal.wait_for_text("standard output is no terminal");
    assert!(!terminal.look(|screen| screen.shows("the-last-words")));
    assert_eq!(fs::read(file).unwrap(), b"");
    for _ in 0..2 {
        let mut terminal = world.open(["attach", "--read-only", "build"]);
        assert_eq!(terminal.wait_exit().code(), Some(3));
        terminal.wait_for_row("the-last-words");
        terminal.wait_for_text("[build finished: exit 3]");
    }
    let mut terminal = attach(&world, "build");
    assert_eq!(terminal.wait_exit().code(), Some(3));
    terminal.wait_for_row("the-last-words");
    world.wait_for_end();
}

#[test]
fn the_session_takes_the_terminals_size_and_follows_it() {
    let world = world();
    let terminal = open_shell(&world, "build");
    terminal.type_keys("stty size\r");
    terminal.wait_for_row("24 80");
    terminal.resize(40, 100);
    // The size comes by another way than keys: what is typed then may overtake it. And bash may
    // draw its line anew for that when it has left it already: what it prints begins a new one.
    let wait = "until [ \"$(stty size)\" = '40 100' ]; do :; done; printf '\\ngrown\\n'\r";
    terminal.type_keys(wait);
    terminal.wait_for_row("grown");
}

#[test]
fn attach_without_a_name_means_the_session_used_last() {
    let world = world();
    world.succeed([
        "new",
        "-d",
        "one",
        "--",
        "/bin/sh",
        "-c",
        "echo in-one; exec sleep 1000",
    ]);
    world.succeed([
        "new",
        "-d",
        "two",
        "--",
        "/bin/sh",
        "-c",
        "echo in-two; exec sleep 1000",
    ]);
    let mut terminal = attach(&world, "one");
    terminal.wait_for_row("in-one");
    terminal.type_keys(DETACH);
    terminal.wait_exit();
    let terminal = world.open(["attach"]);
    terminal.wait_for_row("in-one");
}

#[test]
fn psess_in_a_session_refuses_to_nest_unless_told_to() {
    let world = world();
    world.succeed([
        "new",
        "-d",
        "other",
        "--",
        "/bin/sh",
        "-c",
        "echo in-other; exec sleep 1000",
    ]);
    let terminal = open_shell(&world, "outer");
    terminal.type_keys("clear; psess attach other; echo status-$?\r");
    terminal.wait_for_row("status-1");
    assert!(terminal.look(|screen| screen.shows("--nested") && !screen.shows("in-other")));
    terminal.type_keys("clear; psess attach --nested other\r");
    terminal.wait_for_row("in-other");
}

#[test]
fn a_session_cannot_be_attached_to_itself() {
    let world = world();
    let terminal = open_shell(&world, "outer");
    for name in ["outer", "out"] {
        let line = format!("clear; psess attach --nested {name}; echo {name}-$?\r");
        terminal.type_keys(line);
        terminal.wait_for_row(&format!("{name}-1"));
        assert!(terminal.look(|screen| screen.shows("cannot show itself")));
    }
    terminal.type_keys("clear; psess attach --nested; echo nameless-$?\r");
    terminal.wait_for_row("nameless-2");
    let list = world.succeed(["list"]);
    assert!(
        list.contains("attached ") && !list.contains("by 2"),
        "{list}"
    );
}

#[test]
fn keys_typed_before_the_session_is_there_reach_it() {
    let world = world();
    let mut terminal = Terminal::new();
    terminal.type_keys("echo typed-$((1 + 1)) ahead\r");
    terminal.run(world.psess(["new", "build", "--", "/bin/bash", "--norc"]));
    terminal.wait_for_row("typed-2 ahead");
}

/// The terminal is not raw as long as ssh may ask something: these keys are signals then, to all
/// that runs in the foreground.
#[test]
fn the_user_can_leave_while_the_way_is_being_opened() {
    for (key, status) in [(DETACH, 131), (&b"\x03"[..], 130)] {
        let world = world();
        world.write(
            "home/.config/psess/config.toml",
            "[host.slow]\ncommand = [\"sh\", \"-c\", \"echo asking >&2; exec sleep 1000\"]\n",
        );
        let mut terminal = world.open(["new", "slow:build"]);
        terminal.wait_for_row("asking");
        terminal.type_keys(key);
        assert_eq!(terminal.wait_exit().code(), Some(status));
        terminal.wait_for_text("[no session of slow was reached]");
        assert!(terminal.is_cooked());
        // What a killed process takes to go is the kernel's.
        eventually("nothing is left", || {
            world.processes().is_empty().then_some(())
        });
    }
}

#[test]
fn a_paste_of_a_megabyte_arrives_whole() {
    let world = world();
    let file = world.path("home/pasted");
    let program = format!(
        "stty raw -echo; echo ready; head -c 1000000 >{}; echo all-of-it; exec sleep 1000",
        file.display()
    );
    let terminal = world.open(["new", "paste", "--", "/bin/bash", "-c", &program]);
    terminal.wait_for_row("ready");
    let pasted: Vec<u8> = (0..100_000)
        .flat_map(|n| format!("{n:9}\r").into_bytes())
        .collect();
    terminal.type_keys(&pasted);
    terminal.wait_for_text("all-of-it");
    assert!(fs::read(&file).unwrap() == pasted);
}

#[test]
fn a_program_may_ask_the_terminal_and_gets_one_answer() {
    let world = world();
    let program = r"stty raw -echo; printf 'ab\033[6n'
answer=$(head -c 6 | od -An -c | xargs); printf '\r\n<%s>' $answer; exec sleep 1000";
    let terminal = world.open(["new", "ask", "--", "/bin/bash", "-c", program]);
    terminal.wait_for_text("<R>");
}

#[test]
fn a_suspended_client_leaves_the_session_alone() {
    let world = world();
    let first = open_shell(&world, "build");
    let client: Process = first.process();
    client.signal(Signal::STOP);
    let second = attach(&world, "build");
    second.type_keys("echo second-$((1 + 1))\r");
    second.wait_for_row("second-2");
    client.signal(Signal::CONT);
    first.wait_for_row("second-2");
}

#[test]
fn a_warning_stands_on_the_screen_until_a_key_is_pressed_and_is_said_again_when_detaching() {
    let world = world();
    let mut command = world.psess([
        "new",
        "build",
        "-e",
        "PS1=$ ",
        "--",
        "/bin/bash",
        "--norc",
        "--noprofile",
    ]);
    command.env("TERM", "no-such-terminal");
    let mut terminal = Terminal::new();
    terminal.run(command);
    let warning = "this machine does not know the terminal 'no-such-terminal'";
    terminal.wait_for("the prompt and the warning", |screen| {
        let has_prompt = screen.rows().iter().any(|row| row.trim_end() == "$");
        (has_prompt && screen.shows(warning) && screen.shows("  known here")).then_some(())
    });
    terminal.type_keys("echo typed\r");
    terminal.wait_for("only what the shell printed", |screen| {
        let rows = screen.rows();
        let has_printed = rows.iter().any(|row| row.trim_end() == "typed");
        (has_printed && !screen.shows(warning)).then_some(())
    });
    terminal.look(|screen| {
        let all = screen.all_rows();
        assert!(all.iter().any(|row| row.contains(warning)), "{all:?}");
    });
    terminal.type_keys(b"\x1c");
    assert!(terminal.wait_exit().success());
    terminal.wait_for_text("[detached from build]");
    terminal.wait_for_text(warning);
    assert!(terminal.is_cooked());
}

#[test]
fn a_warning_of_a_far_relay_stands_on_the_screen_as_well() {
    let world = world();
    let speaks =
        "echo Welcome >&2; echo psess: sessions end with this login >&2; exec \"$0\" \"$@\"";
    let entry = format!("[host.box]\ncommand = ['sh', '-c', '{speaks}']\n");
    world.write("home/.config/psess/config.toml", &entry);
    let terminal = world.open(["new", "box:build", "--", "sh", "-c", "echo ready; exec cat"]);
    terminal.wait_for("the output and the warning", |screen| {
        let rows = screen.rows();
        let has = |text: &str| rows.iter().any(|row| row.trim_end() == text);
        let is_there = has("ready") && has("psess: sessions end with this login");
        (is_there && !has("Welcome")).then_some(())
    });
    terminal.type_keys("typed\r");
    terminal.wait_for("it is gone", |screen| {
        (screen.shows("typed") && !screen.shows("sessions end")).then_some(())
    });
    let all = terminal.look(|screen| screen.all_rows().join("\n"));
    assert_eq!(all.matches("sessions end").count(), 1, "{all}");
}
