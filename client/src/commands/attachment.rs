//! What `new` and `attach` have in common: attaching until the end, and saying how that ended.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use psess_protocol::message::{ClientMessage, DetachReason, Target};
use psess_protocol::timing::Timing;

use super::{Context, SESSION_VARIABLE, say};
use crate::attach::{AttachEnd, AttachOptions, Left, attach};
use crate::config::ShownHistory;
use crate::doctor::seconds::span;
use crate::error::{CommandError, ERROR, NOT_USABLE};
use crate::transport::Transport;

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

/// What this terminal is to be attached to, and how.
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
            let words = "standard input is no terminal, which is needed to attach; \
                         'psess new -d' starts a session without";
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
                left,
                warnings,
            } => {
                match &name {
                    Some(name) => {
                        let name = place.session(name);
                        say(detached(&name, by, left, undelivered_bytes));
                    }
                    None => say(format_args!(
                        "[no session of {place} was reached{}]",
                        untouched(left)
                    )),
                }
                for warning in warnings {
                    say(format_args!("psess: {warning}"));
                }
                Ok(match (left, name) {
                    (Some(Left::BySignal(signal)), _) => status_of_signal(signal),
                    (_, Some(_)) => ExitCode::SUCCESS,
                    (Some(Left::Idle(_)), None) => ExitCode::from(ERROR),
                    (None, None) => status_of_signal(libc::SIGINT),
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
fn status_of_signal(signal: i32) -> ExitCode {
    u8::try_from(128 + signal)
        .expect("signals end at 64")
        .into()
}

fn untouched(left: Option<Left>) -> String {
    match left {
        Some(Left::Idle(idle)) => format!(" after {} without a key (idle-detach)", span(idle)),
        Some(Left::BySignal(_)) | None => String::new(),
    }
}

fn detached(name: &str, by: DetachReason, left: Option<Left>, undelivered_bytes: usize) -> String {
    let by = match by {
        DetachReason::Requested => untouched(left),
        DetachReason::ByOther => " by another client".to_owned(),
        DetachReason::ByCommand => " by 'psess detach'".to_owned(),
        DetachReason::Superseded => " by a later connection of the same client".to_owned(),
    };
    match undelivered_bytes {
        0 => format!("[detached from {name}{by}]"),
        1 => format!("[detached from {name}{by}: 1 typed byte may not have reached it]"),
        bytes => format!("[detached from {name}{by}: {bytes} typed bytes may not have reached it]"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_line_says_what_happened() {
        let line = detached("devbox:build", DetachReason::Requested, None, 0);
        assert_eq!(line, "[detached from devbox:build]");
        let idle = Some(Left::Idle(Duration::from_secs(7200)));
        let line = detached("build", DetachReason::Requested, idle, 0);
        assert_eq!(
            line,
            "[detached from build after 2 h without a key (idle-detach)]"
        );
        let line = detached("build", DetachReason::ByOther, idle, 3);
        let words =
            "[detached from build by another client: 3 typed bytes may not have reached it]";
        assert_eq!(line, words);
    }
}
