//! The command line and the attached client.

pub mod address;
pub mod attach;
pub mod attached_screen;
pub mod banner;
pub mod broken_pipe;
pub mod cli;
pub mod commands;
pub mod config;
mod confirmation;
pub mod connection;
pub mod conversation;
pub mod dialling;
pub mod doctor;
pub mod environment;
pub mod error;
pub mod handshake;
pub mod held_string;
pub mod keys;
pub mod line_rate;
pub mod network_watch;
pub mod output_queue;
pub mod paragraph;
pub mod place;
pub mod signals;
pub mod terminal;
pub mod transport;
pub mod tty;
