//! `psess man`: the manual pages, made of the same text as the help.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::broken_pipe;
use crate::standard_output::StandardOutput;

/// Flags of `psess man`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess man ~/.local/share/man/man1   for 'man psess' and 'man psess-attach'\n  \
    psess man | man -l -                without installing anything")]
pub struct ManArgs {
    /// Where to write a page for psess and for each command; without it, psess's own page goes
    /// to standard output
    directory: Option<PathBuf>,
}

/// Runs it, for the command line `psess`.
///
/// # Errors
/// When a page cannot be written.
pub fn run(args: &ManArgs, mut psess: Command) -> anyhow::Result<ExitCode> {
    broken_pipe::end_silently();
    psess.build();
    // The pages are the help.
    psess = psess.mut_subcommand("help", |help| help.hide(true));
    match &args.directory {
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| write_pages(&psess, directory))
            .with_context(|| format!("cannot write manual pages to {}", directory.display()))?,
        None => StandardOutput::of_this_process().write_all(&page(&psess)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The page of a command, and those of the commands below it.
fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(directory.join(format!("{name}.1")), page(command)?)?;
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .try_for_each(|command| write_pages(command, directory))
}

/// As `Man::render` makes it, but for the synopsis, which has no values there, and for the text
/// behind the options, which is one section there.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .source(concat!("psess ", env!("CARGO_PKG_VERSION")))
        .manual("psess");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command
        .get_subcommands()
        .any(|command| !command.is_hide_set())
    {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_long_help() {
        sections(&text.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// The line that the help shows too.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([roman(usage.trim())]);
    roff
}

/// Each paragraph of a help that has a heading, `Exit status:`, is a section; what has none are
/// notes (man-pages(7)).
fn sections(help: &str) -> Roff {
    let mut roff = Roff::new();
    let mut in_notes = false;
    for paragraph in help.split("\n\n") {
        let (heading, body) = match paragraph.split_once(":\n") {
            Some((heading, body)) if !heading.contains('\n') => (Some(heading), body),
            Some(_) | None => (None, paragraph),
        };
        match heading {
            Some(heading) => _ = roff.control("SH", [heading.to_uppercase().as_str()]),
            None if in_notes => _ = roff.control("PP", []),
            None => _ = roff.control("SH", ["NOTES"]),
        }
        in_notes = heading.is_none();
        // What is indented is laid out already.
        let is_laid_out = body.starts_with(' ');
        if is_laid_out {
            roff.control("nf", []);
        }
        for line in body.lines() {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        if is_laid_out {
            roff.control("fi", []);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_behind_the_options_becomes_sections() {
        let help = "A note.\n\nOf two.\n\nExit status:\n  0  done\n  1  not\n\n  .verbatim";
        let page = sections(help).to_roff();
        let rows: Vec<&str> = page.lines().collect();
        let expected = [
            ".SH NOTES",
            "A note.",
            ".PP",
            "Of two.",
            ".SH \"EXIT STATUS\"",
            ".nf",
            "0  done",
            "1  not",
            ".fi",
            ".SH NOTES",
            ".nf",
            "\\&.verbatim",
            ".fi",
        ];
        assert_eq!(rows, expected);
    }
}
