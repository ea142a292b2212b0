//! One file per command: its flags, what it asks of the server, what it prints. `attachment` is
//! what `new` and `attach` have in common.

pub mod attach;
mod attachment;
pub mod completions;
pub mod config;
pub mod detach;
pub mod doctor;
pub mod env;
pub mod facts;
pub mod forget;
pub mod kill;
pub mod list;
pub mod man;
pub mod new;
pub mod probe;
pub mod rename;
pub mod server;
mod servers;
pub mod show;
pub mod why;

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use psess_protocol::identity::SessionId;
use psess_protocol::message::Target;

use crate::address::Address;
use crate::cli::{Cli, Command};
use crate::config::{Config, SshFlags};
use crate::conversation::Conversation;
use crate::deferred::Deferred;
use crate::error::{CommandError, USAGE};
use crate::global_flags::GlobalFlags;
use crate::transport::Transport;

/// The variable that names the session in which a process runs, by the name that it began with.
pub const SESSION_VARIABLE: &str = "PSESS_SESSION";

/// The variable with the id of that session, which stays when it is renamed. Servers before the
/// first release did not set it.
pub const SESSION_ID_VARIABLE: &str = "PSESS_SESSION_ID";

/// Runs a command of the client, reports its error on stderr, and gives its exit status.
///
/// # Panics
/// When it is given the role of a server: these are not the client's.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(CommandError::status_of(&error))
        }
    }
}

/// Reports an error as psess does: one line, or a few, on stderr.
pub fn report(error: &anyhow::Error) {
    say(format_args!("psess: {error:#}"));
}

/// Tells the user something that is no output of the command: a line on stderr.
fn say(line: impl std::fmt::Display) {
    // The terminal may be gone: there is nobody to tell then.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Completions(Deferred(args)) => return completions::run(args),
        Command::Man(Deferred(args)) => return man::run(args, Cli::command()),
        Command::Why(Deferred(args)) => return why::run(args),
        Command::Config(Deferred(args)) => return config::run(&cli.global, args),
        Command::Facts => return facts::run(),
        Command::Relay | Command::Keeper => unreachable!("roles of the server's side"),
        Command::New(_)
        | Command::Attach(_)
        | Command::List(_)
        | Command::Show(_)
        | Command::Detach(_)
        | Command::Kill(_)
        | Command::Forget(_)
        | Command::Rename(_)
        | Command::Env(_)
        | Command::Doctor(_)
        | Command::Probe(_)
        | Command::Server(_) => {}
    }
    let context = Context::new(&cli.global)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.command {
            Command::New(Deferred(args)) => new::run(&context, args).await,
            Command::Attach(Deferred(args)) => attach::run(&context, args).await,
            Command::List(Deferred(args)) => list::run(&context, args).await,
            Command::Show(Deferred(args)) => show::run(&context, args).await,
            Command::Detach(Deferred(args)) => detach::run(&context, args).await,
            Command::Kill(Deferred(args)) => kill::run(&context, args).await,
            Command::Forget(Deferred(args)) => forget::run(&context, args).await,
            Command::Rename(Deferred(args)) => rename::run(&context, args).await,
            Command::Env(Deferred(args)) => env::run(&context, args).await,
            Command::Doctor(Deferred(args)) => doctor::run(&context, args).await,
            Command::Probe(Deferred(args)) => probe::run(&context, args).await,
            Command::Server(Deferred(args)) => server::run(&context, args).await,
            Command::Completions(_)
            | Command::Man(_)
            | Command::Why(_)
            | Command::Config(_)
            | Command::Facts
            | Command::Relay
            | Command::Keeper => unreachable!("handled above, without a context"),
        }
    })
}

/// What all commands have: the configuration, and how hosts are reached.
#[derive(Debug)]
pub struct Context {
    /// The user's configuration.
    pub config: Config,
    ssh: SshFlags,
}

impl Context {
    fn new(global: &GlobalFlags) -> anyhow::Result<Self> {
        let config = Config::load(global.config.as_deref())?;
        Ok(Self {
            config,
            ssh: global.ssh_flags(),
        })
    }

    /// The way to the host of an address.
    ///
    /// # Errors
    /// When the configuration or a flag makes no sense for it.
    pub fn transport(&self, address: &Address) -> Result<Transport, CommandError> {
        self.config
            .transport(address.host.as_deref(), &self.ssh)
            .map_err(|error| CommandError::new(USAGE, error.to_string()))
    }

    /// A connection to the server there, which must run already on this machine.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn converse(&self, address: &Address) -> Result<Conversation, CommandError> {
        let transport = self.transport(address)?;
        let mut server = Conversation::open(&transport, false).await?;
        // Those of this machine are for whoever starts a session.
        if !transport.is_local() {
            for warning in std::mem::take(&mut server.warnings) {
                say(format_args!("psess: {warning}"));
            }
        }
        Ok(server)
    }
}

/// The machine that a command is about, with or without the colon that parts it from a session;
/// this machine where none is named.
fn host_of(host: Option<&str>) -> Result<Address, CommandError> {
    let Some(host) = host else {
        return Ok(Address::default());
    };
    if let Ok(Address {
        host: Some(machine),
        session: Some(_),
    }) = host.parse()
        // `::1` is a machine, `[::1]:build` a session.
        && (!machine.contains(':') || machine.ends_with(']'))
    {
        let words = format!(
            "'{}' is a session: its machine is '{}:'",
            host.escape_debug(),
            machine.escape_debug()
        );
        return Err(CommandError::new(USAGE, words));
    }
    let text = match host.ends_with(':') {
        true => host.to_owned(),
        false => format!("{host}:"),
    };
    text.parse()
        .map_err(|error: crate::address::BadAddress| CommandError::new(USAGE, error.to_string()))
}

/// The session that a command is to act on: the named one, or the one in which it runs.
fn session_of(address: &Address) -> Result<Target, CommandError> {
    named_or_own(address).ok_or_else(|| {
        let host = address
            .host
            .as_deref()
            .map_or(String::new(), |host| format!(" {host}:"));
        CommandError::new(
            USAGE,
            format!("which session? 'psess list{host}' shows them"),
        )
    })
}

/// The session that is named, or the one in which this runs, if there is one of them.
fn named_or_own(address: &Address) -> Option<Target> {
    let named = address.session.clone().map(Target::Name);
    match &address.host {
        Some(_) => named,
        None => named.or_else(own_session),
    }
}

/// The session in which this runs.
fn own_session() -> Option<Target> {
    let name = || std::env::var(SESSION_VARIABLE).ok();
    own_id()
        .map(Target::Id)
        .or_else(|| name().filter(|name| !name.is_empty()).map(Target::Name))
}

/// The id of the session in which this runs, where its server tells.
fn own_id() -> Option<SessionId> {
    SessionId::from_hex(&std::env::var(SESSION_ID_VARIABLE).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_with_or_without_its_colon() {
        for (text, host) in [
            ("devbox", "devbox"),
            ("devbox:", "devbox"),
            ("me@devbox", "me@devbox"),
            ("::1", "::1"),
            ("[::1]:", "[::1]"),
        ] {
            let address = host_of(Some(text)).expect(text);
            assert_eq!(address.host.as_deref(), Some(host), "{text}");
            assert_eq!(address.session, None, "{text}");
        }
        for text in ["devbox:build", "me@[::1]:build", "", "-x", "a b"] {
            let error = host_of(Some(text)).expect_err(text);
            assert_eq!(error.status, USAGE, "{text}");
        }
        assert_eq!(host_of(None).expect("this one"), Address::default());
    }
}
