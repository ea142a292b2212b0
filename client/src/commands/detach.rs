//! `psess detach`: sends every client of sessions away.

use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::ClientMessage;

use super::servers::{Servers, Tally};
use super::{Context, session_of};
use crate::address::Address;
use crate::commands::completions;

/// Flags of `psess detach`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess detach build\n  \
    psess detach devbox:build devbox:test\n  \
    psess detach                the session in which this runs")]
pub struct DetachArgs {
    /// The sessions, or unambiguous beginnings of their names
    #[arg(add = completions::sessions())]
    names: Vec<Address>,
}

/// Runs it.
///
/// # Errors
/// None: what fails is reported, and the others are detached.
pub async fn run(context: &Context, mut args: DetachArgs) -> anyhow::Result<ExitCode> {
    if args.names.is_empty() {
        args.names.push(Address::default());
    }
    let mut servers = Servers::new(context);
    let mut tally = Tally::default();
    for name in &args.names {
        tally.add(detach(&mut servers, name).await);
    }
    Ok(tally.status())
}

async fn detach(servers: &mut Servers<'_>, name: &Address) -> anyhow::Result<()> {
    let session = session_of(name)?;
    let server = servers.of(name).await?;
    server.order(&ClientMessage::DetachAll(session)).await?;
    Ok(())
}
