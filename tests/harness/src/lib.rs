//! What the end-to-end tests are made of.
//!
//! A [`World`] is a machine of a test's own: a home, a psess directory, an environment. A
//! [`Terminal`] is a user in front of it: a pty of its own whose keys the test types and whose
//! [`Screen`] it reads. [`Sshd`] makes a second machine of the same one, behind a real sshd on
//! loopback; a [`Lab`] puts a forgetful NAT between the two. Whatever a test starts is ended when
//! its world is dropped, also when the test panics.
//!
//! Nothing in here uses psess's own code: the tests see what a user sees.

mod lab;
mod patience;
mod processes;
mod program;
mod screen;
mod skip;
mod sshd;
mod terminal;
mod world;

pub use lab::{Lab, LabOptions};
pub use patience::{PATIENCE, eventually, eventually_within};
pub use processes::{Process, Signal};
pub use program::{Counter, python};
pub use screen::Screen;
pub use skip::{has, root, skip};
pub use sshd::Sshd;
pub use terminal::Terminal;
pub use world::{Finished, World, install};
