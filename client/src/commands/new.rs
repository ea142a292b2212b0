//! `psess new`: starts a session, and attaches to it.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use psess_protocol::identity::SessionId;
use psess_protocol::message::{
    ByteString, ClientMessage, History, NewSession, ServerMessage, Target,
};
use psess_protocol::name::SessionName;
use psess_protocol::size::Size;

use super::attachment::{Attachment, refuse_to_nest};
use super::{Context, say};
use crate::address::Address;
use crate::config::ShownHistory;
use crate::conversation::Conversation;
use crate::environment;
use crate::error::{CommandError, USAGE};
use crate::standard_output::StandardOutput;
use crate::transport::Transport;

/// Flags of `psess new`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess new                            a login shell, named by psess\n  \
    psess new build -- make -j8          named, with a command\n  \
    psess new devbox:build -- make       on another machine\n  \
    psess new devbox:                    a login shell there\n  \
    psess new -d -e DEBUG=1 -- ./serve   without attaching; prints the name\n  \
    psess new log -- sh -c 'make | ts'   a pipeline needs a shell")]
pub struct NewArgs {
    /// Its name: letters, digits, '.', '_' and '-' [default: made of the command]
    pub name: Option<Address>,
    /// Do not attach; print the session's name
    #[arg(short, long)]
    pub detached: bool,
    /// The directory to begin in [default: this one; on another machine, the home directory]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set a variable; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = environment_entry)]
    pub env: Vec<ByteString>,
    /// Attach although this is in a session already
    #[arg(long)]
    pub nested: bool,
    /// The program and its arguments, run without a shell [default: a login shell]
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Runs it.
///
/// # Errors
/// When the session cannot be started, or there is no terminal to attach.
pub async fn run(context: &Context, args: NewArgs) -> anyhow::Result<ExitCode> {
    if !args.detached {
        refuse_to_nest(args.nested)?;
    }
    let address = args.name.clone().unwrap_or_default();
    let transport = context.transport(&address)?;
    let new = new_session(&args, &address, transport.is_local())?;
    let id = new.id;
    let requests = requests(new, &transport);
    if args.detached {
        return start(&transport, &requests).await;
    }
    Attachment {
        transport,
        start: true,
        requests,
        session: Target::Id(id),
        timing: context.config.timing.clone(),
        // What it printed before this client was attached is no history: it is its beginning.
        history: ShownHistory::Exactly(History::All),
        read_only: false,
        detach_others: false,
        stats: false,
    }
    .run(context)
    .await
}

/// What a server is to be told so that the session starts.
pub(super) fn requests(new: NewSession, transport: &Transport) -> Vec<ClientMessage> {
    let mut requests = match transport.is_local() {
        true => environment::requests(),
        false => Vec::new(),
    };
    requests.push(ClientMessage::New(new));
    requests
}

async fn start(transport: &Transport, requests: &[ClientMessage]) -> anyhow::Result<ExitCode> {
    let mut server = Conversation::open(transport, true).await?;
    let place = transport.place();
    let mut warnings = std::mem::take(&mut server.warnings);
    for request in requests {
        if matches!(request, ClientMessage::Environment(_)) {
            server.tell(request).await?;
            continue;
        }
        match server.ask(request).await? {
            ServerMessage::Created(created) => {
                let quoted = created.warnings.iter().map(|words| place.quote(words));
                warnings.extend(quoted);
                writeln!(
                    StandardOutput::of_this_process(),
                    "{}",
                    place.session(created.name.as_str())
                )?;
            }
            other => return Err(server.nonsense(&other).into()),
        }
    }
    for warning in warnings {
        say(format_args!("psess: {warning}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn new_session(args: &NewArgs, address: &Address, is_local: bool) -> anyhow::Result<NewSession> {
    let name = address
        .session
        .as_deref()
        .map(str::parse::<SessionName>)
        .transpose();
    let cwd = match (&args.cwd, is_local) {
        (Some(directory), false) => Some(directory.clone()),
        (Some(directory), true) => Some(std::path::absolute(directory)?),
        (None, true) => Some(std::env::current_dir().context("this directory is gone: use --cwd")?),
        (None, false) => None,
    };
    let mut environment = environment::of_terminal();
    environment.extend(args.env.iter().cloned());
    Ok(NewSession {
        id: SessionId::random(),
        name: name.map_err(|error| CommandError::new(USAGE, error.to_string()))?,
        command: args.command.iter().cloned().map(byte_string).collect(),
        cwd: cwd.map(|path| byte_string(path.into_os_string())),
        environment,
        size: terminal_size(),
    })
}

/// A session begins with the size of the terminal it is started from, if any.
pub(super) fn terminal_size() -> Size {
    crate::tty::Tty::open().map_or_else(|_| Size::default(), |tty| tty.size())
}

pub(super) fn byte_string(text: OsString) -> ByteString {
    ByteString(text.into_vec())
}

fn environment_entry(text: &str) -> Result<ByteString, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(ByteString::from(text)),
        _ => Err("use NAME=VALUE".to_owned()),
    }
}
