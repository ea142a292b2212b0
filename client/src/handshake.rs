//! The first words on a byte pipe, and single requests on it: what every command needs before
//! it can ask a server anything. The attached client goes on from here with frames of its own.

use std::io;

use psess_protocol::codec::{self, CodecError};
use psess_protocol::frame::{self, Decoder, Frame, FrameError, Kind};
use psess_protocol::hello::{Hello, HelloError, HelloFinder};
use psess_protocol::message::{ClientMessage, ServerMessage};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::transport::Transport;

/// A byte pipe on which both sides have said hello.
#[derive(Debug)]
pub struct Wire<R, W> {
    /// Where the server's bytes come from.
    pub reader: R,
    /// Where ours go.
    pub writer: W,
    /// What was read and not yet taken.
    pub decoder: Decoder,
    /// What the server said of itself.
    pub server: Hello,
}

/// Says hello and waits for the server's, skipping the noise of start-up files before it.
///
/// It has no time limit: the caller knows whether a person is answering ssh's questions
/// meanwhile. The pipe may be lent (`&mut pipe.reader`), so that its owner can still ask why it
/// ended when this fails.
///
/// # Errors
/// [`WireError::Closed`] when the pipe ends first, with the last line of noise, which often
/// says why; [`WireError::Hello`] when the other side is no psess or has no version in common;
/// [`WireError::Io`].
pub async fn handshake<R, W>(mut reader: R, mut writer: W) -> Result<Wire<R, W>, WireError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let ours = Hello::of_client();
    // A command that ended at once closed its stdin; what it said before tells more.
    let sent = send_hello(&mut writer, &ours).await;
    let mut finder = HelloFinder::new(&ours);
    let mut chunk = [0; 4096];
    let (server, behind) = loop {
        let count = reader.read(&mut chunk).await?;
        if count == 0 {
            return match sent {
                Err(error) if finder.noise().is_empty() => Err(error.into()),
                Ok(()) | Err(_) => Err(WireError::Closed(finder.noise())),
            };
        }
        if let Some(found) = finder.feed(&chunk[..count])? {
            break found;
        }
    };
    ours.common_version(&server)?;
    let mut decoder = Decoder::new();
    let taken = decoder.feed(&behind);
    debug_assert_eq!(taken, behind.len(), "one read fits into an empty decoder");
    Ok(Wire {
        reader,
        writer,
        decoder,
        server,
    })
}

