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
            let place = server.place();
            let begins = |session: &&SessionSummary| session.name.as_str().starts_with(name);
            let alike: Vec<String> = sessions
                .iter()
                .filter(begins)
                .map(|session| session.name.to_string())
                .collect();
            let found = find(name, sessions).ok_or_else(|| not_found(&place, name, &alike))?;
            sessions = vec![finished(&place, found)?];
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

/// In the words that the server has for other commands; `alike` are the names that begin so.
fn not_found(place: &Place, name: &str, alike: &[String]) -> CommandError {
    let (status, words) = match alike {
        [] => {
            let words = format!("no session '{name}'; 'psess list' shows what there is");
            (NO_SUCH_SESSION, words)
        }
        names => (
            ERROR,
            format!("'{name}' may be any of {}", names.join(", ")),
        ),
    };
    CommandError::new(status, place.quote(&words))
}

/// The session, which must have finished.
fn finished(place: &Place, session: SessionSummary) -> Result<SessionSummary, CommandError> {
    if session.finished.is_some() {
        return Ok(session);
    }
    let name = place.session(session.name.as_str());
    let words = format!("{name} still runs; 'psess kill {name}' ends it");
    Err(CommandError::new(ERROR, words))
}
