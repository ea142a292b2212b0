//! `psess attach`: attaches this terminal to a session, and says how that ended.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use psess_protocol::identity::SessionId;
use psess_protocol::message::{ClientMessage, DetachReason, NewSession, Target};
use psess_protocol::rendezvous;
use psess_protocol::timing::Timing;

use super::{Context, SESSION_VARIABLE, completions, new, say};
use crate::address::Address;
use crate::attach::{AttachEnd, AttachOptions, attach};
use crate::config::{Interval, ShownHistory, parse_history};
use crate::environment;
use crate::error::{CommandError, ERROR, NOT_USABLE, USAGE};
use crate::transport::{DialError, Transport};

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
    /// Watch only: what is typed does not reach the session
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
    let address = args.name.unwrap_or_default();
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
        (false, _) if transport.is_local() => {
            // Without a server there is no session; said here, it is no failed connection.
            rendezvous::connect().map_err(|error| CommandError::from(DialError::from(error)))?;
            environment::requests()
        }
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

/// A program in a session that attaches to a session: which one gets the detach key?
///
/// # Errors
/// When this runs in a session, and `nested` was not asked for.
pub(super) fn refuse_to_nest(nested: bool) -> Result<(), CommandError> {
    match std::env::var(SESSION_VARIABLE) {
        Ok(session) if !nested && !session.is_empty() => Err(CommandError::new(
            ERROR,
            format!(
                "this is session '{}' already: detach first, or use --nested (the outer session \
                 then gets the detach key; press it twice for the inner one)",
                session.escape_default()
            ),
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What `new` and `attach` have in common from here on.
pub(super) struct Attachment {
    pub(super) transport: Transport,
    pub(super) start: bool,
    pub(super) requests: Vec<ClientMessage>,
    pub(super) session: Target,
    pub(super) timing: Timing,
    pub(super) history: ShownHistory,
    pub(super) read_only: bool,
    pub(super) detach_others: bool,
    pub(super) stats: bool,
}

impl Attachment {
    /// Attaches until the end, and says on stderr which one it was.
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        // What is piped in would not be read: the keys come from the terminal itself.
        if !io::stdin().is_terminal() {
            let words = "standard input is no terminal: 'psess attach' needs one; \
                         'psess new -d' does not";
            return Err(CommandError::new(ERROR, words).into());
        }
        let place = self.transport.place();
        let end = attach(AttachOptions {
            transport: self.transport,
            start: self.start,
            requests: self.requests,
            session: self.session,
            history: self.history,
            read_only: self.read_only,
            detach_others: self.detach_others,
            detach_key: context.config.detach_key,
            timing: self.timing,
            stats: self.stats,
            idle_detach: context.config.idle_detach,
            respect_policy: context.config.respect_policy,
        })
        .await?;
        match end {
            AttachEnd::Detached {
                name,
                by,
                undelivered_bytes,
                signal,
            } => {
                match &name {
                    Some(name) => say(detached(&place.session(name), by, undelivered_bytes)),
                    None => say(format_args!("[no session of {place} was reached]")),
                }
                let interrupted = name.is_none().then_some(libc::SIGINT);
                Ok(match signal.or(interrupted) {
                    Some(signal) => ExitCode::from(status_of_signal(signal)),
                    None => ExitCode::SUCCESS,
                })
            }
            AttachEnd::Finished { name, outcome } => {
                let name = place.session(&name);
                say(format_args!("[{name} finished: {outcome}]"));
                Ok(ExitCode::from(outcome.exit_code()))
            }
            AttachEnd::Failed(failure) => Err(CommandError::of_failure(&place, &failure).into()),
            AttachEnd::GaveUp { reason, needs_user } => {
                let status = match needs_user {
                    true => NOT_USABLE,
                    false => ERROR,
                };
                Err(CommandError::new(status, format!("{place}: {reason}")).into())
            }
        }
    }
}

/// What a shell gives for a command that a signal ended: it was not the user's wish to detach.
fn status_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).expect("signals end at 64")
}

fn detached(name: &str, by: DetachReason, undelivered_bytes: usize) -> String {
    let by = match by {
        DetachReason::Requested => "",
        DetachReason::ByOther => " by another client",
        DetachReason::Superseded => " by a later connection of the same client",
    };
    match undelivered_bytes {
        0 => format!("[detached from {name}{by}]"),
        1 => format!("[detached from {name}{by}: 1 typed byte may not have reached it]"),
        bytes => format!("[detached from {name}{by}: {bytes} typed bytes may not have reached it]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_what_happened() {
        let line = detached("devbox:build", DetachReason::Requested, 0);
        assert_eq!(line, "[detached from devbox:build]");
        let line = detached("build", DetachReason::ByOther, 3);
        let words =
            "[detached from build by another client: 3 typed bytes may not have reached it]";
        assert_eq!(line, words);
    }
}
