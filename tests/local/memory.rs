//! What a session takes is bounded, whatever its program prints.

use std::fs;

use psess_harness::{Finished, World, eventually, eventually_within};

use crate::{LONG, world};

/// What a session may take: 32 MiB of output for clients that come back, 8 MiB of history, a
/// replay of that which is written to the journal, and what the allocator keeps.
const MOST: u64 = 64 << 20;

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
            "modes",
            r"seq 10000 | sed s,.*,$(printf '\033[?&h\033[?&s\033[>&u\033]2;&\007\033[22;0t\033]8;id=&;http:&\007'),",
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
    assert_eq!(kept.lines().count(), 7, "{kept}");
}

#[test]
fn all_histories_stay_within_the_budget_and_small_ones_keep_all_their_lines() {
    const BUDGET: f64 = 6.0;
    const SMALL: [&str; 5] = ["small-1", "small-2", "small-3", "small-4", "small-5"];
    let world = world();
    let start = |name: &str, print: &str| {
        let done = world.path(name);
        let script = format!("{print}; touch {}; exec sleep 1000", done.display());
        let mut command = world.psess(["new", "-d", name, "--", "sh", "-c", &script]);
        // The first of them starts the keeper.
        command
            .env("PSESS_HISTORY_BUDGET", "6M")
            .env("PSESS_HISTORY_LINES", "100000")
            .env("PSESS_HISTORY_BYTES", "2M");
        let started = Finished::of(command);
        assert_eq!(started.status, Some(0), "{started:?}");
        eventually_within(LONG, name, || done.exists().then_some(()));
    };
    for name in SMALL {
        start(name, "seq 1000");
    }
    for number in 1..=15 {
        let name = format!("large-{number}");
        // Which cannot be packed.
        start(&name, "base64 -w 60 /dev/urandom | head -n 40000");
        println!("{name}: {:.2} MiB in all", histories(&world));
    }
    let kept = || (histories(&world) <= BUDGET).then_some(());
    eventually("the histories fit into the budget", kept);
    let has_all_lines = |name: &str| {
        let terminal = world.open(["attach", name, "--history", "all"]);
        terminal.wait_for(name, |screen| {
            let rows = screen.all_rows();
            let numbers = rows.iter().filter_map(|row| row.parse::<u32>().ok());
            numbers.eq(1..=1000).then_some(())
        });
    };
    SMALL.into_iter().for_each(has_all_lines);
    // It is used, too: but for an eighth, and for less than a step and a block of each session.
    let all = histories(&world);
    assert!(all > BUDGET * 7.0 / 8.0 - 20.0 * 3.0 / 32.0, "{all}");
    // A server that takes all of them over keeps to it as well.
    let killed = world.role("server").pop().expect("the server runs");
    killed.kill();
    eventually("there is another server", || {
        let servers = world.role("server");
        servers
            .iter()
            .any(|server| server.pid != killed.pid)
            .then_some(())
    });
    eventually("the histories fit into the budget", kept);
    SMALL.into_iter().for_each(has_all_lines);
}

/// What all histories take, in MiB, as the user is told.
fn histories(world: &World) -> f64 {
    let status = world.succeed(["server", "status"]);
    let (_, table) = status.split_once("journal\n").expect("a table");
    let rows = table.lines().map(|row| {
        let mut words = row.split_whitespace().skip(3);
        let number: f64 = words.next().and_then(|word| word.parse().ok()).expect(row);
        let unit = match words.next() {
            Some("B") => 1.0 / f64::from(1 << 20),
            Some("KiB") => 1.0 / 1024.0,
            Some("MiB") => 1.0,
            other => panic!("{other:?} in {status}"),
        };
        number * unit
    });
    rows.sum()
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
