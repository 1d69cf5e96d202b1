//! `BatchReceiveMessage`: takes up to 16 messages, waiting for the first of them.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Method;

use super::QueueClient;
use super::answer::Answer;
use super::body::json_of;
use super::client::Call;
use super::fault::MESSAGE_NOT_EXIST;
use crate::auth::percent;
use crate::error::Result;
use crate::net::xml::Element;

const ACTION: &str = "BatchReceiveMessage";
/// Most messages of one call. Source: `BatchReceiveMessage`, `numOfMessages`.
pub const MAX_MESSAGES_PER_CALL: usize = 16;
/// Longest long poll. Source: `BatchReceiveMessage`, `waitseconds`.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// What a message is deleted or released with. Each receive gives a new one and makes the one before worthless; so does
/// each change of visibility.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ReceiptHandle(String);

impl ReceiptHandle {
    /// A handle as the service wrote it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The handle as the service wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in a query: `+ / =` go raw, as in the vendor's SDKs; what a URL can't hold is encoded. The
    /// signature covers whatever goes out.
    pub(crate) fn in_query(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        let mut letter = [0; 4];
        for c in self.0.chars() {
            match c {
                '+' | '/' | '=' => out.push(c),
                c => percent::encode_into(c.encode_utf8(&mut letter), &mut out),
            }
        }
        out
    }
}

impl fmt::Debug for ReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has it can delete the message.
        f.write_str("ReceiptHandle(..)")
    }
}

/// A message that was received: hidden from others until [`next_visible`](Self::next_visible).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its id, the same at each delivery.
    pub id: String,
    /// Good for this delivery.
    pub handle: ReceiptHandle,
    /// The text as it was sent.
    pub body: String,
    /// When others will see it again, if the service said so.
    pub next_visible: Option<DateTime<Utc>>,
    /// When it was sent, if the service said so.
    pub enqueued: Option<DateTime<Utc>>,
    /// How often it was received, by anybody; 0 where the service did not say.
    pub dequeue_count: u64,
}

impl Message {
    /// The JSON object in the body, whether it is there as it is or in Base64; `None` for anything else.
    pub fn json(&self) -> Option<std::borrow::Cow<'_, str>> {
        json_of(&self.body)
    }

    /// `None` for an item without an id or a handle: nothing could be done about it.
    fn read(item: &Element) -> Option<Self> {
        let time = |name| DateTime::from_timestamp_millis(item.number(name)?);
        let body = item.all("MessageBody").next().map(|body| body.text.clone());
        Some(Self {
            id: item.field("MessageId")?.to_owned(),
            handle: ReceiptHandle::new(item.field("ReceiptHandle")?),
            body: body.unwrap_or_default(),
            next_visible: time("NextVisibleTime"),
            enqueued: time("EnqueueTime"),
            dequeue_count: item.number("DequeueCount").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        })
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
        let call = Call { wait, outlast_throttling: false, ..Call::new(ACTION, Method::GET, target) };
        let answer = match self.call(&call).await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some(MESSAGE_NOT_EXIST) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        messages_in(&answer)
    }
}

pub(crate) fn messages_in(answer: &Answer) -> Result<Vec<Message>> {
    let root = answer.expect("Messages").map_err(|error| error.with_action(ACTION))?;
    Ok(root.all("Message").filter_map(Message::read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::xml;

    fn message(fields: &str) -> Option<Message> {
        Message::read(&xml::read(format!("<Message>{fields}</Message>").as_bytes()).unwrap())
    }

    #[test]
    fn an_item_is_read_with_all_it_says() {
        let message = message(
            "<MessageId>M-1</MessageId><ReceiptHandle>1-a+/==</ReceiptHandle><MessageBody>{&quot;a&quot;:1}</MessageBody>\
             <EnqueueTime>1250700979248</EnqueueTime><NextVisibleTime>1250700799348</NextVisibleTime>\
             <FirstDequeueTime>1</FirstDequeueTime><DequeueCount>3</DequeueCount><Priority>8</Priority><New>x</New>",
        )
        .unwrap();
        assert_eq!((message.id.as_str(), message.dequeue_count), ("M-1", 3));
        assert_eq!(message.json().as_deref(), Some("{\"a\":1}"));
        assert_eq!(message.enqueued.unwrap().timestamp_millis(), 1_250_700_979_248);
    }

    #[test]
    fn only_the_id_and_the_handle_must_be_there() {
        let plain = message("<MessageId>M</MessageId><ReceiptHandle>h</ReceiptHandle>").unwrap();
        assert_eq!((plain.body.as_str(), plain.dequeue_count, plain.json()), ("", 0, None));
        let odd = "<MessageId>M</MessageId><ReceiptHandle>h</ReceiptHandle>\
                   <NextVisibleTime>1250700799348123456</NextVisibleTime><DequeueCount>-1</DequeueCount>";
        assert_eq!(message(odd).unwrap().next_visible, None);
        assert_eq!(message("<MessageId>M</MessageId>"), None);
        assert_eq!(message("<ReceiptHandle>h</ReceiptHandle>"), None);
    }

    #[test]
    fn a_handle_goes_out_raw_and_prints_nothing() {
        let handle = ReceiptHandle::new("8-2zuDHj20+/==");
        assert_eq!(handle.in_query(), "8-2zuDHj20+/==");
        assert_eq!(ReceiptHandle::new("a b&c#\u{4e2d}").in_query(), "a%20b%26c%23%E4%B8%AD");
        assert_eq!(format!("{handle:?}"), "ReceiptHandle(..)");
    }
}
