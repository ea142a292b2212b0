//! What a session takes is bounded, whatever its program prints.

use std::fs;
use std::time::Duration;

use psess_harness::{World, eventually, eventually_within};

use crate::world;

/// What a session may take: 32 MiB of output for clients that come back, 8 MiB of history, a
/// replay of that which is written to the journal, and what the allocator keeps.
const MOST: u64 = 64 << 20;

/// Much is printed, on machines that may be busy.
const LONG: Duration = Duration::from_secs(180);

#[test]
fn memory_is_bounded_whatever_a_program_prints() {
    let world = world();
    world.succeed(["new", "-d", "quiet", "--", "sleep", "1000"]);
    for (name, print) in [
        (
            "title",
            r"printf '\033]0;'; head -c 104857600 /dev/zero | tr '\0' x; printf '\007'",
        ),
        (
            "device-control",
            r"printf '\033P+q'; head -c 104857600 /dev/zero | tr '\0' 4; printf '\033\\'",
        ),
        (
            "combining",
            r"printf e; yes $(printf '\314\201') | tr -d '\n' | head -c 2000000",
        ),
        (
            "nested",
            r"yes $(printf '\033[>31u\0337\033[?1049h\033[22;0t\033]8;id=x;http://y\007') | head -n 10000",
        ),
        (
            "links",
            r"i=0; while [ $i -lt 10000 ]; do i=$((i+1)); printf '\033]8;;http://%s/%0900d\007x\n' $i 0; done",
        ),
    ] {
        let before = share(&world);
        let done = world.path(name);
        let script = format!("{print}; touch {}; exec sleep 1000", done.display());
        world.succeed(["new", "-d", name, "--", "sh", "-c", &script]);
        eventually_within(LONG, name, || done.exists().then_some(()));
        let after = share(&world);
        println!(
            "{name}: {} KiB before, {} KiB after",
            before >> 10,
            after >> 10
        );
        assert!(
            after < before + MOST,
            "{name}: {before} bytes, then {after}"
        );
    }
    let kept = world.succeed(["list"]);
    assert_eq!(kept.lines().count(), 6, "{kept}");
}

/// The server's share of the memory, in bytes (proc_pid_smaps(5)).
fn share(world: &World) -> u64 {
    eventually("the server tells its memory", || {
        let server = world.role("server").pop()?;
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", server.pid)).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib << 10)
    })
}
