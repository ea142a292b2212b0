//! How a session is named on the command line: `NAME`, `HOST:NAME`, `USER@HOST:NAME`, `HOST:`.

use std::fmt;
use std::str::FromStr;

/// Where a session is, and which one it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The host as ssh takes it, with its user where given; `None`: this machine.
    pub host: Option<String>,
    /// The session's name or the beginning of it; `None`: none was given.
    pub session: Option<String>,
}

impl FromStr for Address {
    type Err = BadAddress;

    /// The last colon parts the host from the name, as no name holds one and IPv6 addresses do.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, session) = match text.rsplit_once(':') {
            Some((host, session)) => (Some(host), session),
            None => (None, text),
        };
        if let Some(host) = host {
            let is_strange = |c: char| c.is_control() || c.is_whitespace();
            // What begins with a dash would be an option to ssh.
            if host.is_empty() || host.starts_with('-') || host.contains(is_strange) {
                return Err(BadAddress::Host(host.to_owned()));
            }
        }
        let is_of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !session.chars().all(is_of_names) || session.starts_with(['-', '.']) {
            return Err(BadAddress::Session(session.to_owned()));
        }
        if host.is_none() && session.is_empty() {
            return Err(BadAddress::Empty);
        }
        Ok(Self {
            host: host.map(str::to_owned),
            session: (!session.is_empty()).then(|| session.to_owned()),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}:")?;
        }
        f.write_str(self.session.as_deref().unwrap_or_default())
    }
}

/// A text that names no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// There is nothing.
    #[error("a session has a name: see 'psess list'")]
    Empty,
    /// The part before the colon is no host.
    #[error("'{}' before the ':' is no host", .0.escape_debug())]
    Host(String),
    /// The part behind it is no name.
    #[error(
        "'{}' cannot name a session: use letters, digits, '.', '_' or '-', not beginning with \
         '-' or '.'", .0.escape_debug()
    )]
    Session(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parted_at_the_last_colon() {
        for (text, host, session) in [
            ("build", None, Some("build")),
            ("devbox:build", Some("devbox"), Some("build")),
            ("me@devbox:", Some("me@devbox"), None),
            ("[fe80::1]:b", Some("[fe80::1]"), Some("b")),
            ("me@[::1]:", Some("me@[::1]"), None),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.host.as_deref(), host, "{text}");
            assert_eq!(address.session.as_deref(), session, "{text}");
            assert_eq!(address.to_string(), text);
        }
        for bad in [
            "",
            ":x",
            "-oProxyCommand=x:b",
            "a b:c",
            "x:a/b",
            "a b",
            "\x1b",
            "-x",
            "h:.x",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
