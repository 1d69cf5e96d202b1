//! The ids of the service, each parsed once at the edge, lists of them as users write them, and addresses as they are shown.

mod address;
mod id;
mod list;

pub use address::{is_masked_address, masked_address};
pub use id::{InvalidId, JobId, MAX_ID_BYTES, MAX_TASK_ID_BYTES, MediaId, RequestId, RunId, TaskId};
pub use list::{IdList, ListFaults};
