//! Who cut the connection, and after how long.
//!
//! Pure: [`witness`] (what is seen of a link) and [`verdict`] (from evidence to a cause);
//! [`layers`], [`arithmetic`] and [`report`] (who gives up after how long); [`ladder`] (how to
//! measure a way's memory). The rest reads this machine and the far one, and keeps what was learned
//! below `$XDG_STATE_HOME/psess`. Nothing here is needed
//! to keep a link alive: whatever fails here, the session goes on.

pub mod arithmetic;
pub mod bounded_command;
pub mod cause;
pub mod control_master;
pub mod cut;
pub mod cut_log;
pub mod evidence;
pub mod facts;
pub mod finding;
mod inquiry;
pub mod kernel_settings;
pub mod ladder;
pub mod layers;
pub mod measured;
pub mod path_memory;
pub mod prober;
pub mod proxy_jump;
pub mod recorder;
pub mod report;
pub mod route;
pub mod seconds;
pub mod shell_settings;
pub mod socket_statistics;
pub mod ssh_settings;
pub mod sshd_log;
pub mod sshd_settings;
pub mod state_file;
pub mod trial;
pub mod verdict;
pub mod witness;
