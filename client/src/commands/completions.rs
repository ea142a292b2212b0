//! `psess completions`: a script for the user's shell, which then asks psess itself, so that the
//! names of sessions are completed too.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use crate::broken_pipe;
use crate::conversation::Conversation;
use crate::standard_output::StandardOutput;
use crate::transport::Transport;

/// How long a key press may wait for names.
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
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell)
        .expect("the argument's values are those of clap_complete");
    let mut script = Vec::new();
    shell.write_registration("COMPLETE", "psess", "psess", "psess", &mut script)?;
    broken_pipe::end_silently();
    StandardOutput::of_this_process().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Completes the names of this machine's sessions. Other machines are not asked at a key press.
#[must_use]
pub fn sessions() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &std::ffi::OsStr| {
        let typed = typed.to_string_lossy();
        let mut names = local_names().unwrap_or_default();
        names.retain(|name| name.starts_with(&*typed));
        names.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Errors have no place to be shown at a key press.
fn local_names() -> Option<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let names = async {
        let mut server = Conversation::open(&Transport::Local, false).await.ok()?;
        let sessions = server.sessions().await.ok()?;
        Some(
            sessions
                .iter()
                .map(|session| session.name.to_string())
                .collect(),
        )
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, names).await.ok()? })
}
