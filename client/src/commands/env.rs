//! `psess env`: what a shell that runs for long should take over from the client attached last.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::{ByteString, ClientMessage, ServerMessage};

use super::{Context, session_of};
use crate::address::Address;
use crate::broken_pipe;
use crate::commands::completions;
use crate::standard_output::StandardOutput;

/// Flags of `psess env`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "A shell in a session takes over DISPLAY and the like with\n\n  \
    eval \"$(psess env)\""
)]
pub struct EnvArgs {
    /// The session; without it the one in which this runs
    #[arg(add = completions::sessions())]
    name: Option<Address>,
}

/// Runs it.
///
/// # Errors
/// When there is no such session, or no server.
pub async fn run(context: &Context, args: EnvArgs) -> anyhow::Result<ExitCode> {
    let address = args.name.unwrap_or_default();
    let session = session_of(&address)?;
    let mut server = context.converse(&address).await?;
    match server.ask(&ClientMessage::AskEnvironment(session)).await? {
        ServerMessage::ClientEnvironment(entries) => {
            broken_pipe::end_silently();
            StandardOutput::of_this_process().write_all(&script(&entries))?;
            Ok(ExitCode::SUCCESS)
        }
        other => Err(server.nonsense(&other).into()),
    }
}

/// Commands for a POSIX shell. The agent's socket is left out: its path in a session is stable,
/// and leads to the right agent by itself.
fn script(entries: &[ByteString]) -> Vec<u8> {
    let mut script = Vec::new();
    for ByteString(entry) in entries {
        let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&entry[..equals], &entry[equals + 1..]);
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name == b"SSH_AUTH_SOCK" || name.is_empty() || !name.iter().all(is_name) {
            continue;
        }
        script.extend(b"export ");
        script.extend(name);
        script.extend(b"='");
        for &byte in value {
            match byte {
                b'\'' => script.extend(b"'\\''"),
                byte => script.push(byte),
            }
        }
        script.extend(b"'\n");
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_script_literally() {
        let entries = [
            "DISPLAY=:1",
            "X=it's $(touch /tmp/x)",
            "SSH_AUTH_SOCK=/x",
            "a;b=c",
            "n",
        ];
        let script = script(&entries.map(ByteString::from));
        assert_eq!(
            String::from_utf8_lossy(&script),
            "export DISPLAY=':1'\nexport X='it'\\''s $(touch /tmp/x)'\n"
        );
    }
}
