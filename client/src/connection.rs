//! One connection of an attached client: frames over a byte pipe.

use std::cell::OnceCell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use psess_protocol::codec::{self, CodecError};
use psess_protocol::frame::{self, Decoder, Kind};
use psess_protocol::hello::Hello;
use psess_protocol::identity::Generation;
use psess_protocol::message::ClientMessage;
use psess_protocol::offset::{InputOffset, Offset};
use rustix::io::Errno;

use crate::lending::{Lending, LentPty};
use crate::transport::end::PipeEnd;
use crate::transport::local_address;
use crate::transport::pipe::Pipe;

/// A pipe on which both sides have said hello. Dropping it ends all that is behind it.
#[derive(Debug)]
pub struct Connection {
    /// Its name in the link.
    pub generation: Generation,
    /// What came and was not looked at yet.
    pub decoder: Decoder,
    /// What the server said of itself.
    server: Hello,
    pipe: Pipe,
    /// Frames on their way: bounded, as input in flight is, and control messages are few.
    outgoing: Vec<u8>,
    /// The user's terminal, where it is lent to the server.
    lending: Option<Lending>,
    /// The address of this machine that it speaks from, once that was asked for.
    local_address: OnceCell<Option<IpAddr>>,
    /// Writing failed: only what the server already said is still read.
    is_deaf: bool,
}

impl Connection {
    /// Takes over a pipe after the handshake.
    #[must_use]
    pub fn new(generation: Generation, pipe: Pipe, decoder: Decoder, server: Hello) -> Self {
        Self {
            generation,
            decoder,
            server,
            pipe,
            outgoing: Vec::new(),
            lending: None,
            local_address: OnceCell::new(),
            is_deaf: false,
        }
    }

    /// What the server said of itself.
    #[must_use]
    pub fn server(&self) -> &Hello {
        &self.server
    }

    /// Whether the server knows this message.
    #[must_use]
    pub fn understands(&self, message: &ClientMessage) -> bool {
        message
            .capability()
            .is_none_or(|capability| self.server.can(capability))
    }

    /// Whether the address that it speaks from is known, and this machine's no more.
    #[must_use]
    pub fn lost_its_address(&self) -> bool {
        let address = self.local_address.get_or_init(|| self.pipe.local_address());
        address.is_some_and(local_address::is_gone)
    }

    /// Queues a message.
    ///
    /// # Errors
    /// When it does not fit into a frame.
    pub fn send(&mut self, message: &ClientMessage) -> Result<(), CodecError> {
        let body = codec::encode(message)?;
        frame::encode(Kind::Message, &[&body], &mut self.outgoing);
        Ok(())
    }

    /// Lends the user's terminal to a server on this machine, before attaching and before anything
    /// else is queued. A server that cannot take it sends all output to us.
    ///
    /// # Errors
    /// When the message cannot be encoded.
    pub fn lend(&mut self, terminal: BorrowedFd<'_>) -> Result<(), CodecError> {
        let request = ClientMessage::Lend;
        if !self.understands(&request) {
            return Ok(());
        }
        let mut frame = Vec::new();
        frame::encode(Kind::Message, &[&codec::encode(&request)?], &mut frame);
        // So few bytes go whole or not at all.
        self.lending = Lending::begin(self.pipe.writer.as_fd(), &frame, terminal).ok();
        Ok(())
    }

    /// Up to where the server wrote output straight to the user's terminal, if it did.
    pub fn lent_written(&mut self) -> Option<Offset> {
        self.lending.as_mut()?.written()
    }

    /// The session's pty, where that is lent to us.
    #[must_use]
    pub fn lent_pty(&self) -> Option<&Arc<LentPty>> {
        self.lending.as_ref()?.pty()
    }

    /// Takes the user's terminal back: the server writes no more to it.
    pub fn take_back(&mut self) {
        self.lending = None;
    }

    /// Queues typed bytes.
    pub fn send_input(&mut self, offset: InputOffset, bytes: &[u8]) {
        frame::encode_input(offset, bytes, &mut self.outgoing);
    }

    /// Writes what is queued, and reads: returns when something came, with its length; 0 at the
    /// end. May be dropped without loss.
    ///
    /// # Errors
    /// When reading fails.
    pub async fn run(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            self.poll_write(context);
            self.poll_read(context)
        })
        .await
    }

    /// Writes what can be written at once: the last chance before the connection is dropped.
    pub fn flush(&mut self) {
        self.poll_write(&mut Context::from_waker(Waker::noop()));
    }

    /// The last lines that the command behind the pipe wrote to its stderr.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.pipe.stderr()
    }

    /// The process id of the command behind the pipe, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.pipe.process_id()
    }

    /// How the pipe ended: waits a moment for the command behind it, and ends it.
    pub async fn ended(mut self) -> PipeEnd {
        self.pipe.ended().await
    }

    fn poll_write(&mut self, context: &mut Context<'_>) {
        while !self.is_deaf && !self.outgoing.is_empty() {
            match self.pipe.writer.poll_write(context, &self.outgoing) {
                Poll::Ready(Ok(0) | Err(_)) => self.is_deaf = true,
                Poll::Ready(Ok(count)) => {
                    self.outgoing.drain(..count);
                }
                Poll::Pending => return,
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = self.pipe.reader.poll_read(context, self.decoder.spare());
        let count = if read.is_pending() && self.is_deaf {
            // Nobody reads what we say: where nothing more has come it is over. The runtime may not
            // have heard of what came, the last words to us among it.
            match rustix::io::read(&self.pipe.reader, self.decoder.spare()) {
                Err(Errno::AGAIN | Errno::INTR) => return Poll::Ready(Ok(0)),
                read => read?,
            }
        } else {
            ready!(read)?
        };
        self.decoder.filled(count);
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn the_last_words_of_a_server_that_reads_no_more_are_heard() {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        let pipe = Pipe::from_socket(ours, Vec::new()).expect("a pipe");
        let hello = Hello::of_client();
        let mut connection = Connection::new(Generation(1), pipe, Decoder::new(), hello);
        theirs.write_all(b"words").expect("it takes them");
        drop(theirs);
        let message = ClientMessage::Detach;
        connection.send(&message).expect("it is small");
        // Before the runtime has heard of what came.
        assert_eq!(connection.run().await.expect("they are there"), 5);
        assert_eq!(connection.run().await.expect("nothing is wrong"), 0);
    }
}
