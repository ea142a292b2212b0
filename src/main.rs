//! psess: terminal sessions that outlive their connection.
//!
//! One binary is all roles. Users call the client's commands; psess itself calls the others: a
//! client starts the keeper, the keeper the server, and ssh the relay.

use std::process::ExitCode;

use psess_client::cli::{Cli, Command};
use psess_client::commands;

fn main() -> ExitCode {
    let cli = Cli::of_this_process();
    match cli.command {
        Command::Relay => role(relay),
        Command::Keeper => role(psess_server::keeper::run),
        Command::Server(ref args)
            if args.command.is_none() && psess_server::is_started_by_keeper() =>
        {
            role(psess_server::run)
        }
        _ => commands::run(cli),
    }
}

fn relay() -> anyhow::Result<()> {
    psess_server::relay::run(&std::env::current_exe()?)
}

/// Runs one of the server's side until it ends.
fn role(run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            commands::report(&error);
            ExitCode::FAILURE
        }
    }
}
