//! What the user types: finds the detach key among it. Everything else passes untouched, and at once.

use std::time::{Duration, Instant};

use crate::detach_key::{DetachKey, KeyEvent};

/// A second press within this time sends the key to the program; so long a first one waits.
const DOUBLE_PRESS: Duration = Duration::from_millis(300);

/// How long the start of a sequence that may be the detach key waits for its rest. Terminals
/// write a sequence at once; only a network in between tears it.
const TORN_SEQUENCE: Duration = Duration::from_millis(50);

/// The longest sequence that may be the detach key: longer ones pass.
const MAX_SEQUENCE: usize = 32;

const ESC: u8 = 0x1b;
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Finds the detach key in what is typed. Pressed once it detaches, after `DOUBLE_PRESS`, as
/// pressing it twice sends one through.
#[derive(Debug)]
pub struct KeyScanner {
    key: DetachKey,
    /// The start of a sequence: what of it was passed on already, and what is held back.
    sequence: Vec<u8>,
    passed: usize,
    held_since: Option<Instant>,
    /// The detach key was pressed then.
    pressed: Option<Instant>,
    /// How many bytes of the end of a paste were seen; `None` outside of one.
    paste: Option<usize>,
}

impl KeyScanner {
    /// Looks for `key`.
    #[must_use]
    pub fn new(key: DetachKey) -> Self {
        Self {
            key,
            sequence: Vec::new(),
            passed: 0,
            held_since: None,
            pressed: None,
            paste: None,
        }
    }

    /// The key that it looks for.
    #[must_use]
    pub fn detach_key(&self) -> DetachKey {
        self.key
    }

    /// Whether what was typed is for the program, all of it, and so is whatever comes after it: where
    /// a scanner for `key` that is at rest would only pass it on. It says so of text, and of whole
    /// control sequences (ECMA-48, 5.4; SS3 before one letter), as of cursor keys and mice.
    #[must_use]
    pub fn only_passes(key: DetachKey, typed: &[u8]) -> bool {
        let mut rest = typed;
        while let [first, behind @ ..] = rest {
            rest = match (*first, behind) {
                (ESC, [b'O', letter, behind @ ..]) if letter.is_ascii_alphabetic() => behind,
                (ESC, [b'[', sequence @ ..]) => {
                    let is_last = |byte: &u8| !(0x20..0x40).contains(byte);
                    let Some(end) = sequence.iter().position(is_last) else {
                        return false;
                    };
                    let (whole, behind) = rest.split_at(2 + end + 1);
                    let is_key = key.event(whole).is_some();
                    if is_key || whole == PASTE_BEGINS || !(0x40..0x7f).contains(&sequence[end]) {
                        return false;
                    }
                    behind
                }
                (ESC, _) => return false,
                (byte, _) if Some(byte) == key.control() => return false,
                (_, behind) => behind,
            };
        }
        true
    }

    /// Takes what was typed, and appends to `out` what is for the program. Returns whether to
    /// detach now; what was typed behind the key is dropped then.
    pub fn scan(&mut self, now: Instant, typed: &[u8], out: &mut Vec<u8>) -> bool {
        if self.handle_timeout(now, out) {
            return true;
        }
        for &byte in typed {
            if self.paste.is_some() {
                out.push(byte);
                self.handle_pasted(byte);
            } else if self.handle_byte(now, byte, out) {
                return true;
            }
        }
        // The start of a sequence may be Escape or Alt-[, typed by hand: these never wait.
        if self.sequence.len() <= 2 {
            self.pass(out);
        } else if self.passed < self.sequence.len() {
            self.held_since.get_or_insert(now);
        }
        false
    }

