//! The read side of a connection: what a client says, frame by frame.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use psess_descriptor::Source;
use psess_protocol::codec;
use psess_protocol::frame::{Decoder, Frame};
use psess_protocol::message::ClientMessage;
use psess_protocol::offset::InputOffset;

use crate::lent_terminal::Loan;
use crate::rights;

/// Reads from a client.
#[derive(Debug)]
pub(crate) struct Reader {
    input: Source,
    /// The relay that handed over the connection: it ends with it. A relay that was killed leaves
    /// the output behind, but nobody who passes on input.
    relay: Option<Source>,
    decoder: Decoder,
    /// Descriptors that came, where some may come: before the client is attached.
    descriptors: Option<Vec<OwnedFd>>,
}

/// What a client says.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// A message.
    Message(ClientMessage),
    /// It typed this.
    Input(InputOffset, &'a [u8]),
}

impl Reader {
    /// Reads from `input` as long as there is the relay, if one handed that over.
    pub(crate) fn new(input: Source, relay: Option<Source>) -> Self {
        Self {
            input,
            descriptors: relay.is_none().then(Vec::new),
            relay,
            decoder: Decoder::new(),
        }
    }

    /// What comes before the first frame is read here, and [`feed`](Self::feed) takes what is too
    /// much.
    pub(crate) fn input(&self) -> &Source {
        &self.input
    }

    /// Takes bytes that were read already, less than 4 KiB.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// What the client lent, if that came as a whole.
    pub(crate) fn loan(&mut self) -> Option<Loan> {
        let descriptors = std::mem::take(self.descriptors.as_mut()?);
        let [terminal, progress] = <[OwnedFd; 2]>::try_from(descriptors).ok()?;
        Some(Loan { terminal, progress })
    }

    /// From now on no descriptors are taken.
    pub(crate) fn refuse_descriptors(&mut self) {
        self.descriptors = None;
    }

    /// Reads, when something is there: how much; 0 at the end. All whole frames must have been
    /// taken before.
    ///
    /// # Errors
    /// As read(2), but for `WouldBlock`; when more descriptors come than anybody needs.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let spare = self.decoder.spare();
        let read = match &mut self.descriptors {
            Some(descriptors) if descriptors.len() <= rights::MOST => {
                rights::poll_receive(&self.input, cx, spare, descriptors)
            }
            Some(_) => {
                let error = io::Error::other("more descriptors than anybody needs");
                return Poll::Ready(Err(error));
            }
            None => self.input.poll_read(cx, spare),
        };
        if let Some(relay) = &self.relay
            && read.is_pending()
        {
            // It has nothing to say: readable means gone.
            return relay.poll_read(cx, &mut [0]).map(|_| Ok(0));
        }
        let count = ready!(read)?;
        self.decoder.filled(count);
        Poll::Ready(Ok(count))
    }

    /// The next of the frames that came.
    ///
    /// # Errors
    /// When the client breaks the format: nothing more can be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Said<'_>>> {
        Ok(match self.decoder.next().map_err(io::Error::other)? {
            Some(Frame::Message(body)) => {
                let message = codec::decode(body).map_err(io::Error::other)?;
                Some(Said::Message(message))
            }
            Some(Frame::Input(offset, bytes)) => Some(Said::Input(offset, bytes)),
            Some(Frame::Output(..) | Frame::Replay(_)) => {
                return Err(io::Error::other("a client that sends output"));
            }
            None => None,
        })
    }
}
