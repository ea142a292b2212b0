//! `psess show`: prints what a session shows and what scrolled off, as plain text.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Args;
use psess_protocol::message::{History, Target};
use psess_protocol::terminal::Terminal;

use super::{Context, named_or_own, say};
use crate::address::Address;
use crate::broken_pipe;
use crate::commands::completions;
use crate::config::parse_history_amount;
use crate::grouped::grouped;
use crate::standard_output::StandardOutput;

/// Flags of `psess show`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Prints plain text: the history, then the screen, which is the alternate one \
    while a program such as an editor fills that (what the editor covers is not printed). Lines that \
    wrapped are whole again; colours, blanks at the end of a line and empty lines at the end are left \
    out, and tabs are blanks. Of a session's history 10,000 lines are kept, if PSESS_HISTORY_LINES \
    says nothing else where its server starts; a line on standard error says when there were more. The session is not \
    touched: one that has finished is kept, the program and all who are attached notice nothing.\n\n\
    Examples:\n  \
    psess show build | grep error\n  \
    psess show devbox:build > build.log\n  \
    psess show --history none build   only what is on the screen"
)]
pub struct ShowArgs {
    /// The session, or an unambiguous beginning of its name; without it, the one in which this runs,
    /// or else the one used last
    #[arg(add = completions::sessions())]
    name: Option<Address>,
    /// How much history to print first: a number of lines, all, or none
    #[arg(long, value_name = "LINES", default_value = "all", value_parser = parse_history_amount)]
    history: History,
}

/// Runs it.
///
/// # Errors
/// When there is no such session or no server, or standard output takes no more.
pub async fn run(context: &Context, args: ShowArgs) -> anyhow::Result<ExitCode> {
    let address = args.name.unwrap_or_default();
    let session = named_or_own(&address).unwrap_or(Target::Latest);
    let mut server = context.converse(&address).await?;
    let (terminal, gone_lines) = server.shown(session, args.history).await?;
    broken_pipe::end_silently();
    print(&terminal, StandardOutput::of_this_process())?;
    if gone_lines > 0 && args.history == History::All {
        let lines = grouped(gone_lines);
        say(format_args!(
            "psess: {lines} earlier lines are no longer kept: PSESS_HISTORY_LINES, when the server starts, \
             says how many are"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(terminal: &Terminal, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut printed = Ok(());
    terminal.visit_lines(&mut |line| {
        if printed.is_ok() {
            printed = writeln!(out, "{line}");
        }
    });
    printed?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use psess_protocol::size::Size;
    use psess_protocol::terminal::Limits;

    use super::*;

    fn terminal() -> Terminal {
        let mut terminal = Terminal::new(Size::new(3, 10), Limits::default());
        for number in 0..10_000 {
            terminal.feed(format!("\x1b[32mline {number} of them\x1b[m\r\n").as_bytes());
        }
        terminal
    }

    #[test]
    fn each_line_has_an_end_and_no_colour() {
        let mut out = Vec::new();
        print(&terminal(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected: String = (0..10_000)
            .map(|number| format!("line {number} of them\n"))
            .collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn what_takes_no_more_is_an_error() {
        for room in [0, 5, 10_000] {
            let mut place = vec![0; room];
            let error = print(&terminal(), &mut place[..]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        }
    }
}
