//! One command, one file.

pub(crate) mod callback;
pub(crate) mod callback_settings;
#[cfg(feature = "emulator")]
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod dry_run;
#[cfg(feature = "emulator")]
pub(crate) mod emulator;
pub(crate) mod listener;
pub(crate) mod media;
pub(crate) mod pages;
pub(crate) mod quota;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod status;
pub(crate) mod stored;
pub(crate) mod wait;

use std::future::Future;

use vod_refresh::{Error, ErrorKind, VodClient};

use crate::args::connection::ConnectionArgs;
use crate::exit::Failure;
use crate::world::World;

/// The client of a command that is no run.
pub(crate) async fn account_client(connection: &ConnectionArgs, world: &World) -> Result<VodClient, Failure> {
    connection.settled(world).client(world).await
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
