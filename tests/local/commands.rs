//! The commands that need no terminal: what they print, how they fail, what they leave.

use psess_harness::{Finished, Terminal, World, eventually};

use crate::{attach, open_shell, world};

fn sleeper(world: &World, name: &str) {
    world.succeed(["new", "-d", name, "--", "sleep", "1000"]);
}

/// Asserts that a command failed with this status and named all of these on stderr.
#[track_caller]
fn assert_fails(finished: &Finished, status: i32, words: &[&str]) {
    assert_eq!(finished.status, Some(status), "{finished:?}");
    for word in words {
        assert!(
            finished.stderr.contains(word),
            "{word:?} is not in {finished:?}"
        );
    }
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
}

#[test]
fn new_d_starts_a_session_that_list_shows() {
    let world = world();
    sleeper(&world, "build");
    let list = world.succeed(["list"]);
    assert!(
        list.contains("build") && list.contains("sleep 1000"),
        "{list}"
    );
    // The second may have changed between them.
    let without_time = |list: String| list.replace(|c: char| c.is_ascii_digit(), "");
    let again = world.succeed(["ls"]);
    assert_eq!(without_time(again), without_time(list));
    let json = world.succeed(["list", "--json"]);
    assert!(
        json.contains("\"build\"") && json.contains("\"schema\""),
        "{json}"
    );
}

#[test]
fn list_of_nothing_succeeds_and_starts_nothing() {
    let world = world();
    let finished = world.run(["list"]);
    assert_eq!(finished.status, Some(0), "{finished:?}");
    assert_eq!(world.processes(), []);
}

#[test]
fn a_session_without_a_name_is_named_after_its_command() {
    let world = world();
    world.succeed(["new", "-d", "--", "sleep", "1000"]);
    world.succeed(["new", "-d", "--", "sleep", "1000"]);
    let list = world.succeed(["list"]);
    assert_eq!(
        list.lines().filter(|line| line.contains("sleep")).count(),
        2,
        "{list}"
    );
}

#[test]
fn a_name_taken_is_refused_and_its_session_goes_on() {
    let world = world();
    sleeper(&world, "build");
    let finished = world.run(["new", "-d", "build", "--", "sleep", "2000"]);
    assert_fails(&finished, 1, &["build", "attach"]);
    assert!(!world.succeed(["list"]).contains("2000"));
}

#[test]
fn a_name_with_bad_characters_is_refused_before_anything_starts() {
    let world = world();
    for name in ["a b", "a/b", "ä", "a\u{1b}b", ""] {
        let finished = world.run(["new", "-d", name, "--", "sleep", "1000"]);
        assert!(
            matches!(finished.status, Some(1 | 2)),
            "{name:?}: {finished:?}"
        );
        assert!(finished.stderr.contains("name"), "{name:?}: {finished:?}");
        assert!(!finished.stderr.contains('\u{1b}'), "{finished:?}");
    }
    assert_eq!(world.processes(), []);
}

#[test]
fn a_command_that_does_not_exist_gives_127_and_leaves_nothing() {
    let world = world();
    let finished = world.run(["new", "-d", "build", "--", "no-such-command"]);
    assert_fails(&finished, 127, &["no-such-command"]);
    let mut terminal = world.open(["new", "build", "--", "no-such-command"]);
    assert_eq!(terminal.wait_exit().code(), Some(127));
    terminal.wait_for_text("no-such-command");
    assert!(terminal.is_cooked());
    world.wait_for_end();
    assert_eq!(world.processes(), []);
}

#[test]
fn a_command_that_cannot_be_executed_gives_126() {
    let world = world();
    let file = world.write("home/plain", "not a program\n");
    let finished = world.run(["new", "-d", "build", "--", &file.display().to_string()]);
    assert_fails(&finished, 126, &["plain"]);
    world.wait_for_end();
}

#[test]
fn a_working_directory_that_is_not_there_is_an_error() {
    let world = world();
    let finished = world.run([
        "new",
        "-d",
        "build",
        "--cwd",
        "/no/such/folder",
        "--",
        "sleep",
        "9",
    ]);
    assert!(matches!(finished.status, Some(1 | 126)), "{finished:?}");
    assert!(finished.stderr.contains("/no/such/folder"), "{finished:?}");
    world.wait_for_end();
}

