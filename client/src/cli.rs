//! The command line: all commands. Those flags that each has stand in its file below `commands`, those
//! that all have in `global_flags`.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::env::CompleteEnv;

use crate::commands::{
    attach, completions, config, detach, doctor, env, forget, kill, list, man, new, probe, rename,
    server, show, why,
};
use crate::completer;
use crate::deferred::Deferred;
use crate::global_flags::GlobalFlags;

/// Terminal sessions that outlive their connection, over plain ssh
#[derive(Debug, Parser)]
#[command(
    name = "psess",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "NAME may be HOST:NAME or USER@HOST:NAME, for a session on another machine, reached \
                  by ssh.\n'psess help COMMAND' shows examples.",
    after_long_help = "Examples:\n  \
        psess new                            a session with your login shell\n  \
        psess new devbox:build -- make -j8   on another machine, with a command\n  \
        psess attach devbox:build            back to it, from any machine\n  \
        psess list devbox:                   what runs there, and what has finished\n\n\
        A session's NAME may be HOST:NAME or USER@HOST:NAME, for one on another \
        machine, reached by ssh with your own configuration, keys and jump hosts.\n\n\
        Ctrl-\\ detaches; pressed twice it goes to the program.\n\n\
        A session that has finished is kept, with its last screen, until somebody has \
        seen how it ended: attached, or with 'psess attach NAME' afterwards; for 7 days \
        at most. 'psess forget NAME' drops it.\n\n\
        Files:\n  \
        ~/.config/psess/config.toml  the configuration\n  \
        /etc/psess/config.toml       the machine's, which the user's goes before\n  \
        ~/.local/state/psess/        what 'why' and 'probe' know\n\n\
        Environment:\n  \
        PSESS_CONFIG          another configuration file\n  \
        PSESS_DETACH_KEY      the key that detaches: ctrl-b, none\n  \
        PSESS_SSH             the ssh command\n  \
        PSESS_DIR             the directory of the server's socket\n  \
        PSESS_KEEP_FINISHED   how long a finished session is kept: 7d\n  \
        PSESS_HISTORY_LINES   how many lines of history a session keeps: 10000\n  \
        PSESS_HISTORY_BYTES   in how many bytes, as printed: 8M, at most 16M\n  \
        PSESS_HISTORY_BUDGET  how much memory the histories of all sessions take: 256M\n  \
        PSESS_SESSION         in a session: the name that it began with\n\n\
        Exit status:\n  \
        0    done; after new and attach: detached\n  \
        1    something failed\n  \
        2    the arguments make no sense\n  \
        3    there is no such session\n  \
        4    the other machine does not let you in, or has no psess, or another version\n  \
        126  the session's command cannot be executed; 127: it is not there\n  \
        when an attached program ends: its own, or 128 and the signal that ended it;\n  \
        when a signal ends psess while attached: 128 and that signal."
)]
pub struct Cli {
    /// Flags of all commands.
    #[command(flatten)]
    pub global: GlobalFlags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the arguments of this process; prints help or an error and exits where asked or
    /// needed (status 2).
    #[must_use]
    pub fn of_this_process() -> Self {
        CompleteEnv::with_factory(Self::to_complete)
            .var(completer::VARIABLE)
            .shells(completer::SHELLS)
            .complete();
        Self::parse()
    }

    /// The definition for shells that complete it. They list flags by heading, and begin with that of
    /// the flags of all commands, which a command gets before its own: here these have none, and
    /// come last.
    fn to_complete() -> clap::Command {
        const LAST: usize = 1000;
        Self::command().mut_args(|flag| match flag.is_global_set() {
            true => flag.help_heading(None).display_order(LAST),
            false => flag,
        })
    }
}

