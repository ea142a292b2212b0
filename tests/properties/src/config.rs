//! A configuration is understood, or refused with words; whatever it says, every host is reached
//! in some way or refused with words too.

use std::path::Path;

use psess_client::config::{Config, SshFlags};

pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // What a variable says is read as well.
    let (variables, file) = text.split_once('\0').unwrap_or(("", &text));
    let (detach_key, ssh) = variables.split_once('\n').unwrap_or_default();
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match Config::parse(
        Path::new("config.toml"),
        file,
        given(detach_key),
        given(ssh),
    ) {
        Ok(config) => {
            for host in [None, Some("box"), Some("me@box")] {
                if let Err(error) = config.transport(host, &SshFlags::default()) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
