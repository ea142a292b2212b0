//! Every command on a session of another machine.

use std::process::Command;

use psess_harness::{Finished, Sshd, World, eventually};

use crate::world;

#[test]
fn a_session_on_another_machine_is_used_like_one_on_this() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let mut first = world.open([
        "new",
        "far:build",
        "-e",
        "PS1=$ ",
        "--",
        "/bin/bash",
        "--norc",
        "--noprofile",
    ]);
    first.wait_for_row("$");
    first.type_keys("echo home=$HOME session=$PSESS_SESSION\r");
    let home = world.path("far/home").display().to_string();
    first.wait_for_row(&format!("home={home} session=build"));
    first.type_keys(b"\x1c");
    assert!(first.wait_exit().success());
    first.wait_for_text("[detached from far:build]");

    let list = world.succeed(["list", "far:"]);
    assert!(
        list.starts_with("far:build ") && list.contains("/bin/bash"),
        "{list}"
    );
    assert!(
        !world.succeed(["list"]).contains("build"),
        "it is not on this machine"
    );

    world.succeed(["rename", "far:build", "make"]);
    let mut second = world.open(["attach", "far:make"]);
    second.wait_for_row(&format!("home={home} session=build"));
    world.succeed(["detach", "far:make"]);
    assert!(second.wait_exit().success());

    let mut third = world.open(["attach", "far:"]);
    third.wait_for_row("$");
    third.type_keys("exit 5\r");
    assert_eq!(third.wait_exit().code(), Some(5));
    third.wait_for_text("[far:make finished: exit 5]");
    world.wait_for_end();
}

#[test]
fn new_d_and_kill_work_over_ssh() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let printed = world.succeed(["new", "-d", "far:build", "--", "sleep", "1000"]);
    assert_eq!(printed, "far:build\n", "what is printed names it here");
    let program = eventually("the program runs", || {
        world
            .processes()
            .into_iter()
            .find(|process| process.command == "sleep 1000")
    });
    world.succeed(["kill", "--yes", "far:build"]);
    eventually("the program is gone", || (!program.lives()).then_some(()));
    world.wait_for_end();
}

#[test]
fn the_history_of_a_session_on_another_machine_is_printed_here() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    // Many frames.
    let script = "seq -f %0100.f 1 9000; exit 2";
    world.succeed(["new", "-d", "far:build", "--", "/bin/sh", "-c", script]);
    eventually("the program has ended", || {
        let list = world.succeed(["list", "far:"]);
        list.contains("exit 2").then_some(())
    });
    let expected: String = (1..=9000)
        .map(|number| format!("{number:0100}\n"))
        .collect();
    for name in ["far:build", "far:"] {
        assert!(world.succeed(["show", name]) == expected, "{name}");
    }
    let last = world.succeed(["show", "--history", "none", "far:build"]);
    assert_eq!(last.lines().last(), expected.lines().last());
    assert_eq!(world.run(["show", "far:other"]).status, Some(3));
    assert!(
        world.succeed(["list", "far:"]).contains("exit 2"),
        "it is kept"
    );
}

#[test]
fn the_server_on_another_machine_is_asked_restarted_and_stopped() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let none = world.run(["server", "status", "far:"]);
    assert_eq!(none.status, Some(0), "{none:?}");
    world.succeed(["new", "-d", "far:build", "--", "sleep", "1000"]);
    let line = |name: &str| {
        let status = world.succeed(["server", "status", "far:"]);
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} in {status}"))
            .to_owned()
    };
    let server = line("server");
    assert!(server.contains(env!("CARGO_PKG_VERSION")), "{server}");
    assert_eq!(line("sessions"), "sessions   1");
    assert_eq!(line("restarts"), "restarts   0");
    assert!(line("build ").ends_with("KiB"));
    world.succeed(["server", "restart", "far:"]);
    eventually("another server runs there", || {
        (line("restarts") == "restarts   1").then_some(())
    });
    assert_ne!(line("server"), server);
    assert_eq!(line("sessions"), "sessions   1");
    world.succeed(["server", "stop", "far:", "--yes"]);
    world.wait_for_end();
}

