//! The work: from media ids to a verdict for each playback URL.
//!
//! [`Refresher`] is the door. A run is *plan, then drive*: [`RefreshRequest`] is split into batches of at most 20
//! media, the pure ledger holds what is known, the driver performs what is due, and the [`Report`] is a view of the
//! ledger at the end. [`docs::design`](crate::docs::design) tells why.
//!
//! What happens on the way is told as [`Notice`]s with the [`Progress`] after each: to an [`Observer`], which is called
//! from within the run, or to a stream, [`Steps`], which is read beside it.

mod batch;
mod driver;
mod handle;
#[doc(hidden)]
pub mod ledger;
mod observer;
mod polling;
mod refresher;
mod setup;
mod table;

#[doc(hidden)]
pub use batch::Batch;
pub use batch::MAX_EXTEND_BYTES;
pub use handle::{Run, Step, Steps};
pub use observer::{Notice, Observer, Progress};
pub use refresher::Refresher;

pub use crate::model::{
    LookupAfter, MediaReport, MediaState, Outcome, RefreshRequest, Report, ReportedError, RunOptions, SCHEMA,
    Summary, TaskReport, UrlReport, UrlRequest, UrlSums, WaitRequest, code,
};