#[test]
fn new_and_attach_without_a_terminal_say_so() {
    let world = world();
    let finished = world.run(["new", "build", "--", "sleep", "1000"]);
    assert_fails(&finished, 1, &["terminal", "-d"]);
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    sleeper(&world, "build");
    assert_fails(&world.run(["attach", "build"]), 1, &["terminal"]);
}

#[test]
fn a_session_that_is_not_there_gives_3_and_says_where_to_look() {
    let world = world();
    for words in [
        &["detach", "work"][..],
        &["kill", "work"],
        &["rename", "work", "play"],
        &["show", "work"],
        &["show"],
    ] {
        assert_fails(&world.run(words), 3, &["psess new"]);
    }
    assert_eq!(world.processes(), [], "nothing is started to say so");
    sleeper(&world, "other");
    assert_fails(&world.run(["kill", "work"]), 3, &["work", "list"]);
    let mut terminal = attach(&world, "work");
    assert_eq!(terminal.wait_exit().code(), Some(3));
    terminal.wait_for_text("work");
    assert!(terminal.is_cooked());
}

#[test]
fn misuse_gives_2() {
    let world = world();
    for arguments in [
        vec!["nonsense"],
        vec!["new", "--nonsense"],
        vec!["rename", "one"],
        vec!["show", "--history", "auto"],
        vec!["server"],
        vec!["forget"],
        vec!["forget", "one", "--all"],
    ] {
        assert_eq!(world.run(arguments).status, Some(2));
    }
}

#[test]
fn attach_c_creates_a_session_once() {
    let world = world();
    let first = world.open(["attach", "-c", "build"]);
    first.type_keys("echo in-$((1 + 1))\r");
    first.wait_for_row("in-2");
    let second = world.open(["attach", "-c", "build"]);
    second.wait_for_row("in-2");
    assert_eq!(world.succeed(["list"]).matches("build").count(), 1);
}

#[test]
fn rename_gives_another_name() {
    let world = world();
    sleeper(&world, "one");
    sleeper(&world, "two");
    world.succeed(["rename", "one", "three"]);
    let list = world.succeed(["list"]);
    assert!(list.contains("three") && !list.contains("one"), "{list}");
    assert_fails(&world.run(["rename", "two", "three"]), 1, &["three"]);
}

#[test]
fn who_is_attached_leaves_a_renamed_session_by_its_new_name() {
    let world = world();
    let mut terminal = open_shell(&world, "one");
    world.succeed(["rename", "one", "two"]);
    terminal.type_keys(b"\x1c");
    assert!(terminal.wait_exit().success());
    terminal.wait_for_text("[detached from two]");
}

#[test]
fn a_renamed_session_is_still_the_one_in_which_a_command_runs() {
    let world = world();
    let mut terminal = open_shell(&world, "one");
    world.succeed(["rename", "one", "two"]);
    sleeper(&world, "one");
    terminal.type_keys("psess detach\r");
    assert!(terminal.wait_exit().success());
    // To the session that is called 'one' by now nobody was attached.
    terminal.wait_for_text("[detached from");
}

#[test]
fn a_unique_beginning_of_a_name_is_enough_an_ambiguous_one_is_not() {
    let world = world();
    sleeper(&world, "build");
    sleeper(&world, "bench");
    sleeper(&world, "ben");
    assert_fails(
        &world.run(["kill", "--yes", "b"]),
        1,
        &["'b' could be ben, bench or build: say which"],
    );
    world.succeed(["kill", "--yes", "bu"]);
    world.succeed(["kill", "--yes", "ben"]);
    eventually("only one is left", || {
        let list = world.succeed(["list"]);
        (list.contains("bench") && !list.contains("build")).then_some(())
    });
}

