//! Frames mean the same however the stream is cut.

use psess_protocol::frame::{Decoder, Frame, FrameError, MAX_BODY};

pub(crate) fn check(bytes: &[u8]) {
    let Some((&cut, wire)) = bytes.split_first() else {
        return;
    };
    let whole = frames(wire, wire.len().max(1));
    let cut = frames(wire, usize::from(cut).max(1));
    assert_eq!(whole, cut);
}

/// A frame's kind, offset and body.
type Owned = (u8, u64, Vec<u8>);

/// Every frame's kind, offset and body, and the error that ended the stream.
fn frames(wire: &[u8], chunk: usize) -> (Vec<Owned>, Option<FrameError>) {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for mut part in wire.chunks(chunk) {
        while !part.is_empty() {
            let taken = decoder.feed(part);
            assert!(
                taken > 0,
                "a decoder that is asked for all its frames has room"
            );
            part = &part[taken..];
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => seen.push(owned(frame)),
                    Ok(None) => break,
                    Err(error) => return (seen, Some(error)),
                }
            }
        }
    }
    (seen, None)
}

fn owned(frame: Frame<'_>) -> Owned {
    let (kind, offset, body) = match frame {
        Frame::Message(body) => (1, 0, body),
        Frame::Output(offset, body) => (2, offset.0, body),
        Frame::Input(offset, body) => (3, offset.0, body),
        Frame::Replay(body) => (4, 0, body),
    };
    assert!(body.len() <= MAX_BODY);
    (kind, offset, body.to_vec())
}
