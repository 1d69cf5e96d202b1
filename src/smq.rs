//! The queue API as typed calls (Simple Message Queue, formerly MNS; version 2015-06-06).
//!
//! [`QueueClient`] serves one queue; each operation stands in a file of its own. A queue is shared: nothing here decides
//! whose a message is, that is the consumer's part ([`crate::event::QueueConsumer`]). Three oddities of the service are
//! settled here: an empty queue is a 404 with the code `MessageNotExist` (an empty list for us), a batch delete that
//! partly fails is a 404 with a list, and a body is JSON as it is or in Base64, which nothing in the message tells.

pub(crate) mod answer;
mod batch_delete_message;
mod batch_receive_message;
mod body;
mod change_message_visibility;
mod client;
mod delete_message;
mod fault;
mod get_queue_attributes;
mod queue_url;

pub use batch_receive_message::{MAX_MESSAGES_PER_CALL, MAX_WAIT, Message, ReceiptHandle};
pub use change_message_visibility::Hidden;
pub use client::{QueueClient, QueueClientBuilder};
pub use delete_message::Deleted;
pub use get_queue_attributes::QueueAttributes;
pub use queue_url::QueueUrl;

#[cfg(any(test, fuzzing))]
pub(crate) use self::{batch_delete_message::read_failures, batch_receive_message::messages_in};
