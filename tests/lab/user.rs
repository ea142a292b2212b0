//! Somebody who works at the other end of the lab.

use std::time::{Duration, Instant};

use psess_harness::{Counter, Lab, Terminal, World};

/// How long a user is ready to wait for the first echo once a redial is possible.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(2);

/// A user who types numbered keys into a program that prints numbered lines, at the other end of
/// the lab.
pub(crate) struct User {
    pub(crate) terminal: Terminal,
    counter: Counter,
    next_key: u64,
}

impl User {
    /// Begins a session of this name.
    pub(crate) fn new(world: &World, lab: &Lab, name: &str, lines_every_ms: Option<u32>) -> Self {
        let mut counter = Counter::new(world.path(name)).expect("the lab needs python3 too");
        if let Some(ms) = lines_every_ms {
            counter = counter.with_lines_every_ms(ms);
        }
        let mut terminal = Terminal::new();
        let words = ["new", &format!("server:{name}"), "--"].map(str::to_owned);
        terminal.run(lab.psess(world, words.into_iter().chain(counter.command())));
        terminal.wait_for("the program prints", |screen| {
            screen
                .all_rows()
                .iter()
                .any(|row| row == "ready")
                .then_some(())
        });
        Self {
            terminal,
            counter,
            next_key: 0,
        }
    }

    pub(crate) fn type_key(&mut self) {
        self.terminal.type_keys(format!("{};", self.next_key));
        self.next_key += 1;
    }

    /// Types a key every 50 ms for so long.
    pub(crate) fn type_for(&mut self, duration: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < duration {
            self.type_key();
            // The pace of somebody's fingers.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types one more key, and gives the time until it is answered.
    pub(crate) fn echo(&mut self, limit: Duration) -> Duration {
        self.type_key();
        self.wait_for_last(limit)
    }

    /// The time until the key typed last is answered.
    pub(crate) fn wait_for_last(&self, limit: Duration) -> Duration {
        let begin = Instant::now();
        let last = format!("key {}", self.next_key - 1);
        self.terminal
            .wait_within(limit, &format!("an answer to {last}"), |screen| {
                screen.all_rows().contains(&last).then_some(())
            });
        begin.elapsed()
    }

    /// Ends the program, and asserts that nothing is missing, doubled or out of order, and that
    /// no banner is left.
    pub(crate) fn finish(mut self) {
        self.terminal.type_keys("q");
        assert_eq!(self.terminal.wait_exit().code(), Some(0));
        let keys: Vec<u64> = (0..self.next_key).collect();
        assert_eq!(
            self.counter.keys(),
            keys.iter().map(u64::to_string).collect::<Vec<_>>()
        );
        assert_eq!(self.terminal.look(Counter::echoes), keys);
        let lines = self.terminal.look(Counter::lines);
        assert_eq!(lines, (0..lines.len() as u64).collect::<Vec<_>>());
        let all = self.terminal.look(|screen| screen.all_rows().join("\n"));
        assert!(!all.contains("no contact"), "{all}");
    }
}
