//! A command that is run for what it prints, and not waited for when it hangs.

use std::ffi::OsStr;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Runs a command without input, in a process group of its own, until its end or for `within`:
/// then it is killed. `None` when it cannot be run or took longer.
pub async fn output<S: AsRef<OsStr>>(argv: &[S], within: Duration) -> Option<Output> {
    let (program, arguments) = argv.split_first()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let output = tokio::time::timeout(within, command.output()).await;
    output.ok()?.ok()
}

/// What a command that succeeds prints; `None` when it does not.
pub async fn words<S: AsRef<OsStr>>(argv: &[S], within: Duration) -> Option<String> {
    let output = output(argv, within).await?;
    let is_good = output.status.success();
    is_good.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_hangs_or_fails_says_nothing() {
        let second = Duration::from_secs(1);
        assert_eq!(
            words(&["echo", "here"], 30 * second).await.as_deref(),
            Some("here\n")
        );
        assert_eq!(words(&["sleep", "600"], second / 100).await, None);
        assert_eq!(words(&["false"], 30 * second).await, None);
        assert_eq!(words::<&str>(&[], second).await, None);
        assert_eq!(words(&["/nowhere/at/all"], second).await, None);
    }
}
