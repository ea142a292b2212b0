//! What the kernel thinks of a process's TCP connection, by `ss` (iproute2).

use std::time::Duration;

use super::bounded_command;
use super::evidence::TcpState;

const WITHIN: Duration = Duration::from_secs(2);

/// The state of the process's established connection; `None` where there is none, or no `ss`.
pub async fn of_process(id: u32) -> Option<TcpState> {
    let argv = ["ss", "-tinpoH", "state", "established"];
    parse(&bounded_command::words(&argv, WITHIN).await?, id)
}

/// Each connection is a line, and one with its details that begins with a tab.
fn parse(output: &str, id: u32) -> Option<TcpState> {
    let owner = format!("pid={id},");
    let mut lines = output.lines().skip_while(|line| !line.contains(&owner));
    let connection = lines.next()?;
    let details = lines.next().filter(|line| line.starts_with(['\t', ' ']));
    let details = details.unwrap_or_default();
    let after = |text: &str, name: &str| {
        let rest = text.split_once(name)?.1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let backoff = after(details, "backoff:").unwrap_or(0);
    Some(TcpState {
        retransmitting: connection.contains("timer:(on,") && backoff > 0,
        backoff: u32::try_from(backoff).unwrap_or(u32::MAX),
        send_queue: connection
            .split_whitespace()
            .nth(1)
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_nobody_acknowledges_shows_its_backoff() {
        let output = "0 36 10.0.1.2:41234 203.0.113.10:22 users:((\"ssh\",pid=77,fd=3)) \
            timer:(on,3.2sec,5)\n\
            \t cubic wscale:7,7 rto:6784 backoff:5 rtt:0.08/0.03 cwnd:1 unacked:1 lost:1\n\
            0 0 10.0.1.2:41236 203.0.113.10:22 users:((\"ssh\",pid=78,fd=3))\n\
            \t cubic wscale:7,7 rto:201 rtt:0.06/0.02 cwnd:10\n";
        let stuck = parse(output, 77).unwrap();
        assert_eq!(
            (stuck.retransmitting, stuck.backoff, stuck.send_queue),
            (true, 5, 36)
        );
        assert_eq!(parse(output, 78), Some(TcpState::default()));
        assert_eq!(parse(output, 7), None);
    }
}
