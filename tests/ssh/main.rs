//! psess on two machines with a real sshd between them, end to end.

mod agent;
mod commands;
mod control_master;
mod failures;
mod questions;
mod resume;
mod scrollback;
mod typed_ahead;
mod ways;

use psess_harness::World;

fn world() -> World {
    World::new(env!("CARGO_BIN_EXE_psess"))
}