    /// Whether nothing that was typed so far matters for what comes next.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.sequence.is_empty() && self.pressed.is_none() && self.paste.is_none()
    }

    /// When to call [`KeyScanner::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pressed = self.pressed.map(|at| at + DOUBLE_PRESS);
        let held = self.held_since.map(|at| at + TORN_SEQUENCE);
        pressed.into_iter().chain(held).min()
    }

    /// Does what is due: appends to `out` what waited in vain for its rest. Returns whether to
    /// detach now, because no second press came.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        if self.held_since.is_some_and(|at| now >= at + TORN_SEQUENCE) {
            self.give_up(out);
        }
        self.pressed.is_some_and(|at| now >= at + DOUBLE_PRESS)
    }

    fn handle_pasted(&mut self, byte: u8) {
        let seen = self.paste.unwrap_or_default();
        let seen = match byte {
            _ if byte == PASTE_ENDS[seen] => seen + 1,
            ESC => 1,
            _ => 0,
        };
        self.paste = (seen < PASTE_ENDS.len()).then_some(seen);
    }

    fn handle_byte(&mut self, now: Instant, byte: u8, out: &mut Vec<u8>) -> bool {
        match (self.sequence.len(), byte) {
            (_, ESC) => {
                self.give_up(out);
                self.sequence.push(ESC);
            }
            (1, b'[') => self.sequence.push(byte),
            (2.., b'0'..=b'9') => self.sequence.push(byte),
            (3.., b';' | b':') => self.sequence.push(byte),
            (3.., b'u' | b'~') => {
                self.sequence.push(byte);
                return self.handle_sequence(now, out);
            }
            (0, _) if Some(byte) == self.key.control() => {
                return self.handle_press(now, &[byte], out);
            }
            // Another key after the detach key: the user does not wait for a second press.
            (0, _) if self.pressed.is_some() => return true,
            (0, _) => out.push(byte),
            (_, _) => {
                let is_alt_control = self.sequence.len() == 1 && Some(byte) == self.key.control();
                self.give_up(out);
                if is_alt_control {
                    // Escape, and then the detach key.
                    return self.handle_press(now, &[byte], out);
                }
                out.push(byte);
            }
        }
        if self.sequence.len() > MAX_SEQUENCE {
            self.give_up(out);
        }
        false
    }

    /// A whole `CSI … u` or `CSI … ~`.
    fn handle_sequence(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        if self.sequence == PASTE_BEGINS {
            self.paste = Some(0);
        }
        match self.key.event(&self.sequence) {
            Some(event) => {
                let sequence = std::mem::take(&mut self.sequence);
                let passed = std::mem::take(&mut self.passed);
                self.held_since = None;
                if passed > 0 {
                    // The program has the start of it already, and is told of a release, which
                    // means nothing to it, instead of a press.
                    out.extend(b"\x1b[92;5:3u".get(passed..).unwrap_or_default());
                }
                match event {
                    KeyEvent::Press => return self.handle_press(now, &sequence, out),
                    KeyEvent::Repeat | KeyEvent::Release if self.pressed.is_some() => {}
                    KeyEvent::Repeat | KeyEvent::Release if passed > 0 => {}
                    KeyEvent::Repeat | KeyEvent::Release => out.extend(sequence),
                }
            }
            None => self.give_up(out),
        }
        false
    }

    fn handle_press(&mut self, now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if self.pressed.take().is_some() {
            out.extend(bytes);
        } else {
            self.pressed = Some(now);
        }
        false
    }

    /// What is held is no detach key.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        self.pass(out);
        self.sequence.clear();
        self.passed = 0;
    }

    fn pass(&mut self, out: &mut Vec<u8>) {
        out.extend(&self.sequence[self.passed..]);
        self.passed = self.sequence.len();
        self.held_since = None;
    }
}

