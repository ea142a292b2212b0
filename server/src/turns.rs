//! Sessions that print without end take turns.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Tasks that a key goes through, one waking the next.
const HOPS: usize = 2;

/// Whose turn it is, among the sessions of a server that have had a part of their output handled
/// and have more: all others come between any two of them. So a key waits for one of them, not
/// for all.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Waits for a turn, and until whatever else is ready was handled: a key's connection, and then
    /// the session that it wakes.
    pub(crate) async fn next(&self) {
        let turn = self.0.acquire().await;
        for _ in 0..HOPS {
            tokio::task::yield_now().await;
        }
        drop(turn);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_a_key_wakes_comes_before_the_next_turn() {
        let turns = Turns::new();
        let taken = Arc::new(AtomicUsize::new(0));
        let flood = tokio::spawn({
            let (turns, taken) = (turns.clone(), taken.clone());
            async move {
                loop {
                    taken.fetch_add(1, Ordering::Relaxed);
                    turns.next().await;
                }
            }
        });
        let (connection, mut keys) = mpsc::channel(1);
        let (session, mut input) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(key) = keys.recv().await {
                session.send(key).await.expect("it is read");
            }
        });
        for key in 0..100 {
            tokio::task::yield_now().await;
            let before = taken.load(Ordering::Relaxed);
            connection.send(key).await.expect("it is read");
            assert_eq!(input.recv().await, Some(key));
            let between = taken.load(Ordering::Relaxed) - before;
            assert!(
                between == 0,
                "{between} turns between key {key} and its session"
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
        for _ in 0..12 * HOPS {
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
