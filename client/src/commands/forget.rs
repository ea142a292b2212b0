//! `psess forget`: drops what is kept of sessions that have finished.

use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::{ClientMessage, SessionSummary, Target};

use super::Context;
use super::kill::find;
use super::servers::{Servers, Tally};
use crate::address::Address;
use crate::commands::completions;
use crate::error::{CommandError, ERROR, NO_SUCH_SESSION, USAGE};
use crate::place::Place;

/// Flags of `psess forget`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Never ends a session that still runs: that is 'psess kill'.\n\n\
    Examples:\n  \
    psess forget build test\n  \
    psess forget --all devbox:"
)]
pub struct ForgetArgs {
    /// The sessions, or unambiguous beginnings of their names; with --all, the machine
    #[arg(add = completions::finished_sessions())]
    names: Vec<Address>,
    /// All sessions that have finished
    #[arg(long)]
    all: bool,
}

/// Runs it.
///
/// # Errors
/// When the arguments make no sense. What fails otherwise is reported, and the others go on.
pub async fn run(context: &Context, mut args: ForgetArgs) -> anyhow::Result<ExitCode> {
    if args.names.is_empty() {
        args.names.push(Address::default());
    }
    for address in &args.names {
        let words = match (&address.session, args.all) {
            (Some(_), true) => "either a session, or --all",
            (None, false) => "which session? Or --all?",
            (Some(_), false) | (None, true) => continue,
        };
        return Err(CommandError::new(USAGE, words).into());
    }
    let mut servers = Servers::new(context);
    let mut tally = Tally::default();
    for address in &args.names {
        tally.add(forget(&mut servers, address).await);
    }
    Ok(tally.status())
}

/// One session, or all of a machine's that have finished.
async fn forget(servers: &mut Servers<'_>, address: &Address) -> anyhow::Result<()> {
    let server = servers.of(address).await?;
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
    Ok(())
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
