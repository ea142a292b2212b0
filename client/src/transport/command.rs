//! Any command that gives a byte pipe: `docker exec -i box`, `kubectl exec -i pod --`.

use std::ffi::OsString;

use super::copying;

/// A command whose stdin and stdout become those of `psess relay` on the far side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandTransport {
    host: String,
    command: Vec<String>,
    psess: Option<String>,
}

impl CommandTransport {
    /// The command of a host's entry in the configuration. `psess` is what the far side's binary
    /// is called there, found on its PATH unless it is a path.
    #[must_use]
    pub fn new(host: String, command: Vec<String>, psess: Option<String>) -> Self {
        Self {
            host,
            command,
            psess,
        }
    }

    /// The host as the user wrote it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    fn psess(&self) -> &str {
        self.psess.as_deref().unwrap_or("psess")
    }

    pub(super) fn argv(&self) -> Vec<OsString> {
        self.psess_argv("relay")
    }
}

impl CommandTransport {
    /// What psess is called there, where that is configured.
    pub(super) fn configured_psess(&self) -> Option<&str> {
        self.psess.as_deref()
    }

    /// The line of a shell that copies this machine's psess to where it is found.
    pub(super) fn install_line(&self) -> String {
        let words = self.command.iter().map(String::as_str);
        let argv = words.chain(["sh", "-c"]).collect();
        copying::line(argv, self.configured_psess(), "/usr/local/bin/psess")
    }

    /// The command line that runs psess in another role on the far side.
    pub(super) fn psess_argv(&self, role: &str) -> Vec<OsString> {
        let mut argv: Vec<OsString> = self.command.iter().map(OsString::from).collect();
        argv.push(self.psess().into());
        argv.extend(role.split(' ').map(OsString::from));
        argv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_appended_to_the_command() {
        let command = ["docker", "exec", "-i", "box"].map(str::to_owned).to_vec();
        let transport = CommandTransport::new("box".to_owned(), command, None);
        let words = ["docker", "exec", "-i", "box", "psess", "relay"];
        assert_eq!(transport.argv(), words.map(OsString::from));
    }
}
