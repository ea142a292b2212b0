//! `psess config`: what is configured, and where.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use psess_protocol::retention::Retention;

use crate::broken_pipe;
use crate::config::Sources;
use crate::global_flags::GlobalFlags;
use crate::standard_output::StandardOutput;

/// Flags of `psess config`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Prints it as it may stand in a configuration file. A flag goes before a \
    PSESS_* variable, which goes before the user's file, which goes before /etc/psess/config.toml; \
    a [host.NAME] of the one replaces that of the other as a whole.\n\n\
    What sessions keep is not among it, as they may outlive whoever started them: \
    PSESS_HISTORY_LINES, PSESS_HISTORY_BYTES, PSESS_HISTORY_BUDGET and PSESS_KEEP_FINISHED are taken \
    from the environment of whatever starts the first session of a machine, and hold until its last \
    one is gone; 'psess --help' has them.\n\n\
    Examples:\n  \
    psess config\n  \
    psess config --origin"
)]
pub struct ConfigArgs {
    /// Show where each value came from
    #[arg(long)]
    origin: bool,
}

/// Runs it.
///
/// # Errors
/// When the configuration makes no sense, or what the environment says of what sessions keep.
pub fn run(global: &GlobalFlags, args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let sources = Sources::read(global.config.as_deref())?;
    let settings = sources.settings(global.ssh.as_deref())?;
    Retention::check()?;
    let lines: Vec<String> = settings.iter().map(ToString::to_string).collect();
    let widest = lines.iter().map(|line| line.chars().count()).max();
    // A long command pushes no other out of sight.
    let width = widest.unwrap_or(0).min(40);
    let mut text = String::new();
    for (line, setting) in lines.iter().zip(&settings) {
        match args.origin {
            true => text.push_str(&format!("{line:width$}  # {}\n", setting.origin)),
            false => text.push_str(&format!("{line}\n")),
        }
    }
    broken_pipe::end_silently();
    StandardOutput::of_this_process().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
