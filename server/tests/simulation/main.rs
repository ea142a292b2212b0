//! Clients' links and a session, through thousands of random cuts.
//!
//! They are the real state machines; the network between them, the users, their terminals and
//! the program are made of a seed, and so is time. Whatever happens, what a user's terminal got
//! is the program's output, and what the program read is what was typed.
//!
//! `PSESS_SIMULATIONS` says how many scenarios to run, `PSESS_SIMULATION_SEED` runs a single one.

mod chance;
mod client;
mod network;
mod program;
#[path = "../record/mod.rs"]
mod record;
mod scene;
mod server;
mod trouble;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use network::{Cut, Way};
use world::{CUTS_OF_STALLED, Tally, World};

/// What is run where nothing else is asked for.
const SCENARIOS: u64 = 100_000;

/// Bytes of a connection that are each cut once: the hellos, an attach with its answer, a replay,
/// input and acknowledgements.
const CUTS: u64 = 500;

#[test]
fn what_is_shown_was_printed_and_what_is_read_was_typed() {
    if let Some(seed) = number("PSESS_SIMULATION_SEED") {
        World::of_seed(seed).run();
        return;
    }
    let scenarios = number("PSESS_SIMULATIONS").unwrap_or(SCENARIOS);
    let tally = run_all(scenarios, "PSESS_SIMULATION_SEED", |seed| {
        World::of_seed(seed).run()
    });
    println!("{scenarios} scenarios: {tally:?}");
    assert!(
        tally.redials > scenarios && tally.restarts > scenarios / 4,
        "too little happened"
    );
}

#[test]
fn a_cut_at_any_byte_loses_nothing() {
    let tally = run_all(8 * CUTS, "cut", |number| {
        let cut = Cut {
            way: [Way::Up, Way::Down][(number % 2) as usize],
            at: (number / 8) as usize,
            silent: number % 8 >= 4,
        };
        World::with_cut(number, cut, number % 4 >= 2).run()
    });
    println!("{} cuts: {tally:?}", 8 * CUTS);
    assert!(
        tally.redials >= 8 * CUTS && tally.cuts > 6 * CUTS && tally.unacknowledged > CUTS / 4,
        "too little happened"
    );
}

/// The first connection is silent for some seconds while the program prints all the time. The
/// second takes over before, while or after the first speaks again.
#[test]
fn a_connection_that_floods_while_another_takes_over_is_not_heard() {
    let tally = run_all(TAKEOVERS, "takeover", |seed| {
        World::with_takeover(seed).run()
    });
    println!("{TAKEOVERS} takeovers: {tally:?}");
    assert!(tally.redials > TAKEOVERS / 3, "too little happened");
}

/// A connection falls silent after it asked to attach; a younger one takes over; then its request
/// arrives.
#[test]
fn an_older_generation_that_arrives_last_is_refused() {
    let tally = run_all(TAKEOVERS, "late", |seed| {
        World::with_late_attach(seed).run()
    });
    println!("{TAKEOVERS} late requests: {tally:?}");
    assert!(tally.refused > TAKEOVERS / 3, "too little happened");
}

#[test]
fn what_no_longer_fits_the_log_is_skipped_and_the_picture_is_exact() {
    let count = BROKEN_OFF.len() as u64;
    let tally = run_all(count, "overflow", |seed| {
        let (within, at) = BROKEN_OFF[seed as usize];
        World::with_overflow(seed, within, at).run()
    });
    assert_eq!(tally.replays, 2 * count, "one to attach, one to catch up");
}

/// Each connection begins with some credit, as nothing is known of its client.
#[test]
fn a_terminal_that_stands_still_is_sent_no_more_however_often_the_link_is_cut() {
    let tally = run_all(STALLED, "stalled", |seed| {
        World::with_stalled_terminal(seed).run()
    });
    println!("{STALLED} terminals that stood still: {tally:?}");
    assert_eq!(tally.redials, STALLED * CUTS_OF_STALLED);
}

/// Where the output stands when more was printed than is kept: within a character, an escape
/// sequence, a string.
const BROKEN_OFF: [(&str, usize); 8] = [
    ("ä", 1),
    ("日", 1),
    ("日", 2),
    ("\x1b[1;31m", 1),
    ("\x1b[1;31m", 2),
    ("\x1b[1;31m", 4),
    ("\x1b]0;title\x1b\\", 7),
    ("\x1b]0;title\x1b\\", 10),
];

/// Terminals that stand still.
const STALLED: u64 = 30;

/// Takeovers of each kind.
const TAKEOVERS: u64 = 150;

/// Runs scenarios on all processors. Those that fail say so by themselves; `name` and number of
/// the first are repeated at the end.
fn run_all(count: u64, name: &str, scenario: impl Fn(u64) -> Tally + Sync) -> Tally {
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(u64::MAX);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || failed.load(Ordering::Relaxed) != u64::MAX {
                        break;
                    }
                    match catch_unwind(AssertUnwindSafe(|| scenario(number))) {
                        Ok(tally) => *total.lock().expect("nobody panics with it") += tally,
                        Err(_) => {
                            failed.fetch_min(number, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(failed == u64::MAX, "failed: {name}={failed}");
    total.into_inner().expect("nobody panicked with it")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}
