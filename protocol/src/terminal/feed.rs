//! Takes output apart into text, controls, sequences and strings.
//!
//! Printable ASCII and short control sequences are most of what programs write, and are read by
//! hand; other sequences are collected whole for the parser library. What is not yet whole is
//! kept as it came, so that a replay can end with it.

use super::parameters::Parameters;
use super::perform::SequenceParser;
use super::state::State;

/// Where in the grammar the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ground,
    /// In a character of several bytes.
    Character,
    /// After ESC.
    Escape,
    /// After `ESC [`.
    Control,
    /// In a control string.
    String(Introducer),
    /// After an ESC in a control string.
    StringEscape(Introducer),
}

/// What began a control string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Introducer {
    Osc,
    Dcs,
    Apc,
    /// PM and SOS, which nobody uses: more often than not they are an accident, such as the
    /// line discipline's `^C` after an ESC whose sequence was thrown away.
    Unused,
}

/// What of a string is kept: longer ones (images) pass through and mean nothing to the model.
const STRING_KEPT: usize = 64 << 10;
/// A control sequence longer than this is ignored.
const SEQUENCE_KEPT: usize = 512;

impl Introducer {
    /// After so many bytes a string is taken for an accident and left: the model must not stay
    /// deaf. Those that programs use may have any length, as in xterm, VTE, Alacritty and
    /// xterm.js: nothing of a large picture or clipboard may show as text.
    fn limit(self) -> u64 {
        match self {
            Self::Osc | Self::Dcs | Self::Apc => u64::MAX,
            Self::Unused => 4 << 10,
        }
    }

    /// What stands for a string whose contents were too long to keep: it takes the rest of
    /// the string and does nothing.
    fn placeholder(self) -> &'static [u8] {
        match self {
            Self::Osc => b"\x1b]9999;",
            Self::Dcs => b"\x1bPz",
            Self::Apc => b"\x1b_",
            Self::Unused => b"\x1b^",
        }
    }
}

