//! What a run was asked to do, what is known of it, and how it ended: the plain values that the journal writes and the ledger
//! works on. They know neither.

pub mod code;
mod fact;
mod moment;
mod record;
mod report;
mod request;

pub use fact::{Fact, Fault};
pub use moment::Moment;
pub use record::{Order, RunRecord, RunSummary, StoredRun};
pub(crate) use report::{Calls, wire_time};
pub use report::{
    MediaReport, MediaState, Outcome, Report, ReportedError, SCHEMA, Summary, TaskReport, UrlReport, UrlSums,
};
pub(crate) use request::check_each_once;
pub use request::{LookupAfter, RefreshRequest, RunOptions, UrlRequest, WaitRequest};
