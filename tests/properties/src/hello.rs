//! A hello is found behind any noise, and read the same however it is cut.

use psess_protocol::hello::{Hello, HelloFinder};

pub(crate) fn check(bytes: &[u8]) {
    if let Ok(Some((hello, length))) = Hello::decode(bytes) {
        assert!(length <= bytes.len());
        let again = hello.encode();
        // A build that is no UTF-8 is read with replacements, which may be longer than 255 bytes.
        let (read, _) = Hello::decode(&again).unwrap().expect("it is whole");
        assert!(hello.build.starts_with(&read.build));
        assert_eq!((read.nonce, read.highest), (hello.nonce, hello.highest));
        let _ = hello.common_version(&Hello::of_client());
    }
    let Some((&cut, wire)) = bytes.split_first() else {
        return;
    };
    let asked = Hello {
        nonce: *b"0123456789abcdef",
        ..Hello::of_client()
    };
    let whole = find(&asked, wire, wire.len().max(1));
    let parts = find(&asked, wire, usize::from(cut).max(1));
    // How much noise there is when too much came depends on the cut.
    if let (Some(whole), Some(parts)) = (whole, parts) {
        assert_eq!(whole, parts);
    }
}

/// The hello and where the first frame begins; `None` when there is an error.
fn find(asked: &Hello, wire: &[u8], chunk: usize) -> Option<Option<(Hello, usize)>> {
    let mut finder = HelloFinder::new(asked);
    let mut fed = 0;
    for part in wire.chunks(chunk) {
        fed += part.len();
        match finder.feed(part) {
            Ok(Some((hello, behind))) => return Some(Some((hello, fed - behind.len()))),
            Ok(None) => {}
            Err(_) => {
                let _ = finder.noise();
                return None;
            }
        }
    }
    let _ = finder.noise();
    Some(None)
}