#[test]
fn kill_ends_the_program_and_the_session() {
    let world = world();
    sleeper(&world, "build");
    let program = eventually("the program runs", || {
        world
            .processes()
            .into_iter()
            .find(|process| process.command == "sleep 1000")
    });
    world.succeed(["kill", "build"]);
    eventually("the program is gone", || (!program.lives()).then_some(()));
    world.wait_for_end();
}

#[test]
fn kill_on_a_terminal_asks_when_something_runs() {
    let world = world();
    sleeper(&world, "build");
    for (answer, listed) in [("n\r", true), ("y\r", false)] {
        let mut terminal = world.open(["kill", "build"]);
        terminal.wait_for_text("build");
        terminal.wait_for_text("?");
        terminal.type_keys(answer);
        terminal.wait_exit();
        eventually("the answer counts", || {
            (world.succeed(["list"]).contains("sleep") == listed).then_some(())
        });
    }
}

#[test]
fn server_stop_asks_when_something_runs_and_without_a_terminal_takes_yes() {
    let world = world();
    sleeper(&world, "one");
    sleeper(&world, "two");
    for (answer, listed) in [("n\r", true), ("y\r", false)] {
        let mut terminal = world.open(["server", "stop"]);
        terminal.wait_for_text("2 sessions still run on this machine. End everything? [y/N]");
        terminal.type_keys(answer);
        assert_eq!(terminal.wait_exit().success(), !listed);
        eventually("the answer counts", || {
            (world.succeed(["list"]).contains("sleep") == listed).then_some(())
        });
    }
    world.wait_for_end();
    // What has finished is no reason to ask.
    world.succeed(["new", "-d", "done", "--", "true"]);
    eventually("it has finished", || {
        world.succeed(["list"]).contains("exit 0").then_some(())
    });
    assert!(world.open(["server", "stop"]).wait_exit().success());
    world.wait_for_end();
    sleeper(&world, "three");
    let words = ["1 session still runs on this machine", "--yes"];
    assert_fails(&world.run(["server", "stop"]), 1, &words);
    assert!(world.succeed(["list"]).contains("three"));
    world.succeed(["server", "stop", "--yes"]);
    world.wait_for_end();
    eventually("the program is gone", || {
        world.processes().is_empty().then_some(())
    });
    let help = world.succeed(["server", "stop", "--help"]);
    assert!(help.contains("Without a terminal"), "{help}");
}

#[test]
fn detach_sends_every_client_away_and_the_session_goes_on() {
    let world = world();
    let mut first = open_shell(&world, "build");
    let mut second = attach(&world, "build");
    second.wait_for_row("$");
    world.succeed(["detach", "build"]);
    for terminal in [&mut first, &mut second] {
        assert!(terminal.wait_exit().success());
        terminal.wait_for_text("[detached from build");
    }
    attach(&world, "build").wait_for_row("$");
    world.succeed(["detach", "build"]);
}

#[test]
fn n_and_a_are_new_and_attach() {
    let world = world();
    world.succeed([
        "n",
        "-d",
        "build",
        "--",
        "/bin/sh",
        "-c",
        "echo here; exec sleep 1000",
    ]);
    world.open(["a", "build"]).wait_for_row("here");
}

#[test]
fn list_into_a_closed_pipe_ends_silently() {
    let world = world();
    sleeper(&world, "build");
    let mut command = world.command("/bin/bash");
    command.args([
        "-c",
        "psess list | true; echo ${PIPESTATUS[0]}; psess list > /dev/null",
    ]);
    let finished = Finished::of(command);
    assert_eq!(finished.stderr, "", "{finished:?}");
}

#[test]
fn a_probe_whose_progress_nobody_can_see_goes_on() {
    let world = world();
    let mut command = world.command("/bin/sh");
    command.args(["-c", "psess --ssh false probe devbox 2> /dev/full; echo $?"]);
    assert_eq!(Finished::of(command).stdout, "1\n");
}

