//! `psess attach`: attaches this terminal to a session that there is, or to a new one.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use psess_protocol::identity::SessionId;
use psess_protocol::message::{NewSession, Target};

use super::attachment::{Attachment, refuse_to_nest};
use super::kill::find;
use super::{Context, completions, new, own_id};
use crate::address::Address;
use crate::config::{Interval, ShownHistory, parse_history};
use crate::environment;
use crate::error::{CommandError, ERROR, USAGE};

/// Flags of `psess attach`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess attach                    the session used last\n  \
    psess attach build\n  \
    psess attach devbox:build       on another machine\n  \
    psess attach devbox:            the one used last there\n  \
    psess attach -c main            start it when it is not there\n  \
    psess attach --read-only build  watch only")]
pub struct AttachArgs {
    /// The session, or an unambiguous beginning of its name; without it, the one used last
    #[arg(add = completions::sessions())]
    name: Option<Address>,
    /// Start a login shell of that name when there is no such session
    #[arg(short, long)]
    create: bool,
    /// Watch only: what is typed does not reach the session, which a line says when it happens, and
    /// one that has finished is kept to be looked at again
    #[arg(long)]
    read_only: bool,
    /// How much history to show first: a number of lines, all, none, or auto: as much as the way
    /// carries in a moment, as far as known
    #[arg(long, value_name = "LINES", value_parser = parse_history)]
    history: Option<ShownHistory>,
    /// Detach every other client of the session
    #[arg(long)]
    detach_others: bool,
    /// Attach although this is in a session already
    #[arg(long)]
    nested: bool,
    /// Show the link's figures: round trip, heartbeat, bytes waiting, redials
    #[arg(long)]
    stats: bool,
    /// How often an idle link is checked, such as 15s or off
    #[arg(long, value_name = "DURATION")]
    heartbeat: Option<Interval>,
}

/// Runs it.
///
/// # Errors
/// When there is no such session, no server, or no terminal.
pub async fn run(context: &Context, args: AttachArgs) -> anyhow::Result<ExitCode> {
    refuse_to_nest(args.nested)?;
    // Before a session that has finished is seen, and dropped.
    if !io::stdout().is_terminal() {
        let words = "standard output is no terminal, and would get nothing of the session, which is \
                     shown on the terminal itself";
        return Err(CommandError::new(ERROR, words).into());
    }
    let address = args.name.unwrap_or_default();
    if let Some(id) = own_id()
        && address.host.is_none()
    {
        refuse_itself(context, &address, id).await?;
    }
    let transport = context.transport(&address)?;
    let mut timing = context.config.timing.clone();
    if let Some(heartbeat) = args.heartbeat {
        heartbeat.set_heartbeat(&mut timing);
    }
    let session = match &address.session {
        Some(name) => Target::Name(name.clone()),
        None => Target::Latest,
    };
    let requests = match (args.create, &address.session) {
        (true, Some(name)) => new::requests(shell(name, transport.is_local())?, &transport),
        (true, None) => {
            let words = "--create needs the name of the session";
            return Err(CommandError::new(USAGE, words).into());
        }
        (false, _) if transport.is_local() => environment::requests(),
        (false, _) => Vec::new(),
    };
    Attachment {
        transport,
        start: args.create,
        requests,
        session,
        timing,
        history: args.history.unwrap_or(context.config.history),
        read_only: args.read_only,
        detach_others: args.detach_others,
        stats: args.stats,
    }
    .run(context)
    .await
}

/// A session that is attached to itself prints what it prints, without end.
async fn refuse_itself(
    context: &Context,
    address: &Address,
    own: SessionId,
) -> Result<(), CommandError> {
    let Some(name) = &address.session else {
        let words = "which session? This one is the one used last";
        return Err(CommandError::new(USAGE, words));
    };
    let sessions = context.converse(address).await?.sessions().await?;
    match find(name, sessions) {
        Some(session) if session.id == own => {
            let words = format!("this is session '{}': it cannot show itself", session.name);
            Err(CommandError::new(ERROR, words))
        }
        Some(_) | None => Ok(()),
    }
}

/// A login shell, as `psess new NAME` starts it.
fn shell(name: &str, is_local: bool) -> anyhow::Result<NewSession> {
    let name = name
        .parse()
        .map_err(|error: psess_protocol::name::BadName| {
            CommandError::new(USAGE, error.to_string())
        })?;
    let cwd = std::env::current_dir().ok().filter(|_| is_local);
    Ok(NewSession {
        id: SessionId::random(),
        name: Some(name),
        command: Vec::new(),
        cwd: cwd.map(|path| new::byte_string(path.into_os_string())),
        environment: environment::of_terminal(),
        size: new::terminal_size(),
    })
}
