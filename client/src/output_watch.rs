//! What the output did to the user's terminal that must be undone with the right count.

/// Knows what has to be undone with the right count: leaving an alternate screen that does not
/// show would move the cursor to a place saved long ago, and the title comes back from below those
/// that the program has put aside (with xterm's `smcup`, each full-screen program does).
#[derive(Debug, Default)]
pub(crate) struct OutputWatch {
    /// An alternate screen shows.
    pub(crate) shows_alternate: bool,
    /// Titles that the program has put aside.
    pub(crate) titles: u8,
    /// The end of what came last, in which a sequence may have begun.
    tail: Vec<u8>,
}

impl OutputWatch {
    /// `CSI 22 ; 0 ; 0 t` is the longest of them.
    const LONGEST: usize = 10;

    /// The output goes on, in pieces of any size.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let start = &bytes[..bytes.len().min(Self::LONGEST)];
        let mut seam = std::mem::take(&mut self.tail);
        let old = seam.len();
        seam.extend_from_slice(start);
        self.scan(&seam, old, old);
        self.scan(bytes, bytes.len(), 0);
        let end = if bytes.len() >= Self::LONGEST {
            bytes
        } else {
            &seam
        };
        self.tail = end[end.len().saturating_sub(Self::LONGEST - 1)..].to_vec();
    }

    /// Looks at the sequences that begin before `begin` and end behind `seen`.
    fn scan(&mut self, bytes: &[u8], begin: usize, seen: usize) {
        for escape in memchr::memchr_iter(0x1b, &bytes[..begin]) {
            let Some(rest) = bytes[escape + 1..].strip_prefix(b"[") else {
                continue;
            };
            let is_parameter = |byte: &u8| matches!(byte, b'0'..=b'9' | b';' | b'?');
            let longest = &rest[..rest.len().min(Self::LONGEST)];
            let Some(length) = longest.iter().position(|byte| !is_parameter(byte)) else {
                continue;
            };
            if escape + 2 + length < seen {
                continue;
            }
            match (&rest[..length], rest[length]) {
                (b"?1049" | b"?1047" | b"?47", b'h') => self.shows_alternate = true,
                (b"?1049" | b"?1047" | b"?47", b'l') => self.shows_alternate = false,
                (b"22" | b"22;0" | b"22;1" | b"22;2" | b"22;0;0", b't') => {
                    self.titles = self.titles.saturating_add(1);
                }
                (b"23" | b"23;0" | b"23;1" | b"23;2" | b"23;0;0", b't') => {
                    self.titles = self.titles.saturating_sub(1);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_undone_is_noticed_in_any_chunking() {
        let stream = b"text\x1b[?1049h\x1b[22;0;0t vim \x1b[?1049l\x1b[23;0;0tmore\x1b[?47h\
            \x1b[22;2t\x1b[22t\x1b[23;1t\x1b[24t\x1b[22;2t";
        for chunk in 1..stream.len() {
            let mut watch = OutputWatch::default();
            let mut seen = vec![false];
            for part in stream.chunks(chunk) {
                watch.feed(part);
                seen.push(watch.shows_alternate);
            }
            assert!(watch.shows_alternate, "in chunks of {chunk}");
            assert_eq!(watch.titles, 2, "in chunks of {chunk}");
            seen.dedup();
            assert!(chunk > 10 || seen == [false, true, false, true], "{chunk}");
        }
    }
}