#[test]
fn what_is_listed_has_no_control_characters() {
    let world = world();
    let program = "printf '\\033]2;\\033[31mtitle\\007\\033]2;\\302\\23331mtitle\\007'; \
                   exec sleep 1000 # \u{1b}[31m";
    world.succeed(["new", "-d", "build", "--", "/bin/sh", "-c", program]);
    let list = eventually("the title is listed", || {
        Some(world.succeed(["list"])).filter(|list| list.contains(" · "))
    });
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!list.contains(is_control), "{}", list.escape_debug());
    let mut terminal = Terminal::new();
    terminal.run(world.psess(["list"]));
    assert!(terminal.wait_exit().success());
    assert_eq!(terminal.look(|screen| screen.modes_left()), [""; 0]);
}

/// A bash that asks psess at a TAB.
fn completing_shell(world: &World) -> Terminal {
    let mut terminal = Terminal::new();
    let mut shell = world.command("/bin/bash");
    shell.args(["--norc", "--noprofile", "-i"]).env("PS1", "$ ");
    terminal.run(shell);
    terminal.type_keys("source <(psess completions bash); echo ready-$((1 + 1))\r");
    terminal.wait_for_row("ready-2");
    // A TAB typed before the prompt is no question to the shell.
    terminal.wait_for_row("$");
    terminal
}

#[test]
fn tab_completes_commands_flags_and_the_names_of_sessions() {
    let world = world();
    sleeper(&world, "nightly-build");
    let terminal = completing_shell(&world);
    terminal.type_keys("psess \t\t");
    terminal.wait_for_text("attach");
    terminal.type_keys("att\t");
    terminal.wait_for_row("$ psess attach");
    terminal.type_keys("--read\t");
    terminal.wait_for_row("$ psess attach --read-only");
    terminal.type_keys("nig\t");
    terminal.wait_for_row("$ psess attach --read-only nightly-build");
}

/// It lists a name of which it is told no more behind all flags.
#[test]
fn zsh_is_told_what_runs_in_a_session_and_its_name_first() {
    let world = world();
    sleeper(&world, "nightly-build");
    let mut asked = world.psess(["--", "psess", "kill", ""]);
    asked.envs([("COMPLETE", "zsh"), ("_CLAP_COMPLETE_INDEX", "2")]);
    let listed = Finished::of(asked).stdout;
    assert!(
        listed.starts_with("nightly-build:sleep 1000\n--"),
        "{listed}"
    );
}

/// What each line becomes at a TAB, and a key behind it.
#[test]
fn tab_knows_another_machines_sessions_from_this_ones_and_a_program_from_a_session() {
    let world = world();
    sleeper(&world, "nightly-build");
    world.succeed(["new", "-d", "tests", "--", "true"]);
    eventually("it has finished", || {
        world.succeed(["list"]).contains("exit 0").then_some(())
    });
    world.script("only-in-this-world", "exit\n");
    world.write("home/some-notes.txt", "");
    let terminal = completing_shell(&world);
    for (typed, row) in [
        ("kill far:nig\t.", "kill far:nig."),
        ("kill far:\t.", "kill far:."),
        ("kill me@far:nig\t.", "kill me@far:nig."),
        ("kill far:x nig\t.", "kill far:x nightly-build ."),
        ("kill far:x --sig\t.", "kill far:x --signal ."),
        ("list \t.", "list ."),
        ("new \t.", "new ."),
        ("new x -- only\t.", "new x -- only-in-this-world ."),
        ("new -- only\t.", "new -- only-in-this-world ."),
        ("n far:x -- cat some\t.", "n far:x -- cat some-notes.txt ."),
        ("show nig\t.", "show nightly-build ."),
        ("kill -- nig\t.", "kill -- nightly-build ."),
        ("forget nig\t.", "forget nig."),
        ("forget te\t.", "forget tests ."),
    ] {
        terminal.type_keys(format!("psess {typed}"));
        terminal.wait_for_row(&format!("$ psess {row}"));
        // Ctrl-U: the line is empty again.
        terminal.type_keys("\x15");
        terminal.wait_for_row("$");
    }
}

