//! The harness itself: run these first when end-to-end tests fail on a new machine.

use psess_harness::{Counter, Finished, Lab, LabOptions, Sshd, Terminal, World, eventually};

fn world() -> World {
    World::new("/usr/bin/true")
}

#[test]
fn a_terminal_shows_what_a_program_prints_and_types_what_it_is_told() {
    let world = world();
    let Some(counter) = Counter::new(world.path("keys")) else {
        return;
    };
    let counter = counter.with_lines_every_ms(1);
    let mut terminal = Terminal::new();
    let mut command = world.command("/usr/bin/env");
    command.args(counter.command());
    terminal.run(command);
    Counter::wait_for_line(&terminal, 50);
    terminal.type_keys("1;2;");
    terminal.wait_for("both keys are answered", |screen| {
        (Counter::echoes(screen) == [1, 2]).then_some(())
    });
    terminal.type_keys("q");
    assert!(terminal.wait_exit().success());
    let lines = terminal.look(Counter::lines);
    assert_eq!(lines, (0..lines.len() as u64).collect::<Vec<_>>());
    assert_eq!(counter.keys(), ["1", "2"]);
    assert!(terminal.is_cooked());
}

#[test]
fn a_number_that_may_go_on_is_not_taken_for_one() {
    let world = world();
    let mut terminal = Terminal::new();
    let mut command = world.command("/bin/sh");
    command.args(["-c", r"printf 'line 0\nline 1'; read rest; echo 7"]);
    terminal.run(command);
    terminal.wait_for_text("line 1");
    assert_eq!(terminal.look(Counter::lines), [0]);
    terminal.type_keys("\r");
    terminal.wait_exit();
    assert_eq!(terminal.look(Counter::lines), [0, 1]);
}

#[test]
fn a_terminal_answers_queries() {
    let world = world();
    let mut terminal = Terminal::new();
    let mut command = world.command("/bin/bash");
    command.args([
        "-c",
        r"printf 'ab\e[6n'; IFS= read -rs -d R answer; printf '%q' $answer",
    ]);
    terminal.run(command);
    terminal.wait_for_text("[1;3");
}

#[test]
fn closing_a_terminal_hangs_up() {
    let world = world();
    let mut terminal = Terminal::new();
    let mut command = world.command("/bin/sleep");
    command.arg("1000");
    let sleep = terminal.run(command);
    terminal.close();
    eventually("the program is gone", || (!sleep.lives()).then_some(()));
}

#[test]
fn a_dropped_world_leaves_no_process_and_no_folder() {
    let world = world();
    let folder = world.path("");
    let mut daemon = world.command("/bin/sh");
    daemon.args(["-c", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &"]);
    assert_eq!(Finished::of(daemon).status, Some(0));
    eventually("the daemon runs", || {
        world
            .processes()
            .into_iter()
            .find(|p| p.command == "sleep 1000")
    });
    drop(world);
    assert_eq!(psess_harness::Process::all_that_name(&folder), []);
    assert!(!folder.exists());
}

#[test]
fn the_sshd_lets_in_and_its_sessions_have_a_home_of_their_own() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let mut command = world.command("ssh");
    command.args(["far", "echo $HOME"]);
    let finished = Finished::of(command);
    let home = world.path("far/home").display().to_string();
    assert_eq!(
        (finished.status, finished.stdout.trim()),
        (Some(0), home.as_str()),
        "{finished:?}"
    );
}

#[test]
fn the_lab_runs_commands_on_the_clients_side() {
    let world = world();
    let Some(lab) = Lab::up(&world, LabOptions::default()) else {
        return;
    };
    assert!(lab.fault("ssh server hostname").len() > 1);
}
