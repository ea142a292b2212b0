//! `psess rename`: gives a session another name.

use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::ClientMessage;
use psess_protocol::name::SessionName;

use super::{Context, session_of};
use crate::address::Address;
use crate::commands::completions;

/// Flags of `psess rename`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess rename build nightly\n  \
    psess rename devbox:build nightly")]
pub struct RenameArgs {
    /// The session, or an unambiguous beginning of its name
    #[arg(add = completions::sessions())]
    name: Address,
    /// Its new name, without a host
    new: SessionName,
}

/// Runs it.
///
/// # Errors
/// When there is no such session, or one of the new name.
pub async fn run(context: &Context, args: RenameArgs) -> anyhow::Result<ExitCode> {
    let session = session_of(&args.name)?;
    let mut server = context.converse(&args.name).await?;
    let name = args.new;
    server
        .order(&ClientMessage::Rename { session, name })
        .await?;
    Ok(ExitCode::SUCCESS)
}