/// All commands. The flags of those that are not called are not looked at.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a session (short: n)
    #[command(alias = "n")]
    New(Deferred<new::NewArgs>),
    /// Attach this terminal to a session (short: a)
    #[command(alias = "a")]
    Attach(Deferred<attach::AttachArgs>),
    // An alias that is visible to clap takes the place of its command when a shell completes.
    /// List sessions (short: ls)
    #[command(alias = "ls")]
    List(Deferred<list::ListArgs>),
    /// Print what a session shows and what scrolled off, without attaching
    Show(Deferred<show::ShowArgs>),
    /// Detach every client of a session
    Detach(Deferred<detach::DetachArgs>),
    /// End a session
    Kill(Deferred<kill::KillArgs>),
    /// Drop what is kept of sessions that have finished
    Forget(Deferred<forget::ForgetArgs>),
    /// Give a session another name
    Rename(Deferred<rename::RenameArgs>),
    /// Who cut the connection, and after how long
    Why(Deferred<why::WhyArgs>),
    /// What may cut a connection, on both ends
    Doctor(Deferred<doctor::DoctorArgs>),
    /// Measure after how long idle the way to a host forgets a connection
    Probe(Deferred<probe::ProbeArgs>),
    /// Print what a shell in a session should know of the client attached last
    Env(Deferred<env::EnvArgs>),
    /// What is configured, and where
    Config(Deferred<config::ConfigArgs>),
    /// Look at the server, restart or stop it
    Server(Deferred<server::ServerArgs>),
    /// Print a script that completes psess's arguments in a shell
    Completions(Deferred<completions::CompletionsArgs>),
    /// Write the manual pages
    #[command(hide = true)]
    Man(Deferred<man::ManArgs>),
    /// What this machine's settings say, for the psess of another machine
    #[command(hide = true)]
    Facts,
    /// The far end of ssh's stdio
    #[command(hide = true)]
    Relay,
    /// What holds the terminals and starts the server
    #[command(hide = true)]
    Keeper,
}

#[cfg(test)]
mod tests {
    use clap_complete::engine::{CompletionCandidate, complete};

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_shell_lists_the_flags_of_a_command_before_those_of_all() {
        let typed = ["psess", "kill", "--"].map(Into::into).to_vec();
        let listed = complete(&mut Cli::to_complete(), typed, 2, None).expect("flags");
        let flags: Vec<_> = listed.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(flags, ["--signal", "--yes", "--help", "--ssh", "--config"]);
    }

    #[test]
    fn a_help_says_of_a_command_what_the_list_of_commands_says() {
        let listed = Cli::command();
        let mut called = listed.clone();
        called.build();
        for command in listed.get_subcommands() {
            let built = called.find_subcommand(command.get_name()).expect("built");
            let about = command.get_about().map(ToString::to_string);
            assert!(about.is_some());
            assert_eq!(built.get_about().map(ToString::to_string), about);
            assert!(built.get_long_about().is_none());
        }
    }

    #[test]
    fn a_command_follows_two_dashes() {
        for (line, session, command) in [
            (&["psess", "new", "build", "--", "make", "-j8"][..], true, 2),
            (&["psess", "n", "--", "make"], false, 1),
            (&["psess", "new", "-d", "devbox:", "-e", "A=b"], true, 0),
        ] {
            let Command::New(Deferred(new)) = Cli::try_parse_from(line).expect("good").command
            else {
                panic!("{line:?} is no 'new'");
            };
            assert_eq!(new.name.is_some(), session, "{line:?}");
            assert_eq!(new.command.len(), command, "{line:?}");
        }
    }

    #[test]
    fn bad_arguments_are_refused_before_anything_happens() {
        for line in [
            &["psess", "new", "a/b"][..],
            &["psess", "new", "-e", "novalue"],
            &["psess", "attach", "--history", "some"],
            &["psess", "attach", "--heartbeat", "15"],
            &["psess", "kill"],
            &["psess", "kill", "x", "--signal", "NOSUCH"],
            &["psess", "rename", "a", "host:b"],
            &["psess"],
        ] {
            assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
