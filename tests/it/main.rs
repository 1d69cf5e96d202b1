//! The whole library against the emulator in process, with paused time; and the binary over loopback.
//!
//! One binary to link. Modules by promise; `support` has the bed they are tested on.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect is to fail there")]

mod account;
mod callback;
mod carry_on;
mod cases;
#[cfg(unix)]
mod cli;
mod crash;
mod credentials;
mod disk;
mod examples;
mod fire;
mod kills;
mod limits;
mod matrix;
mod narrow;
mod network;
mod pages;
mod program;
mod queue;
mod raw;
mod refresh;
mod resume;
mod retry;
#[cfg(unix)]
mod signals;
mod soak;
mod steps;
mod stored;
mod support;
mod times;
mod tls;
mod wait;
