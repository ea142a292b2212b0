//! A relay's preamble is read, or refused.

pub(crate) fn check(bytes: &[u8]) {
    if let Some(environment) = psess_server::relay::decode(bytes) {
        let length: usize = environment.iter().map(|entry| entry.0.len()).sum();
        assert!(length <= bytes.len());
    }
}
