//! What a closed pipe does to a command: it ends silently, as `psess list | head` should.

/// Lets SIGPIPE end this process from here on, as it does with programs not written in Rust. To
/// be called when all that is left to do is to print: before that, an ssh that failed closes a
/// pipe as well, and there is something to be said about it.
pub fn end_silently() {
    // SAFETY: signal(2) with SIG_DFL installs no code of ours, and is thread-safe (signal-safety(7)).
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
