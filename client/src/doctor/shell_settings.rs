//! The login shell's own timeout: TMOUT.

use std::env;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where shells read their settings at the start of an interactive session: bash, ksh and zsh.
const SYSTEM_FILES: [&str; 6] = [
    "/etc/profile",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zsh/zshrc",
    "/etc/zshrc",
    "/etc/ksh.kshrc",
];

const USERS_FILES: [&str; 7] = [
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".bashrc",
    ".zshrc",
    ".zprofile",
    ".kshrc",
];

/// What ends an idle prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShellSettings {
    /// TMOUT in seconds, when it is set to more than 0.
    pub timeout: Option<u32>,
    /// Whether it may not be changed.
    pub is_readonly: bool,
    /// Where it is set: a file with the line's number, or `the environment`.
    pub source: String,
}

impl ShellSettings {
    /// Reads it from the files of this user's shells: running the shell to ask it could do
    /// anything.
    #[must_use]
    pub fn of_this_user() -> Self {
        let mut files: Vec<PathBuf> = SYSTEM_FILES.map(PathBuf::from).to_vec();
        let snippets = fs::read_dir("/etc/profile.d")
            .into_iter()
            .flatten()
            .flatten();
        let mut snippets: Vec<PathBuf> = snippets.map(|entry| entry.path()).collect();
        snippets.sort();
        files.splice(1..1, snippets);
        if let Some(home) = env::var_os("HOME").map(PathBuf::from) {
            files.extend(USERS_FILES.map(|name| home.join(name)));
        }
        let mut found = Self::default();
        if let Some(timeout) = env::var("TMOUT").ok().and_then(|value| value.parse().ok()) {
            found.set(timeout, "the environment".to_owned());
        }
        for file in files {
            if let Ok(text) = fs::read_to_string(&file) {
                found.read(&text, &file.display().to_string());
            }
        }
        found
    }

    /// A later file overrides an earlier one, unless it was readonly there.
    fn read(&mut self, text: &str, file: &str) {
        for (line, number) in text.lines().zip(1_u32..) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line
                .split([' ', '\t', ';', '&'])
                .filter(|word| !word.is_empty());
            let is_declaration =
                |word: &str| word == "readonly" || word == "-r" || word == "-xr" || word == "-rx";
            let declares = words.clone().any(is_declaration);
            if words.clone().any(|word| word == "unset")
                && line.contains("TMOUT")
                && !self.is_readonly
            {
                *self = Self::default();
            }
            let value = words.find_map(|word| {
                let value = word.strip_prefix("TMOUT=")?;
                value.trim_matches(['"', '\'']).parse().ok()
            });
            if let Some(timeout) = value
                && !self.is_readonly
            {
                self.set(timeout, format!("{file}:{number}"));
            }
            let names_it = line
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .any(|word| word == "TMOUT");
            self.is_readonly |= declares && names_it;
        }
    }

    fn set(&mut self, timeout: u32, source: String) {
        self.timeout = (timeout > 0).then_some(timeout);
        self.source = source;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmout_is_found_in_all_its_forms() {
        for (text, timeout, is_readonly) in [
            ("TMOUT=300\n", Some(300), false),
            ("export TMOUT=300; readonly TMOUT\n", Some(300), true),
            ("readonly TMOUT=900\nTMOUT=5\n", Some(900), true),
            ("declare -xr TMOUT=\"600\"\n", Some(600), true),
            ("TMOUT=60\nTMOUT=0\n", None, false),
            ("TMOUT=60\nunset TMOUT\n", None, false),
            ("# TMOUT=60\nMY_TMOUT=3\n", None, false),
        ] {
            let mut found = ShellSettings::default();
            found.read(text, "/etc/profile");
            assert_eq!(
                (found.timeout, found.is_readonly),
                (timeout, is_readonly),
                "{text}"
            );
        }
        let mut found = ShellSettings::default();
        found.read("\n\nTMOUT=7\n", "/etc/profile.d/x.sh");
        assert_eq!(found.source, "/etc/profile.d/x.sh:3");
    }
}
