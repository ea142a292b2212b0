//! `psess detach`: sends every client of a session away.

use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::ClientMessage;

use super::{Context, session_of};
use crate::address::Address;
use crate::commands::completions;

/// Flags of `psess detach`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess detach build\n  \
    psess detach devbox:build\n  \
    psess detach                the session in which this runs")]
pub struct DetachArgs {
    /// The session, or an unambiguous beginning of its name
    #[arg(add = completions::sessions())]
    name: Option<Address>,
}

/// Runs it.
///
/// # Errors
/// When there is no such session, or no server.
pub async fn run(context: &Context, args: DetachArgs) -> anyhow::Result<ExitCode> {
    let address = args.name.unwrap_or_default();
    let session = session_of(&address)?;
    let mut server = context.converse(&address).await?;
    server.order(&ClientMessage::DetachAll(session)).await?;
    Ok(ExitCode::SUCCESS)
}
