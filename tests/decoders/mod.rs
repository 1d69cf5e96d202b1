//! The decoders that face others, each with what it promises whatever the bytes are.
//!
//! A target is a plain function that panics when a promise is broken. `cargo test` runs each over its corpus in
//! `tests/corpus` and over changed copies of it; a fuzzer runs the same functions from `tests/fuzz`, which is why this
//! module is there under `cfg(fuzzing)` as well.

mod answer;
mod callback;
mod config;
mod event;
mod list;
mod queue;
mod recorded;
#[cfg(feature = "emulator")]
mod scenario;
#[cfg(test)]
mod tests;

pub use self::answer::answer;
pub use self::callback::callback;
pub use self::config::config;
pub use self::event::event;
pub use self::list::list;
pub use self::queue::queue;
#[cfg(feature = "emulator")]
pub use self::scenario::scenario;

use std::future::Future;

use chrono::{DateTime, Utc};

use crate::net::clock::Clock;

/// Stands in credentials for what must never show.
const SECRET_MARK: &str = "S3CRET-MARK/+=";
const TOKEN_MARK: &str = "T0KEN-MARK/+=";

/// Runs what waits for nothing but scripted answers.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = runtime();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

fn runtime() -> tokio::runtime::Runtime {
    // Paused: the shortest wait would take a millisecond, and there are thousands of runs in a second.
    match tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build() {
        Ok(runtime) => runtime,
        Err(why) => panic!("no runtime: {why}"),
    }
}

/// A clock that stands, so that a signature in the corpus stays good.
#[derive(Debug, Clone, Copy)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_608_000, 0).unwrap_or_default()
    }
}
