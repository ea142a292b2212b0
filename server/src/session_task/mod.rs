//! Runs one session: its main loop. It owns the [`Session`], the pty, and the connections that are
//! attached, and it is told everything else through its mailbox.

mod clients;

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use psess_descriptor::alarm::Alarm;
use psess_descriptor::{Blockage, Source};
use psess_protocol::capability::Capability;
use psess_protocol::codec;
use psess_protocol::frame::{self, Kind};
use psess_protocol::message::{ClientMessage, ServerMessage, SessionSummary};
use rustix::io::Errno;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::task::coop::unconstrained;

use crate::clock::unix_time;
use crate::connections::Connections;
use crate::heap;
use crate::history_budget::ToldHistory;
use crate::output_log::READ_BYTES;
use crate::pty;
use crate::registry::{Registry, Request};
use crate::session::{ConnectionId, Session};
use crate::session_event::{Arrival, Event};
use crate::told_line::{Changing, ToldLine};
use crate::turns::Turns;
use clients::Client;

/// After so much of one session's output the others have their turn; an echo is less. A terminal
/// of Linux gives 4095 bytes at once, so that these are two reads.
const TURN: usize = 4 << 10;

/// What the shortest read counts for.
const LEAST_READ: usize = TURN / 4;

/// Messages taken from the mailbox each time the task wakes.
const MAILBOX_TURN: usize = 64;

/// A session that runs.
pub(crate) struct SessionTask {
    session: Session,
    pty: Source,
    pty_input: Blockage,
    pty_ended: bool,
    clients: Connections<Client>,
    registry: Registry,
    turns: Turns,
    told_history: ToldHistory,
    told_line: ToldLine,
}

impl SessionTask {
    /// A task for a session and the pty that its program runs on.
    ///
    /// # Errors
    /// When the pty cannot be polled.
    pub(crate) fn new(
        session: Session,
        pty: OwnedFd,
        registry: Registry,
        turns: Turns,
    ) -> io::Result<Self> {
        let told_line = ToldLine::new(changing(&session, Instant::now()));
        Ok(Self {
            session,
            pty_input: Blockage::default(),
            pty: Source::new(pty)?,
            pty_ended: false,
            clients: Connections::new(),
            registry,
            turns,
            told_history: ToldHistory::default(),
            told_line,
        })
    }

    /// What a list says of it, as it tells it.
    pub(crate) fn line(&self) -> watch::Receiver<SessionSummary> {
        self.told_line.subscribe()
    }

    /// Runs until the session is over and somebody saw how it ended, or is forgotten (its
    /// mailbox is closed).
    pub(crate) async fn run(self: Box<Self>, mailbox: mpsc::Receiver<Event>) {
        // It counts its turns by itself. The runtime would let it read from 128 clients in each:
        // where all talk without end, always from the same.
        unconstrained(self.take_turns(mailbox)).await;
    }

