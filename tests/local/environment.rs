//! What a program finds when it starts.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use psess_harness::{Finished, Terminal, World, eventually, has, python};

use crate::world;

/// Runs `psess new -d ARGUMENTS… -- sh -c SCRIPT > FILE` and gives what the script printed.
fn printed(world: &World, arguments: &[&str], script: &str) -> String {
    let file = world.path("home/printed");
    let done = world.path("home/done");
    let script = format!(
        "{{ {script}; }} > {} 2>&1; mv {0} {}",
        file.display(),
        done.display()
    );
    let mut words = vec!["new", "-d", "probe"];
    words.extend(arguments);
    words.extend(["--", "/bin/sh", "-c", &script]);
    world.succeed(words);
    eventually("the script has printed", || fs::read_to_string(&done).ok())
}

fn variables(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .collect()
}

#[test]
fn the_environment_is_the_clients_with_the_sessions_mark() {
    let world = world();
    let text = printed(&world, &["-e", "EXTRA=1", "-e", "COLORTERM=none"], "env");
    let found = variables(&text);
    let home = world.path("home").display().to_string();
    for (name, value) in [
        ("TERM", "xterm-256color"),
        ("COLORTERM", "none"),
        ("LANG", "C.UTF-8"),
        ("HOME", &home),
        ("EXTRA", "1"),
        ("PSESS_SESSION", "probe"),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name} in {text}");
    }
}

#[test]
fn a_terminal_that_this_machine_does_not_know_is_named_and_replaced() {
    let world = world();
    world.write("home/.terminfo/x/xterm-256color", "");
    let file = world.path("home/term");
    let script = format!("echo $TERM > {0}.new; mv {0}.new {0}", file.display());
    let mut command = world.psess(["new", "-d", "probe", "--", "/bin/sh", "-c", &script]);
    command.env("TERM", "no-such-terminal");
    let finished = Finished::of(command);
    assert_eq!(finished.status, Some(0), "{finished:?}");
    assert!(
        finished.stderr.contains("'no-such-terminal'"),
        "{finished:?}"
    );
    let told = eventually("the program's TERM", || fs::read_to_string(&file).ok());
    assert_eq!(told, "xterm-256color\n");
}

#[test]
fn each_session_has_the_environment_of_the_client_that_created_it() {
    let world = world();
    world.succeed(["new", "-d", "first", "--", "sleep", "1000"]);
    let file = world.path("home/lang");
    let script = format!("echo $LANG > {}; exec sleep 1000", file.display());
    let mut command = world.psess(["new", "-d", "second", "--", "/bin/sh", "-c", &script]);
    command.env("LANG", "de_DE.UTF-8");
    assert_eq!(Finished::of(command).status, Some(0));
    eventually("the second session's LANG", || {
        (fs::read_to_string(&file).ok()? == "de_DE.UTF-8\n").then_some(())
    });
}

#[test]
fn a_shell_that_runs_for_long_may_take_over_what_the_client_attached_last_has() {
    let world = world();
    let client = |arguments: &[&str], display: &str| {
        let mut terminal = Terminal::new();
        let mut command = world.psess(arguments);
        command.env("DISPLAY", display);
        terminal.run(command);
        terminal.wait_for_row("ready :1");
        terminal
    };
    let program = "echo ready $DISPLAY; read line; eval \"$(psess env)\"; echo then $DISPLAY; \
                   exec sleep 1000";
    let new = ["new", "shell", "--", "/bin/sh", "-c", program];
    let _first = client(&new, ":1");
    let second = client(&["attach", "shell"], ":2");
    second.type_keys("\r");
    second.wait_for_row("then :2");
}

