//! The ids of the service, each parsed once at the edge, and lists of them as users write them.

mod id;
mod list;

pub use id::{InvalidId, JobId, MAX_ID_BYTES, MAX_TASK_ID_BYTES, MediaId, RequestId, RunId, TaskId};
pub use list::{IdList, ListFaults};
