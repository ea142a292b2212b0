//! Sessions that print without end take turns.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Whose turn it is, among the sessions of a server that have had a part of their output handled
/// and have more: all others come between any two of them. So a key waits for one of them, not
/// for all.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Waits for a turn, and until whatever else is ready was handled: a session that has a key to
    /// read, say.
    pub(crate) async fn next(&self) {
        let turn = self.0.acquire().await;
        tokio::task::yield_now().await;
        drop(turn);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use psess_descriptor::Source;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_a_key_wakes_comes_before_the_next_turn() {
        let turns = Turns::new();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let flood = tokio::spawn({
            let (turns, taken) = (turns.clone(), taken.clone());
            async move {
                loop {
                    taken.fetch_add(1, Ordering::Relaxed);
                    turns.next().await;
                }
            }
        });
        let (user, keys) = UnixStream::pair().expect("sockets");
        let keys = Source::new(keys.into()).expect("a source");
        let (program, mut told) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok(1) = keys.read(&mut [0]).await {
                let now = taken.load(Ordering::Relaxed);
                program.send(now).await.expect("it is read");
            }
        });
        for key in 0..100 {
            tokio::task::yield_now().await;
            let then = count.load(Ordering::Relaxed);
            (&user).write_all(b"x").expect("it is taken");
            let turns = told.recv().await.expect("it is passed on") - then;
            // One may be about to begin.
            assert!(
                turns <= 1,
                "{turns} turns between key {key} and its session"
            );
        }
        flood.abort();
    }

    #[tokio::test]
    async fn what_is_not_a_flood_comes_between_any_two_turns() {
        let turns = Turns::new();
        let order = Arc::new(Mutex::new(String::new()));
        let note = |letter| {
            let order = order.clone();
            move || order.lock().expect("no panic").push(letter)
        };
        let over = Arc::new(AtomicBool::new(false));
        let floods = ['a', 'b', 'c'].map(|letter| {
            let (turns, over, note) = (turns.clone(), over.clone(), note(letter));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    note();
                    turns.next().await;
                }
            })
        });
        let note = note('.');
        for _ in 0..12 {
            note();
            tokio::task::yield_now().await;
        }
        over.store(true, Ordering::Relaxed);
        for flood in floods {
            flood.await.expect("it ends");
        }
        let order = order.lock().expect("no panic");
        let between: Vec<&str> = order.split('.').collect();
        // All begin at once.
        let (begin, turns) = between.split_at(2);
        assert_eq!(begin.concat(), "abc", "{order}");
        assert!(turns[..8].iter().all(|turn| turn.len() <= 1), "{order}");
        assert!(turns.concat().starts_with("abcabc"), "{order}");
    }
}
