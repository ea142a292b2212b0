//! The line that says what is being waited for, when a host takes long to answer.

use std::fs;
use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

/// How long a host may take before something is said.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Whether it was said on the user's terminal already. It is a whole line, so that whatever comes
/// next, of ssh's or of psess's, begins on one of its own.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    was_said: bool,
}

impl Waiting {
    /// Nothing is said: nobody is there to read it.
    pub(crate) fn in_silence() -> Self {
        Self { was_said: true }
    }

    /// Waits for `answer`, and says so once when that takes long, but not while `asks` says that
    /// the terminal is another's, who asks the user something: then it is the user who takes long.
    pub(crate) async fn for_answer<T>(
        &mut self,
        answer: impl Future<Output = T>,
        asks: impl Fn() -> bool,
        say: impl FnOnce(),
    ) -> T {
        let mut answer = pin!(answer);
        while !self.was_said {
            match tokio::time::timeout(PATIENCE, &mut answer).await {
                Ok(answer) => return answer,
                Err(_) if asks() => {}
                Err(_) => {
                    self.was_said = true;
                    say();
                    break;
                }
            }
        }
        answer.await
    }
}

/// Says on the user's terminal that `place` is waited for.
pub(crate) fn say(place: &impl std::fmt::Display) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // The terminal may be gone: there is nobody to tell then.
        let _ = writeln!(
            stderr,
            "psess: waiting for {place} to answer; Ctrl-C gives up"
        );
    }
}

/// Whether this process, or one that it started (a jump host's ssh), holds a terminal open: ssh
/// does while it asks the user something, and only then, as its own three descriptors are pipes
/// here. Where that cannot be known, it may.
pub(crate) fn holds_terminal(process: u32) -> bool {
    let Ok(children) = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))
    else {
        return true;
    };
    let is_terminal = |target: &std::path::Path| {
        target.starts_with("/dev/pts") || target.to_str().is_some_and(|t| t.starts_with("/dev/tty"))
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
    let mut targets = descriptors
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    let mut children = children.split_whitespace();
    targets.any(|target| is_terminal(&target))
        || children.any(|child| child.parse().is_ok_and(holds_terminal))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_and_only_when_it_takes_long() {
        let said = Cell::new(0);
        let mut waiting = Waiting::default();
        let mut wait = async |seconds| {
            let answer = tokio::time::sleep(Duration::from_secs(seconds));
            let say = || said.set(said.get() + 1);
            waiting.for_answer(answer, || false, say).await;
            said.get()
        };
        assert_eq!(wait(2).await, 0);
        assert_eq!(wait(3).await, 1);
        assert_eq!(wait(30).await, 1, "a second time it is known");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_asked_is_not_disturbed() {
        let asked = tokio::time::Instant::now();
        let asks = || asked.elapsed() < Duration::from_secs(20);
        let answer = tokio::time::sleep(Duration::from_secs(30));
        let said = Cell::new(None);
        let say = || said.set(Some(asked.elapsed()));
        Waiting::default().for_answer(answer, asks, say).await;
        assert!(said.get().is_some_and(|after| after.as_secs() >= 20));
    }

    #[test]
    fn a_process_whose_child_opened_a_terminal_may_be_asking() {
        let terminal = psess_harness::Terminal::new();
        let path = terminal.path().display().to_string();
        for (script, expected) in [
            ("echo; cat", false),
            (&*format!("sh -c 'exec 3<>{path}; echo; cat'; :"), true),
        ] {
            let mut process = Command::new("sh")
                .args(["-c", script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("sh is there");
            let mut line = [0];
            let stdout = process.stdout.as_mut().expect("a pipe");
            std::io::Read::read_exact(stdout, &mut line).expect("it speaks");
            assert_eq!(holds_terminal(process.id()), expected, "{script}");
            drop(process.stdin.take());
            process.wait().expect("it ends with its input");
        }
        assert!(holds_terminal(0), "there is no such process");
    }
}