#[test]
fn none_of_the_cuts_that_are_known_is_not_that_none_is_known() {
    let world = world();
    let cut =
        r#"{"id":"1","noticed_at":1700000000000,"host":"far","session":"build","evidence":{}}"#;
    world.write("home/.local/state/psess/cuts.jsonl", &format!("{cut}\n"));
    let why = ["why", "--days", "36500"];
    assert!(world.succeed(why).contains("far:build"));
    let none = world.run(why.into_iter().chain(["-n", "0"]));
    assert_eq!(none.status, Some(0), "{none:?}");
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""));
    let other = world.run(["why", "other"]);
    assert_eq!(other.stderr, "no cuts are known of 'other'\n");
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let world = world();
    let folder = world.path("home/man");
    world.succeed(["man", &folder.display().to_string()]);
    let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for section in ["NAME", "SYNOPSIS", "EXAMPLES", "ENVIRONMENT", "EXIT STATUS"] {
        let page = page("psess.1");
        assert!(page.contains(section), "{section} is not in {page}");
    }
    assert!(page("psess-new.1").contains("psess new build"));
    assert!(page("psess-show.1").contains("psess show build | grep error"));
    let attach = page("psess-attach.1").replace("\\-", "-");
    assert!(attach.contains("psess attach [OPTIONS] [NAME]"), "{attach}");
    let version = concat!("psess ", env!("CARGO_PKG_VERSION"));
    assert!(attach.contains(version), "{attach}");
    for none in ["psess-keeper.1", "psess-help.1"] {
        assert!(!folder.join(none).exists(), "{none}");
    }
}

#[test]
fn help_and_version_are_there() {
    let world = world();
    assert!(world.succeed(["--version"]).starts_with("psess "));
    let help = world.succeed(["--help"]);
    let words = "is kept, with its last screen, until somebody has seen how it ended";
    let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(words), "{help}");
    for command in ["new", "attach", "list", "show", "detach", "kill", "rename"] {
        assert!(help.contains(command), "{help}");
    }
    for role in ["relay", "keeper"] {
        assert!(!help.contains(&format!("\n  {role}")), "{help}");
    }
    assert_eq!(world.succeed(["help"]), help);
    for command in [&["attach"][..], &["server", "stop"]] {
        let asked = [&["help"], command].concat();
        let flag = [command, &["--help"]].concat();
        assert_eq!(world.succeed(asked), world.succeed(flag));
    }
}

#[test]
fn server_status_tells_versions_and_memory_by_session() {
    let world = world();
    sleeper(&world, "build");
    let status = world.succeed(["server", "status"]);
    let version = env!("CARGO_PKG_VERSION");
    let line = |name: &str| {
        let mut lines = status.lines().filter(|line| line.starts_with(name));
        let found = lines
            .next()
            .unwrap_or_else(|| panic!("no {name}: {status}"));
        found.to_owned()
    };
    for process in ["server", "keeper"] {
        let line = line(process);
        assert!(line.contains(&format!("psess {version}, pid ")), "{status}");
        let (_, up) = line.split_once(", up ").expect("it tells since when");
        let age = up.split(' ').next().unwrap_or_default();
        assert!(age.ends_with(['s', 'm']), "{status}");
        assert!(line.contains("iB"), "its memory is told: {status}");
    }
    assert!(line("restarts").ends_with(" 0"), "{status}");
    assert!(line("build").contains("KiB"), "{status}");
    world.succeed(["server", "restart"]);
    eventually("the restart is counted", || {
        let status = world.run(["server", "status"]);
        (status.stdout.contains("restarts   1")).then_some(())
    });
}

#[test]
fn a_directory_that_cannot_be_made_is_named_with_the_reason_once() {
    let world = world();
    let mut command = world.psess(["new", "-d"]);
    command.env("PSESS_DIR", "/no/such/folder");
    let finished = Finished::of(command);
    assert_fails(&finished, 1, &["/no/such/folder"]);
    let reasons = finished.stderr.matches("No such file").count();
    assert_eq!(reasons, 1, "{finished:?}");
}

