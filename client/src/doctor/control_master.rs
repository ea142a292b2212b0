//! Whether a connection goes through a master that several share, and whether that one answers or
//! has died unnoticed.
//!
//! `ssh -O check` says that a master runs although its path is dead (OpenSSH 9.2), so the one way
//! to know is to go through it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::bounded_command;
use super::ssh_settings::SshSettings;
use crate::process_sockets;
use crate::transport::Transport;

/// Nobody waits longer for a shell to say nothing. A new session on a master takes a few round
/// trips.
const WITHIN: Duration = Duration::from_secs(6);

/// What lies behind a ControlPath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMaster {
    /// No socket: no master runs now.
    Absent,
    /// A session on it came up.
    Works,
    /// Nothing came through it for so long.
    Hangs(Duration),
}

impl ControlMaster {
    /// Dials through the master of this host, if one runs; `None` where ssh is told of none.
    pub async fn ask(transport: &Transport, settings: &SshSettings) -> Option<Self> {
        let path = settings.control_path.as_ref()?;
        if !Path::new(path).exists() {
            let is_wanted = settings.control_master.is_some();
            return is_wanted.then_some(Self::Absent);
        }
        let option = format!("ControlPath={path}");
        let argv = transport.run_argv(&[&option], "exit 0")?;
        let start = Instant::now();
        match bounded_command::output(&argv, WITHIN).await {
            Some(_) => Some(Self::Works),
            None => Some(Self::Hangs(start.elapsed())),
        }
    }
}

/// Whether this ssh process hands its work to a master: it has neither a connection to the network
/// nor a ProxyCommand that has one, but a socket of this machine. `false` where there is no
/// procfs.
#[must_use]
pub fn is_used_by(process: u32) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}"));
    let Ok(children) = read(&format!("task/{process}/children")) else {
        return false;
    };
    let Ok(unix) = read("net/unix") else {
        return false;
    };
    let unix = inodes(&unix);
    let sockets = process_sockets::of(process);
    let is_local = |socket: &String| unix.contains(socket.as_str());
    children.trim().is_empty() && !sockets.is_empty() && sockets.iter().all(is_local)
}

/// The inodes of `/proc/net/unix` (proc_net(5)): the seventh column.
fn inodes(unix: &str) -> HashSet<&str> {
    unix.lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(6))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    use super::*;

    /// Whether a process with this socket for its input looks as one with a master does.
    fn seems_shared(socket: impl Into<std::os::fd::OwnedFd>) -> bool {
        let mut process = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(socket.into()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let found = is_used_by(process.id());
        process.kill().unwrap();
        process.wait().unwrap();
        found
    }

    #[test]
    fn a_process_that_has_only_sockets_of_this_machine_uses_a_master() {
        let (near, _far) = UnixStream::pair().unwrap();
        assert!(seems_shared(near));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!seems_shared(stream));
        assert!(!is_used_by(0), "there is no such process");
    }
}
