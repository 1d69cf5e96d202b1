//! Refreshes (purges) or preloads Alibaba Cloud VOD media on the CDN end to end: from media ids to a verdict for each
//! playback URL. The command `vod-refresh` is made of this library and uses its public part only.
//!
//! ```no_run
//! use vod_refresh::{CredentialOptions, DefaultCredentials, VodClient};
//! use vod_refresh::{MediaId, RefreshRequest, Refresher, TaskType};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = DefaultCredentials::new(CredentialOptions::default());
//! let client = VodClient::builder(credentials).with_region("cn-shanghai").build()?;
//! let media = [MediaId::new("ca3a8f6e4957b658067095869aaaa")?];
//! let request = RefreshRequest::new(TaskType::Refresh, media);
//! let report = Refresher::new(client).refresh(&request).await?;
//! for media in &report.media {
//!     println!("{:?}: {}", media.media_id, media.state.as_str());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Where to begin
//!
//! | you want to | begin with |
//! |---|---|
//! | refresh or preload media and wait | [`Refresher::refresh`] with a [`RefreshRequest`]; the result is a [`Report`] |
//! | wait for jobs of somebody else | [`Refresher::wait_for`] with a [`WaitRequest`] |
//! | choose how long and how often | [`RunOptions`] |
//! | see what happens on the way | [`Refresher::start_refresh`], a [`Run`] with [`Steps`]; or an [`Observer`] |
//! | survive a crash | [`Refresher::with_journal`] with a [`Journal`], then [`Refresher::resume`] |
//! | hear events over HTTP | an [`EventReceiver`] in your own server, or a [`Listener`], before an [`Inbox`] |
//! | hear events from a queue | a [`QueueConsumer`] |
//! | give credentials of your own | [`CredentialProvider`]; [`DefaultCredentials`] looks where the vendor's tools look |
//! | see whether a node of the CDN serves the new file | [`EdgeCheck`] |
//! | make a single call of the API | [`VodClient`], [`QueueClient`] |
//! | test your own code without an account | the module `emulator` |
//!
//! The examples run without an account, as `cargo run --example refresh`; [`docs::library`] lists them. How the
//! service works and how this crate is made stand in [`docs`].
//!
//! # Features
//!
//! `cli` (the command) and `emulator` are on by default; with `default-features = false` neither their code nor their
//! crates are there. A tokio runtime is the caller's.

pub mod auth;
pub mod client;
pub mod docs;
pub mod edge;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod error;
pub mod event;
#[cfg(any(test, fuzzing))]
#[path = "../tests/decoders/mod.rs"]
pub mod fuzz;
pub mod ids;
pub mod journal;
mod model;
pub mod net;
pub mod run;
pub mod smq;
pub mod vod;

pub use auth::{
    Credential, CredentialOptions, CredentialProvider, DefaultCredentials, EnvironmentCredentials,
    StaticCredentials,
};
pub use edge::{EdgeAnswer, EdgeCheck, EdgeNode, EdgeOptions, EdgeUrl, EdgeVerdict};
pub use error::{Error, ErrorKind, Result};
pub use event::{EventReceiver, Inbox, Listener, QueueConsumer, QueueListener};
pub use ids::{JobId, MediaId, TaskId};
pub use journal::Journal;
pub use run::{
    LookupAfter, Observer, Outcome, RefreshRequest, Refresher, Report, Run, RunOptions, Step, Steps,
    UrlRequest, WaitRequest,
};
pub use smq::QueueClient;
pub use vod::{Filters, TaskType, VodClient};
