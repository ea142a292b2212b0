//! What a process takes of the machine, as the kernel tells it.

use psess_protocol::message::ProcessUsage;

/// What the process `pid` takes, whose build and start its caller knows.
pub(crate) fn of(pid: u32, build: &str, started: u64) -> ProcessUsage {
    // A kernel without it, or a process of more privileges, tells nothing.
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    ProcessUsage {
        build: build.to_owned(),
        started,
        pss: pss(&rollup),
    }
}

/// The proportional share in bytes of a file as of proc_pid_smaps(5).
fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_memory_is_read() {
        let rollup = "55f0-7ffc ---p 00000000 00:00 0    [rollup]\n\
            Rss:                 892 kB\nPss:                 103 kB\nPss_Dirty:   44 kB\n";
        assert_eq!(pss(rollup), Some(103 << 10));
        assert_eq!(pss(""), None);
    }
}
