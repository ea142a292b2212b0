//! `psess forget`: drops what is kept of sessions that have finished.

use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::{ClientMessage, SessionSummary, Target};

use super::Context;
use super::kill::find;
use crate::address::Address;
use crate::commands::completions;
use crate::error::{CommandError, ERROR, NO_SUCH_SESSION, USAGE};
use crate::place::Place;

/// Flags of `psess forget`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Never ends a session that still runs: that is 'psess kill'.\n\n\
    Examples:\n  \
    psess forget build\n  \
    psess forget --all devbox:"
)]
pub struct ForgetArgs {
    /// The session, or an unambiguous beginning of its name; with --all, the machine
    #[arg(add = completions::sessions())]
    name: Option<Address>,
    /// All sessions that have finished
    #[arg(long)]
    all: bool,
}

/// Runs it.
///
/// # Errors
/// When there is no such session, or it still runs.
pub async fn run(context: &Context, args: ForgetArgs) -> anyhow::Result<ExitCode> {
    let address = args.name.unwrap_or_default();
    match (&address.session, args.all) {
        (Some(_), true) => {
            return Err(CommandError::new(USAGE, "either a session, or --all").into());
        }
        (None, false) => {
            return Err(CommandError::new(USAGE, "which session? Or --all?").into());
        }
        (Some(_), false) | (None, true) => {}
    }
    let mut server = context.converse(&address).await?;
    let mut sessions = server.sessions().await?;
    match &address.session {
        Some(name) => {
            let found = find(name, sessions);
            sessions = vec![finished(&server.place(), name, found)?];
        }
        None => sessions.retain(|session| session.finished.is_some()),
    }
    for session in sessions {
        let session = Target::Id(session.id);
        server
            .order(&ClientMessage::Kill { session, signal: 0 })
            .await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The session, which must have finished.
fn finished(
    place: &Place,
    name: &str,
    found: Option<SessionSummary>,
) -> Result<SessionSummary, CommandError> {
    let session = found.ok_or_else(|| {
        let list = "'psess list' shows what there is";
        let words = format!("no session is meant by '{name}', or several are; {list}");
        CommandError::new(NO_SUCH_SESSION, place.quote(&words))
    })?;
    if session.finished.is_some() {
        return Ok(session);
    }
    let name = place.session(session.name.as_str());
    let words = format!("{name} still runs; 'psess kill {name}' ends it");
    Err(CommandError::new(ERROR, words))
}