#[test]
fn a_session_survives_the_ssh_connection_that_started_it() {
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let first = world.open([
        "new",
        "far:build",
        "--",
        "/bin/sh",
        "-c",
        "echo here; exec sleep 1000",
    ]);
    first.wait_for_row("here");
    first.process().kill();
    eventually("the connection is gone", || {
        sshd.connections().is_empty().then_some(())
    });
    world.open(["attach", "far:build"]).wait_for_row("here");
}

#[test]
fn the_terminal_the_locale_and_the_size_of_this_side_reach_the_far_side() {
    let world = world();
    let Some(_sshd) = Sshd::with_environment(&world, &[("LANG", "C"), ("EDITOR", "far-editor")])
    else {
        return;
    };
    let script = "echo $TERM $COLORTERM $LANG $EDITOR $(stty size); exec sleep 1000";
    let terminal = world.open(["new", "far:build", "--", "/bin/sh", "-c", script]);
    terminal.wait_for_row("xterm-256color truecolor C.UTF-8 far-editor 24 80");
}

#[test]
fn the_ssh_command_can_be_replaced() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let config = world.path("ssh_config").display().to_string();
    // The script that knows this file is not in reach.
    std::fs::remove_file(world.path("bin/ssh")).unwrap();
    let ssh = format!("ssh -F '{config}' -o 'ServerAliveInterval 10'");
    world.succeed([
        "new",
        "-d",
        "--ssh",
        &ssh,
        "far:build",
        "--",
        "sleep",
        "1000",
    ]);
    assert!(
        world
            .succeed(["list", "--ssh", &ssh, "far:"])
            .contains("build")
    );
    assert!(!world.succeed(["list"]).contains("build"));
}

#[test]
fn a_host_of_the_configuration_is_reached_by_its_command() {
    let world = world();
    let place = world.path("far/psess").display().to_string();
    world.write(
        "home/.config/psess/config.toml",
        &format!("[host.box]\ncommand = [\"env\", \"PSESS_DIR={place}\", \"IN_BOX=yes\"]\n"),
    );
    let terminal = world.open([
        "new",
        "box:build",
        "--",
        "/bin/sh",
        "-c",
        "echo in-box-$IN_BOX; exec sleep 1000",
    ]);
    terminal.wait_for_row("in-box-yes");
    assert!(world.succeed(["list", "box:"]).contains("build"));
    assert_eq!(world.succeed(["show", "box:build"]), "in-box-yes\n");
    assert!(!world.succeed(["list"]).contains("build"));
}

#[test]
fn noise_of_start_up_files_does_no_harm() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    world.write(
        "far/home/.bashrc",
        "echo Welcome to far; seq 1 2000; echo complaint >&2\n",
    );
    world.succeed([
        "new",
        "-d",
        "far:build",
        "--",
        "/bin/sh",
        "-c",
        "echo here; exec sleep 1000",
    ]);
    world.open(["attach", "far:build"]).wait_for_row("here");
}

#[test]
fn psess_is_found_where_cargo_installs_it() {
    let world = world();
    let Some(_sshd) = Sshd::with_environment(&world, &[("PATH", "/usr/bin:/bin")]) else {
        return;
    };
    let bin = world.path("far/home/.cargo/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(world.executable(), bin.join("psess")).unwrap();
    world.succeed(["new", "-d", "far:build", "--", "sleep", "1000"]);
    assert!(world.succeed(["list", "far:"]).contains("build"));
}

#[test]
fn a_user_before_the_host_is_passed_to_ssh() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let user = Finished::of(Command::new("whoami"));
    let target = format!("{}@far:build", user.stdout.trim());
    world.succeed(["new", "-d", &target, "--", "sleep", "1000"]);
    assert!(world.succeed(["list", "far:"]).contains("build"));
}

#[test]
fn many_bytes_pass_both_ways_unchanged() {
    let world: World = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let mut terminal = world.open([
        "new",
        "far:build",
        "--",
        "/bin/bash",
        "-c",
        // What is printed before the client is there is history, of which it asks for some only.
        "echo ready; read; seq 1 50000",
    ]);
    terminal.wait_for_row("ready");
    terminal.type_keys("\r");
    assert!(terminal.wait_exit().success());
    let rows = terminal.look(|screen| screen.all_rows());
    let numbers: Vec<u32> = rows.iter().filter_map(|row| row.parse().ok()).collect();
    assert!(
        numbers == (1..=50_000).collect::<Vec<_>>(),
        "{} numbers",
        numbers.len()
    );
}
