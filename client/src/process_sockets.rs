//! The sockets of a process, as procfs shows them.

use std::fs;

/// The inodes of its sockets (proc_pid_fd(5)); none where there is no procfs, or it is another
/// user's.
#[must_use]
pub(crate) fn of(process: u32) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
    let targets = descriptors.into_iter().flatten().flatten();
    targets
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .filter_map(|target| inode(target.to_str()?))
        .collect()
}

fn inode(target: &str) -> Option<String> {
    let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    Some(inode.to_owned())
}
