//! After how long who gives up: the formulas, without a setting's file in sight.

use std::time::Duration;

/// The first retransmission timeout on a fast path (TCP_RTO_MIN in linux/include/net/tcp.h); each
/// next one is twice as long.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(200);

/// The longest retransmission timeout (TCP_RTO_MAX).
const LONGEST_RETRANSMISSION: Duration = Duration::from_secs(120);

/// How much of a way's timeout a heartbeat may use: one may be lost, and the next still comes in
/// time.
const HEARTBEAT_SHARE: f64 = 0.4;

/// The least and the most time that something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// Not sooner than this.
    pub earliest: Duration,
    /// Not later than this.
    pub latest: Duration,
}

/// After how long without a byte ssh's ServerAlive gives up: a message each interval, and the
/// one after the last allowed one is the end (measured: 47.6 s for 12 × 3). `None`: never.
#[must_use]
pub fn server_alive(interval: Duration, count_max: u32) -> Option<Duration> {
    (!interval.is_zero()).then(|| interval.saturating_mul(count_max.saturating_add(1)))
}

/// The same for sshd's ClientAlive, which may take twice as long (OpenSSH 9.2, measured: 96.5 s
/// for 12 × 3). With a count of 0, sshd sends messages but never gives up (sshd_config(5)).
#[must_use]
pub fn client_alive(interval: Duration, count_max: u32) -> Option<Between> {
    if interval.is_zero() || count_max == 0 {
        return None;
    }
    let earliest = interval.saturating_mul(count_max.saturating_add(1));
    Some(Between {
        earliest,
        latest: earliest.saturating_mul(2),
    })
}

/// After how long of idleness TCP keepalive finds a connection dead: the first probe waits for
/// `time`, and each of the probes has `interval` to be answered (tcp(7)).
#[must_use]
pub fn keepalive(time: Duration, probes: u32, interval: Duration) -> Duration {
    time.saturating_add(interval.saturating_mul(probes))
}

/// After how long unacknowledged data make the kernel give up: `retries` repetitions, each timeout
/// twice the one before up to 120 s, and the last one has to pass as well (ip-sysctl,
/// tcp_retries2). On a slow path it takes longer.
#[must_use]
pub fn retransmission(retries: u32) -> Duration {
    let timeouts = (0..=retries).map(|doubled| {
        let factor = 1_u32.checked_shl(doubled).unwrap_or(u32::MAX);
        FIRST_RETRANSMISSION
            .saturating_mul(factor)
            .min(LONGEST_RETRANSMISSION)
    });
    timeouts.fold(Duration::ZERO, Duration::saturating_add)
}

/// The longest interval of messages that keeps a way with this timeout open, one of them lost.
#[must_use]
pub fn heartbeat_for(path_timeout: Duration) -> Duration {
    path_timeout.mul_f64(HEARTBEAT_SHARE)
}

/// What goes over a connection; each kind is also all that come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Packets of any kind: TCP keepalive, ssh's alive messages. All that a middlebox sees.
    Packets,
    /// Data of the channel, which is all that sshd's ChannelTimeout looks at.
    ChannelData,
    /// Typed lines, which are all that a shell's TMOUT looks at.
    Typing,
}

/// What sends something on an idle connection by itself, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// How often.
    pub interval: Duration,
    /// What it sends.
    pub sends: Activity,
}

/// Who may end an idle connection on a path that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// After how long.
    pub after: Duration,
    /// What it needs to see before that.
    pub needs: Activity,
}

impl Limit {
    /// When it cuts an idle connection that these keep alive; `None`: never, as one of them comes
    /// sooner each time.
    #[must_use]
    pub fn cuts_after(&self, keepers: &[Keeper]) -> Option<Duration> {
        let is_kept = keepers
            .iter()
            .any(|keeper| keeper.interval < self.after && keeper.sends >= self.needs);
        (!is_kept).then_some(self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_kernels_defaults_are_a_quarter_of_an_hour_and_two_hours() {
        assert_eq!(keepalive(seconds(7_200), 9, seconds(75)), seconds(7_875));
        assert_eq!(retransmission(15), Duration::from_millis(924_600));
        // 13.9 s were measured, with the delay until the error is seen.
        assert_eq!(retransmission(5), Duration::from_millis(12_600));
        assert!(retransmission(u32::from(u8::MAX)) < Duration::MAX);
    }

    #[test]
    fn alive_messages_take_one_interval_more_than_their_count() {
        // 47.6 s were measured.
        assert_eq!(server_alive(seconds(12), 3), Some(seconds(48)));
        assert_eq!(server_alive(seconds(0), 3), None);
        // 96.5 s were measured.
        let measured = Duration::from_millis(96_500);
        let predicted = client_alive(seconds(12), 3).unwrap();
        assert!(predicted.earliest <= measured);
        assert!(measured <= predicted.latest + seconds(1));
        assert_eq!(client_alive(seconds(12), 0), None);
    }

    #[test]
    fn the_shorter_limit_wins_unless_something_keeps_it_off() {
        let nat = Limit {
            after: seconds(10),
            needs: Activity::Packets,
        };
        let channel = Limit {
            after: seconds(20),
            needs: Activity::ChannelData,
        };
        let shell = Limit {
            after: seconds(30),
            needs: Activity::Typing,
        };
        let alive = Keeper {
            interval: seconds(4),
            sends: Activity::Packets,
        };
        let heartbeat = Keeper {
            sends: Activity::ChannelData,
            ..alive
        };
        let late = Keeper {
            interval: seconds(12),
            ..heartbeat
        };
        for (keepers, first) in [
            (&[][..], Some(10)),
            // Alive messages keep the NAT awake, and ChannelTimeout does not look at them.
            (&[alive], Some(20)),
            (&[heartbeat], Some(30)),
            (&[late], Some(10)),
            (&[late, alive], Some(30)),
        ] {
            let cuts = [channel, nat, shell].map(|limit| limit.cuts_after(keepers));
            let soonest = cuts.into_iter().flatten().min();
            assert_eq!(soonest, first.map(seconds), "{keepers:?}");
        }
    }

    #[test]
    fn two_heartbeats_fit_into_the_ways_timeout() {
        assert_eq!(heartbeat_for(seconds(350)), seconds(140));
        assert!(heartbeat_for(seconds(30)) * 2 < seconds(30));
    }
}