    async fn take_turns(mut self: Box<Self>, mut mailbox: mpsc::Receiver<Event>) {
        let mut alarm = Alarm::default();
        let mut turn = 0;
        loop {
            self.session.settle(Instant::now());
            if self.session.poll_freed() {
                heap::give_back();
            }
            self.tell_history();
            self.let_keys_pass();
            self.tell_line();
            let timeout = self.session.poll_timeout();
            let woken = poll_fn(|cx| {
                // First, as somebody may wait for an echo.
                if let Poll::Ready(woken) = self.poll_io(cx) {
                    return Poll::Ready(woken);
                }
                if let Poll::Ready(event) = mailbox.poll_recv(cx) {
                    return Poll::Ready(Woken::Mail(event));
                }
                alarm.poll(cx, timeout).map(|()| Woken::Timeout)
            });
            let woken = woken.await;
            // Output was passed on already.
            let mut is_told = !matches!(woken, Woken::Pty(1..));
            let mut is_due = false;
            match woken {
                Woken::Pty(read) => turn += read.max(LEAST_READ),
                Woken::Heard(read) => turn += read.max(LEAST_READ),
                Woken::Written => {}
                Woken::Mail(Some(event)) => self.handle_event(event),
                Woken::Mail(None) => return,
                Woken::Timeout => is_due = true,
            }
            // So that who prints or talks without end keeps nobody waiting.
            if turn >= TURN {
                let mut cx = Context::from_waker(Waker::noop());
                is_told |= self.poll_readers(&mut cx).is_ready();
                is_due |= timeout.is_some_and(|due| due <= Instant::now());
            }
            if is_due {
                self.session.handle_timeout(Instant::now());
                is_told = true;
            }
            for _ in 1..MAILBOX_TURN {
                match mailbox.try_recv() {
                    Ok(event) => {
                        is_told = true;
                        self.handle_event(event);
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if is_told || self.session.has_input() {
                self.resize_pty();
                self.deliver_input();
                if self.session.is_about_to_skip() {
                    // What was printed before the key is skipped too.
                    let mut cx = Context::from_waker(Waker::noop());
                    if let Poll::Ready(read) = self.poll_pty(&mut cx) {
                        turn += read;
                    }
                }
                self.transmit();
            }
            if turn >= TURN {
                self.let_keys_pass();
                self.tell_line();
                turn = 0;
                self.turns.next().await;
            }
        }
    }

    fn handle_event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Attach(arrival) => self.attach(now, *arrival),
            Event::Left(connection) => self.session.handle_left(connection),
            Event::Exited(outcome, time) => {
                self.session.handle_exit(outcome, time);
                self.save();
                if self.pty_ended {
                    self.session.handle_end_of_output(now);
                }
            }
            Event::Seen => self.session.handle_seen(),
            Event::DetachAll => self.session.handle_detach_all(),
            Event::Renamed(name) => {
                self.session.rename(name);
                self.save();
            }
            Event::HistoryShare(bytes) => {
                self.session.set_history_share(bytes);
                let bytes = self.told_history.tell(self.session.history_bytes());
                self.registry
                    .send(Request::History(self.session.record.id, bytes));
            }
            // Whoever asked may have gone.
            Event::Summarize(reply) => {
                self.tell_line();
                let _ = reply.send(self.line().borrow().clone());
            }
            Event::Measure(reply) => {
                let _ = reply.send(self.session.usage());
            }
            Event::Show(history, reply) => {
                let _ = reply.send(self.session.shown(now, history));
            }
        }
    }

    fn attach(&mut self, now: Instant, arrival: Arrival) {
        let Arrival {
            connection,
            hello,
            attach,
            unwritten,
            reader,
            output,
            open,
            mailbox,
            loan,
        } = arrival;
        let mut client = Client::new(reader, output, open, mailbox);
        let unwritten = ClientMessage::Unwritten(unwritten);
        let types = hello.can(Capability::Typing) && !attach.read_only;
        let attached = self.session.attach(now, connection, &attach);
        match attached.and_then(|()| self.session.handle_message(now, connection, &unwritten)) {
            Ok(()) => {
                self.session.handle_hello(connection, &hello);
                self.session.record.attached = unix_time();
                self.save();
                client.lent = loan.and_then(|loan| self.borrow(loan, types));
                self.session.set_lent(connection, client.lent.is_some());
            }
            Err(failure) => client.refuse(failure),
        }
        // What came right behind.
        let may_say_more = client.hear(now, connection, &mut self.session);
        self.clients.insert(connection, client);
        if !may_say_more {
            self.close(connection);
        }
        while let Some(connection) = self.session.poll_closed() {
            self.clients.remove(connection);
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        self.session.handle_closed(Instant::now(), connection);
        self.clients.remove(connection);
    }

    /// Ready once the pty or a client was read, or took what it had not taken before.
    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        if let Poll::Ready(read) = self.poll_pty(cx) {
            return Poll::Ready(Woken::Pty(read));
        }
        if let Poll::Ready(read) = self.poll_readers(cx) {
            return Poll::Ready(Woken::Heard(read));
        }
        self.poll_blocked(cx).map(|()| Woken::Written)
    }

    /// Ready once something was read from the pty, with its length, and sent to the clients, or
    /// the pty takes input again.
    fn poll_pty(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let (mut read, mut is_over) = (0, false);
        while self.session.reads_output() && !self.pty_ended && read < TURN {
            match self.poll_output(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.session.handle_output(Instant::now(), count);
                    read += count;
                    // Then it is empty: see `Source::poll_read`.
                    if count < READ_BYTES && !self.is_last_of_output() {
                        break;
                    }
                }
                // EIO: the last process that had the terminal open is gone.
                Poll::Ready(Ok(_) | Err(_)) => {
                    self.pty_ended = true;
                    is_over = true;
                    if self.session.record.outcome.is_some() {
                        self.session.handle_end_of_output(Instant::now());
                    }
                }
                Poll::Pending if self.is_last_of_output() => {
                    self.session.handle_end_of_output(Instant::now());
                    is_over = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if read > 0 || is_over {
            self.transmit();
            return Poll::Ready(read);
        }
        if self.session.has_input() && !self.pty_ended {
            let session = &mut self.session;
            return self
                .pty_input
                .poll_io(self.pty.as_fd(), cx, |pty| {
                    session.deliver_input(Instant::now(), pty)
                })
                .map(|_| 0);
        }
        Poll::Pending
    }

    /// Reads from the pty, when something is there.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = self.pty.poll_read(cx, self.session.output_buffer());
        if read.is_ready() || !self.is_last_of_output() {
            return read;
        }
        // That nothing came since the last read does not say that all was read: a read does,
        // as it waits for what is on its way through the terminal (n_tty_read of Linux).
        match rustix::io::read(&self.pty, self.session.output_buffer()) {
            Err(Errno::AGAIN | Errno::INTR) => Poll::Pending,
            result => Poll::Ready(result.map_err(io::Error::from)),
        }
    }

    /// Whether the program is gone and what it printed last is still to be read. What it left
    /// running in the background may hold the terminal for ever.
    fn is_last_of_output(&self) -> bool {
        self.session.record.outcome.is_some() && self.session.outcome().is_none()
    }

    fn deliver_input(&mut self) {
        if !self.session.has_input() {
            return;
        }
        // A program that does not read is waited for by `poll_pty`; one that is gone is
        // reported by the keeper.
        let _ = self.session.deliver_input(Instant::now(), self.pty.as_fd());
    }

    /// Tells what the history takes, when that has changed by much.
    fn tell_history(&mut self) {
        if let Some(bytes) = self.told_history.change(self.session.history_bytes()) {
            self.registry
                .send(Request::History(self.session.record.id, bytes));
        }
    }

    fn resize_pty(&mut self) {
        if let Some(size) = self.session.poll_pty_size()
            && let Err(error) = pty::resize(&self.pty, size)
        {
            tracing::warn!(
                "{}: cannot resize the pty: {error}",
                self.session.record.name
            );
        }
    }

    fn save(&self) {
        self.registry
            .send(Request::Save(Box::new(self.session.record.clone())));
    }

    fn tell_line(&self) {
        self.told_line.tell(changing(&self.session, Instant::now()));
    }
}

/// What a list says of a session.
fn changing(session: &Session, now: Instant) -> Changing<'_> {
    let unix = unix_time();
    let ago = |ago: Duration| unix.saturating_sub(ago.as_secs());
    Changing {
        record: &session.record,
        title: session.title(),
        clients: session.connections().count(),
        lost: session.lost(now).map(ago),
        active: ago(session.idle(now)),
    }
}

enum Woken {
    /// `None`: the session is forgotten.
    Mail(Option<Event>),
    Written,
    /// So many bytes were read from clients.
    Heard(usize),
    /// So many bytes were read from the pty.
    Pty(usize),
    Timeout,
}

/// Appends a message as a frame.
pub(crate) fn encode(message: &ServerMessage, out: &mut Vec<u8>) {
    match codec::encode(message) {
        Ok(body) => frame::encode(Kind::Message, &[&body], out),
        Err(error) => tracing::error!("a message cannot be sent: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use psess_descriptor::Sink;
    use psess_protocol::frame::{Decoder, Frame};
    use psess_protocol::hello::Hello;
    use psess_protocol::identity::{ClientId, Generation};
    use psess_protocol::message::{Attach, History, NO_HEARTBEAT_MS, Target};
    use psess_protocol::offset::InputOffset;
    use psess_protocol::size::Size;
    use psess_protocol::terminal::Limits;
    use tokio::task::yield_now;

    use super::*;
    use crate::journal::Journal;
    use crate::pty::Pty;
    use crate::reader::Reader;
    use crate::record::Record;
    use crate::registry::Open;

    const SIZE: Size = Size {
        rows: 24,
        columns: 80,
        pixel_width: 0,
        pixel_height: 0,
    };

    /// A client's socket, and what it says to attach.
    fn arrival(
        number: u64,
        registry: &Registry,
        mailbox: &mpsc::Sender<Event>,
    ) -> (UnixStream, Arrival) {
        let (client, server) = UnixStream::pair().expect("sockets");
        client.set_nonblocking(true).expect("a flag");
        let output = server.try_clone().expect("a descriptor");
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let arrival = Arrival {
            connection: ConnectionId(number),
            hello: Hello::of_client(),
            attach: Attach {
                session: Target::Latest,
                client: ClientId(id),
                generation: Generation(1),
                size: SIZE,
                position: None,
                history: History::None,
                read_only: true,
                heartbeat_ms: NO_HEARTBEAT_MS,
                detach_others: false,
            },
            unwritten: 0,
            reader: Reader::new(Source::new(server.into()).expect("a source"), None),
            output: Sink::new(output.into()).expect("a sink"),
            open: Open::new(registry.clone()),
            mailbox: mailbox.clone(),
            loan: None,
        };
        (client, arrival)
    }

    /// Whether a client was sent this message by now.
    fn is_sent(mut client: &UnixStream, decoder: &mut Decoder, message: &ServerMessage) -> bool {
        while let Ok(count @ 1..) = client.read(decoder.spare()) {
            decoder.filled(count);
            while let Some(frame) = decoder.next().expect("frames") {
                let Frame::Message(body) = frame else {
                    continue;
                };
                if codec::decode::<ServerMessage>(body).expect("a message") == *message {
                    return true;
                }
            }
        }
        false
    }

    /// The last of more clients than the runtime lets a task read from before it ends its turn; all
    /// others talk without end, and the program may print without end too.
    async fn hear_the_last_of_many(is_flood: bool) {
        const TALKERS: u64 = 200;
        let pty = Pty::open(SIZE).expect("a pty");
        rustix::io::ioctl_fionbio(&pty.slave, true).expect("a flag");
        let journal = Journal::unshared().expect("memory");
        let record = Record::of_size(SIZE);
        let session = Session::new(Instant::now(), record, journal, Limits::default());
        let (registry, _requests) = Registry::new();
        let (mailbox, mail) = mpsc::channel(MAILBOX_TURN);
        let task = SessionTask::new(session, pty.master, registry.clone(), Turns::new());
        tokio::spawn(Box::new(task.expect("a task")).run(mail));
        let mut clients = Vec::new();
        for number in 0..=TALKERS {
            let (client, arrival) = arrival(number, &registry, &mailbox);
            let attach = Event::Attach(Box::new(arrival));
            assert!(mailbox.send(attach).await.is_ok(), "the session runs");
            clients.push((client, 0));
        }
        let (last, _) = clients.pop().expect("there is one");
        let mut talk = Vec::new();
        // Input that a client which only looks on sends in vain.
        while talk.len() < 64 << 10 {
            frame::encode_input(InputOffset(0), &[b'x'; 100], &mut talk);
        }
        let mut ping = Vec::new();
        let message = codec::encode(&ClientMessage::Ping(7)).expect("a message");
        frame::encode(Kind::Message, &[&message], &mut ping);
        (&last).write_all(&ping).expect("it is taken");
        let mut decoder = Decoder::new();
        for turn in 0.. {
            assert!(turn < 50, "the last one was not heard in {turn} turns");
            for (client, said) in &mut clients {
                while let Ok(count) = client.write(&talk[*said..]) {
                    *said = (*said + count) % talk.len();
                }
            }
            while is_flood && rustix::io::write(&pty.slave, &[b'x'; 4096]).is_ok() {}
            yield_now().await;
            if is_sent(&last, &mut decoder, &ServerMessage::Pong(7)) {
                break;
            }
        }
    }

    #[tokio::test]
    async fn many_clients_that_talk_without_end_leave_the_last_one_heard() {
        hear_the_last_of_many(false).await;
    }

    #[tokio::test]
    async fn so_they_do_while_the_program_prints_without_end() {
        hear_the_last_of_many(true).await;
    }
}
