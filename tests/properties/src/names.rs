//! Any text has a valid name nearest to it, and a name survives being shown, with its host too.

use psess_client::address::Address;
use psess_protocol::name::SessionName;

pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = text.parse::<SessionName>() {
        assert_eq!(name.as_str(), text);
        assert!(name.as_str().len() <= SessionName::MAX_BYTES);
    }
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(
            address.to_string().parse::<Address>().as_ref(),
            Ok(&address)
        );
    }
    let nearest = SessionName::nearest(&text);
    for name in [nearest.numbered(u32::MAX), nearest.numbered(2), nearest] {
        assert_eq!(name.as_str().parse::<SessionName>().as_ref(), Ok(&name));
    }
}
