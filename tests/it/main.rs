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
mod docs;
mod edge;
mod examples;
mod fleet;
#[cfg(target_os = "linux")]
mod hangup;
#[cfg(target_os = "linux")]
mod hostile;
mod imports;
mod kills;
mod limits;
#[cfg(target_os = "linux")]
mod live;
mod lookups;
mod matrix;
mod narrow;
mod network;
mod pages;
#[cfg(target_os = "linux")]
mod picture;
#[cfg(all(unix, feature = "postgres"))]
mod postgres;
mod program;
mod queue;
mod raw;
mod receiver_load;
mod refresh;
mod resume;
mod retry;
mod schema;
#[cfg(unix)]
mod signals;
mod soak;
mod steps;
mod stored;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod then_preload;
mod times;
mod tls;
mod urls;
mod wait;
mod worlds;
