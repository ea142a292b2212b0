//! How shells complete psess's arguments: clap_complete's adapters to them, but that what stands behind
//! a colon belongs to the word, that a session's program is completed as any other, and that no shell
//! is offered nothing but flags where nothing was typed.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

/// The shells that can be taught.
pub(crate) const SHELLS: Shells<'static> = Shells(&[
    &Completer(&Bash),
    &Completer(&Elvish),
    &Completer(&Fish),
    &Completer(&Powershell),
    &Completer(&Zsh),
]);

/// The variable by which a shell's script asks for candidates.
pub(crate) const VARIABLE: &str = "COMPLETE";

/// Which of the words is completed; the last one, where a script does not say.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";

/// What a script wants between candidates; a line's end, where it does not say.
const SEPARATOR: &str = "_CLAP_IFS";

/// An adapter of clap_complete's, and what is done beside it.
struct Completer(&'static dyn EnvCompleter);

impl EnvCompleter for Completer {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is(&self, name: &str) -> bool {
        self.0.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.is("bash") {
            return out.write_all(include_bytes!("completer/psess.bash"));
        }
        self.0
            .write_registration(variable, name, bin, completer, out)?;
        if self.is("zsh") {
            out.write_all(include_bytes!("completer/psess.zsh"))?;
        }
        Ok(())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        directory: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let index = std::env::var(INDEX)
            .ok()
            .and_then(|index| index.parse().ok())
            .unwrap_or(words.len().saturating_sub(1));
        let is_blank = words.get(index).is_none_or(|word| word.is_empty());
        let mut candidates = Vec::new();
        self.0
            .write_complete(command, words, directory, &mut candidates)?;
        let separator = std::env::var(SEPARATOR).unwrap_or_else(|_| "\n".to_owned());
        if is_blank && are_flags(&String::from_utf8_lossy(&candidates), &separator) {
            return Ok(());
        }
        out.write_all(&candidates)
    }
}

/// Whether nothing else is offered: a shell would insert the `-` with which they all begin.
fn are_flags(candidates: &str, separator: &str) -> bool {
    let mut candidates = candidates.split(separator).filter(|line| !line.is_empty());
    candidates.all(|candidate| candidate.starts_with('-'))
}
