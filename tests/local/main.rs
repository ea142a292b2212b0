//! psess on one machine, end to end.

mod attach;
mod clients;
mod commands;
mod environment;
mod first_client;
mod lending;
mod login;
mod memory;
mod show;
mod survival;
mod versions;

use std::time::Duration;

use psess_harness::{Terminal, World};

/// Much is printed, on machines that may be busy.
const LONG: Duration = Duration::from_secs(300);

fn world() -> World {
    World::new(env!("CARGO_BIN_EXE_psess"))
}

/// Starts a session with a plain shell whose prompt is `$ `, attached.
fn open_shell(world: &World, name: &str) -> Terminal {
    let terminal = world.open([
        "new",
        name,
        "-e",
        "PS1=$ ",
        "--",
        "/bin/bash",
        "--norc",
        "--noprofile",
    ]);
    terminal.wait_for_row("$");
    terminal
}

/// Attaches in a new terminal.
fn attach(world: &World, name: &str) -> Terminal {
    world.open(["attach", name])
}
