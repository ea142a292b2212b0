//! A stable path to the ssh agent of the client that attached last.
//!
//! Each session's programs see `SSH_AUTH_SOCK` as the same path for life: a symbolic link that
//! is pointed elsewhere whenever a client attaches, also after a redial from another machine.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use psess_protocol::identity::SessionId;
use psess_protocol::message::ByteString;

const VARIABLE: &[u8] = b"SSH_AUTH_SOCK=";

/// The link of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentLink(PathBuf);

impl AgentLink {
    /// The link of a session, in the directory that the server's socket is in.
    pub(crate) fn new(directory: &Path, session: SessionId) -> Self {
        let mut name = format!("agent-{session}");
        // A socket's path has at most 107 bytes, so the name is kept short (unix(7)).
        name.truncate("agent-".len() + 12);
        Self(directory.join(name))
    }

    /// The environment entry that leads programs to it.
    pub(crate) fn entry(&self) -> ByteString {
        ByteString([VARIABLE, self.0.as_os_str().as_bytes()].concat())
    }

    /// Points the link to an agent, at once for whoever follows it.
    ///
    /// # Errors
    /// When the directory is gone or not writable.
    pub(crate) fn point_to(&self, agent: &Path) -> io::Result<()> {
        if agent == self.0 {
            return Ok(());
        }
        let new = self.0.with_extension("new");
        // Left behind by a server that was killed right here.
        let _ = std::fs::remove_file(&new);
        symlink(agent, &new)?;
        std::fs::rename(&new, &self.0)
    }

    /// Removes the link. It may never have been made.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The agent that an environment leads to.
pub(crate) fn agent_of(environment: &[ByteString]) -> Option<PathBuf> {
    let value = environment
        .iter()
        .rev()
        .find_map(|entry| entry.0.strip_prefix(VARIABLE))?;
    let path = Path::new(std::ffi::OsStr::from_bytes(value));
    path.is_absolute().then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_follows_the_client_attached_last() {
        let directory = std::env::temp_dir().join(format!("psess-agent-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let link = AgentLink::new(&directory, SessionId([0xab; 16]));
        for agent in ["/tmp/ssh-1/agent.1", "/tmp/ssh-2/agent.2"] {
            let environment = [
                "A=b".into(),
                format!("SSH_AUTH_SOCK={agent}").as_str().into(),
            ];
            link.point_to(&agent_of(&environment).unwrap()).unwrap();
            assert_eq!(std::fs::read_link(&link.0).unwrap(), Path::new(agent));
        }
        let own = agent_of(&[link.entry()]).unwrap();
        link.point_to(&own).unwrap();
        assert_eq!(
            std::fs::read_link(&link.0).unwrap(),
            Path::new("/tmp/ssh-2/agent.2")
        );
        link.remove();
        assert!(std::fs::symlink_metadata(&link.0).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_relative_agent_is_none() {
        assert_eq!(agent_of(&["SSH_AUTH_SOCK=agent".into()]), None);
        assert_eq!(agent_of(&["SSH_AUTH_SOCK=".into()]), None);
    }
}
