//! `BatchReceiveMessage` takes up to 16 messages, waiting for the first of them; `GetQueueAttributes` says how the queue is
//! set up, which is for a check beforehand: receiving does not need it.

use std::time::Duration;

use http::Method;

use super::client::QueueClient;
use super::fault::MESSAGE_NOT_EXIST;
use super::message::Message;
use super::service::{Body, Operation, root_named};
use crate::client::Answer;
use crate::error::Result;
use crate::net::xml::Element;

/// Most messages of one call. Source: `BatchReceiveMessage`, `numOfMessages`.
pub const MAX_MESSAGES_PER_CALL: usize = 16;
/// Longest long poll. Source: `BatchReceiveMessage`, `waitseconds`.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// How a queue is set up. `None` where the service did not say.
///
/// The counts of messages are left out: they are being withdrawn and read 0. Source: `GetQueueAttributes`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueAttributes {
    /// The queue's name.
    pub name: Option<String>,
    /// How long a received message is hidden. More than a minute hides others' events for that long after a crash.
    pub visibility_timeout: Option<Duration>,
    /// How long a message is kept. It should be a little longer than the longest run.
    pub retention: Option<Duration>,
    /// Longest message in bytes; 65,536 is the most. A longer event is dropped without a word.
    pub max_message_bytes: Option<u64>,
}

impl QueueAttributes {
    pub(crate) fn read(root: &Element) -> Self {
        let number = |name| root.number(name).and_then(|n| u64::try_from(n).ok());
        Self {
            name: root.field("QueueName").map(str::to_owned),
            visibility_timeout: number("VisibilityTimeout").map(Duration::from_secs),
            retention: number("MessageRetentionPeriod").map(Duration::from_secs),
            max_message_bytes: number("MaximumMessageSize"),
        }
    }
}

impl QueueClient {
    /// Takes up to `most` messages (1 to 16), waiting up to `wait` (whole seconds, 30 at most) for the first. An empty
    /// list: there was none. The service may also say so at once, when too many polls wait already.
    ///
    /// Being throttled is an error at once: a queue that is read too often must be left alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no such queue,
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) without the permission `mns:BatchReceiveMessage`.
    ///
    /// Cancel safety: dropped while on the wire, messages may have been handed out to nobody: they are hidden until the
    /// queue's visibility timeout has passed. Let it end in a task of its own.
    pub async fn batch_receive_message(&self, most: usize, wait: Duration) -> Result<Vec<Message>> {
        let most = most.clamp(1, MAX_MESSAGES_PER_CALL);
        let wait = Duration::from_secs(wait.min(MAX_WAIT).as_secs());
        // Without waitseconds the queue's own setting would count, which may be half a minute.
        let query = format!("numOfMessages={most}&waitseconds={}", wait.as_secs());
        let target = format!("{}?{query}", self.url().messages());
        let operation = Operation {
            wait,
            ends_when_throttled: true,
            ..Operation::new("BatchReceiveMessage", Method::GET, target)
        };
        match self.call(operation, messages_in).await {
            Err(error) if error.code() == Some(MESSAGE_NOT_EXIST) => Ok(Vec::new()),
            received => received,
        }
    }

    /// Asks how the queue is set up. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no such queue,
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) without the permission `mns:GetQueueAttributes`.
    pub async fn get_queue_attributes(&self) -> Result<QueueAttributes> {
        let operation = Operation::new("GetQueueAttributes", Method::GET, self.url().path());
        self.call(operation, |answer| root_named(answer, "Queue").map(QueueAttributes::read)).await
    }
}

pub(crate) fn messages_in(answer: &Answer<Body>) -> Result<Vec<Message>> {
    Ok(root_named(answer, "Messages")?.all("Message").filter_map(Message::read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::xml;

    #[test]
    fn attributes_may_be_missing() {
        let root = xml::read(
            b"<Queue><QueueName>q</QueueName><VisibilityTimeout>30</VisibilityTimeout>\
              <MessageRetentionPeriod>345600</MessageRetentionPeriod><MaximumMessageSize>65536</MaximumMessageSize></Queue>",
        )
        .unwrap();
        let attributes = QueueAttributes::read(&root);
        assert_eq!(attributes.visibility_timeout, Some(Duration::from_secs(30)));
        assert_eq!(attributes.max_message_bytes, Some(65_536));
        assert_eq!(QueueAttributes::read(&Element::default()), QueueAttributes::default());
    }
}
