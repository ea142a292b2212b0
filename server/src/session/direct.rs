//! Output that is written straight to terminals that clients lent, past the clients.

use std::io;
use std::os::fd::OwnedFd;

use psess_protocol::lending::Ring;
use psess_protocol::offset::Offset;

use super::attachment::Direct;
use super::{ConnectionId, Session};

impl Session {
    /// The log's file for a terminal that a connection lends, opened anew.
    ///
    /// # Errors
    /// As `Journal::open_log`.
    pub(crate) fn open_log(&self) -> io::Result<OwnedFd> {
        self.journal.open_log()
    }

    /// Where in it the log's ring lies now.
    pub(crate) fn ring(&self) -> Ring {
        self.journal.ring()
    }

    /// Whether a connection's terminal is lent to us.
    pub(crate) fn set_lent(&mut self, connection: ConnectionId, is_lent: bool) {
        if let Some(attachment) = self.attachments.get_mut(connection) {
            attachment.set_lent(is_lent);
        }
    }

    /// What is to be written straight to a connection's terminal: from where on in the log, and
    /// how many bytes. `poll_transmit` sends it no output meanwhile. What that has to do before,
    /// messages to send or output to skip, comes first.
    pub(crate) fn poll_direct(&self, connection: ConnectionId) -> Option<(Offset, usize)> {
        let log = &self.journal.log;
        let attachment = self.attachments.get(connection)?;
        let Direct::Now(position, bytes) = attachment.direct(log, &self.shadow) else {
            return None;
        };
        if attachment.has_messages() {
            return None;
        }
        (!self.is_to_skip(connection)).then_some((position, bytes))
    }

