//! Bytes made small, by LZ4.

use lz4_flex::block::{compress, decompress_into};

/// What became of some bytes.
#[derive(Debug)]
pub(super) struct Packed {
    bytes: Box<[u8]>,
    /// Of what it becomes again.
    length: usize,
}

impl Packed {
    /// Gives the bytes back where they would not get smaller.
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        let mut packed = Self {
            bytes: compress(&bytes).into(),
            length: bytes.len(),
        };
        // Nothing else has these lines: they are not given away unseen.
        let mut again = Vec::new();
        if packed.bytes.len() >= bytes.len() || !packed.unpacks(&mut again) || again != bytes {
            return Err(bytes);
        }
        // What is kept for long moves to where something was before, so that the heap ends sooner.
        drop((bytes, again));
        packed.bytes = packed.bytes.clone();
        Ok(packed)
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes it was made of.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Makes `out` what it was made of.
    pub(super) fn unpack(&self, out: &mut Vec<u8>) {
        assert!(self.unpacks(out), "it did when it was packed");
    }

    fn unpacks(&self, out: &mut Vec<u8>) -> bool {
        out.resize(self.length, 0);
        decompress_into(&self.bytes, out).is_ok_and(|length| length == self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_packed_where_that_makes_them_smaller() {
        let words = b"some words that come again ".repeat(1000);
        let packed = Packed::new(words.clone()).expect("it gets smaller");
        assert_eq!(packed.length(), words.len());
        assert!(packed.size() < words.len() / 20, "{}", packed.size());
        // Longer and shorter than what comes.
        for mut out in [Vec::new(), vec![1; 100_000]] {
            packed.unpack(&mut out);
            assert_eq!(out, words);
        }
        let mut random = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 56) as u8
        })
        .take(10_000)
        .collect();
        for bytes in [Vec::new(), b"short".to_vec(), noise] {
            let kept = Packed::new(bytes.clone()).expect_err("it does not get smaller");
            assert_eq!(kept, bytes);
        }
    }
}
