//! The queue of the pretend cloud: one, at `/queues/NAME`, as the queue service (SMQ) serves it.
//!
//! `request` reads what is asked for, `store` holds the messages with their visibility and handles, `serve` does what is
//! asked and waits for messages where a receive finds none.

pub(super) mod request;
pub(super) mod serve;
pub(super) mod store;
