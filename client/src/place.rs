//! A machine as its user names it. What is said of a session there, or is to be typed about it,
//! is worded here, so that it can be typed as it stands.

use std::fmt;

/// A host as the user wrote it, or this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    host: Option<String>,
}

impl Place {
    /// That host; `None` is this machine.
    #[must_use]
    pub fn new(host: Option<&str>) -> Self {
        Self {
            host: host.map(str::to_owned),
        }
    }

    /// A session there: `build` on this machine, `devbox:build` on another.
    #[must_use]
    pub fn session(&self, name: &str) -> String {
        match &self.host {
            Some(host) => format!("{host}:{name}"),
            None => name.to_owned(),
        }
    }

    /// What the server there says. It names commands as they are typed on its own machine,
    /// `'psess attach build'`; here they need its host.
    ///
    /// A far server may be anybody's: its words hold no control characters afterwards.
    #[must_use]
    pub fn quote(&self, words: &str) -> String {
        const COMMAND: &str = "'psess ";
        let words = printable(words);
        if self.host.is_none() {
            return words;
        }
        let mut quoted = format!("{self}: ");
        let mut rest = words.as_str();
        while let Some((before, command)) = rest.split_once(COMMAND)
            && let Some((command, behind)) = command.split_once('\'')
        {
            quoted.push_str(before);
            quoted.push_str(COMMAND);
            quoted.push_str(&self.command(command));
            quoted.push('\'');
            rest = behind;
        }
        quoted.push_str(rest);
        quoted
    }

    /// `attach build` becomes `attach devbox:build`; `list`, `new -d` and `server stop`, which
    /// name no session, get the host alone.
    fn command(&self, command: &str) -> String {
        match command.split_once(' ') {
            Some((verb, name)) if verb != "server" && !name.starts_with('-') => {
                format!("{verb} {}", self.session(name))
            }
            Some(_) | None => format!("{command} {}", self.session("")),
        }
    }
}

impl fmt::Display for Place {
    /// `devbox`, or `this machine`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host.as_deref().unwrap_or("this machine"))
    }
}

/// A text of another machine without what a terminal would obey, or what would turn around what
/// stands beside it (Unicode bidirectional controls).
#[must_use]
pub fn printable(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return text.to_owned();
    }
    let is_bidi = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .filter(|c| !c.is_control() && !is_bidi(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_session_is_named_with_its_host() {
        assert_eq!(Place::new(Some("me@box")).session("build"), "me@box:build");
        assert_eq!(Place::new(None).session("build"), "build");
    }

    #[test]
    fn the_commands_that_a_far_server_names_can_be_typed_here() {
        let far = Place::new(Some("far"));
        for (said, here) in [
            (
                "no session 'work'; 'psess list' shows what runs",
                "far: no session 'work'; 'psess list far:' shows what runs",
            ),
            (
                "it has finished: 'psess attach b' shows how, 'psess kill b' forgets it",
                "far: it has finished: 'psess attach far:b' shows how, 'psess kill far:b' forgets it",
            ),
            (
                "run 'psess server stop'",
                "far: run 'psess server stop far:'",
            ),
            ("or 'psess new -d'", "far: or 'psess new -d far:'"),
            ("an open 'psess quote", "far: an open 'psess quote"),
        ] {
            assert_eq!(far.quote(said), here);
            assert_eq!(Place::default().quote(said), said);
        }
    }

    #[test]
    fn a_servers_words_cannot_steer_the_terminal() {
        let words = Place::new(Some("far")).quote("\x1b[2Jno\u{202e} session\r\n");
        assert_eq!(words, "far: [2Jno session");
    }
}
