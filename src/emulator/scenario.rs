#![doc = include_str!("../docs/scenario.md")]
// The files below hold plain data with its checks. They know neither the emulator's state nor its operations.

mod cloud;
pub(super) mod duration;
mod edge;
mod fault;
mod media;
mod services;
mod spelling;

pub(super) use self::cloud::MAX_CLOCK_OFFSET;
pub use self::cloud::{Callback, JobScript, Scenario};
pub use self::edge::EdgeScript;
pub use self::fault::{Fault, FaultRule, Shape};
pub use self::media::{EventScript, MediaScript, OneByOne, SecondEnd, SubmitFail, Telling, Which};
pub use self::services::{
    CredentialsUri, Filtering, Metadata, Pages, QueueEncoding, QueueScript, Quota, SizeNamed, Sts, Total,
};
pub use self::spelling::{ListStyle, RowSpelling};
