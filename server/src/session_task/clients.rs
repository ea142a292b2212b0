//! The connections that are attached: their sockets, and the terminals that they lent.

use std::os::fd::AsFd as _;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use psess_descriptor::Sink;
use psess_protocol::message::{Failure, ServerMessage};
use tokio::sync::mpsc;

use super::{SessionTask, encode};
use crate::lent_terminal::{LentTerminal, Loan};
use crate::reader::{Reader, Said};
use crate::registry::Open;
use crate::session::{ConnectionId, Session, Transmit};
use crate::session_event::Event;

/// An attached connection.
pub(super) struct Client {
    reader: Reader,
    output: Sink,
    _open: Open,
    _mailbox: mpsc::Sender<Event>,
    pub(super) lent: Option<LentTerminal>,
    pending: Vec<u8>,
    written: usize,
    closing: bool,
}

impl Client {
    /// One that was sent nothing yet.
    pub(super) fn new(
        reader: Reader,
        output: Sink,
        open: Open,
        mailbox: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            reader,
            output,
            _open: open,
            _mailbox: mailbox,
            lent: None,
            pending: Vec::new(),
            written: 0,
            closing: false,
        }
    }

    /// Sends it away.
    pub(super) fn refuse(&mut self, failure: Failure) {
        encode(&ServerMessage::Failed(failure), &mut self.pending);
        self.closing = true;
    }

    /// Does all that came from it as whole frames: whether it may say more.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        session: &mut Session,
    ) -> bool {
        loop {
            let result = match self.reader.next() {
                Ok(Some(Said::Input(offset, bytes))) => {
                    session.handle_input(now, connection, offset, bytes)
                }
                Ok(Some(Said::Message(message))) => {
                    session.handle_message(now, connection, &message)
                }
                Ok(None) => return true,
                Err(error) => {
                    tracing::debug!("connection {}: {error}", connection.0);
                    return false;
                }
            };
            if let Err(failure) = result {
                tracing::warn!("{}: {}", session.record.name, failure.message);
                return false;
            }
        }
    }

    /// Whether its socket, or the terminal that it lent, took less than there was.
    fn is_blocked(&self) -> bool {
        let lent = self.lent.as_ref();
        self.written < self.pending.len() || lent.is_some_and(LentTerminal::is_blocked)
    }

    /// Writes what there is for it: until it takes no more, or there is no more. Pending: it took
    /// nothing.
    fn poll_transmit(
        &mut self,
        cx: &mut Context<'_>,
        connection: ConnectionId,
        session: &mut Session,
    ) -> Poll<Transmit> {
        let mut took = false;
        loop {
            if self.written < self.pending.len() {
                let rest = &self.pending[self.written..];
                match self.output.poll_write(cx, rest) {
                    Poll::Ready(Ok(written)) => self.written += written,
                    Poll::Ready(Err(_)) => return Poll::Ready(Transmit::ThenClose),
                    Poll::Pending if took => return Poll::Ready(Transmit::GoOn),
                    Poll::Pending => return Poll::Pending,
                }
                took = true;
                continue;
            }
            if self.closing {
                return Poll::Ready(Transmit::ThenClose);
            }
            // An echo is seen sooner when all else is done after it.
            let direct = self.poll_direct(cx, connection, session);
            if direct == Poll::Ready(true) {
                took = true;
                continue;
            }
            self.pending.clear();
            self.written = 0;
            let next = session.poll_transmit(Instant::now(), connection, &mut self.pending);
            self.closing = next == Transmit::ThenClose;
            if self.pending.is_empty() && !self.closing {
                self.pending.shrink_to(4096);
                return match direct {
                    Poll::Pending if !took => Poll::Pending,
                    Poll::Pending | Poll::Ready(_) => Poll::Ready(Transmit::GoOn),
                };
            }
        }
    }

    /// Writes to the terminal that it lent: whether there was something to write.
    fn poll_direct(
        &mut self,
        cx: &mut Context<'_>,
        connection: ConnectionId,
        session: &mut Session,
    ) -> Poll<bool> {
        let Some(lent) = &mut self.lent else {
            return Poll::Ready(false);
        };
        let Some((position, length)) = session.poll_direct(connection) else {
            lent.unblock();
            return Poll::Ready(false);
        };
        match ready!(lent.poll_write(cx, session.ring(), position, length)) {
            Ok(written) => session.handle_direct(connection, written),
            // What is wrong with it, the client will see as well.
            Err(error) => {
                tracing::debug!("a lent terminal cannot be written: {error}");
                session.set_lent(connection, false);
            }
        }
        Poll::Ready(true)
    }
}

impl SessionTask {
    /// Writes what each client can take now.
    pub(super) fn transmit(&mut self) {
        // Whether one blocks is seen by the loop, with its own waker.
        let _ = self.poll_transmit(&mut Context::from_waker(Waker::noop()), |_| true);
        while let Some(connection) = self.session.poll_closed() {
            self.clients.remove(connection);
        }
        let seen = self.session.outcome().is_some() && self.session.was_seen();
        if seen && self.clients.is_empty() {
            self.registry.forget(self.session.record.id);
        }
    }

    /// Ready once a client that was blocked was written to: that may call for more than this client,
    /// as for an answer to what it is not sent any more.
    pub(super) fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_transmit(cx, Client::is_blocked)
    }

    /// Reads once from each client that says something, and does it. Ready: one of them did, or is
    /// gone, with how much was read.
    pub(super) fn poll_readers(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let (mut heard, mut closed) = (None, Vec::new());
        for (connection, client) in self.clients.iter_mut() {
            let Poll::Ready(result) = client.reader.poll_read(cx) else {
                continue;
            };
            let read = result.unwrap_or_else(|error| {
                tracing::debug!("connection {}: {error}", connection.0);
                0
            });
            heard = Some(heard.unwrap_or(0) + read);
            if read == 0 || !client.hear(Instant::now(), connection, &mut self.session) {
                closed.push(connection);
            }
        }
        for connection in closed {
            self.close(connection);
        }
        heard.map_or(Poll::Pending, Poll::Ready)
    }

    /// Writes what there is for some of the clients. Ready: one of them took something.
    fn poll_transmit(&mut self, cx: &mut Context<'_>, some: impl Fn(&Client) -> bool) -> Poll<()> {
        let (mut any, mut closed) = (Poll::Pending, Vec::new());
        for (connection, client) in self.clients.iter_mut() {
            if some(client)
                && let Poll::Ready(then) = client.poll_transmit(cx, connection, &mut self.session)
            {
                any = Poll::Ready(());
                if then == Transmit::ThenClose {
                    closed.push(connection);
                }
            }
        }
        for connection in closed {
            self.close(connection);
        }
        any
    }

    /// Takes a terminal, and lends the pty in return to a client that `types`. Without a terminal,
    /// the client writes all there is.
    pub(super) fn borrow(&self, loan: Loan, types: bool) -> Option<LentTerminal> {
        let log = self.session.open_log().ok()?;
        let pty = types.then(|| self.pty.as_fd());
        LentTerminal::new(loan, log, self.session.ring(), pty).ok()
    }

    /// Tells each client whether its keys may pass us by.
    pub(super) fn let_keys_pass(&mut self) {
        for (connection, client) in self.clients.iter_mut() {
            if let Some(lent) = &mut client.lent {
                lent.let_pass(self.session.lets_keys_pass(connection));
            }
        }
    }
}
