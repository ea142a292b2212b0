//! `psess server status`, `restart` and `stop`: what the server is, its replacement after an
//! upgrade, and the end of everything. Without a command, `psess server` is the role of a
//! server, which only a keeper starts.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use psess_protocol::capability::Capability;
use psess_protocol::hello::Hello;
use psess_protocol::message::{
    ClientMessage, ProcessUsage, ServerMessage, ServerStatus, SessionUsage, Usage,
};

use super::{Context, host_of};
use crate::address::Address;
use crate::broken_pipe;
use crate::clock::{Clock, span};
use crate::confirmation::confirmed;
use crate::error::{CommandError, ERROR, USAGE};
use crate::place::{Place, printable};
use crate::standard_output::StandardOutput;
use crate::terminal;

/// Flags of `psess server`.
#[derive(Args, Debug)]
#[command(disable_help_subcommand = true)]
pub struct ServerArgs {
    /// What to do with the server; none: be it, where a keeper asks for that.
    #[command(subcommand)]
    pub command: Option<ServerCommand>,
}

/// What can be done with a server.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Say what runs: versions, since when, restarts, and memory by session
    Status {
        /// The machine; without it, this one
        host: Option<String>,
    },
    /// Start the server anew, of the program that is installed now; every session goes on
    #[command(
        after_long_help = "To be called after an upgrade. A newer psess reads what an older one kept. \
        After a change to an older one, every session's program goes on, and the output until then may \
        be gone.\n\n\
        Examples:\n  \
        psess server restart\n  \
        psess server restart devbox:"
    )]
    Restart {
        /// The machine; without it, this one
        host: Option<String>,
    },
    /// End all sessions, the server and its keeper
    #[command(
        after_long_help = "Asks first when a program still runs. Without a terminal, as in a \
        script, nobody can be asked: then it takes --yes, as it ends what the script may not \
        know of.\n\n\
        Examples:\n  \
        psess server stop\n  \
        psess server stop --yes devbox:"
    )]
    Stop {
        /// The machine; without it, this one
        host: Option<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs it.
///
/// # Errors
/// When no server runs, or the user says no.
pub async fn run(context: &Context, args: ServerArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(ServerCommand::Status { host }) => status(context, &host_of(host.as_deref())?).await,
        Some(ServerCommand::Restart { host }) => {
            let mut server = context.converse(&host_of(host.as_deref())?).await?;
            server.order(&ClientMessage::RestartServer).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(ServerCommand::Stop { host, yes }) => {
            let mut server = context.converse(&host_of(host.as_deref())?).await?;
            if !yes {
                let sessions = server.sessions().await?;
                let running = sessions.iter().filter(|session| session.finished.is_none());
                confirm(running.count(), &server.place())?;
            }
            server.order(&ClientMessage::EndAll).await?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let words = "which? 'psess server status', 'restart' or 'stop'";
            Err(CommandError::new(USAGE, words).into())
        }
    }
}

/// Asks before everything is ended, where a program runs.
fn confirm(running: usize, place: &Place) -> anyhow::Result<()> {
    let still = match running {
        0 => return Ok(()),
        1 => format!("1 session still runs on {place}"),
        several => format!("{several} sessions still run on {place}"),
    };
    let words = if !terminal::is_interactive() {
        format!("{still}, and without a terminal nobody can be asked: --yes ends everything")
    } else if confirmed(&format!("{still}. End everything?"))? {
        return Ok(());
    } else {
        "everything goes on".to_owned()
    };
    Err(CommandError::new(ERROR, words).into())
}

async fn status(context: &Context, host: &Address) -> anyhow::Result<ExitCode> {
    let mut server = context.converse(host).await?;
    let status = match server.ask(&ClientMessage::Status).await? {
        ServerMessage::Server(status) => status,
        other => return Err(server.nonsense(&other).into()),
    };
    let usage = match server.hello().can(Capability::Usage) {
        true => Some(server.usage().await?),
        false => None,
    };
    let protocol = Hello::of_client().common_version(server.hello())?;
    broken_pipe::end_silently();
    let text = describe(&Clock::now(), &status, usage.as_ref(), protocol);
    StandardOutput::of_this_process().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn describe(clock: &Clock, status: &ServerStatus, usage: Option<&Usage>, protocol: u16) -> String {
    let since = |started: u64| match started {
        0 => String::new(),
        started => {
            let (up, since) = (span(clock.seconds_since(started)), clock.moment(started));
            format!(", up {up} since {since}")
        }
    };
    let process = |build: &str, pid: u32, started: u64, usage: Option<&ProcessUsage>| {
        let build = match printable(build) {
            build if build.is_empty() => "psess".to_owned(),
            build => format!("psess {build}"),
        };
        let pss = usage.and_then(|usage| usage.pss);
        let memory = pss.map_or(String::new(), |pss| format!(", {}", size(pss)));
        format!("{build}, pid {pid}{}{memory}", since(started))
    };
    let (build, started) = (&status.build, status.started);
    let server = process(build, status.pid, started, usage.map(|usage| &usage.server));
    let keeper = match usage.map(|usage| &usage.keeper) {
        Some(keeper) => process(
            &keeper.build,
            status.keeper_pid,
            keeper.started,
            Some(keeper),
        ),
        None => process("", status.keeper_pid, 0, None),
    };
    let client = env!("CARGO_PKG_VERSION");
    // Those are told of that the server has looked into.
    let known = usage.map_or(status.sessions as usize, |usage| usage.sessions.len());
    let sessions = match (status.sessions as usize).saturating_sub(known) {
        0 => format!("{}", status.sessions),
        waiting => format!(
            "{}, {waiting} of which are still to be taken over",
            status.sessions
        ),
    };
    let mut text = format!(
        "client     psess {client}, protocol {protocol} with the server\n\
         server     {server}\n\
         keeper     {keeper}\n\
         restarts   {}\n\
         sessions   {sessions}\n",
        status.restarts
    );
    let Some(usage) = usage else {
        text.push_str("memory     unknown: the server is older, and does not tell\n");
        return text;
    };
    let share = |process: &ProcessUsage| process.pss.unwrap_or(0);
    let total = size(share(&usage.server) + share(&usage.keeper));
    let journals = usage.sessions.iter().map(|session| session.journal).sum();
    text += &format!(
        "memory     {total} of server and keeper, {} of journals\n",
        size(journals)
    );
    if !usage.sessions.is_empty() {
        text += &table(&usage.sessions);
    }
    text
}

/// What each session takes.
fn table(sessions: &[SessionUsage]) -> String {
    let names = sessions.iter().map(|session| session.name.as_str().len());
    let width = names.max().unwrap_or(0).max("session".len());
    let row = |name: &str, [log, history, journal]: [&str; 3]| {
        format!("{name:<width$}  {log:>10}  {history:>10}  {journal:>10}\n")
    };
    let mut table = format!("\n{}", row("session", ["output", "history", "journal"]));
    for session in sessions {
        let sizes = [session.log, session.history, session.journal].map(size);
        table += &row(session.name.as_str(), sizes.each_ref().map(String::as_str));
    }
    table
}

/// `17 B`, `3.4 KiB`, `12.0 MiB`.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB"];
    let mut size = bytes as f64;
    let mut named = "B";
    for unit in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        named = unit;
    }
    match named {
        "B" => format!("{bytes} B"),
        unit => format!("{size:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use psess_protocol::identity::SessionId;

    use super::*;

    fn status() -> ServerStatus {
        ServerStatus {
            build: "0.1.0\x1b[2J".to_owned(),
            pid: 12,
            keeper_pid: 11,
            started: u64::MAX,
            restarts: 3,
            boot_id: String::new(),
            sessions: 1,
        }
    }

    #[test]
    fn status_tells_versions_and_memory_by_session() {
        let process = ProcessUsage {
            build: "0.0.9".to_owned(),
            started: 0,
            pss: Some(3 << 20),
        };
        let usage = Usage {
            server: process.clone(),
            keeper: process,
            sessions: vec![SessionUsage {
                id: SessionId([7; 16]),
                name: "build".parse().expect("a good name"),
                log: 17,
                history: 3 << 9,
                journal: 5 << 30,
            }],
            more: false,
        };
        let text = describe(&Clock::now(), &status(), Some(&usage), 1);
        let client = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                "client     psess {client}, protocol 1 with the server\n\
                 server     psess 0.1.0[2J, pid 12, up 0s since ?, 3.0 MiB\n\
                 keeper     psess 0.0.9, pid 11, 3.0 MiB\n\
                 restarts   3\n\
                 sessions   1\n\
                 memory     6.0 MiB of server and keeper, 5.0 GiB of journals\n\
                 \n\
                 session      output     history     journal\n\
                 build          17 B     1.5 KiB     5.0 GiB\n"
            )
        );
    }

    #[test]
    fn sessions_that_wait_to_be_taken_over_are_counted() {
        let none = ProcessUsage {
            build: String::new(),
            started: 0,
            pss: None,
        };
        let usage = Usage {
            server: none.clone(),
            keeper: none,
            sessions: Vec::new(),
            more: false,
        };
        let text = describe(&Clock::now(), &status(), Some(&usage), 1);
        let line = "sessions   1, 1 of which are still to be taken over\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn an_older_server_tells_what_it_knows() {
        let text = describe(&Clock::now(), &status(), None, 1);
        assert!(text.contains("keeper     psess, pid 11\n"), "{text}");
        assert!(text.contains("memory     unknown"), "{text}");
    }
}
