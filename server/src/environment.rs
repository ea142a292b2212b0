//! The environment and the working directory that a session's program begins with.

use psess_protocol::identity::SessionId;
use psess_protocol::message::ByteString;
use psess_protocol::name::SessionName;

/// Variables that describe the terminal or the session that the request came from, and would
/// be wrong in the new one.
const STALE: [&str; 10] = [
    "COLUMNS",
    "LINES",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "WINDOW",
    "ZELLIJ",
    "SSH_TTY",
    "PSESS_SESSION",
    "PSESS_SESSION_ID",
];

/// Variables that belong to where a client sits, not to the session: they change with the
/// client, and a shell may ask for them anew.
const OF_CLIENT: [&str; 8] = [
    "DISPLAY",
    "KRB5CCNAME",
    "SSH_AUTH_SOCK",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_SESSION_ID",
];

/// What programs are told to expect when the client says nothing of its terminal.
const DEFAULT_TERM: &str = "xterm-256color";

/// The environment of a program: that of the process which asked, then what the client
/// overrides, and what is true of every session.
pub(crate) fn compose(
    base: &[ByteString],
    overrides: &[ByteString],
    session: (SessionId, &SessionName),
) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = Vec::new();
    let (id, name) = session;
    // The name may change, the id does not.
    let marks = [
        format!("PSESS_SESSION={name}"),
        format!("PSESS_SESSION_ID={id}"),
    ];
    let stale = |entry: &&ByteString| !STALE.iter().any(|name| key(&entry.0) == name.as_bytes());
    let base = base.iter().filter(stale).map(|entry| entry.0.as_slice());
    let overrides = overrides.iter().map(|entry| entry.0.as_slice());
    let marks = marks.iter().map(String::as_bytes);
    for entry in base.chain(overrides).chain(marks) {
        // Without a name, or with a NUL, nothing can be set.
        if key(entry).is_empty() || !entry.contains(&b'=') || entry.contains(&0) {
            continue;
        }
        entries.retain(|other| key(other) != key(entry));
        entries.push(entry.to_vec());
    }
    if value(&entries, "TERM").is_none_or(<[u8]>::is_empty) {
        entries.retain(|entry| key(entry) != b"TERM");
        entries.push(format!("TERM={DEFAULT_TERM}").into_bytes());
    }
    entries
}

/// The entries that belong to where a client sits.
pub(crate) fn of_client(environment: &[ByteString]) -> Vec<ByteString> {
    let of_client = |entry: &&ByteString| {
        let names = OF_CLIENT.iter();
        names
            .map(|name| name.as_bytes())
            .any(|name| name == key(&entry.0))
    };
    environment.iter().filter(of_client).cloned().collect()
}

/// The directory a program begins in: the one asked for, from the home directory on when it is
/// relative or begins with `~`, and home itself when none was asked for.
pub(crate) fn working_directory(asked: Option<&ByteString>, environment: &[Vec<u8>]) -> Vec<u8> {
    let home = value(environment, "HOME")
        .filter(|home| !home.is_empty())
        .unwrap_or(b"/");
    let asked = asked.map_or(&b""[..], |asked| asked.0.as_slice());
    let below_home = match asked {
        [b'/', ..] => return asked.to_vec(),
        [] | [b'~'] => return home.to_vec(),
        [b'~', b'/', rest @ ..] => rest,
        relative => relative,
    };
    [home, b"/", below_home].concat()
}

/// The value of a variable.
pub(crate) fn value<'a>(environment: &'a [Vec<u8>], name: &str) -> Option<&'a [u8]> {
    let entry = environment
        .iter()
        .find(|entry| key(entry) == name.as_bytes())?;
    Some(&entry[name.len() + 1..])
}

fn key(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = SessionId([0xab; 16]);

    fn strings(entries: &[&str]) -> Vec<ByteString> {
        entries
            .iter()
            .map(|entry| ByteString::from(*entry))
            .collect()
    }

    #[test]
    fn the_clients_entries_win_and_stale_ones_go() {
        let base = strings(&[
            "HOME=/root",
            "TMUX=/tmp/x",
            "PSESS_SESSION_ID=0",
            "TERM=dumb",
            "LANG=C",
            "=x",
            "novalue",
        ]);
        let overrides = strings(&["TERM=xterm-kitty", "A=b=c"]);
        let environment = compose(&base, &overrides, (ID, &"build".parse().unwrap()));
        let expected = [
            "HOME=/root",
            "LANG=C",
            "TERM=xterm-kitty",
            "A=b=c",
            "PSESS_SESSION=build",
            "PSESS_SESSION_ID=abababababababababababababababab",
        ];
        assert_eq!(environment, expected.map(|entry| entry.as_bytes().to_vec()));
    }

    #[test]
    fn only_what_belongs_to_the_client_is_offered_again() {
        let environment = strings(&["HOME=/root", "DISPLAY=:1", "SECRET=x", "SSH_CLIENT=a"]);
        assert_eq!(
            of_client(&environment),
            strings(&["DISPLAY=:1", "SSH_CLIENT=a"])
        );
    }

    #[test]
    fn there_is_always_a_term() {
        let environment = compose(&strings(&["TERM="]), &[], (ID, &"x".parse().unwrap()));
        assert_eq!(value(&environment, "TERM"), Some(DEFAULT_TERM.as_bytes()));
    }

    #[test]
    fn the_working_directory_is_relative_to_home() {
        let environment = vec![b"HOME=/home/ann".to_vec()];
        for (asked, directory) in [
            (None, "/home/ann"),
            (Some("/srv"), "/srv"),
            (Some("~"), "/home/ann"),
            (Some("~/src"), "/home/ann/src"),
            (Some("src"), "/home/ann/src"),
        ] {
            let asked = asked.map(ByteString::from);
            let found = working_directory(asked.as_ref(), &environment);
            assert_eq!(found, directory.as_bytes());
        }
    }
}