#[test]
fn signals_are_at_their_defaults_whatever_the_client_ignored() {
    let world = world();
    let file = world.path("home/status");
    let mut command = world.command("/bin/sh");
    command.args([
        "-c",
        &format!(
            "trap '' USR1 TSTP TTOU PIPE HUP INT QUIT CHLD; exec psess new -d probe -- \
         /bin/sh -c 'cat /proc/self/status > {0}.new; mv {0}.new {0}'",
            file.display()
        ),
    ]);
    assert_eq!(Finished::of(command).status, Some(0));
    let status = eventually("the program's status", || fs::read_to_string(&file).ok());
    for mask in ["SigIgn", "SigBlk", "SigCgt"] {
        let line = status
            .lines()
            .find(|line| line.starts_with(mask))
            .unwrap_or_default();
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
}

#[test]
fn no_descriptor_leaks_into_the_program() {
    if has("python3").is_none() {
        return;
    }
    let world = world();
    let file = world.path("home/descriptors");
    let mut command = world.command("/bin/bash");
    command.args([
        "-c",
        &format!(
            "exec 5</dev/null 9</dev/null; exec psess new -d probe -- {} -IS -c \
         'import os; d = sorted(os.listdir(\"/proc/self/fd\")); \
         open(\"{1}.new\", \"w\").write(\" \".join(d)); os.rename(\"{1}.new\", \"{1}\")'",
            python().display(),
            file.display()
        ),
    ]);
    assert_eq!(Finished::of(command).status, Some(0));
    let descriptors = eventually("the descriptors", || fs::read_to_string(&file).ok());
    // 3 is the folder that is being listed.
    assert_eq!(descriptors, "0 1 2 3");
}

#[test]
fn without_a_command_it_is_a_login_shell() {
    let world = world();
    world.write("home/.bash_profile", "echo profile-read; PS1='$ '\n");
    let terminal = world.open(["new", "shell"]);
    terminal.wait_for_row("profile-read");
    terminal.type_keys("shopt -q login_shell && echo login-$0\r");
    terminal.wait_for_row("login--bash");
}

#[test]
fn the_working_directory_is_the_one_asked_for_else_the_callers() {
    let world = world();
    world.write("home/sub/file", "");
    let asked = printed(&world, &["--cwd", "/usr/share"], "pwd");
    assert_eq!(asked, "/usr/share\n");
    fs::remove_file(world.path("home/done")).unwrap();
    let done = world.path("home/done").display().to_string();
    let script = format!("pwd > {done}.new; mv {done}.new {done}");
    let mut command = world.psess(["new", "-d", "here", "--", "/bin/sh", "-c", &script]);
    command.current_dir(world.path("home/sub"));
    assert_eq!(Finished::of(command).status, Some(0));
    let sub = world.path("home/sub").display().to_string() + "\n";
    assert_eq!(
        eventually("the working directory", || fs::read_to_string(&done).ok()),
        sub
    );
}

#[test]
fn a_relative_working_directory_counts_from_the_callers() {
    let world = world();
    world.write("home/sub/file", "");
    let asked = printed(&world, &["--cwd", "sub"], "pwd");
    assert_eq!(
        asked.trim_end(),
        world.path("home/sub").display().to_string()
    );
}

#[test]
fn the_program_leads_a_session_with_a_terminal_of_its_own() {
    let world = world();
    let text = printed(
        &world,
        &[],
        // Its number, its session and the terminal's foreground group (proc_pid_stat(5)).
        "tty; cut -d ' ' -f 1,6,8 /proc/$$/stat; stty size < /dev/tty",
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{text}");
    let ids: Vec<&str> = lines[1].split(' ').collect();
    assert!(
        ids.len() == 3 && ids[0] == ids[1] && ids[0] == ids[2],
        "{text}"
    );
    assert_eq!(lines[2], "24 80");
}

#[test]
fn arguments_that_are_no_utf8_pass_unchanged() {
    let world = world();
    let file = world.path("home/bytes");
    let mut command = world.command("/bin/bash");
    command.args([
        "-c",
        &format!(
            "exec psess new -d probe -- /bin/sh -c \
             'printf %s%s \"$1\" \"$ODD\" > {0}.new; mv {0}.new {0}' - $'a\\xfe'",
            file.display()
        ),
    ]);
    command.env("ODD", std::ffi::OsStr::from_bytes(b"\xff"));
    let finished = Finished::of(command);
    assert_eq!(finished.status, Some(0), "{finished:?}");
    assert_eq!(
        eventually("the bytes", || fs::read(&file).ok()),
        b"a\xfe\xff"
    );
}
