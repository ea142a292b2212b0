//! Any command that gives a byte pipe: `docker exec -i box`, `kubectl exec -i pod --`.

use std::ffi::OsString;

/// A command whose stdin and stdout become those of `psess relay` on the far side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandTransport {
    host: String,
    command: Vec<String>,
    psess: String,
}

impl CommandTransport {
    /// The command of a host's entry in the configuration. `psess` is what the far side's binary
    /// is called there, found on its PATH unless it is a path.
    #[must_use]
    pub fn new(host: String, command: Vec<String>, psess: Option<String>) -> Self {
        Self {
            host,
            command,
            psess: psess.unwrap_or_else(|| "psess".to_owned()),
        }
    }

    /// The host as the user wrote it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn argv(&self) -> Vec<OsString> {
        let relay = [self.psess.as_str(), "relay"];
        let words = self.command.iter().map(String::as_str).chain(relay);
        words.map(OsString::from).collect()
    }
}

impl CommandTransport {
    /// The line of a shell that copies this machine's psess to where it is found.
    pub(super) fn install_line(&self) -> String {
        let copy = "cat >/usr/local/bin/psess; chmod +x /usr/local/bin/psess";
        let words = self.command.iter().map(String::as_str);
        let argv = words.chain(["sh", "-c", copy]);
        format!("{} <\"$(command -v psess)\"", shell_words::join(argv))
    }

    /// The command line that runs psess in another role on the far side.
    pub(super) fn psess_argv(&self, role: &str) -> Vec<OsString> {
        let mut argv: Vec<OsString> = self.command.iter().map(OsString::from).collect();
        argv.push(self.psess.clone().into());
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
