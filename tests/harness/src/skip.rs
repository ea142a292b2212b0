//! Saying that a test cannot run on this machine.

use std::io::Write;
use std::path::PathBuf;

/// Says on the test run's own stderr that a test is skipped, and why.
///
/// # Panics
/// Where `CI` is set: there nothing may be missing.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "cannot be skipped in CI: {why}"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // The test runner captures what is printed; a skip must be seen.
    let line = format!("skipped: {test}: {why}\n");
    let mut stderr = std::fs::File::options().append(true).open("/dev/stderr");
    match &mut stderr {
        Ok(stderr) => stderr
            .write_all(line.as_bytes())
            .unwrap_or_else(|_| eprint!("{line}")),
        Err(_) => eprint!("{line}"),
    }
}

/// Where a program lies, looked up as a shell does, with the system administrator's folders.
/// Where it lies nowhere, says that the test is skipped.
#[must_use]
pub fn has(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    let found = path
        .split(':')
        .map(|folder| PathBuf::from(folder).join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(&format!(
            "{program} is not installed; tests/setup/install installs it"
        ));
    }
    found
}

/// Whether the test runs as root; where not, says that it is skipped.
#[must_use]
pub fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("it needs root");
    }
    root
}
