//! What a keeper tells a server that it starts in its environment, beside their protocol: what it
//! is itself, and how the server before ended. A keeper of another build may tell less.

use std::process::Command;

/// Says how the server before ended.
const PREDECESSOR: &str = "PSESS_PREDECESSOR";

/// Says the keeper's build, and when it began, in seconds since 1970.
const KEEPER: &str = "PSESS_KEEPER";

/// How the server before this one ended, as the keeper says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predecessor {
    /// There was none, or it was asked to end: whatever was wrong may be better now.
    Left,
    /// Somebody killed it, or the kernel did for lack of memory.
    Killed,
    /// It crashed.
    Crashed,
}

impl Predecessor {
    fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Killed => "killed",
            Self::Crashed => "crashed",
        }
    }
}

/// What a server is told when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// How the server before it ended.
    pub(crate) predecessor: Predecessor,
    /// The keeper's build; empty when it does not say.
    pub(crate) keeper_build: String,
    /// When the keeper began, in seconds since 1970; 0 when it does not say.
    pub(crate) keeper_started: u64,
}

impl Introduction {
    /// Puts it into the environment of a server.
    pub(super) fn tell(&self, server: &mut Command) {
        server.env(PREDECESSOR, self.predecessor.word()).env(
            KEEPER,
            format!("{} {}", self.keeper_started, self.keeper_build),
        );
    }

    /// What this process was told by the keeper that started it.
    pub(crate) fn of_this_process() -> Self {
        let told = |variable| std::env::var(variable).unwrap_or_default();
        Self::read(&told(PREDECESSOR), &told(KEEPER))
    }

    /// Where nothing is said of it, the server before is taken to have been killed.
    fn read(predecessor: &str, keeper: &str) -> Self {
        let (started, build) = keeper.split_once(' ').unwrap_or_default();
        Self {
            predecessor: [Predecessor::Left, Predecessor::Crashed]
                .into_iter()
                .find(|known| known.word() == predecessor)
                .unwrap_or(Predecessor::Killed),
            keeper_build: build.to_owned(),
            keeper_started: started.parse().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_reads_what_its_keeper_told() {
        for predecessor in [Predecessor::Left, Predecessor::Killed, Predecessor::Crashed] {
            let introduction = Introduction {
                predecessor,
                keeper_build: "0.1.0".to_owned(),
                keeper_started: 1_700_000_000,
            };
            let mut server = Command::new("server");
            introduction.tell(&mut server);
            let told = |variable: &str| {
                let mut entries = server.get_envs();
                let (_, value) = entries.find(|(name, _)| *name == variable).unwrap();
                value.unwrap().to_str().unwrap().to_owned()
            };
            let read = Introduction::read(&told(PREDECESSOR), &told(KEEPER));
            assert_eq!(read, introduction);
        }
    }

    #[test]
    fn a_keeper_that_says_nothing_is_served_too() {
        let read = Introduction::read("", "");
        assert_eq!(read.predecessor, Predecessor::Killed);
        assert_eq!((read.keeper_build.as_str(), read.keeper_started), ("", 0));
    }
}
