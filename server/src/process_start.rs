//! When a process began: what tells it from a later one with its number.

use std::fs;

/// When the process `pid` began, in seconds since 1970; `None` when there is none.
pub(crate) fn of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    Some(boot_time(&machine)? + ticks(&stat)? / rustix::param::clock_ticks_per_second())
}

/// When the machine was started, in seconds since 1970: `btime` of proc_stat(5).
fn boot_time(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// How long after that the process began, in ticks of the clock: field 22 of proc_pid_stat(5). Its
/// name, field 2, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::unix_time;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "7 (a ) 1 (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(ticks(stat), Some(4711));
        assert_eq!(ticks("7 (sh) S 1"), None);
        assert_eq!(
            boot_time("cpu 1 2\nbtime 1700000000\n"),
            Some(1_700_000_000)
        );
    }

    #[test]
    fn this_process_began_a_moment_ago() {
        let began = of(std::process::id()).expect("it runs");
        assert!(began.abs_diff(unix_time()) < 3600, "{began}");
    }
}