/// Whether somebody typed this. What terminals say by themselves, their answers to a program's
/// questions, begins with ESC.
pub(crate) fn is_by_hand(typed: &[u8]) -> bool {
    match typed {
        [] => false,
        [first, rest @ ..] => *first != b'\x1b' || rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1);

    /// Feeds the parts at once, then waits. Returns what passed and whether it detached.
    fn typed(key: &str, parts: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut scanner = KeyScanner::new(key.parse().unwrap());
        let now = Instant::now();
        let mut out = Vec::new();
        let detached = parts.iter().any(|part| scanner.scan(now, part, &mut out))
            || scanner.handle_timeout(now + LONG, &mut out);
        assert!(detached || scanner.poll_timeout().is_none());
        (out, detached)
    }

    fn press_forms() -> Vec<&'static [u8]> {
        vec![
            b"\x1c",
            b"\x1b[92;5u",
            b"\x1b[92;5:1u",
            b"\x1b[92;69u",
            b"\x1b[92;197:1u",
            b"\x1b[92:124:92;5u",
            b"\x1b[92;5;92u",
            b"\x1b[27;5;92~",
        ]
    }

    #[test]
    fn what_passes_anyway_is_known_without_a_scan() {
        let bytes = [
            b'a', b'[', b'O', b'u', b'~', b'2', b'0', b'7', b';', ESC, 0x1c, 0,
        ];
        let key = DetachKey::default();
        let now = Instant::now();
        let mut passing = 0;
        for head in [&b""[..], b"\x1b[", b"\x1b[2", b"\x1b[92;"] {
            for number in 0..bytes.len().pow(4) {
                let digit = |place: u32| bytes[number / bytes.len().pow(place) % bytes.len()];
                let typed = [head, &[digit(0), digit(1), digit(2), digit(3)]].concat();
                if KeyScanner::only_passes(key, &typed) {
                    let mut scanner = KeyScanner::new(key);
                    let mut out = Vec::new();
                    assert!(!scanner.scan(now, &typed, &mut out), "{typed:?}");
                    assert!(scanner.is_at_rest(), "{typed:?}");
                    assert_eq!(out, typed);
                    passing += 1;
                }
            }
        }
        assert!(passing > 10_000, "{passing}");
    }

    #[test]
    fn keys_that_are_no_detach_key_pass() {
        let passes = |typed| KeyScanner::only_passes(DetachKey::default(), typed);
        for typed in [
            &b"\x1b[A"[..],
            b"\x1bOP",
            b"\x1b[1;5C",
            b"\x1b[3~",
            b"\x1b[<35;10;7M\x1b[<35;11;7M",
            b"\x1b[M !!",
            b"\x1b[97u",
            b"\x1b[97;5u",
            "\u{e4}".as_bytes(),
            b"\x03",
        ] {
            assert!(passes(typed), "{}", typed.escape_ascii());
        }
        for typed in [
            &b"\x1b"[..],
            b"\x1b[",
            b"\x1b[1",
            b"\x1b[92;5u",
            b"\x1b[200~",
            b"\x1c",
        ] {
            assert!(!passes(typed), "{}", typed.escape_ascii());
        }
        assert!(
            "ctrl-b"
                .parse::<DetachKey>()
                .is_ok_and(|key| KeyScanner::only_passes(key, b"\x1c"))
        );
        assert!(
            "ctrl-space"
                .parse::<DetachKey>()
                .is_ok_and(|key| !KeyScanner::only_passes(key, b"\0"))
        );
    }

    #[test]
    fn the_key_detaches_in_all_its_forms() {
        for form in press_forms() {
            assert_eq!(typed("ctrl-\\", &[form]), (vec![], true), "{form:?}");
        }
    }

    #[test]
    fn the_key_detaches_wherever_reads_split_it() {
        for form in press_forms() {
            for split in 0..=form.len() {
                let (head, tail) = form.split_at(split);
                let (out, detached) = typed("ctrl-\\", &[b"ls", head, tail]);
                assert!(detached, "{form:?} at {split}");
                // What went ahead as Escape or Alt-[ is completed to a release.
                let whole = [&b"ls"[..], b"\x1b[92;5:3u"].concat();
                assert!(out == b"ls" || out == whole, "{out:?}");
                assert_eq!(out == b"ls", !(1..=2).contains(&split) || form.len() == 1);
            }
        }
    }

    #[test]
    fn twice_sends_one_through() {
        for form in press_forms() {
            let (out, detached) = typed("ctrl-\\", &[b"a", form, form, b"b"]);
            assert_eq!((out, detached), ([b"a", form, b"b"].concat(), false));
        }
        let (out, detached) = typed(
            "ctrl-\\",
            &[b"\x1b[92;5:1u", b"\x1b[92;5:3u", b"\x1b[92;5:1u"],
        );
        assert_eq!((out, detached), (b"\x1b[92;5:1u".to_vec(), false));
    }

    #[test]
    fn a_second_press_that_comes_late_does_not_count() {
        let mut scanner = KeyScanner::new(DetachKey::default());
        let now = Instant::now();
        let mut out = Vec::new();
        assert!(!scanner.scan(now, b"\x1c", &mut out));
        assert_eq!(scanner.poll_timeout(), Some(now + DOUBLE_PRESS));
        assert!(!scanner.handle_timeout(now, &mut out));
        assert!(scanner.scan(now + DOUBLE_PRESS, b"\x1c", &mut out));
        assert!(out.is_empty());
    }

    #[test]
    fn another_key_after_it_detaches_at_once() {
        let mut scanner = KeyScanner::new(DetachKey::default());
        let mut out = Vec::new();
        assert!(scanner.scan(Instant::now(), b"\x1cls", &mut out));
        assert!(out.is_empty());
    }

    #[test]
    fn everything_else_passes_untouched_wherever_it_is_split() {
        for keys in [
            &b"plain text, \xc3\xa9\r\t\x03"[..],
            b"\x1b",
            b"\x1b[",
            b"\x1bOP\x1b[A\x1b[1;5C\x1b[15~\x1b[15;2~",
            b"\x1b[<0;10;20M\x1b[<0;10;20m",
            b"\x1b[M !!",
            b"\x1b[97u",
            b"\x1b[97;5u",
            b"\x1b[I\x1b[O",
            b"\x1b[92u\x1b[92;3u\x1b[92;7u\x1b[93;5u\x1b[27;6;93~",
            b"\x1b[92;5:3u\x1b[92;5:2u",
            b"\x1b[?62;22c\x1b[10;20R\x1b]11;rgb:0/0/0\x1b\\\x1bP1$r0m\x1b\\",
            b"\x1b\x1b[A\x1b[\x1b[B",
            b"\x1b[1111111111111111111111111111111111111111111u",
            b"\x1b[200~a\x1c\x1b[92;5u\x1b[27;5;92~\x1b[20\x1b[201~b",
        ] {
            for split in 0..=keys.len() {
                let (head, tail) = keys.split_at(split);
                let (out, detached) = typed("ctrl-\\", &[head, tail]);
                assert!(!detached, "{keys:?} at {split}");
                // A release torn behind Escape may be told in another form.
                if !keys.starts_with(b"\x1b[92;5:") {
                    assert_eq!(
                        out.escape_ascii().to_string(),
                        keys.escape_ascii().to_string()
                    );
                }
            }
        }
    }

    #[test]
    fn ordinary_keys_never_wait() {
        for keys in [&b"\x1b"[..], b"\x1b[", b"\x1b[A", b"\x1b[15~", b"x"] {
            let mut scanner = KeyScanner::new(DetachKey::default());
            let mut out = Vec::new();
            assert!(!scanner.scan(Instant::now(), keys, &mut out));
            assert_eq!(out, keys);
            assert_eq!(scanner.poll_timeout(), None);
        }
    }

    #[test]
    fn a_paste_ends_and_the_key_detaches_again() {
        let (out, detached) = typed("ctrl-\\", &[b"\x1b[200~\x1c\x1b[2", b"01~", b"\x1c"]);
        assert_eq!(out, b"\x1b[200~\x1c\x1b[201~");
        assert!(detached);
    }

    #[test]
    fn the_key_that_was_chosen_detaches() {
        for (name, bytes) in [
            ("ctrl-b", &b"\x02"[..]),
            ("Ctrl-]", b"\x1b[93;5u"),
            ("^\\", b"\x1c"),
            ("ctrl-^", b"\x1b[54:94;6u"),
            ("ctrl-space", b"\0"),
        ] {
            assert_eq!(typed(name, &[bytes]), (vec![], true), "{name}");
        }
        assert_eq!(typed("none", &[b"\x1c"]), (b"\x1c".to_vec(), false));
    }
}
