//! A program and all that it started: what is signalled at once.

use rustix::process::{Pid, Signal, kill_process_group};

/// Signals a process group. What is to end it is followed by SIGCONT, as on closing a terminal: a
/// stopped process takes nothing else before it continues.
pub(crate) fn signal(group: Pid, signal: Signal) {
    // Fails when all of the group ended meanwhile, or changed its user: as kill(1) would.
    let _ = kill_process_group(group, signal);
    if signal == Signal::HUP || signal == Signal::TERM {
        let _ = kill_process_group(group, Signal::CONT);
    }
}
