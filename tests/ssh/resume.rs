//! Processes between client and server die; what the user sees and types is whole.

use std::time::{Duration, Instant};

use psess_harness::{Counter, Process, Sshd, Terminal, World, eventually};

use crate::world;

/// What dies.
type Victims = fn(&World, &Sshd) -> Vec<Process>;

#[test]
fn a_killed_ssh_costs_nothing() {
    survives(ssh_processes);
}

#[test]
fn a_killed_relay_costs_nothing() {
    survives(|world, _| world.role("relay"));
}

#[test]
fn a_killed_sshd_connection_costs_nothing() {
    survives(|_, sshd| sshd.connections());
}

#[test]
fn a_killed_server_on_the_far_side_costs_nothing() {
    survives(|world, _| world.role("server"));
}

#[test]
fn the_figures_of_a_link_show_and_count_its_redials() {
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    world.succeed(["new", "-d", "far:build", "--", "cat"]);
    let terminal = world.open(["attach", "--stats", "far:build"]);
    terminal.wait_for_text("psess: round trip");
    terminal.wait_for_text("heartbeat 15 s");
    terminal.wait_for_text("0 typed bytes wait · 0 redials");
    for process in ssh_processes(&world, &sshd) {
        process.kill();
    }
    terminal.wait_for_text("0 typed bytes wait · 1 redial");
    terminal.type_keys("one\r");
    terminal.wait_for_row("one");
}

#[test]
fn the_next_attach_is_at_once_whatever_was_killed() {
    let victims: [Victims; 4] = [
        |world, _| world.role("attach"),
        ssh_processes,
        |world, _| world.role("relay"),
        |_, sshd| sshd.connections(),
    ];
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let program = "echo here; exec sleep 1000";
    world.succeed(["new", "-d", "far:build", "--", "/bin/sh", "-c", program]);
    for victims in victims {
        let first = world.open(["attach", "far:build"]);
        first.wait_for_row("here");
        for process in victims(&world, &sshd) {
            process.kill();
        }
        // It would dial again, and be attached as well.
        first.process().kill();
        let begin = Instant::now();
        let second = world.open(["attach", "far:build"]);
        second.wait_for_row("here");
        let took = begin.elapsed();
        second.process().kill();
        // Who waited for the dead one to be noticed would take twice as long, and longer.
        assert!(took < Duration::from_secs(7), "{took:?}");
    }
}

/// Numbered lines come and numbered keys go while the victims are killed three times.
fn survives(victims: Victims) {
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let Some(counter) = Counter::new(world.path("keys")) else {
        return;
    };
    let counter = counter.with_lines_every_ms(10);
    let new = ["new", "far:count", "--"].map(str::to_owned);
    let mut terminal = world.open(new.into_iter().chain(counter.command()));
    Counter::wait_for_line(&terminal, 20);
    let mut key = 0_u64;
    for _ in 0..3 {
        type_keys(&terminal, &mut key, 10);
        let found = eventually("there is something to kill", || {
            let found = victims(&world, &sshd);
            (!found.is_empty()).then_some(found)
        });
        for process in &found {
            process.kill();
        }
        type_keys(&terminal, &mut key, 10);
        let last = format!("key {}", key - 1);
        terminal.wait_for(&format!("an answer to {last}"), |screen| {
            screen.all_rows().contains(&last).then_some(())
        });
    }
    terminal.type_keys("q");
    assert!(terminal.wait_exit().success());
    let keys: Vec<u64> = (0..key).collect();
    assert_eq!(
        counter.keys(),
        keys.iter().map(u64::to_string).collect::<Vec<_>>()
    );
    assert_eq!(terminal.look(Counter::echoes), keys);
    let lines = terminal.look(Counter::lines);
    assert_eq!(lines, (0..lines.len() as u64).collect::<Vec<_>>());
    assert!(!terminal.look(|screen| screen.all_rows().join("\n").contains("no contact")));
}

/// The client's own ssh, and whatever that started.
pub(crate) fn ssh_processes(world: &World, _: &Sshd) -> Vec<Process> {
    let mut processes = world.processes();
    processes.retain(|process| {
        process.command.contains("ssh") && process.command.contains("ssh_config")
    });
    processes
}

fn type_keys(terminal: &Terminal, next: &mut u64, count: u64) {
    for key in *next..*next + count {
        terminal.type_keys(format!("{key};"));
    }
    *next += count;
}
