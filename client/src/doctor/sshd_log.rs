//! What sshd's log says of a connection that was cut.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::evidence::SshdRemark;

/// Where distributions have sshd write its log through syslog.
const LOGS: [&str; 3] = ["/var/log/auth.log", "/var/log/secure", "/var/log/messages"];

/// How much of a log's end is read.
const LOG_BYTES: usize = 64 * 1024;

/// The end of the log: of the file that sshd was told to write (`named`), of those of syslog, or of
/// systemd's journal; `None` where none may be read.
#[must_use]
pub fn tail(named: Option<&str>) -> Option<String> {
    let logs = named.into_iter().chain(LOGS);
    let tail = |log: &str| {
        let bytes = read_tail(Path::new(log)).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.contains("Accepted ").then_some(text)
    };
    logs.map(tail)
        .find(Option::is_some)
        .flatten()
        .or_else(journal_tail)
}

/// The end of systemd's journal of sshd; `None` where it may not be read.
fn journal_tail() -> Option<String> {
    let output = Command::new("journalctl")
        .args([
            "-q",
            "--no-pager",
            "-o",
            "cat",
            "-n",
            "300",
            "-t",
            "sshd",
            "-t",
            "sshd-session",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.contains("Accepted ").then_some(text)
}

/// What is said of connections from `address` that ended between the third last login from there
/// (the connection that was cut) and now; the last two logins are the redial's and this one's.
/// `None` where the log does not know so many.
#[must_use]
pub fn remarks(log: &str, address: &str) -> Option<Vec<SshdRemark>> {
    let from = format!("from {address} port ");
    let port_of = |line: &str| {
        let rest = line.split_once(&from)?.1;
        rest.split(' ').next().map(str::to_owned)
    };
    let lines: Vec<&str> = log.lines().collect();
    let logins: Vec<(usize, String)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("Accepted "))
        .filter_map(|(place, line)| Some((place, port_of(line)?)))
        .collect();
    let [.., (place, port), _, _] = &logins[..] else {
        return None;
    };
    let said = format!("{address} port {port}");
    let mut remarks: Vec<SshdRemark> = lines[*place..]
        .iter()
        .filter(|line| {
            line.split_once(&said)
                .is_some_and(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii_digit()))
                || line.contains("; terminating.")
        })
        .filter_map(|line| SshdRemark::of_line(line))
        .collect();
    remarks.dedup();
    Some(remarks)
}

fn read_tail(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES as u64)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_cut_connection_counts() {
        let log = "Accepted publickey for me from 10.0.0.9 port 4000 ssh2: ED25519 x\n\
            Timeout, client not responding from user me 10.0.0.9 port 4000\n\
            Accepted publickey for me from 10.0.0.9 port 4001 ssh2: ED25519 x\n\
            Connection reset by user you 10.0.0.8 port 4001\n\
            Accepted publickey for me from 10.0.0.9 port 4002 ssh2: ED25519 x\n\
            Accepted publickey for me from 10.0.0.9 port 4003 ssh2: ED25519 x\n";
        assert_eq!(remarks(log, "10.0.0.9"), Some(Vec::new()));
        let earlier: String = log
            .lines()
            .take(5)
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(
            remarks(&earlier, "10.0.0.9"),
            Some(vec![SshdRemark::ClientNotResponding])
        );
        assert_eq!(remarks("", "10.0.0.9"), None);
        // It came from another address then, or the log was begun anew.
        assert_eq!(remarks(log, "10.0.0.8"), None);
    }
}