/// The state between two calls of `feed`.
#[derive(Debug)]
pub(super) struct Feed {
    place: Place,
    /// The sequence, string or character begun, as it came, without controls that were
    /// carried out in its middle.
    pending: Vec<u8>,
    /// Bytes of the string so far.
    string_length: u64,
    /// Contents were dropped.
    truncated: bool,
    parser: SequenceParser,
    /// Bytes fed since the beginning.
    fed: u64,
    /// Where the sequence begun stands.
    started: u64,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Ground,
            pending: Vec::new(),
            string_length: 0,
            truncated: false,
            parser: SequenceParser::default(),
            fed: 0,
            started: 0,
        }
    }

    /// Bytes fed since the beginning.
    pub(super) fn fed(&self) -> u64 {
        self.fed
    }

    /// Whether nothing is begun.
    pub(super) fn is_at_ground(&self) -> bool {
        self.place == Place::Ground
    }

    /// So many bytes are taken without being fed.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.fed += bytes as u64;
    }

    /// What is begun and not yet whole.
    pub(super) fn pending(&self) -> &[u8] {
        &self.pending
    }

    pub(super) fn feed(&mut self, bytes: &[u8], state: &mut State) {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.place {
                Place::Ground => self.ground(&bytes[at..], at as u64, state),
                Place::String(introducer) => {
                    self.string(introducer, &bytes[at..], at as u64, state)
                }
                Place::Character | Place::Escape | Place::Control | Place::StringEscape(_) => {
                    self.step(bytes[at], at as u64, state)
                }
            };
        }
        self.fed += bytes.len() as u64;
    }

    /// Reads text, and begins everything else; returns how many bytes it took.
    #[inline]
    fn ground(&mut self, bytes: &[u8], at: u64, state: &mut State) -> usize {
        match bytes[0] {
            0x20..=0x7e => {
                let length = printable_length(bytes);
                state.print_ascii(&bytes[..length]);
                length
            }
            0x1b => {
                if let Some(length) = self.short_sequence(bytes, at, state) {
                    return length;
                }
                self.begin(Place::Escape, &[0x1b], self.fed + at);
                1
            }
            byte @ (0x00..=0x1f | 0x7f) => {
                state.control(byte);
                1
            }
            0x80.. => self.characters(bytes, at, state),
        }
    }

    fn begin(&mut self, place: Place, pending: &[u8], started: u64) {
        self.place = place;
        self.pending.clear();
        self.pending.extend_from_slice(pending);
        self.started = started;
    }

    fn end(&mut self) {
        self.place = Place::Ground;
        self.truncated = false;
        self.pending.clear();
        if self.pending.capacity() > 4096 {
            self.pending = Vec::new();
        }
    }

    /// A control sequence without intermediates that is here as a whole.
    #[inline]
    pub(super) fn short_sequence(
        &mut self,
        bytes: &[u8],
        at: u64,
        state: &mut State,
    ) -> Option<usize> {
        if *bytes.get(1)? != b'[' {
            return None;
        }
        let mut index = 2;
        let prefix = match *bytes.get(2)? {
            byte @ 0x3c..=0x3f => {
                index = 3;
                byte
            }
            _ => 0,
        };
        let mut parameters = Parameters::new();
        let mut value = 0_u16;
        let mut joined = false;
        loop {
            match *bytes.get(index)? {
                digit @ b'0'..=b'9' => {
                    value = value
                        .saturating_mul(10)
                        .saturating_add(u16::from(digit - b'0'));
                }
                separator @ (b';' | b':') => {
                    parameters.push(value, joined);
                    joined = separator == b':';
                    value = 0;
                }
                last @ 0x40..=0x7e => {
                    parameters.push(value, joined);
                    state.sequence = self.fed + at..self.fed + at + index as u64 + 1;
                    state.control_sequence(prefix, 0, &parameters, last);
                    return Some(index + 1);
                }
                _ => return None,
            }
            index += 1;
            if index > SEQUENCE_KEPT {
                return None;
            }
        }
    }

    /// Reads characters of several bytes; what is no UTF-8 becomes U+FFFD, one for each maximal
    /// part of a character (Unicode 16 § 3.9, as xterm does it).
    fn characters(&mut self, bytes: &[u8], at: u64, state: &mut State) -> usize {
        let length = mixed_length(bytes);
        let run = &bytes[..length];
        let (text, invalid, whole) = match std::str::from_utf8(run) {
            Ok(text) => (text, 0, true),
            Err(error) => {
                let valid = &run[..error.valid_up_to()];
                let text = std::str::from_utf8(valid).expect("that much was found valid");
                match error.error_len() {
                    Some(invalid) => (text, invalid, true),
                    // An ASCII byte follows: no more of this character comes.
                    None if length < bytes.len() => (text, length - valid.len(), true),
                    None => (text, 0, false),
                }
            }
        };
        if let Some(index) = find_c1(text.as_bytes()) {
            state.print_text(&text[..index]);
            // C1 in its Unicode form means what ESC and its 7-bit form mean.
            self.begin(Place::Escape, &[0x1b], self.fed + at + index as u64);
            self.step(
                text.as_bytes()[index + 1] - 0x40,
                at + index as u64 + 1,
                state,
            );
            return index + 2;
        }
        state.print_text(text);
        if invalid > 0 {
            state.print(char::REPLACEMENT_CHARACTER);
        }
        let taken = text.len() + invalid;
        if !whole {
            self.begin(
                Place::Character,
                &run[taken..],
                self.fed + at + taken as u64,
            );
            return length;
        }
        taken
    }

    /// Takes one byte outside of the ground state; returns 1, or 0 when the byte ended
    /// something and is to be read again.
    fn step(&mut self, byte: u8, at: u64, state: &mut State) -> usize {
        match self.place {
            Place::Character => return self.step_character(byte, state),
            Place::Escape | Place::Control => match byte {
                0x18 | 0x1a => self.end(),
                0x1b => self.begin(Place::Escape, &[0x1b], self.fed + at),
                0x00..=0x1f => state.control(byte),
                0x20..=0x7e if self.place == Place::Escape => self.step_escape(byte, at, state),
                0x20..=0x7e => self.step_control(byte, at, state),
                0x7f.. => {}
            },
            Place::StringEscape(introducer) => {
                let whole = byte == b'\\';
                let end = self.fed + at + u64::from(whole);
                self.dispatch_string(introducer, end, state);
                let started = (self.fed + at).saturating_sub(1);
                self.end();
                if !whole {
                    self.begin(Place::Escape, &[0x1b], started);
                    return 0;
                }
            }
            Place::Ground | Place::String(_) => return 0,
        }
        1
    }

    fn step_character(&mut self, byte: u8, state: &mut State) -> usize {
        self.pending.push(byte);
        let c = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.chars().next(),
            Err(error) => match error.error_len() {
                None => return 1,
                Some(_) => None,
            },
        };
        let Some(c) = c else {
            // Only the last byte can be the one that does not fit.
            self.end();
            state.print(char::REPLACEMENT_CHARACTER);
            return 0;
        };
        self.end();
        if matches!(c, '\u{80}'..='\u{9f}') {
            self.begin(Place::Escape, &[0x1b], self.started);
            let at = self.started.saturating_sub(self.fed);
            self.step(c as u8 - 0x40, at, state);
        } else {
            state.print(c);
        }
        1
    }

    fn step_escape(&mut self, byte: u8, at: u64, state: &mut State) {
        if self.pending.len() == 1 {
            let introducer = match byte {
                b'[' => {
                    self.pending.push(byte);
                    self.place = Place::Control;
                    return;
                }
                b']' => Some(Introducer::Osc),
                b'P' => Some(Introducer::Dcs),
                b'_' => Some(Introducer::Apc),
                b'X' | b'^' => Some(Introducer::Unused),
                _ => None,
            };
            if let Some(introducer) = introducer {
                self.pending.push(byte);
                self.string_length = 0;
                self.place = Place::String(introducer);
                return;
            }
        }
        if byte >= 0x30 {
            self.pending.push(byte);
            self.perform(at, state);
        } else if self.pending.len() < 8 {
            // No sequence has so many intermediates: it means nothing already.
            self.pending.push(byte);
        }
    }

    fn step_control(&mut self, byte: u8, at: u64, state: &mut State) {
        if self.pending.len() < SEQUENCE_KEPT {
            self.pending.push(byte);
        } else {
            // A private marker after a digit makes every parser ignore the sequence.
            self.pending.clear();
            self.pending.extend_from_slice(b"\x1b[0?");
        }
        if byte >= 0x40 {
            if self.pending.last() != Some(&byte) {
                self.pending.push(byte);
            }
            self.perform(at, state);
        }
    }

    fn perform(&mut self, at: u64, state: &mut State) {
        state.sequence = self.started..self.fed + at + 1;
        let sequence = std::mem::take(&mut self.pending);
        self.parser.perform(&sequence, state);
        self.pending = sequence;
        self.end();
    }

    /// Takes bytes of a control string up to its end.
    fn string(
        &mut self,
        introducer: Introducer,
        bytes: &[u8],
        at: u64,
        state: &mut State,
    ) -> usize {
        let mut ends = |byte: &u8| match byte {
            0x18 | 0x1a | 0x1b => true,
            0x07 => introducer == Introducer::Osc,
            _ => false,
        };
        let room = introducer.limit().saturating_sub(self.string_length);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let window = &bytes[..bytes.len().min(room)];
        let mut length = window.iter().position(&mut ends).unwrap_or(window.len());
        // ST in its Unicode form, C2 9C.
        let st = self.find_st(&window[..length]);
        if let Some(end) = st {
            length = end;
        }
        self.keep(introducer, &window[..length]);
        self.string_length += length as u64;
        if st.is_some() {
            if self.pending.last() == Some(&0xc2) {
                self.pending.pop();
            }
            self.dispatch_string(introducer, self.fed + at + length as u64 + 1, state);
            self.end();
            return length + 1;
        }
        if length == window.len() {
            if window.len() == room {
                self.end();
            }
            return length;
        }
        match bytes[length] {
            0x1b => {
                self.pending.push(0x1b);
                self.place = Place::StringEscape(introducer);
            }
            0x07 => {
                self.dispatch_string(introducer, self.fed + at + length as u64 + 1, state);
                self.end();
            }
            _ => self.end(),
        }
        length + 1
    }

    /// Where the second byte of C2 9C stands.
    fn find_st(&self, bytes: &[u8]) -> Option<usize> {
        if bytes.first() == Some(&0x9c) && self.pending.last() == Some(&0xc2) {
            return Some(0);
        }
        Some(bytes.windows(2).position(|pair| pair == [0xc2, 0x9c])? + 1)
    }

    fn keep(&mut self, introducer: Introducer, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.truncated |= self.pending.len() + bytes.len() > STRING_KEPT;
        if self.truncated {
            self.pending.clear();
            self.pending.extend_from_slice(introducer.placeholder());
            // Half of an ST, perhaps.
            self.pending.extend((*last == 0xc2).then_some(0xc2));
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }

    fn dispatch_string(&mut self, introducer: Introducer, end: u64, state: &mut State) {
        if self.truncated {
            return;
        }
        state.sequence = self.started..end;
        let contents = self.pending.get(2..).unwrap_or_default();
        let contents = contents.strip_suffix(b"\x1b").unwrap_or(contents);
        match introducer {
            Introducer::Osc => state.operating_system_command(contents),
            Introducer::Dcs => state.device_control_string(contents),
            Introducer::Apc | Introducer::Unused => {}
        }
    }
}

/// Where the first of U+0080 to U+009F stands in text without ASCII.
fn find_c1(text: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let at = start + text[start..].iter().position(|byte| *byte == 0xc2)?;
        if text[at + 1] < 0xa0 {
            return Some(at);
        }
        start = at + 2;
    }
}

/// How many bytes from the start are characters above ASCII and the words between them. Longer
/// stretches of ASCII are quicker for themselves.
fn mixed_length(bytes: &[u8]) -> usize {
    const FEW: usize = 8;
    let mut ascii = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            0x80.. => ascii = 0,
            0x20..=0x7e if ascii < FEW => ascii += 1,
            _ => return at - ascii,
        }
    }
    bytes.len() - ascii
}

/// How many bytes from the start are printable ASCII.
#[inline]
fn printable_length(bytes: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut length = 0;
    for chunk in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight bytes"));
        // Bytes below 0x20, above 0x7e.
        let low = word.wrapping_sub(LOW * 0x20) & !word;
        let high = word | word.wrapping_add(LOW);
        let odd = (low | high) & HIGH;
        if odd != 0 {
            return length + (odd.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    let rest = bytes[length..].iter();
    length + rest.take_while(|byte| matches!(byte, 0x20..=0x7e)).count()
}