    /// So many bytes of that were written.
    pub(crate) fn handle_direct(&mut self, connection: ConnectionId, bytes: usize) {
        if let Some(attachment) = self.attachments.get_mut(connection) {
            attachment.handle_direct(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use psess_protocol::frame::{Decoder, Frame};
    use psess_protocol::identity::{ClientId, Generation};
    use psess_protocol::message::{Attach, ClientMessage, History, Target};
    use psess_protocol::size::Size;
    use psess_protocol::terminal::Limits;

    use crate::journal::Journal;
    use crate::record::Record;

    use super::*;

    const CONNECTION: ConnectionId = ConnectionId(1);

    /// A session, and the client that lends it its terminal.
    struct Lender {
        session: Session,
        now: Instant,
        /// What the terminal got.
        received: Vec<u8>,
        /// An ESC at the end of what was sent, which is kept back until more comes.
        held: bool,
        written: u64,
    }

    impl Lender {
        fn new() -> Self {
            let now = Instant::now();
            let size = Size::new(24, 80);
            let attach = Attach {
                session: Target::Latest,
                client: ClientId([1; 16]),
                generation: Generation(1),
                size,
                position: None,
                history: History::None,
                read_only: false,
                heartbeat_ms: 0,
                detach_others: false,
            };
            let journal = Journal::unshared().expect("memory");
            let mut session = Session::new(now, Record::of_size(size), journal, Limits::default());
            session.attach(now, CONNECTION, &attach).expect("it is new");
            session.set_lent(CONNECTION, true);
            let mut lender = Self {
                session,
                now,
                received: Vec::new(),
                held: false,
                written: 0,
            };
            lender.run();
            lender.received.clear();
            lender
        }

        fn print(&mut self, bytes: &[u8]) {
            for part in bytes.chunks(4095) {
                self.session.output_buffer()[..part.len()].copy_from_slice(part);
                self.session.handle_output(self.now, part.len());
            }
        }

        /// Takes all that comes either way, and acknowledges it.
        fn run(&mut self) {
            while self.step() {
                self.acknowledge();
            }
        }

        fn acknowledge(&mut self) {
            let written = ClientMessage::Written(self.written - u64::from(self.held));
            self.session
                .handle_message(self.now, CONNECTION, &written)
                .expect("a client may say so");
        }

        fn step(&mut self) -> bool {
            if let Some((position, length)) = self.session.poll_direct(CONNECTION) {
                let bytes = self.session.journal.log.slice(position, length);
                let bytes = bytes.expect("the log has it");
                assert!(!self.held, "it would be written before what is kept back");
                self.received.extend_from_slice(bytes);
                self.session.handle_direct(CONNECTION, length);
                return true;
            }
            let mut wire = Vec::new();
            let _ = self.session.poll_transmit(self.now, CONNECTION, &mut wire);
            let mut decoder = Decoder::new();
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                let taken = decoder.feed(rest);
                rest = &rest[taken..];
                while let Some(frame) = decoder.next().expect("a frame") {
                    let (Frame::Output(_, bytes) | Frame::Replay(bytes)) = frame else {
                        continue;
                    };
                    self.written += bytes.len() as u64;
                    if self.held {
                        self.received.push(0x1b);
                    }
                    self.held = bytes.ends_with(b"\x1b");
                    let bytes = bytes.strip_suffix(b"\x1b").unwrap_or(bytes);
                    self.received.extend_from_slice(bytes);
                }
            }
            !wire.is_empty()
        }
    }

    #[test]
    fn a_client_that_keeps_back_half_a_sequence_does_not_stall() {
        let line = b"12345 \x1b[31mred\x1b[m\r\n";
        let text = [b"\x1b]2;title\x07", &line.repeat(20_000)[..]].concat();
        // Where a piece ends, and how many come before what was sent is acknowledged.
        for length in [line.len(), 511, 4095, 16 << 10, 70 << 10] {
            for unread in 1..8 {
                let mut lender = Lender::new();
                let mut rest = &text[..];
                for piece in 1.. {
                    // In the middle of a sequence.
                    let end = length.min(rest.len());
                    let Some(escape) = rest[..end].iter().rposition(|byte| *byte == 0x1b) else {
                        break;
                    };
                    lender.print(&rest[..=escape]);
                    rest = &rest[escape + 1..];
                    lender.step();
                    if piece % unread == 0 {
                        lender.acknowledge();
                    }
                }
                lender.print(rest);
                lender.acknowledge();
                lender.run();
                let came = lender.received.len();
                assert!(
                    lender.received == text,
                    "{came} bytes came, of pieces of {length}, {unread} of them unread"
                );
            }
        }
    }

    #[test]
    fn what_is_written_straight_overtakes_no_message() {
        let mut lender = Lender::new();
        lender.print(b"text");
        let ping = ClientMessage::Ping(7);
        let session = &mut lender.session;
        session
            .handle_message(lender.now, CONNECTION, &ping)
            .expect("it is attached");
        assert_eq!(session.poll_direct(CONNECTION), None);
        lender.run();
        assert_eq!(lender.received, b"text");
    }

    #[test]
    fn a_question_in_c1_is_not_cut() {
        let mut lender = Lender::new();
        for part in [&b"text\xc2"[..], b"\x9b6n"] {
            lender.print(part);
            lender.run();
        }
        assert!(
            lender.received == b"text\xc2\x9b6n",
            "{}",
            lender.received.escape_ascii()
        );
    }

    #[test]
    fn what_comes_after_a_skip_that_cuts_a_sequence_is_shown() {
        for cut in 0..=4 {
            let mut lender = Lender::new();
            let line = b"12345 \x1b[31mred\x1b[m\r\n";
            lender.print(&line.repeat(20_000));
            let (begun, rest) = b"\x1b[31m".split_at(cut);
            lender.print(begun);
            let typed = ClientMessage::Typed { stops: true };
            let session = &mut lender.session;
            session
                .handle_message(lender.now, CONNECTION, &typed)
                .expect("it is attached");
            assert!(session.is_about_to_skip());
            lender.step();
            lender.acknowledge();
            lender.run();
            for part in [rest, &line.repeat(3), b"$ \x1b[?2004h"] {
                lender.print(part);
                lender.acknowledge();
                lender.run();
            }
            let position = lender.session.position(CONNECTION);
            let end = lender.session.journal.log.end();
            assert_eq!(position, Some(end), "cut after {cut}");
        }
    }
}
