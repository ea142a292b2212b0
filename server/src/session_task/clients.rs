//! The write sides of the connections that are attached: their sockets, and the terminals that they
//! lent.

use std::os::fd::AsFd as _;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use psess_descriptor::Sink;
use psess_protocol::message::{Failure, ServerMessage};
use tokio::sync::oneshot;

use super::{SessionTask, encode};
use crate::lent_terminal::{LentTerminal, Loan};
use crate::session::{ConnectionId, Transmit};

/// An attached connection's write side.
pub(super) struct Client {
    output: Sink,
    _open: oneshot::Sender<()>,
    pub(super) lent: Option<LentTerminal>,
    pending: Vec<u8>,
    written: usize,
    closing: bool,
}

impl Client {
    /// One that was sent nothing yet. Its connection is told when it is dropped, by `open`.
    pub(super) fn new(output: Sink, open: oneshot::Sender<()>) -> Self {
        Self {
            output,
            _open: open,
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

    /// Whether its socket, or the terminal that it lent, took less than there was.
    fn is_blocked(&self) -> bool {
        let lent = self.lent.as_ref();
        self.written < self.pending.len() || lent.is_some_and(LentTerminal::is_blocked)
    }
}

impl SessionTask {
    /// Fills and writes what each client can take now.
    pub(super) fn transmit(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let connections: Vec<_> = self.clients.connections().collect();
        for connection in connections {
            // Whether it blocks is seen by the loop, with its own waker.
            let _ = self.poll_transmit(connection, &mut cx);
        }
        while let Some(connection) = self.session.poll_closed() {
            self.clients.remove(connection);
        }
        let seen = self.session.outcome().is_some() && self.session.was_seen();
        if seen && self.clients.is_empty() {
            self.registry.forget(self.session.record.id);
        }
    }

    /// Writes to one client until it takes no more (pending), or there is no more for it.
    fn poll_transmit(&mut self, connection: ConnectionId, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(client) = self.clients.get_mut(connection) else {
                return Poll::Ready(());
            };
            if client.written == client.pending.len() {
                client.pending.clear();
                client.written = 0;
                if client.closing {
                    self.close(connection);
                    return Poll::Ready(());
                }
                let now = Instant::now();
                let next = self
                    .session
                    .poll_transmit(now, connection, &mut client.pending);
                client.closing = next == Transmit::ThenClose;
                if client.pending.is_empty() && !client.closing {
                    client.pending.shrink_to(4096);
                    match self.poll_direct(connection, cx) {
                        Poll::Ready(true) => {}
                        Poll::Ready(false) => return Poll::Ready(()),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                continue;
            }
            match client
                .output
                .poll_write(cx, &client.pending[client.written..])
            {
                Poll::Ready(Ok(written)) => client.written += written,
                Poll::Ready(Err(_)) => {
                    self.close(connection);
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Writes to the terminal that a client lent: whether there was something to write.
    fn poll_direct(&mut self, connection: ConnectionId, cx: &mut Context<'_>) -> Poll<bool> {
        let client = self.clients.get_mut(connection);
        let Some(lent) = client.and_then(|client| client.lent.as_mut()) else {
            return Poll::Ready(false);
        };
        let Some((position, length)) = self.session.poll_direct(connection) else {
            lent.unblock();
            return Poll::Ready(false);
        };
        match ready!(lent.poll_write(cx, position, length)) {
            Ok(written) => self.session.handle_direct(connection, written),
            // What is wrong with it, the client will see as well.
            Err(error) => {
                tracing::debug!("a lent terminal cannot be written: {error}");
                self.session.set_lent(connection, false);
            }
        }
        Poll::Ready(true)
    }

    /// Ready once a client that was blocked was written to.
    pub(super) fn poll_clients(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let blocked: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_blocked())
            .map(|(connection, _)| connection)
            .collect();
        let mut any = Poll::Pending;
        for connection in blocked {
            if self.poll_transmit(connection, cx).is_ready() {
                any = Poll::Ready(());
            }
        }
        any
    }

    /// Takes a terminal, and lends the pty in return to a client that `types`. Without a terminal,
    /// the client writes all there is.
    pub(super) fn borrow(&self, loan: Loan, types: bool) -> Option<LentTerminal> {
        let (log, ring) = self.session.open_log().ok()?;
        let pty = types.then(|| self.pty.as_fd());
        LentTerminal::new(loan, log, ring, pty).ok()
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
