//! A timer that is set for each key and hardly ever rings.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

/// A timer of a time so far away is not left as it is where there is nothing to ring for any more: it
/// would wake who has long been idle. Nearer ones are about to be set again.
const FAR: Duration = Duration::from_secs(1);

/// Wakes its task at a time, or a little before: a time that moves away leaves it as it is set,
/// since setting a timer of the runtime costs a system call where it is the next one to ring.
#[derive(Debug, Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When it rings, if it is set.
    set: Option<Instant>,
}

impl Alarm {
    /// Ready at `time` at the latest. Pending: the task is woken then. It may be asked for another
    /// time each time; `None` is never.
    pub fn poll(&mut self, cx: &mut Context<'_>, time: Option<Instant>) -> Poll<()> {
        let Some(time) = time else {
            let now = tokio::time::Instant::now().into_std();
            if self.set.is_some_and(|set| set > now + FAR) {
                (self.sleep, self.set) = (None, None);
            }
            return Poll::Pending;
        };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if self.set.is_none_or(|set| set > time) {
                    sleep.as_mut().reset(time.into());
                    self.set = Some(time);
                }
                sleep
            }
            None => {
                self.set = Some(time);
                self.sleep.insert(Box::pin(sleep_until(time.into())))
            }
        };
        ready!(sleep.as_mut().poll(cx));
        self.set = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_rings_in_time_however_the_time_moves() {
        let mut alarm = Alarm::default();
        let begin = tokio::time::Instant::now();
        let at = |seconds: u32| Some((begin + SECOND * seconds).into_std());
        let mut poll_once = async |time| {
            let polled = poll_fn(|cx| Poll::Ready(alarm.poll(cx, time)));
            polled.await.is_ready()
        };
        assert!(!poll_once(None).await);
        assert!(!poll_once(at(5)).await);
        assert!(!poll_once(at(9)).await);
        assert!(!poll_once(at(3)).await);
        tokio::time::advance(SECOND * 4).await;
        assert!(poll_once(at(3)).await);
        assert!(!poll_once(at(9)).await);
        assert!(!poll_once(None).await);
        tokio::time::advance(SECOND * 6).await;
        assert!(poll_once(at(9)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_woken_where_there_is_nothing_to_ring_for() {
        let mut alarm = Alarm::default();
        let begin = tokio::time::Instant::now();
        for (ahead, stays) in [(SECOND / 10, true), (SECOND * 20, false)] {
            let time = Some((begin + ahead).into_std());
            let first = poll_fn(|cx| Poll::Ready(alarm.poll(cx, time))).await;
            let then = poll_fn(|cx| Poll::Ready(alarm.poll(cx, None))).await;
            assert!(first.is_pending() && then.is_pending());
            assert_eq!(alarm.set.is_some(), stays, "{ahead:?} ahead");
            alarm = Alarm::default();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken() {
        let mut alarm = Alarm::default();
        let begin = tokio::time::Instant::now();
        poll_fn(|cx| alarm.poll(cx, Some((begin + SECOND).into_std()))).await;
        assert_eq!(begin.elapsed(), SECOND);
    }
}
