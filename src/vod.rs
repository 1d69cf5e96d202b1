//! The VOD API as typed calls (version 2017-03-21, product `vod`).
//!
//! Methods of [`VodClient`] are named after the action, so a search for the documented name finds them; each stands in
//! a file of its own beside its request and answer. Answers are read leniently: numbers or strings, arrays or comma
//! lists, any case of keys. What makes no sense is an error with the request id, never a panic.

mod answer;
mod client;
mod describe_vod_refresh_tasks;
mod endpoints;
mod fault;
mod get_media_refresh_jobs;
mod lenient;
mod refresh_media_play_urls;

pub use client::{VodClient, VodClientBuilder};
pub use describe_vod_refresh_tasks::{TaskPage, TaskQuery, TaskRow, TaskRows, TaskStatus};
pub use endpoints::endpoint_of_region;
pub use get_media_refresh_jobs::{JobRow, SubmissionStatus};
pub use refresh_media_play_urls::{
    Filters, MAX_MEDIA_PER_CALL, RefreshMediaPlayUrls, ResultType, Submission, TaskType,
};

pub(crate) use client::CallWatch;
pub(crate) use lenient::Fields;