#[test]
fn what_is_meant_for_another_machine_never_reaches_this_one() {
    let world = world();
    sleeper(&world, "build");
    for command in ["status", "restart", "stop"] {
        for host in ["devbox", "devbox:"] {
            let finished = world.run(["--ssh", "false", "server", command, host]);
            assert_fails(&finished, 1, &["devbox: "]);
        }
        let finished = world.run(["--ssh", "false", "server", command, "devbox:build"]);
        assert_fails(&finished, 2, &["'devbox:'"]);
    }
    let finished = world.run(["--ssh", "false", "list", "devbox:build"]);
    assert_fails(&finished, 2, &["'devbox:'"]);
    let status = world.succeed(["server", "status"]);
    assert!(status.contains("restarts   0"), "{status}");
    assert!(status.contains("build"), "{status}");
}

#[test]
fn forget_drops_what_has_finished_and_nothing_else() {
    let world = world();
    sleeper(&world, "build");
    world.succeed(["new", "-d", "done", "--", "sh", "-c", "exit 2"]);
    world.succeed(["new", "-d", "gone", "--", "sh", "-c", "exit 3"]);
    eventually("both have finished", || {
        let list = world.succeed(["list"]);
        (list.contains(", exit 2") && list.contains(", exit 3")).then_some(())
    });
    assert_fails(&world.run(["forget", "build"]), 1, &["build still runs"]);
    assert_fails(&world.run(["forget", "nosuch"]), 3, &["'nosuch'", "list"]);
    sleeper(&world, "dozen");
    assert_fails(&world.run(["forget", "do"]), 1, &["done", "dozen"]);
    world.succeed(["forget", "done"]);
    let list = world.succeed(["list"]);
    assert!(!list.contains("done") && list.contains("gone"), "{list}");
    world.succeed(["forget", "--all"]);
    let list = world.succeed(["list"]);
    assert!(!list.contains("gone") && list.contains("build"), "{list}");
}

#[test]
fn a_host_that_takes_long_is_said_to_be_waited_for() {
    let world = world();
    let answers = world.path("answers");
    let waits = format!(
        "until test -e {}; do sleep 0.02; done; exec \"$0\" \"$@\"",
        answers.display()
    );
    let entry = format!("[host.box]\ncommand = ['sh', '-c', '{waits}']\n");
    world.write("home/.config/psess/config.toml", &entry);
    let mut list = world.open(["list", "box:"]);
    let mut new = world.open(["new", "box:build", "--", "sh", "-c", "echo ready; exec cat"]);
    for terminal in [&list, &new] {
        terminal.wait_for_row("psess: waiting for box to answer; Ctrl-C gives up");
    }
    world.write("answers", "");
    assert!(list.wait_exit().success());
    new.wait_for("only the session", |screen| {
        let rows = screen.rows();
        let is_there = rows.iter().any(|row| row.trim_end() == "ready");
        (is_there && !screen.shows("waiting")).then_some(())
    });
    new.type_keys(b"\x1c");
    assert!(new.wait_exit().success());
}

#[test]
fn a_command_that_leads_to_no_psess_is_named() {
    let world = world();
    let entry = "[host.e]\ncommand = ['sh', '-c', 'cat']\n";
    world.write("home/.config/psess/config.toml", entry);
    let words = "e: what answers there is not psess: it gives back what it is sent; the command is: \
                 sh -c cat psess relay";
    for command in [
        &["list", "e:"][..],
        &["new", "-d", "e:x"],
        &["kill", "e:x"],
        &["server", "status", "e:"],
    ] {
        assert_fails(&world.run(command), 4, &[words]);
    }
    let mut terminal = world.open(["attach", "e:"]);
    assert_eq!(terminal.wait_exit().code(), Some(4));
    terminal.wait_for_text("what answers there is not psess");
}

