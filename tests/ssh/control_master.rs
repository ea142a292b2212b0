//! ssh's ControlMaster, which several connections share: one that hangs holds nobody up.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use psess_harness::{Process, Signal, Sshd, World};

use crate::world;

/// Noticing a silent connection, and a dial.
const REDIALLED: Duration = Duration::from_secs(6);

/// The time that a master is given, and a dial.
const DIALLED: Duration = Duration::from_secs(12);

/// A master, as one whose network died is to others: it takes connections, and answers nothing
/// once it is stopped.
struct Master {
    path: PathBuf,
    process: Process,
}

impl Master {
    fn start(world: &World) -> Self {
        let path = world.path("master");
        let mut command = world.command(world.path("bin/ssh"));
        command.args(["-f", "-N", "-M", "-S"]).arg(&path).arg("far");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().is_ok_and(|status| status.success()));
        let mut masters = world.processes();
        // It ends with its world.
        masters.retain(|process| process.command.contains(" -N -M "));
        Self {
            path,
            process: masters.pop().expect("a master runs"),
        }
    }

    fn option(&self) -> String {
        format!("ControlPath={}", self.path.display())
    }

    fn hang(&self) {
        self.process.signal(Signal::STOP);
    }
}

#[test]
fn a_master_that_hangs_holds_up_no_redial() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let master = Master::start(&world);
    let option = master.option();
    let program = "echo ready; exec cat";
    let words = ["far:build", "--", "/bin/sh", "-c", program];
    let terminal = world.open([&["new", "-o", &option], &words[..]].concat());
    terminal.wait_for_row("ready");
    master.hang();
    terminal.type_keys("two\r");
    terminal.wait_within(REDIALLED, "an answer without the master", |screen| {
        screen
            .all_rows()
            .iter()
            .any(|row| row == "two")
            .then_some(())
    });
}

#[test]
fn a_master_that_hangs_holds_up_no_command() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    let program = "echo here; exec sleep 1000";
    world.succeed(["new", "-d", "far:build", "--", "/bin/sh", "-c", program]);
    let master = Master::start(&world);
    let option = master.option();
    master.hang();
    let terminal = world.open(["attach", "-o", &option, "far:build"]);
    terminal.wait_within(DIALLED, "the session without the master", |screen| {
        screen
            .all_rows()
            .iter()
            .any(|row| row == "here")
            .then_some(())
    });
    // Above what the session shows.
    let told = |row: &String| row.starts_with("psess: ssh's ControlMaster for far");
    terminal.wait_for("the user is told", |screen| {
        screen.all_rows().iter().any(told).then_some(())
    });
    let begin = Instant::now();
    let listed = world.run(["list", "-o", &option, "far:"]);
    assert!(begin.elapsed() < DIALLED, "{:?}", begin.elapsed());
    assert!(listed.stdout.contains("build"), "{listed:?}");
    assert!(listed.stderr.contains("ControlMaster"), "{listed:?}");
}