async fn send_hello<W: AsyncWrite + Unpin>(writer: &mut W, hello: &Hello) -> io::Result<()> {
    writer.write_all(&hello.encode()).await?;
    writer.flush().await
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Wire<R, W> {
    /// Sends one message.
    ///
    /// # Errors
    /// [`WireError::Codec`] when it does not fit into a frame; [`WireError::Io`].
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), WireError> {
        let mut bytes = Vec::new();
        frame::encode(Kind::Message, &[&codec::encode(message)?], &mut bytes);
        self.writer.write_all(&bytes).await?;
        Ok(self.writer.flush().await?)
    }

    /// Waits for the next message. May be dropped and called again without loss.
    ///
    /// # Errors
    /// [`WireError::Closed`] when the server closes; [`WireError::Unexpected`] when terminal
    /// bytes come, which belong to an attached client; [`WireError::Frame`],
    /// [`WireError::Codec`], [`WireError::Io`].
    pub async fn receive(&mut self) -> Result<ServerMessage, WireError> {
        loop {
            match self.decoder.next()? {
                Some(Frame::Message(body)) => return Ok(codec::decode(body)?),
                Some(Frame::Output(..) | Frame::Input(..) | Frame::Replay(_)) => {
                    return Err(WireError::Unexpected("terminal bytes"));
                }
                None => self.read().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<(), WireError> {
        let count = self.reader.read(self.decoder.spare()).await?;
        if count == 0 {
            return Err(WireError::Closed(String::new()));
        }
        self.decoder.filled(count);
        Ok(())
    }

    /// Waits for the next part of a replay that was announced, and gives it to `take`.
    ///
    /// # Errors
    /// [`WireError::Closed`] when the server closes; [`WireError::Unexpected`] when something else
    /// comes; [`WireError::Frame`], [`WireError::Io`].
    pub async fn receive_replay(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<(), WireError> {
        loop {
            match self.decoder.next()? {
                Some(Frame::Replay(part)) => {
                    take(part);
                    return Ok(());
                }
                Some(Frame::Message(_) | Frame::Output(..) | Frame::Input(..)) => {
                    return Err(WireError::Unexpected("something in a replay"));
                }
                None => self.read().await?,
            }
        }
    }

    /// Sends a request and waits for its answer. Pings that come before it are answered.
    ///
    /// # Errors
    /// As [`Wire::send`] and [`Wire::receive`].
    pub async fn request(&mut self, message: &ClientMessage) -> Result<ServerMessage, WireError> {
        self.send(message).await?;
        loop {
            match self.receive().await? {
                ServerMessage::Ping(number) => self.send(&ClientMessage::Pong(number)).await?,
                ServerMessage::Pong(_) => {}
                answer => return Ok(answer),
            }
        }
    }
}

/// Why a pipe to a server is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The pipe ended; the last line of noise before the hello, empty after it.
    #[error("the connection closed before an answer came{}", Noise(.0))]
    Closed(String),
    /// The hellos do not match.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The server broke the frame format.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message does not decode, or is too large to send.
    #[error("{}", Undecoded(.0))]
    Codec(#[from] CodecError),
    /// The server sent something that makes no sense at this point.
    #[error("the server sent {0} out of turn")]
    Unexpected(&'static str),
    /// Reading or writing failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

impl WireError {
    /// Whether it is no psess, as it seems, that answered.
    #[must_use]
    pub fn is_of_a_stranger(&self) -> bool {
        match self {
            Self::Hello(HelloError::NoCommonVersion { .. })
            | Self::Codec(CodecError::TooLarge(_))
            | Self::Closed(_)
            | Self::Io(_) => false,
            Self::Hello(_) | Self::Frame(_) | Self::Codec(_) | Self::Unexpected(_) => true,
        }
    }

    /// For the user, who may have configured another command for that way than they meant.
    #[must_use]
    pub fn explain(&self, transport: &Transport) -> String {
        match transport.command_line() {
            Some(command) if self.is_of_a_stranger() => {
                format!("{self}; the command is: {command}")
            }
            Some(_) | None => self.to_string(),
        }
    }
}

/// Shows that something is no message. How it is none tells only who knows the decoder.
struct Undecoded<'a>(&'a CodecError);

impl std::fmt::Display for Undecoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            CodecError::Malformed(_) | CodecError::Leftover(_) => f.write_str(
                "what answers there is not psess, or not alone: what it sent is no message",
            ),
            CodecError::TooLarge(_) => self.0.fmt(f),
        }
    }
}

/// Shows a line of noise behind a sentence, and nothing when there is none.
struct Noise<'a>(&'a str);

impl std::fmt::Display for Noise<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => Ok(()),
            line => write!(f, "; it said '{line}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers needs nothing from the system")
    }

    async fn answer(far: tokio::io::DuplexStream, before: &[u8], frames: &[u8]) {
        let (mut reader, mut writer) = tokio::io::split(far);
        let mut seen = Vec::new();
        let client = loop {
            let mut chunk = [0; 64];
            let count = reader.read(&mut chunk).await.unwrap();
            seen.extend_from_slice(&chunk[..count]);
            if let Some((hello, _)) = Hello::decode(&seen).unwrap() {
                break hello;
            }
        };
        writer.write_all(before).await.unwrap();
        let hello = Hello::answering(&client).encode();
        writer.write_all(&hello).await.unwrap();
        writer.write_all(frames).await.unwrap();
    }

    #[test]
    fn noise_is_skipped_and_the_frames_behind_the_hello_are_kept() {
        runtime().block_on(async {
            let (near, far) = tokio::io::duplex(4096);
            let (reader, writer) = tokio::io::split(near);
            let mut frames = Vec::new();
            for message in [ServerMessage::Ping(7), ServerMessage::Done] {
                let body = codec::encode(&message).unwrap();
                frame::encode(Kind::Message, &[&body], &mut frames);
            }
            let (wire, ()) = tokio::join!(
                handshake(reader, writer),
                answer(far, b"Last login: today\r\n", &frames)
            );
            let mut wire = wire.unwrap();
            assert_eq!(wire.receive().await.unwrap(), ServerMessage::Ping(7));
            assert_eq!(wire.receive().await.unwrap(), ServerMessage::Done);
            assert!(matches!(wire.receive().await, Err(WireError::Closed(_))));
        });
    }

    #[test]
    fn what_is_no_message_is_said_to_be_a_strangers_without_the_decoders_words() {
        runtime().block_on(async {
            let (near, far) = tokio::io::duplex(4096);
            let (reader, writer) = tokio::io::split(near);
            let mut frames = Vec::new();
            frame::encode(Kind::Message, &[&[0xff]], &mut frames);
            let (wire, ()) = tokio::join!(handshake(reader, writer), answer(far, b"", &frames));
            let error = wire.unwrap().receive().await.unwrap_err();
            assert!(error.is_of_a_stranger());
            assert_eq!(
                error.to_string(),
                "what answers there is not psess, or not alone: what it sent is no message"
            );
        });
    }

    #[test]
    fn an_end_before_the_hello_shows_what_was_said() {
        runtime().block_on(async {
            let (near, mut far) = tokio::io::duplex(4096);
            let (reader, writer) = tokio::io::split(near);
            far.write_all(b"sh: psess: not found\n").await.unwrap();
            far.shutdown().await.unwrap();
            let error = handshake(reader, writer).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the connection closed before an answer came; it said 'sh: psess: not found'"
            );
        });
    }
}
