//! What ssh asks and warns of: on the user's terminal at the first dial, and never behind the
//! screen of a session.

use std::fs;
use std::process::Command;

use psess_harness::{Signal, Sshd, Terminal, World};

use crate::resume::ssh_processes;
use crate::world;

/// A session that echoes, and whose user typed a first line.
fn echoing(world: &World, unlock: impl FnOnce(&Terminal)) -> Terminal {
    let program = "echo ready; exec cat";
    let terminal = world.open(["new", "far:build", "--", "/bin/sh", "-c", program]);
    unlock(&terminal);
    terminal.wait_for_row("ready");
    terminal.type_keys("one\r");
    terminal.wait_for_row("one");
    terminal
}

fn cut(world: &World, sshd: &Sshd) {
    for process in ssh_processes(world, sshd) {
        process.kill();
    }
}

#[test]
fn the_first_dial_asks_and_a_redial_waits_for_the_user_to_be_asked_again() {
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let locked = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"])
        .arg(world.path("user_key"))
        .status();
    assert!(locked.is_ok_and(|status| status.success()));
    let unlock = |terminal: &Terminal| {
        terminal.wait_for_text("Enter passphrase for key");
        terminal.type_keys("open sesame\r");
    };
    let terminal = echoing(&world, unlock);
    cut(&world, &sshd);
    // What ssh says is in the line, and nowhere else.
    terminal.wait_for_text("psess: Enter dials again");
    terminal.wait_for_text("Permission denied");
    assert!(terminal.look(|screen| screen.all_rows().contains(&"one".to_owned())));
    terminal.type_keys("\r");
    unlock(&terminal);
    terminal.wait_for("the session is back, and the question is gone", |screen| {
        let rows = screen.rows();
        let back = rows.iter().any(|row| row == "one");
        (back && !rows.iter().any(|row| row.contains("passphrase"))).then_some(())
    });
    terminal.type_keys("two\r");
    terminal.wait_for_row("two");
}

/// What a company's sshd asks of everybody, and ssh asks at the first dial and never in a redial.
#[test]
fn a_one_time_password_is_asked_for_by_ssh_itself_whenever_the_user_wants_to_dial() {
    let world = world();
    let passwords = ["371942", "550817"];
    let Some(sshd) = Sshd::with_one_time_passwords(&world, &passwords) else {
        return;
    };
    let asks = |terminal: &Terminal, times: usize| {
        terminal.wait_for("it is asked for", |screen| {
            let rows = screen.rows();
            let asked = rows.iter().filter(|row| row.ends_with("Password:"));
            (asked.count() == times).then_some(())
        });
        // The terminal is ssh's: a line of psess's would move the cursor.
        assert!(!terminal.look(|screen| screen.shows("psess:")));
    };
    let terminal = echoing(&world, |terminal| {
        asks(terminal, 1);
        terminal.type_keys(format!("{}\r", passwords[0]));
    });
    cut(&world, &sshd);
    terminal.wait_for_text("psess: Enter dials again");
    terminal.wait_for_text("Permission denied (keyboard-interactive)");
    let shown = terminal.look(|screen| {
        let rows = screen.rows();
        rows.iter().filter(|row| row.ends_with("Password:")).count()
    });
    terminal.type_keys("\r");
    // The one that was used is of no use, and ssh asks once more.
    asks(&terminal, shown + 1);
    terminal.type_keys(format!("{}\r", passwords[0]));
    asks(&terminal, shown + 2);
    terminal.type_keys(format!("{}\r", passwords[1]));
    terminal.wait_for("the session is back, and the question is gone", |screen| {
        let rows = screen.rows();
        let back = rows.iter().any(|row| row == "one");
        (back && !rows.iter().any(|row| row.contains("Password"))).then_some(())
    });
    terminal.type_keys("two\r");
    terminal.wait_for_row("two");
    let all = terminal.look(|screen| screen.all_rows().join("\n"));
    for password in passwords {
        assert!(!all.contains(password), "the session got {password}: {all}");
    }
}

#[test]
fn a_changed_host_key_stops_redialling_with_sshs_own_words() {
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let terminal = echoing(&world, |_| {});
    let known_hosts = world.path("known_hosts");
    let known = fs::read_to_string(&known_hosts).unwrap();
    let host = known.split(' ').next().unwrap();
    let other = fs::read_to_string(world.path("user_key.pub")).unwrap();
    fs::write(&known_hosts, format!("{host} {other}")).unwrap();
    cut(&world, &sshd);
    terminal.wait_for_text("psess: Enter dials again");
    terminal.wait_for_text("Host key verification failed");
    // Whoever wants to know more is told all of it.
    terminal.type_keys("\r");
    terminal.wait_for("all of ssh's words", |screen| {
        let all = screen.all_rows().join("\n");
        all.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
            .then_some(())
    });
    terminal.wait_for_text("psess: Enter dials again");
    fs::write(&known_hosts, known).unwrap();
    terminal.type_keys("\r");
    terminal.wait_for("the line is gone", |screen| {
        let rows = screen.rows();
        (!rows.iter().any(|row| row.contains("dials again"))).then_some(())
    });
    terminal.type_keys("two\r");
    terminal.wait_for_row("two");
}

/// ssh switches the echo off for a password, and has no time to switch it on when it is killed.
#[test]
fn the_echo_is_on_again_whatever_ends_sshs_question() {
    let world = world();
    let passwords = ["371942", "550817"];
    let Some(sshd) = Sshd::with_one_time_passwords(&world, &passwords) else {
        return;
    };
    let ask = |terminal: &Terminal| {
        terminal.wait_for_text("Password:");
        assert!(!terminal.is_cooked());
    };
    // At the first dial, ...
    let mut terminal = world.open(["attach", "far:build"]);
    ask(&terminal);
    cut(&world, &sshd);
    terminal.wait_exit();
    assert!(terminal.is_cooked());
    let mut terminal = world.open(["attach", "far:build"]);
    ask(&terminal);
    terminal.process().signal(Signal::TERM);
    terminal.wait_exit();
    assert!(terminal.is_cooked());
    // ... and at one after a cut.
    let mut terminal = echoing(&world, |terminal| {
        ask(terminal);
        terminal.type_keys(format!("{}\r", passwords[0]));
    });
    cut(&world, &sshd);
    terminal.wait_for_text("psess: Enter dials again");
    terminal.type_keys("\r");
    ask(&terminal);
    cut(&world, &sshd);
    terminal.wait_for_text("psess: Enter dials again");
    terminal.type_keys("\x1c");
    terminal.wait_exit();
    assert!(terminal.is_cooked());
}
