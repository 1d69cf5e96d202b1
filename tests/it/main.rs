//! The whole library against the emulator in process, with paused time; and the binary over loopback.
//!
//! One binary to link. Modules by promise; `support` has the environment that they run in.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect is to fail there")]

mod account;
mod callback;
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
mod hostile;
mod imports;
mod kills;
mod known_pitfalls;
mod limits;
mod list_filters;
#[cfg(target_os = "linux")]
mod live_view;
mod lookups;
mod matrix;
mod network;
mod pages;
#[cfg(all(unix, feature = "postgres"))]
mod postgres;
mod queue;
#[cfg(target_os = "linux")]
mod readme_picture;
mod receiver_load;
mod refresh;
mod resume;
mod resume_hints;
mod retry;
mod run_handle;
mod schema;
#[cfg(unix)]
mod signals;
mod soak;
mod stored_runs;
mod support;
#[cfg(target_os = "linux")]
mod terminal_signals;
mod then_preload;
mod times;
mod tls;
mod urls;
mod wait;
mod worlds;
