//! The flags of all commands.

use std::path::PathBuf;

use clap::Args;

use crate::config::SshFlags;

/// Flags of all commands.
#[derive(Args, Clone, Debug)]
pub struct GlobalFlags {
    /// The ssh command to reach HOST with, such as 'ssh -p 2222 -F file'
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        help_heading = "Reaching a machine"
    )]
    pub ssh: Option<String>,
    /// An option for ssh, as in its own -o; may be repeated
    #[arg(
        short = 'o',
        global = true,
        value_name = "OPTION",
        help_heading = "Reaching a machine"
    )]
    pub option: Vec<String>,
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Reaching a machine"
    )]
    pub config: Option<PathBuf>,
}

impl GlobalFlags {
    /// What concerns ssh.
    #[must_use]
    pub fn ssh_flags(&self) -> SshFlags {
        SshFlags {
            ssh: self.ssh.clone(),
            options: self.option.clone(),
        }
    }
}
