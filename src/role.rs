//! The roles of the server's side: what psess starts by itself, each by one word.

use std::ffi::OsString;

/// What runs for long, and takes no further arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The far end of ssh's stdio.
    Relay,
    /// What holds the terminals and starts the server.
    Keeper,
    /// What thinks; a keeper starts it.
    Server,
}

impl Role {
    /// The role whose name is all that stands behind the program's own. Such a process lives for
    /// weeks, and need not read the command line with all that its users may say: that touches
    /// half a megabyte of the program and of the heap, which would stay in its memory.
    pub(crate) fn named_alone(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.into_iter().skip(1);
        let (Some(name), None) = (arguments.next(), arguments.next()) else {
            return None;
        };
        match name.to_str()? {
            "relay" => Some(Self::Relay),
            "keeper" => Some(Self::Keeper),
            "server" => Some(Self::Server),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_by_one_word() {
        let role = |line: &str| Role::named_alone(line.split(' ').map(OsString::from));
        assert_eq!(role("psess relay"), Some(Role::Relay));
        assert_eq!(role("psess keeper"), Some(Role::Keeper));
        assert_eq!(role("psess server"), Some(Role::Server));
        for other in [
            "psess",
            "keeper",
            "psess new",
            "psess keeper --help",
            "psess server status",
        ] {
            assert_eq!(role(other), None, "{other}");
        }
    }
}
