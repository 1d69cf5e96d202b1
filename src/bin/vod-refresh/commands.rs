//! One command, one file.

pub(crate) mod callback;
#[cfg(feature = "emulator")]
pub(crate) mod demo;
#[cfg(feature = "emulator")]
pub(crate) mod emulator;
pub(crate) mod listener;
pub(crate) mod media;
pub(crate) mod pages;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod status;
pub(crate) mod stored;
pub(crate) mod wait;

use std::future::Future;

use vod_refresh::{Error, ErrorKind};

use crate::exit::Failure;

/// What stands in the contract and is built later.
pub(crate) fn not_yet(what: &str) -> Failure {
    Failure::usage(format!("`{what}` is not in this version yet"))
}

/// Runs `work` on a runtime of its own, on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Error::new(ErrorKind::Internal, "no runtime").with_source(why))?;
    let result = runtime.block_on(work);
    // A name lookup that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}
