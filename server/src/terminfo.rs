//! Which terminals the programs of this machine know by name (terminfo(5)).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::environment::value;

/// What nearly every terminal of today is like, and every machine knows.
const FALLBACK: &str = "xterm-256color";

/// Where systems keep descriptions of terminals.
const SYSTEM: [&str; 6] = [
    "/etc/terminfo",
    "/lib/terminfo",
    "/usr/share/terminfo",
    "/usr/lib/terminfo",
    "/usr/share/misc/terminfo",
    "/run/current-system/sw/share/terminfo",
];

/// Sets `TERM` to a terminal that is known here, when the one named there is not: `less` and
/// `vim` would hardly work. Returns a sentence for the user then. Where nothing is known at all,
/// programs do without, and `TERM` stays.
pub(crate) fn replace_unknown(environment: &mut Vec<Vec<u8>>) -> Option<String> {
    let terminal = value(environment, "TERM")?.to_owned();
    let directories = directories(environment);
    let is_known = |terminal: &[u8]| directories.iter().any(|path| describes(path, terminal));
    if is_described_in_place(environment) || is_known(&terminal) || !is_known(FALLBACK.as_bytes()) {
        return None;
    }
    environment.retain(|entry| !entry.starts_with(b"TERM="));
    environment.push(format!("TERM={FALLBACK}").into_bytes());
    let terminal = String::from_utf8_lossy(&terminal).into_owned();
    let terminal = terminal.escape_debug();
    Some(format!(
        "this machine does not know the terminal '{terminal}': its programs are told \
         {FALLBACK}; what 'infocmp -x' prints on yours, 'tic -x -' makes known here"
    ))
}

/// `TERMINFO` may hold the description itself.
fn is_described_in_place(environment: &[Vec<u8>]) -> bool {
    value(environment, "TERMINFO")
        .is_some_and(|text| text.starts_with(b"hex:") || text.starts_with(b"b64:"))
}

/// Where programs in this environment look, the order left aside.
fn directories(environment: &[Vec<u8>]) -> Vec<PathBuf> {
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let own = value(environment, "TERMINFO").map(path);
    let home = value(environment, "HOME").map(|home| path(home).join(".terminfo"));
    let more = value(environment, "TERMINFO_DIRS").unwrap_or_default();
    let more = more.split(|byte| *byte == b':').map(path);
    own.into_iter()
        .chain(home)
        .chain(more)
        .chain(SYSTEM.map(PathBuf::from))
        .filter(|directory| directory.is_absolute())
        .collect()
}

/// Descriptions lie below the first letter of their name, or its code where file names do not
/// tell capitals from small letters.
fn describes(directory: &Path, terminal: &[u8]) -> bool {
    let Some(first) = terminal.first().filter(|_| !terminal.contains(&b'/')) else {
        return false;
    };
    let name = OsStr::from_bytes(terminal);
    let letter = OsStr::from_bytes(std::slice::from_ref(first));
    directory.join(letter).join(name).exists()
        || directory.join(format!("{first:02x}")).join(name).exists()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(entries: &[String]) -> Vec<Vec<u8>> {
        entries
            .iter()
            .map(|entry| entry.clone().into_bytes())
            .collect()
    }

    #[test]
    fn a_terminal_that_is_not_known_is_replaced_by_one_that_is() {
        let scratch = std::env::temp_dir().join(format!("psess-terminfo-{}", std::process::id()));
        for file in ["x/xterm-256color", "78/xterm-hex", "m/mine"] {
            let file = scratch.join(".terminfo").join(file);
            fs::create_dir_all(file.parent().expect("it has one")).unwrap();
            fs::write(file, "").unwrap();
        }
        let home = format!("HOME={}", scratch.display());
        for (entries, expected) in [
            (vec!["TERM=mine"], "mine"),
            (vec!["TERM=xterm-hex"], "xterm-hex"),
            (vec!["TERM=no-such-terminal"], FALLBACK),
            (vec!["TERM=../m/mine"], FALLBACK),
            (vec!["TERM=nosuch", "TERMINFO=b64:AAAA"], "nosuch"),
            (vec!["TERM=nosuch", "TERMINFO_DIRS=:/no/such"], FALLBACK),
        ] {
            let mut all: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
            all.push(home.clone());
            let mut environment = environment(&all);
            let warning = replace_unknown(&mut environment);
            let told = value(&environment, "TERM");
            assert_eq!(told, Some(expected.as_bytes()), "{entries:?}");
            assert_eq!(warning.is_some(), expected == FALLBACK, "{entries:?}");
        }
        fs::remove_dir_all(scratch).unwrap();
    }
}
