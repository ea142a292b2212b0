//! Tells when connections may have died without a sign: the machine slept, or its addresses or
//! routes changed. What it cannot watch, it never reports.

#[cfg(target_os = "linux")]
pub use linux::{NetworkWatch, clocks};
#[cfg(not(target_os = "linux"))]
pub use nothing::{NetworkWatch, clocks};

#[cfg(target_os = "linux")]
mod linux {
    use std::future::poll_fn;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::time::Duration;

    use psess_descriptor::Source;
    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    use rustix::time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
    };

    use crate::sleep_watch::{Clocks, SleepWatch};

    /// RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR (rtnetlink(7)). IPv6 routes
    /// are left out: router advertisements renew them every few minutes, and nothing changed.
    const GROUPS: u32 = 0x10 | 0x40 | 0x100;

    /// The machine's sleep and its network.
    #[derive(Debug)]
    pub struct NetworkWatch {
        routes: Option<Source>,
        clock: Option<Source>,
        sleep: SleepWatch,
    }

    impl NetworkWatch {
        /// Begins to watch.
        ///
        /// # Panics
        /// Outside of a runtime with I/O.
        #[must_use]
        pub fn new() -> Self {
            let register = |fd: rustix::io::Result<OwnedFd>| Source::new(fd.ok()?).ok();
            Self {
                routes: register(route_socket()),
                clock: register(clock_timer()),
                sleep: SleepWatch::new(clocks()),
            }
        }

        /// Waits for the next change. May be dropped without loss.
        pub async fn changed(&mut self) {
            loop {
                let routes_changed = tokio::select! {
                    () = drained(self.routes.as_ref()) => true,
                    () = drained(self.clock.as_ref()) => false,
                };
                let slept = self.sleep.handle_clocks(clocks());
                if routes_changed || slept.is_some() {
                    return;
                }
            }
        }
    }

    /// Tells of every change of addresses and routes, in messages that nobody needs to read.
    fn route_socket() -> rustix::io::Result<OwnedFd> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            // NETLINK_ROUTE is 0, the default.
            None,
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(socket)
    }

    /// A timer of the wall clock that is never due, but is cancelled when that clock is set,
    /// which the kernel does on waking up (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
    fn clock_timer() -> rustix::io::Result<OwnedFd> {
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Realtime,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let never = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::from(u32::MAX) * 16,
                tv_nsec: 0,
            },
        };
        rustix::time::timerfd_settime(&timer, flags, &never)?;
        Ok(timer)
    }

    /// Waits until the descriptor has something to say, and swallows that.
    async fn drained(fd: Option<&Source>) {
        let Some(fd) = fd else {
            return std::future::pending().await;
        };
        let swallow = |fd: BorrowedFd<'_>| {
            let (mut buffer, mut anything) = ([0; 4096], false);
            // ECANCELED: the clock was set. ENOBUFS: there were too many changes to tell.
            while let Ok(1..) | Err(Errno::CANCELED | Errno::NOBUFS | Errno::INTR) =
                rustix::io::read(fd, &mut buffer)
            {
                anything = true;
            }
            anything.then_some(()).ok_or_else(|| Errno::AGAIN.into())
        };
        if poll_fn(|context| fd.poll_io(context, swallow))
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Reads the machine's clocks.
    #[must_use]
    pub fn clocks() -> Clocks {
        let read = |clock| {
            let time = rustix::time::clock_gettime(clock);
            Duration::new(
                u64::try_from(time.tv_sec).unwrap_or(0),
                u32::try_from(time.tv_nsec).unwrap_or(0),
            )
        };
        Clocks {
            boottime: read(ClockId::Boottime),
            monotonic: read(ClockId::Monotonic),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod nothing {
    use crate::sleep_watch::Clocks;

    /// Nothing is known of sleep.
    #[must_use]
    pub fn clocks() -> Clocks {
        Clocks::default()
    }

    /// Watches nothing: heartbeats notice it later.
    #[derive(Debug)]
    pub struct NetworkWatch;

    impl NetworkWatch {
        /// Begins to watch.
        #[must_use]
        pub fn new() -> Self {
            Self
        }

        /// Never comes back.
        pub async fn changed(&mut self) {
            std::future::pending::<()>().await;
        }
    }
}

impl Default for NetworkWatch {
    fn default() -> Self {
        Self::new()
    }
}
