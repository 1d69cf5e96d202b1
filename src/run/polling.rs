//! How the tasks of a run are polled: one by one, or as pages of everything in the run's time window.
//!
//! The ledger hands in what it knows of its tasks ([`Tasks`]) and when they should be polled; the [`Planner`] says which call
//! comes next. It gives no verdict: rows of a listing go back to the ledger as the same facts that single polls bring, and
//! only when the whole listing was read.

mod estimate;
mod filters;
mod intervals;
mod listings;
mod planner;
mod queue;
mod rounds;
mod samples;
mod tasks;

pub(super) use estimate::DurationEstimate;
pub(super) use intervals::{Intervals, Polled};
pub(super) use planner::{Planner, Poll};
pub(super) use queue::Queue;
pub(super) use tasks::{Counts, Others, SHARED_FOR, TaskView, Tasks};
