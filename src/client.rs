//! One signed call: what the clients of VOD and of the queue have in common.
//!
//! A call waits for the turn of its action, takes a credential, signs, sends, and reads the answer; after a failure that may
//! pass, it does all of that again. What differs between the two services is behind one trait, `Api`: how a request is
//! signed, how a body is read, and what an error code means. Nothing here knows an operation.

mod answer;
mod api;
mod builder;
mod call;
pub(crate) mod json;
mod text;

pub use builder::ClientBuilder;

pub(crate) use answer::Answer;
#[cfg(any(test, fuzzing))]
pub(crate) use answer::{Sent, read};
pub(crate) use api::{Api, Envelope, Fault, Parsed, Signed};
pub(crate) use call::{Call, CallObserver, CallSettings, Core};
pub(crate) use text::{quoted, without_byte_order_mark};
