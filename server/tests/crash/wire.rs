//! A connection as a client has one.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use psess_protocol::codec;
use psess_protocol::frame::{self, Decoder, Frame, Kind};
use psess_protocol::hello::{Hello, HelloFinder};
use psess_protocol::message::{ClientMessage, ServerMessage};
use psess_protocol::offset::{InputOffset, Offset};
use psess_protocol::rendezvous::{Directory, connect_in};

use super::world::PATIENCE;

pub(crate) struct Wire {
    stream: UnixStream,
    decoder: Decoder,
}

/// What the server sends.
#[derive(Debug)]
pub(crate) enum Sent {
    Message(ServerMessage),
    Output(Offset, Vec<u8>),
    Replay(Vec<u8>),
}

impl Wire {
    /// Connects, however long the server takes to come back.
    pub(crate) fn connect(directory: &Directory) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_connect(directory) {
                Ok(wire) => return wire,
                Err(error) => assert!(Instant::now() < deadline, "no server: {error}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn try_connect(directory: &Directory) -> io::Result<Self> {
        let mut stream = connect_in(std::slice::from_ref(directory)).map_err(io::Error::other)?;
        let hello = Hello::of_client();
        stream.write_all(&hello.encode())?;
        let mut finder = HelloFinder::new(&hello);
        let mut decoder = Decoder::new();
        let mut buffer = [0; 1024];
        loop {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let found = finder.feed(&buffer[..read]).map_err(io::Error::other)?;
            if let Some((_, behind)) = found {
                assert_eq!(decoder.feed(&behind), behind.len());
                return Ok(Self { stream, decoder });
            }
        }
    }

    pub(crate) fn send(&mut self, message: &ClientMessage) -> io::Result<()> {
        self.send_times(message, 1)
    }

    /// Sends a message over and over.
    pub(crate) fn send_times(&mut self, message: &ClientMessage, times: usize) -> io::Result<()> {
        let mut bytes = Vec::new();
        let body = codec::encode(message).map_err(io::Error::other)?;
        frame::encode(Kind::Message, &[&body], &mut bytes);
        self.stream.write_all(&bytes.repeat(times))
    }

    pub(crate) fn send_input(&mut self, offset: InputOffset, keys: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame::encode_input(offset, keys, &mut bytes);
        self.stream.write_all(&bytes)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, message: &ClientMessage) -> ServerMessage {
        self.send(message).expect("the server takes a request");
        self.answer()
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> ServerMessage {
        match self.next(None).expect("the server answers") {
            Some(Sent::Message(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The next frame; `None` when none comes in this time.
    pub(crate) fn next(&mut self, timeout: Option<Duration>) -> io::Result<Option<Sent>> {
        loop {
            if let Some(frame) = self.decoder.next().map_err(io::Error::other)? {
                return Ok(Some(match frame {
                    Frame::Message(body) => {
                        Sent::Message(codec::decode(body).map_err(io::Error::other)?)
                    }
                    Frame::Output(offset, bytes) => Sent::Output(offset, bytes.to_vec()),
                    Frame::Replay(bytes) => Sent::Replay(bytes.to_vec()),
                    Frame::Input(..) => return Err(io::Error::other("a server that types")),
                }));
            }
            self.stream.set_read_timeout(timeout)?;
            match self.stream.read(self.decoder.spare()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.decoder.filled(read),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}
