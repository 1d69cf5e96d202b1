//! `GetQueueAttributes`: how the queue is set up. For a check beforehand; receiving does not need it.

use std::time::Duration;

use http::Method;

use super::QueueClient;
use super::client::Call;
use crate::error::Result;
use crate::net::xml::Element;

const ACTION: &str = "GetQueueAttributes";

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
    /// Asks how the queue is set up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no such queue,
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) without the permission `mns:GetQueueAttributes`.
    ///
    /// Cancel safe.
    pub async fn get_queue_attributes(&self) -> Result<QueueAttributes> {
        let answer = self.call(&Call::new(ACTION, Method::GET, self.url().path())).await?;
        answer.expect("Queue").map(QueueAttributes::read).map_err(|error| error.with_action(ACTION))
    }
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
