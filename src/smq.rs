//! The queue API as typed calls (Simple Message Queue, formerly MNS; version 2015-06-06).
//!
//! [`QueueClient`] serves one queue. A queue is shared: nothing here decides whose a message is, that is the consumer's part
//! ([`crate::event::QueueConsumer`]). Three oddities of the service are settled here: an empty queue is a 404 with the code
//! `MessageNotExist` (an empty list for us), a batch delete that partly fails is a 404 with a list, and a body is JSON as it
//! is or in Base64, which nothing in the message tells.

mod client;
mod queue_url;
mod receive;
mod service;
mod settle;

pub use client::{QueueClient, QueueClientBuilder, QueueSettings};
pub use queue_url::QueueUrl;
pub use receive::{MAX_MESSAGES_PER_CALL, MAX_WAIT, Message, QueueAttributes, ReceiptHandle};
pub use settle::Deleted;

#[cfg(any(test, fuzzing))]
pub(crate) use self::{receive::messages_in, service::Queue, settle::read_failures};
