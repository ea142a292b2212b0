//! The user's entry in the password database (passwd(5)).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the users of this machine are, unless a directory service knows them.
const PASSWORD_FILE: &str = "/etc/passwd";

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: OsString,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell; may be empty, meaning /bin/sh.
    pub shell: PathBuf,
}

impl Account {
    /// The entry of whom this process acts for (effective user id); `None` where there is none,
    /// as in containers.
    ///
    /// It is looked for in the password file, and then asked of getent(1): that knows users of
    /// LDAP and the like, through libraries that a program without a loader had better not open.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let uid = rustix::process::geteuid().as_raw();
        Self::in_file(Path::new(PASSWORD_FILE), uid).or_else(|| Self::of_getent(uid))
    }

    fn in_file(path: &Path, uid: u32) -> Option<Self> {
        Self::among(&std::fs::read(path).ok()?, uid)
    }

    fn of_getent(uid: u32) -> Option<Self> {
        let asked = Command::new("getent")
            .args(["passwd", &uid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        Self::among(&asked.ok()?.stdout, uid)
    }

    /// The first entry of that user among lines as in passwd(5).
    fn among(lines: &[u8], uid: u32) -> Option<Self> {
        let mut lines = lines.split(|byte| *byte == b'\n');
        lines.find_map(|line| Self::of_line(line, uid))
    }

    fn of_line(line: &[u8], uid: u32) -> Option<Self> {
        // A comment, what asks NIS, or nobody.
        if matches!(line.first(), None | Some(b'#' | b'+' | b'-' | b':')) {
            return None;
        }
        let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
        let [name, _password, number, _group, _comment, home, shell] = fields[..] else {
            return None;
        };
        let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
        (number == uid).then(|| Self {
            name: OsStr::from_bytes(name).to_owned(),
            home: OsStr::from_bytes(home).into(),
            shell: OsStr::from_bytes(shell).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_the_user_counts() {
        let lines = b"root:x:0:0:root:/root:/bin/bash\n\
            # ann:x:7:7::/commented:/bin/no\n\
            short:x:7:7\n\
            +ann:x:7:7::/home/nis:/bin/nis\n\
            :x:7:7:::\n\
            ann:x:7:7:Ann \xff,,,:/home/a nn:\n\
            also:x:7:7::/other:/bin/zsh\n";
        let account = Account::among(lines, 7).unwrap();
        assert_eq!(account.name, "ann");
        assert_eq!(account.home, Path::new("/home/a nn"));
        assert_eq!(account.shell, Path::new(""));
        assert_eq!(Account::among(lines, 8), None);
        assert_eq!(Account::among(b"", 0), None);
    }

    #[test]
    fn file_and_getent_agree() {
        let uid = rustix::process::geteuid().as_raw();
        let of_getent = Account::of_getent(uid);
        assert_eq!(Account::of_this_process(), of_getent);
        if uid == 0 {
            assert_eq!(of_getent.unwrap().name, "root");
        }
    }
}
