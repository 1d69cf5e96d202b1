//! `BatchReceiveMessage` takes up to 16 messages, waiting for the first of them; `GetQueueAttributes` says how the queue is
//! set up, which is for a check beforehand: receiving does not need it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::Method;

use super::client::{Observer, QueueClient, usual_call};
use super::service::{Body, MESSAGE_NOT_EXIST, root_named};
use crate::auth::percent;
use crate::client::Answer;
use crate::error::Result;
use crate::net::xml::Element;

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
    /// How often it was received, by anybody; 0 where the service did not say.
    pub dequeue_count: u64,
}

impl Message {
    /// The JSON object in the body, whether it is there as it is or in Base64; `None` for anything else.
    pub fn json(&self) -> Option<Cow<'_, str>> {
        json_of(&self.body)
    }

    /// `None` for an item without an id or a handle: nothing could be done about it.
    fn read(item: &Element) -> Option<Self> {
        let body = item.all("MessageBody").next().map(|body| body.text.clone());
        Some(Self {
            id: item.field("MessageId")?.to_owned(),
            handle: ReceiptHandle::new(item.field("ReceiptHandle")?),
            body: body.unwrap_or_default(),
            next_visible: item.number("NextVisibleTime").and_then(DateTime::from_timestamp_millis),
            dequeue_count: item.number("DequeueCount").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        })
    }
}

/// The JSON object in a body; `None` for anything else, which is no fault of the message's. The service keeps the text
/// unchanged and never says whether it is Base64.
///
/// `{` is not in the Base64 alphabet, so there is no doubt. Source: "Message body encoding" of Simple Message Queue, and
/// the defaults of the vendor's SDKs, which differ.
fn json_of(body: &str) -> Option<Cow<'_, str>> {
    let text = trimmed(body);
    if text.starts_with('{') {
        return Some(Cow::Borrowed(text));
    }
    let decoded = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let text = trimmed(&decoded);
    text.starts_with('{').then(|| Cow::Owned(text.to_owned()))
}

/// Without blanks and byte order marks around it, which no JSON reader takes.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// How a queue is set up. `None` where the service did not say.
///
/// Source: `GetQueueAttributes`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueAttributes {
    /// The queue's name.
    pub name: Option<String>,
    /// How long a received message is hidden. More than a minute hides others' events for that long after a crash.
    pub visibility_timeout: Option<Duration>,
}

impl QueueAttributes {
    pub(crate) fn read(root: &Element) -> Self {
        let seconds = root.number("VisibilityTimeout").and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            name: root.field("QueueName").map(str::to_owned),
            visibility_timeout: seconds.map(Duration::from_secs),
        }
    }
}

impl QueueClient {
    /// Takes up to `most` messages (1 to 16), waiting up to `wait` (whole seconds, 30 at most) for the first. An empty
    /// list: there was none. The service may also say so at once, when too many polls wait already.
    ///
    /// Being throttled is an error at once: a queue that is read too often must be left alone.
    pub async fn batch_receive_message(&self, most: usize, wait: Duration) -> Result<Vec<Message>> {
        let most = most.clamp(1, MAX_MESSAGES_PER_CALL);
        let wait = Duration::from_secs(wait.min(MAX_WAIT).as_secs());
        // Without waitseconds the queue's own setting would count, which may be half a minute.
        let query = format!("numOfMessages={most}&waitseconds={}", wait.as_secs());
        let target = format!("{}?{query}", self.url().messages());
        let mut call = usual_call("BatchReceiveMessage", Method::GET, target);
        call.attempt_timeout += wait;
        let stop_when_throttled = Some(call.settings.stop.clone());
        call.settings.observer = Arc::new(Observer { stop_when_throttled });
        match self.0.call(&call, messages_in).await {
            Err(error) if error.code() == Some(MESSAGE_NOT_EXIST) => Ok(Vec::new()),
            received => received,
        }
    }

    /// Asks how the queue is set up.
    pub async fn get_queue_attributes(&self) -> Result<QueueAttributes> {
        let call = usual_call("GetQueueAttributes", Method::GET, self.url().path());
        self.0.call(&call, |answer| root_named(answer, "Queue").map(QueueAttributes::read)).await
    }
}

pub(crate) fn messages_in(answer: &Answer<Body>) -> Result<Vec<Message>> {
    Ok(root_named(answer, "Messages")?.all("Message").filter_map(Message::read).collect())
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
        assert_eq!(message.next_visible.unwrap().timestamp_millis(), 1_250_700_799_348);
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

    #[test]
    fn raw_and_base64_are_told_apart() {
        let json = r#"{"EventType":"x","Note":"中"}"#;
        let base64 = STANDARD.encode(json);
        let marked = format!("\u{feff}{json}\n");
        for body in [
            json,
            &format!(" \n{json}\n"),
            &marked,
            &base64,
            &format!("\n{base64} "),
            &STANDARD.encode(&marked),
        ] {
            assert_eq!(json_of(body).as_deref(), Some(json), "{body:?}");
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        let unpadded = STANDARD.encode(r#"{"a":1}"#);
        let unpadded = unpadded.trim_end_matches('=');
        let twice = STANDARD.encode(STANDARD.encode("{}"));
        let binary = STANDARD.encode([0xff, 0xfe, 0x00]);
        for body in ["", " ", "hello", "[1]", "null", unpadded, &twice, &binary, "e30=x", "\u{0}"] {
            assert_eq!(json_of(body), None, "{body:?}");
        }
    }

    #[test]
    fn attributes_may_be_missing() {
        let root = xml::read(
            b"<Queue><QueueName>q</QueueName><VisibilityTimeout>30</VisibilityTimeout>\
              <MessageRetentionPeriod>345600</MessageRetentionPeriod><MaximumMessageSize>65536</MaximumMessageSize></Queue>",
        )
        .unwrap();
        let attributes = QueueAttributes::read(&root);
        assert_eq!(attributes.visibility_timeout, Some(Duration::from_secs(30)));
        assert_eq!(QueueAttributes::read(&Element::default()), QueueAttributes::default());
    }
}
