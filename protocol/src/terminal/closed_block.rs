//! A block of history that is full: it is only read from then on, and may be packed.

use super::block::Block;
use super::legend::Legend;
use super::packed::Packed;

/// Some lines that nothing is added to.
#[derive(Debug)]
pub(super) struct ClosedBlock {
    text: Text,
    legend: Legend,
    lines: usize,
    is_ended: bool,
}

#[derive(Debug)]
enum Text {
    Plain(Vec<u8>),
    Packed(Packed),
}

impl ClosedBlock {
    /// Gives back the memory that nothing more is written to.
    pub(super) fn new(block: Block) -> Self {
        let is_ended = block.is_ended();
        let Block {
            mut bytes,
            mut legend,
            lines,
        } = block;
        bytes.shrink_to_fit();
        legend.close();
        Self {
            text: Text::Plain(bytes),
            legend,
            lines,
            is_ended,
        }
    }

    /// The block, to be written to again.
    pub(super) fn reopen(self) -> Block {
        let bytes = match self.text {
            Text::Plain(bytes) => bytes,
            Text::Packed(packed) => {
                let mut bytes = Vec::new();
                packed.unpack(&mut bytes);
                bytes
            }
        };
        Block {
            bytes,
            legend: self.legend,
            lines: self.lines,
        }
    }

    /// Takes less memory from now on, if it can.
    pub(super) fn pack(&mut self) {
        if let Text::Plain(bytes) = &mut self.text {
            self.text = match Packed::new(std::mem::take(bytes)) {
                Ok(packed) => Text::Packed(packed),
                Err(bytes) => Text::Plain(bytes),
            };
        }
    }

    /// Bytes of memory before it was packed.
    pub(super) fn plain_size(&self) -> usize {
        let text = match &self.text {
            Text::Plain(bytes) => bytes.len(),
            Text::Packed(packed) => packed.length(),
        };
        text + self.legend.size()
    }

    /// How much less it takes since it is packed.
    pub(super) fn saved_bytes(&self) -> usize {
        match &self.text {
            Text::Plain(_) => 0,
            Text::Packed(packed) => packed.length() - packed.size(),
        }
    }

    /// Line ends in it.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Whether its last line is ended.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Its bytes, and what the numbers in them stand for; `unpacked` is any buffer.
    pub(super) fn read<'a>(&'a self, unpacked: &'a mut Vec<u8>) -> (&'a [u8], &'a Legend) {
        let bytes = match &self.text {
            Text::Plain(bytes) => bytes,
            Text::Packed(packed) => {
                packed.unpack(unpacked);
                unpacked
            }
        };
        (bytes, &self.legend)
    }
}

#[cfg(test)]
impl ClosedBlock {
    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        let text = match &self.text {
            Text::Plain(bytes) => bytes.len(),
            Text::Packed(packed) => packed.size(),
        };
        text + self.legend.size()
    }
}
