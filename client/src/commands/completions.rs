//! `psess completions`: a script for the user's shell, which then asks psess itself, so that the
//! names of sessions are completed too.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use psess_protocol::message::SessionSummary;

use crate::broken_pipe;
use crate::commands::list;
use crate::completer::{SHELLS, VARIABLE};
use crate::conversation::Conversation;
use crate::standard_output::StandardOutput;
use crate::transport::Transport;

/// How long a key press may wait for sessions.
const PATIENCE: Duration = Duration::from_millis(300);

/// Flags of `psess completions`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    bash: echo 'source <(psess completions bash)' >> ~/.bashrc\n  \
    zsh:  echo 'source <(psess completions zsh)' >> ~/.zshrc\n  \
    fish: psess completions fish > ~/.config/fish/completions/psess.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_parser = PossibleValuesParser::new(["bash", "elvish", "fish", "powershell", "zsh"]))]
    shell: String,
}

/// Runs it.
///
/// # Errors
/// When standard output is closed.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let shell = SHELLS
        .completer(&args.shell)
        .expect("the argument's values are their names");
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "psess", "psess", "psess", &mut script)?;
    broken_pipe::end_silently();
    StandardOutput::of_this_process().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Completes the names of this machine's sessions, and says what runs there: zsh lists what it is told
/// no more of than a name behind all else. Other machines are not asked at a key press.
#[must_use]
pub fn sessions() -> ArgValueCompleter {
    some_sessions(|_| true)
}

/// The same, of sessions that have finished only.
#[must_use]
pub fn finished_sessions() -> ArgValueCompleter {
    some_sessions(|session| session.finished.is_some())
}

fn some_sessions(
    is_one: impl Fn(&SessionSummary) -> bool + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &std::ffi::OsStr| {
        let typed = typed.to_string_lossy();
        let sessions = local_sessions().unwrap_or_default();
        let matching = sessions
            .iter()
            .filter(|session| is_one(session) && session.name.as_str().starts_with(&*typed));
        matching
            .map(|session| {
                let command = list::command_of(session);
                CompletionCandidate::new(session.name.as_str()).help(Some(command.into()))
            })
            .collect()
    })
}

/// Errors have no place to be shown at a key press.
fn local_sessions() -> Option<Vec<SessionSummary>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let sessions = async {
        let mut server = Conversation::open(&Transport::Local, false).await.ok()?;
        server.sessions().await.ok()
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, sessions).await.ok()? })
}
