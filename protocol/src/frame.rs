//! Frames: the units on the wire.
//!
//! ```text
//! u32 length of the body, little endian · u8 kind · body of at most 64 KiB
//! ```
//!
//! Terminal bytes travel raw in kinds of their own; everything else is a message in
//! [`Kind::Message`]. A kind that is not known is skipped, so that newer peers may add some.

use crate::offset::{InputOffset, Offset};

/// The largest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// Bytes before the body: length and kind.
pub const HEADER: usize = 5;

/// Bytes of the offset that begins an [`Kind::Output`] or [`Kind::Input`] body.
pub const OFFSET: usize = 8;

/// The largest number of terminal bytes in one frame.
pub const MAX_TERMINAL_BYTES: usize = MAX_BODY - OFFSET;

/// What a frame's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A `ClientMessage` or `ServerMessage`.
    Message = 1,
    /// Server to client: the program's output from an offset on: u64 little endian, raw bytes.
    Output = 2,
    /// Client to server: what the user typed from an input offset on: u64 little endian, raw
    /// bytes.
    Input = 3,
    /// Server to client: a part of the replay that `ServerMessage::Replay` announced: raw bytes.
    Replay = 4,
}

impl Kind {
    fn from_wire(byte: u8) -> Option<Self> {
        [Self::Message, Self::Output, Self::Input, Self::Replay]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A frame whose body still lies in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An encoded message.
    Message(&'a [u8]),
    /// The program's output from an offset on.
    Output(Offset, &'a [u8]),
    /// What the user typed from an input offset on.
    Input(InputOffset, &'a [u8]),
    /// A part of a replay.
    Replay(&'a [u8]),
}

/// Appends one frame to `out`.
///
/// # Panics
/// When the body exceeds [`MAX_BODY`]: callers cut terminal bytes into frames, and the codec
/// refuses larger messages.
pub fn encode(kind: Kind, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    assert!(length <= MAX_BODY, "a frame's body of {length} bytes");
    out.reserve(HEADER + length);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.push(kind as u8);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends `bytes` of output as one frame. At most [`MAX_TERMINAL_BYTES`].
pub fn encode_output(offset: Offset, bytes: &[u8], out: &mut Vec<u8>) {
    encode(Kind::Output, &[&offset.0.to_le_bytes(), bytes], out);
}

/// Appends `bytes` of input as one frame. At most [`MAX_TERMINAL_BYTES`].
pub fn encode_input(offset: InputOffset, bytes: &[u8], out: &mut Vec<u8>) {
    encode(Kind::Input, &[&offset.0.to_le_bytes(), bytes], out);
}

/// Cuts a stream of bytes into frames.
///
/// Holds at most one frame and what one read brought: `spare` gives the place to read into,
/// `filled` says how much came, `next` yields the frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Decoder {
    const CAPACITY: usize = 2 * (HEADER + MAX_BODY);

    /// An empty one. It allocates with the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A place for the next read, never empty once `next` has returned `Ok(None)`.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let wanted = self.wanted_capacity();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Small until a large frame comes: an idle connection holds 4 KiB.
    fn wanted_capacity(&self) -> usize {
        match self.length() {
            Some(length) if length + HEADER > 4096 => Self::CAPACITY,
            Some(_) | None => 4096,
        }
    }

    /// `bytes` were read into `spare`.
    ///
    /// # Panics
    /// When that is more than `spare` had room for.
    pub fn filled(&mut self, bytes: usize) {
        self.end += bytes;
        assert!(
            self.end <= self.buffer.len(),
            "more was read than there was room for"
        );
    }

    /// Takes `bytes` that arrived by other means than `spare`.
    pub fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut taken = 0;
        while !bytes.is_empty() {
            let spare = self.spare();
            if spare.is_empty() {
                break;
            }
            let count = spare.len().min(bytes.len());
            spare[..count].copy_from_slice(&bytes[..count]);
            self.filled(count);
            taken += count;
            bytes = &bytes[count..];
        }
        taken
    }

    /// The next whole frame; `None` until more bytes come. Frames of unknown kind are skipped.
    ///
    /// # Errors
    /// [`FrameError`] when the peer breaks the format; the stream cannot go on.
    #[allow(
        clippy::should_implement_trait,
        reason = "a lending iterator, which Iterator is not"
    )]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        loop {
            let Some(length) = self.length() else {
                return Ok(None);
            };
            if length > MAX_BODY {
                return Err(FrameError::TooLarge(length));
            }
            if self.end - self.start < HEADER + length {
                return Ok(None);
            }
            let kind = self.buffer[self.start + HEADER - 1];
            let body = self.start + HEADER..self.start + HEADER + length;
            self.start = body.end;
            if let Some(kind) = Kind::from_wire(kind) {
                return parse(kind, &self.buffer[body]).map(Some);
            }
        }
    }

    fn length(&self) -> Option<usize> {
        let header = self.buffer.get(self.start..self.end)?.get(..HEADER)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        Some(length as usize)
    }
}

fn parse(kind: Kind, body: &[u8]) -> Result<Frame<'_>, FrameError> {
    let offset = || {
        let (offset, bytes) = body
            .split_first_chunk::<OFFSET>()
            .ok_or(FrameError::NoOffset)?;
        Ok((u64::from_le_bytes(*offset), bytes))
    };
    Ok(match kind {
        Kind::Message => Frame::Message(body),
        Kind::Output => {
            let (offset, bytes) = offset()?;
            Frame::Output(Offset(offset), bytes)
        }
        Kind::Input => {
            let (offset, bytes) = offset()?;
            Frame::Input(InputOffset(offset), bytes)
        }
        Kind::Replay => Frame::Replay(body),
    })
}

