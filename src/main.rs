//! psess: terminal sessions that outlive their connection.
//!
//! One binary is all roles. Users call the client's commands; psess itself calls the others: a
//! client starts the keeper, the keeper the server, and ssh the relay.

mod role;

use std::process::ExitCode;

use psess_client::cli::{Cli, Command};
use psess_client::commands;

use role::Role;

fn main() -> ExitCode {
    match Role::named_alone(std::env::args_os()) {
        // A user's 'psess server' looks at the server.
        Some(Role::Server) if !psess_server::is_started_by_keeper() => follow_command_line(),
        Some(role) => play(role),
        None => follow_command_line(),
    }
}

fn follow_command_line() -> ExitCode {
    let cli = Cli::of_this_process();
    match cli.command {
        Command::Relay => play(Role::Relay),
        Command::Keeper => play(Role::Keeper),
        _ => commands::run(cli),
    }
}

/// Runs one of the server's side until it ends.
fn play(role: Role) -> ExitCode {
    let ended = match role {
        Role::Relay => relay(),
        Role::Keeper => psess_server::keeper::run(),
        Role::Server => psess_server::run(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            commands::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn relay() -> anyhow::Result<()> {
    psess_server::relay::run(&std::env::current_exe()?)
}
