//! The VOD API as typed calls (version 2017-03-21, product `vod`).
//!
//! Methods of [`VodClient`] are named after the action, so a search for the documented name finds them; each stands in
//! a file of its own beside its request and answer. Answers are read leniently: numbers or strings, lists in any notation,
//! any case of keys. What makes no sense, such as two values of one name, is an error with the request id, or is kept as unread:
//! never a panic, nor a guess.

mod actions;
mod client;
mod describe_vod_refresh_quota;
mod describe_vod_refresh_tasks;
mod endpoints;
mod fault;
mod get_media_refresh_jobs;
mod lenient;
mod message_callback;
mod object_caches;
mod play_url;
mod refresh_media_play_urls;
mod service;

pub use client::{VodClient, VodClientBuilder, VodSettings};
pub use describe_vod_refresh_quota::RefreshQuota;
pub use describe_vod_refresh_tasks::{TaskFilter, TaskPage, TaskRow, TaskRows, TaskStatus};
pub use endpoints::endpoint_of_region;
pub use get_media_refresh_jobs::{JobRow, SubmissionStatus};
pub use message_callback::{
    ALL_EVENTS, CallbackType, DEFAULT_APP_ID, MAX_AUTH_KEY_CHARS, MAX_CALLBACK_URL_BYTES, MessageCallback,
    REFRESH_EVENT,
};
pub use object_caches::{Area, ObjectAction, ObjectTasks, ObjectType};
pub use refresh_media_play_urls::{
    Filters, MAX_MEDIA_PER_CALL, RefreshMediaPlayUrls, ResultType, Submission, TaskType,
};

pub(crate) use crate::client::CallObserver;
pub(crate) use fault::{is_about_call, is_about_task};
pub(crate) use get_media_refresh_jobs::RowFields;
pub(crate) use lenient::Fields;
pub(crate) use play_url::{host, most_urls_in, normal_form};