/// How a peer broke the frame format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A body longer than [`MAX_BODY`].
    #[error("a frame of {0} bytes is larger than the {MAX_BODY} allowed")]
    TooLarge(usize),
    /// An input or output frame too short for its offset.
    #[error("a frame of terminal bytes lacks its offset")]
    NoOffset,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> Vec<u8> {
        let mut wire = Vec::new();
        encode(Kind::Message, &[b"hello"], &mut wire);
        encode_output(Offset(7), &[b'x'; MAX_TERMINAL_BYTES], &mut wire);
        wire.extend_from_slice(&[3, 0, 0, 0, 250, 1, 2, 3]); // a kind of the future
        encode_input(InputOffset(9), b"ls\r", &mut wire);
        encode(Kind::Replay, &[b""], &mut wire);
        wire
    }

    #[test]
    fn frames_survive_any_chunking() {
        let wire = wire();
        for chunk in [1, 2, 7, 4096, 70_000, wire.len()] {
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            for part in wire.chunks(chunk) {
                let mut part = part;
                while !part.is_empty() {
                    let taken = decoder.feed(part);
                    part = &part[taken..];
                    while let Some(frame) = decoder.next().unwrap() {
                        seen.push(match frame {
                            Frame::Message(body) => (1, 0, body.len()),
                            Frame::Output(offset, bytes) => (2, offset.0, bytes.len()),
                            Frame::Input(offset, bytes) => (3, offset.0, bytes.len()),
                            Frame::Replay(bytes) => (4, 0, bytes.len()),
                        });
                    }
                }
            }
            assert_eq!(
                seen,
                [(1, 0, 5), (2, 7, MAX_TERMINAL_BYTES), (3, 9, 3), (4, 0, 0)]
            );
        }
    }

    #[test]
    fn a_hostile_length_is_refused_at_once() {
        let mut decoder = Decoder::new();
        decoder.feed(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(decoder.next(), Err(FrameError::TooLarge(u32::MAX as usize)));
    }

    #[test]
    fn terminal_bytes_without_an_offset_are_refused() {
        let mut decoder = Decoder::new();
        decoder.feed(&[3, 0, 0, 0, 2, 1, 2, 3]);
        assert_eq!(decoder.next(), Err(FrameError::NoOffset));
    }
}
