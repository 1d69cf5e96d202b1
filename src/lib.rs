#![doc = include_str!("../README.md")]

pub mod auth;
pub mod docs;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod error;
pub mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod ids;
pub mod journal;
pub mod net;
pub mod run;
pub mod smq;
pub mod vod;

pub use auth::{
    Credential, CredentialOptions, CredentialProvider, DefaultCredentials, EnvironmentCredentials,
    StaticCredentials,
};
pub use error::{Error, ErrorKind, Result};
pub use event::{EventReceiver, Inbox, Listener, QueueConsumer, QueueListener};
pub use ids::{JobId, MediaId, TaskId};
pub use journal::Journal;
pub use run::{
    LookupAfter, Observer, Outcome, RefreshRequest, Refresher, Report, Run, RunOptions, Step, Steps,
};
pub use smq::QueueClient;
pub use vod::{Filters, TaskType, VodClient};
