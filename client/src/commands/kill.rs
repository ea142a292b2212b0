//! `psess kill`: ends sessions.

use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::{ClientMessage, SessionSummary, Target};

use super::servers::{Servers, Tally};
use super::{Context, session_of};
use crate::address::Address;
use crate::commands::completions;
use crate::confirmation::confirmed;
use crate::error::{CommandError, ERROR};
use crate::place::printable;
use crate::terminal;

/// Flags of `psess kill`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Asks first when the program still runs, unless a signal is named. Without \
    a terminal, as in a script, nobody can be asked, and the session is ended.\n\n\
    Examples:\n  \
    psess kill build\n  \
    psess kill --yes devbox:build devbox:test\n  \
    psess kill --signal USR1 build   only sends the signal"
)]
pub struct KillArgs {
    /// The sessions, or unambiguous beginnings of their names
    #[arg(required = true, add = completions::sessions())]
    names: Vec<Address>,
    /// The signal that its program is sent, such as INT, SIGTERM or 9 [default: HUP, and KILL
    /// when that does not help]
    #[arg(short, long, value_parser = signal_number)]
    signal: Option<u8>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs it.
///
/// # Errors
/// None: what fails is reported, that the user says no as well, and the others go on.
pub async fn run(context: &Context, args: KillArgs) -> anyhow::Result<ExitCode> {
    let mut servers = Servers::new(context);
    let mut tally = Tally::default();
    for name in &args.names {
        tally.add(end(&mut servers, name, &args).await);
    }
    Ok(tally.status())
}

async fn end(servers: &mut Servers<'_>, name: &Address, args: &KillArgs) -> anyhow::Result<()> {
    let mut session = session_of(name)?;
    let server = servers.of(name).await?;
    if !args.yes
        && args.signal.is_none()
        && terminal::is_interactive()
        && let Target::Name(name) = &session
        && let Some(found) = find(name, server.sessions().await?)
        && found.finished.is_none()
    {
        let name = server.place().session(found.name.as_str());
        if !confirmed(&question(&name, &found.command))? {
            return Err(CommandError::new(ERROR, format!("{name} goes on")).into());
        }
        // The one that was asked about, whatever has got its name since.
        session = Target::Id(found.id);
    }
    let signal = args.signal.unwrap_or(0);
    server
        .order(&ClientMessage::Kill { session, signal })
        .await?;
    Ok(())
}

/// The one of this name, or the only one whose name begins so, as the server looks for it.
pub(super) fn find(name: &str, sessions: Vec<SessionSummary>) -> Option<SessionSummary> {
    let exact = sessions
        .iter()
        .position(|session| session.name.as_str() == name);
    let mut sessions = sessions;
    if let Some(exact) = exact {
        return Some(sessions.swap_remove(exact));
    }
    sessions.retain(|session| session.name.as_str().starts_with(name));
    match sessions.len() {
        1 => sessions.pop(),
        _ => None,
    }
}

fn question(name: &str, command: &str) -> String {
    let program = match command {
        "" => "a shell".to_owned(),
        command => printable(command),
    };
    format!("{name} still runs {program}. End it?")
}

/// `INT`, `sigint`, `2`.
fn signal_number(text: &str) -> Result<u8, String> {
    const NAMES: [(&str, i32); 16] = [
        ("HUP", libc::SIGHUP),
        ("INT", libc::SIGINT),
        ("QUIT", libc::SIGQUIT),
        ("KILL", libc::SIGKILL),
        ("USR1", libc::SIGUSR1),
        ("USR2", libc::SIGUSR2),
        ("PIPE", libc::SIGPIPE),
        ("ALRM", libc::SIGALRM),
        ("TERM", libc::SIGTERM),
        ("CHLD", libc::SIGCHLD),
        ("CONT", libc::SIGCONT),
        ("STOP", libc::SIGSTOP),
        ("TSTP", libc::SIGTSTP),
        ("WINCH", libc::SIGWINCH),
        ("ABRT", libc::SIGABRT),
        ("SEGV", libc::SIGSEGV),
    ];
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = NAMES.iter().find(|(known, _)| *known == name);
    let number = named
        .map(|(_, number)| *number)
        .or_else(|| name.parse().ok());
    number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| (1..=64).contains(number))
        .ok_or_else(|| "use a name such as INT, TERM or KILL, or a number from 1 to 64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(signal_number("sigterm"), Ok(15));
        assert_eq!(signal_number("INT"), Ok(2));
        assert_eq!(signal_number("9"), Ok(9));
        for bad in ["0", "65", "-1", "", "SIG", "NOSUCH"] {
            assert!(signal_number(bad).is_err(), "{bad}");
        }
    }
}
