//! The user's entry in the password file (passwd(5)).

use std::ffi::{CStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

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
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let mut strings: Vec<libc::c_char> = vec![0; 1024];
        loop {
            // SAFETY: passwd is a plain C struct, for which zeroes are valid.
            let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
            let mut found = std::ptr::null_mut();
            // SAFETY: all pointers are to live variables, and the length is the buffer's.
            let error = unsafe {
                libc::getpwuid_r(
                    uid,
                    &raw mut entry,
                    strings.as_mut_ptr(),
                    strings.len(),
                    &raw mut found,
                )
            };
            if error == libc::ERANGE && strings.len() < 1024 * 1024 {
                strings.resize(strings.len() * 2, 0);
                continue;
            }
            if error != 0 || found.is_null() {
                return None;
            }
            return Some(Self {
                name: owned(entry.pw_name),
                home: owned(entry.pw_dir).into(),
                shell: owned(entry.pw_shell).into(),
            });
        }
    }
}

fn owned(string: *const libc::c_char) -> OsString {
    if string.is_null() {
        return OsString::new();
    }
    // SAFETY: getpwuid_r(3) succeeded, so its strings end with NUL and lie in the buffer that
    // the caller still holds.
    let string = unsafe { CStr::from_ptr(string) };
    OsString::from_vec(string.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_file_is_read() {
        if rustix::process::geteuid().is_root() {
            let account = Account::of_this_process().unwrap();
            assert_eq!(account.name, "root");
            assert!(account.home.is_absolute());
        }
    }
}
