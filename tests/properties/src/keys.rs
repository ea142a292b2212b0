//! What is typed passes untouched, but for the detach key; and whether it detaches does not depend
//! on how reads split it.

use std::time::{Duration, Instant};

use psess_client::detach_key::DetachKey;
use psess_client::keys::KeyScanner;

/// Longer than anything waits.
const LONG: Duration = Duration::from_secs(1);

pub(crate) fn check(bytes: &[u8]) {
    let (untouched, detached) = typed(DetachKey::NONE, [bytes]);
    assert_eq!((untouched.as_slice(), detached), (bytes, false));

    let key = DetachKey::default();
    let (at_once, detached) = typed(key, [bytes]);
    let (one_by_one, detached_too) = typed(key, bytes.chunks(1));
    assert_eq!(detached, detached_too);
    let is_key = bytes.contains(&0x1c) || bytes.windows(2).any(|digits| digits == b"92");
    if !is_key {
        assert!(!detached);
        assert_eq!((at_once.as_slice(), one_by_one.as_slice()), (bytes, bytes));
    }
}

/// What passes of keys that are typed in these parts, and whether they detach in the end.
fn typed<'a>(key: DetachKey, parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
    let mut scanner = KeyScanner::new(key);
    let now = Instant::now();
    let mut out = Vec::new();
    let detached = parts
        .into_iter()
        .any(|part| scanner.scan(now, part, &mut out))
        || scanner.handle_timeout(now + LONG, &mut out);
    assert!(detached || scanner.poll_timeout().is_none());
    (out, detached)
}