#[test]
fn what_makes_no_sense_of_what_sessions_keep_is_refused() {
    let world = world();
    for (variable, value, form) in [
        ("PSESS_HISTORY_LINES", "abc", "a number of lines"),
        ("PSESS_HISTORY_BYTES", "100M", "at most 16M"),
        ("PSESS_HISTORY_BUDGET", "much", "a size such as 256M"),
        ("PSESS_KEEP_FINISHED", "banana", "a time such as 30s"),
    ] {
        for command in [&["new", "-d", "x", "--", "sleep", "1000"][..], &["config"]] {
            let mut command = world.psess(command);
            command.env(variable, value);
            assert_fails(&Finished::of(command), 1, &[variable, value, form]);
        }
    }
    assert_eq!(world.processes(), []);
    // Who starts no server need not know them.
    sleeper(&world, "build");
    let mut command = world.psess(["list"]);
    command.env("PSESS_HISTORY_LINES", "abc");
    assert!(Finished::of(command).stdout.contains("build"));
}

#[test]
fn kill_and_forget_take_several_names_and_go_on_after_one_that_is_not_there() {
    let world = world();
    for name in ["one", "two", "three", "four"] {
        sleeper(&world, name);
    }
    let killed = world.run(["kill", "one", "nowhere", "two"]);
    assert_fails(&killed, 3, &["no session 'nowhere'"]);
    let list = world.succeed(["list"]);
    assert!(!list.contains("one") && !list.contains("two"), "{list}");
    assert!(list.contains("three") && list.contains("four"), "{list}");

    for name in ["past", "gone"] {
        world.succeed(["new", "-d", name, "--", "true"]);
    }
    eventually("both have finished", || {
        let list = world.succeed(["list"]);
        (list.matches("finished").count() == 2).then_some(())
    });
    let forgotten = world.run(["forget", "past", "three", "gone"]);
    assert_fails(&forgotten, 1, &["three still runs"]);
    let list = world.succeed(["list"]);
    assert!(!list.contains("past") && !list.contains("gone"), "{list}");
    assert!(list.contains("three"), "{list}");
    assert_eq!(world.run(["kill"]).status, Some(2));
    assert_eq!(world.run(["forget"]).status, Some(2));
}

#[test]
fn detach_takes_several_names_and_goes_on_after_one_that_is_not_there() {
    let world = world();
    let mut terminals = ["one", "two", "three"].map(|name| open_shell(&world, name));
    let detached = world.run(["detach", "one", "nowhere", "two"]);
    assert_fails(&detached, 3, &["no session 'nowhere'"]);
    for (terminal, name) in terminals.iter_mut().zip(["one", "two"]) {
        assert!(terminal.wait_exit().success());
        terminal.wait_for_text(&format!("[detached from {name} by 'psess detach']"));
    }
    let list = world.succeed(["list"]);
    assert_eq!(list.matches("attached").count(), 1, "{list}");
    assert_eq!(world.run(["detach"]).status, Some(2));
}

#[test]
fn output_that_cannot_be_written_is_said_to_be_that() {
    let world = world();
    sleeper(&world, "build");
    for line in ["list", "list --json", "doctor", "man", "server status"] {
        let script = format!("exec psess {line} >/dev/full");
        let mut command = world.command("sh");
        command.args(["-c", &script]);
        let words = "psess: cannot write to standard output: No space left on device";
        assert_fails(&Finished::of(command), 1, &[words]);
    }
}

#[test]
fn config_shows_where_each_value_came_from() {
    let world = world();
    let file = world.write("home/.config/psess/config.toml", "history = 100\n");
    let mut command = world.psess(["config", "--origin", "--ssh", "ssh -v"]);
    command.env("PSESS_DETACH_KEY", "ctrl-b");
    let shown = Finished::of(command);
    assert_eq!(shown.status, Some(0), "{shown:?}");
    let line = |key: &str| {
        let line = shown.stdout.lines().find(|line| line.starts_with(key));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        words.join(" ")
    };
    assert_eq!(
        line("history"),
        format!("history = 100 # {}", file.display())
    );
    assert_eq!(
        line("detach-key"),
        "detach-key = \"ctrl-b\" # PSESS_DETACH_KEY"
    );
    assert_eq!(line("ssh"), "ssh = \"ssh -v\" # --ssh");
    assert_eq!(line("heartbeat"), "heartbeat = \"15s\" # default");
    world.write("home/.config/psess/config.toml", "histroy = 100\n");
    assert_fails(&world.run(["config"]), 1, &["config.toml", "histroy"]);
}
