//! What was printed without contact stands in the user's scrollback, each line once.

use std::fs;

use psess_harness::{Counter, Signal, Sshd, Terminal, World, eventually};

use crate::resume::ssh_processes;
use crate::world;

/// Lines that the program prints, more than a screenful each second.
const LINES: u64 = 600;

/// A program that prints numbered lines, and says in a file how many it has printed.
struct Printer<'a> {
    world: &'a World,
    terminal: Terminal,
}

impl<'a> Printer<'a> {
    fn start(world: &'a World, unlock: impl FnOnce(&Terminal)) -> Self {
        let script = format!(
            "i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i + 1)); \
             echo $i > {}; sleep 0.004; done; exec cat",
            world.path("count").display()
        );
        let terminal = world.open(["new", "far:build", "--", "/bin/sh", "-c", &script]);
        unlock(&terminal);
        Counter::wait_for_line(&terminal, 60);
        Self { world, terminal }
    }

    fn cut(&self, sshd: &Sshd) {
        for process in ssh_processes(self.world, sshd) {
            process.kill();
        }
    }

    fn wait_for_end(&self) {
        eventually("the program has printed all", || {
            let count = fs::read_to_string(self.world.path("count")).ok()?;
            (count.trim() == LINES.to_string()).then_some(())
        });
    }

    fn has_each_line_once(&self) {
        Counter::wait_for_line(&self.terminal, LINES - 1);
        self.terminal.settle();
        let lines = self.terminal.look(Counter::lines);
        assert_eq!(lines, (0..LINES).collect::<Vec<_>>());
        let all = self.terminal.look(|screen| screen.all_rows().join("\n"));
        assert!(!all.contains("went by"), "{all}");
    }
}

#[test]
fn after_ssh_asked_for_a_password() {
    let world = world();
    let passwords = ["371942", "550817"];
    let Some(sshd) = Sshd::with_one_time_passwords(&world, &passwords) else {
        return;
    };
    let printer = Printer::start(&world, |terminal| {
        terminal.wait_for_text("Password:");
        terminal.type_keys(format!("{}\r", passwords[0]));
    });
    printer.cut(&sshd);
    let terminal = &printer.terminal;
    terminal.wait_for_text("psess: Enter dials again");
    terminal.type_keys("\r");
    terminal.wait_for_text("Password:");
    // What the user was at is in sight meanwhile.
    assert!(terminal.look(|screen| screen.shows("line ")));
    printer.wait_for_end();
    terminal.type_keys("wrong\r");
    terminal.wait_for("it is asked for again", |screen| {
        let rows = screen.rows();
        let asked = rows.iter().filter(|row| row.ends_with("Password:"));
        (asked.count() == 2).then_some(())
    });
    terminal.type_keys(format!("{}\r", passwords[1]));
    printer.has_each_line_once();
    let all = terminal.look(|screen| screen.all_rows());
    let asked = all.iter().filter(|row| row.ends_with("Password:"));
    assert_eq!(asked.count(), 1, "that of the first dial");
}

#[test]
fn after_the_client_was_stopped_while_ssh_asked() {
    let world = world();
    let passwords = ["371942", "550817"];
    let Some(sshd) = Sshd::with_one_time_passwords(&world, &passwords) else {
        return;
    };
    let script = "printf '\\033[?1049h\\033[?2004hfull screen'; exec cat";
    let terminal = world.open(["new", "far:build", "--", "/bin/sh", "-c", script]);
    terminal.wait_for_text("Password:");
    terminal.type_keys(format!("{}\r", passwords[0]));
    terminal.wait_for_text("full screen");
    for process in ssh_processes(&world, &sshd) {
        process.kill();
    }
    terminal.wait_for_text("psess: Enter dials again");
    terminal.type_keys("\r");
    terminal.wait_for_text("Password:");
    let client = terminal.process();
    client.signal(Signal::TSTP);
    eventually("the client stands still", || {
        client
            .status("State")
            .filter(|state| state.starts_with('T'))
    });
    terminal.settle();
    client.signal(Signal::CONT);
    terminal.type_keys(format!("{}\r", passwords[1]));
    terminal.wait_for("what the program drew", |screen| {
        (screen.alternate() && screen.shows("full screen")).then_some(())
    });
    assert!(terminal.look(|screen| screen.modes_left()).len() > 1);
}

#[test]
fn after_the_user_left_while_ssh_asked() {
    let world = world();
    let passwords = ["371942"];
    let Some(sshd) = Sshd::with_one_time_passwords(&world, &passwords) else {
        return;
    };
    let mut printer = Printer::start(&world, |terminal| {
        terminal.wait_for_text("Password:");
        terminal.type_keys(format!("{}\r", passwords[0]));
    });
    printer.cut(&sshd);
    printer.terminal.wait_for_text("psess: Enter dials again");
    printer.terminal.type_keys("\r");
    printer.terminal.wait_for_text("Password:");
    printer.terminal.type_keys("\x03");
    printer.terminal.wait_exit();
    let lines = printer.terminal.look(Counter::lines);
    assert_eq!(lines, (0..lines.len() as u64).collect::<Vec<_>>());
    assert!(lines.len() > 60);
    assert_eq!(
        printer.terminal.look(|screen| screen.modes_left()),
        Vec::<&str>::new()
    );
}

#[test]
fn after_the_window_became_wider_or_narrower_meanwhile() {
    for columns in [90, 70] {
        let world = world();
        let Some(sshd) = Sshd::start(&world) else {
            return;
        };
        let printer = Printer::start(&world, |_| ());
        let config = world.path("ssh_config");
        fs::rename(&config, world.path("kept")).expect("a file can be renamed");
        world.write("ssh_config", "Host far\n HostName 127.0.0.1\n Port 1\n");
        printer.cut(&sshd);
        printer.terminal.wait_for_text("psess: no contact for");
        printer.terminal.resize(24, columns);
        printer.wait_for_end();
        fs::rename(world.path("kept"), &config).expect("a file can be renamed");
        printer.has_each_line_once();
    }
}
