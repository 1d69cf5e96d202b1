//! Does what a request to the queue asks for, and writes the answer as the service does. A receive that finds nothing waits
//! for a message that is sent or released, or that turns visible.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use md5::{Digest as _, Md5};
use tokio::time::{Instant, sleep_until};

use super::request::Operation;
use super::store::{Queue, QueuedMessage};
use crate::auth::acs3::hex;
use crate::emulator::answer::{Body, elements, queue_xml};
use crate::emulator::request::Problem;
use crate::emulator::scenario::QueueScript;
use crate::emulator::shared::Shared;

pub(crate) async fn perform(shared: &Arc<Shared>, operation: Operation) -> Result<Body, Problem> {
    if let Operation::Receive { most, wait, batch } = operation {
        let messages = receive(shared, most, wait).await?;
        return Ok(messages_body(&messages, batch, true));
    }
    let mut state = shared.state();
    let now = state.now;
    let queue = state.queue.as_mut().ok_or_else(Problem::no_queue)?;
    Ok(match operation {
        Operation::Peek { most, batch } => match queue.peek(most, now) {
            empty if empty.is_empty() => return Err(Problem::no_message()),
            messages => messages_body(&messages, batch, false),
        },
        Operation::Delete { handle } => {
            queue.delete(&handle, now)?;
            Body::Queue(204, String::new())
        }
        Operation::BatchDelete { handles } => batch_delete(queue, handles, now),
        Operation::Hide { handle, timeout } => {
            let (handle, until) = queue.hide(&handle, timeout, now)?;
            shared.queue_changed.notify_waiters();
            let fields = [("ReceiptHandle", handle), ("NextVisibleTime", milliseconds(until))];
            Body::Queue(200, queue_xml("ChangeVisibility", &elements(fields)))
        }
        Operation::Send { body } => {
            let body_md5 = body_md5(&body);
            let id = queue.put(body, now);
            shared.queue_changed.notify_waiters();
            sent_body(id, body_md5)
        }
        Operation::Attributes | Operation::Receive { .. } => attributes_body(&queue.script, queue.created),
    })
}

/// Takes messages, waiting for the first if need be.
async fn receive(shared: &Arc<Shared>, most: usize, wait: Duration) -> Result<Vec<QueuedMessage>, Problem> {
    let until = Instant::now() + wait;
    let mut waiting = None;
    loop {
        // Registered before the queue is read, or a message that comes in between wakes nobody.
        let mut changed = std::pin::pin!(shared.queue_changed.notified());
        changed.as_mut().enable();
        let (now, next) = {
            let mut state = shared.state();
            let now = state.now;
            let queue = state.queue.as_mut().ok_or_else(Problem::no_queue)?;
            let taken = queue.take(most, now);
            if !taken.is_empty() {
                return Ok(taken);
            }
            if waiting.is_none() {
                if queue.script.poll_cap.is_some_and(|cap| queue.waiting_polls >= cap) {
                    return Err(Problem::no_message());
                }
                queue.waiting_polls += 1;
                waiting = Some(WaitingPoll(shared.clone()));
            }
            (now, queue.next_visible(now))
        };
        if Instant::now() >= until {
            return Err(Problem::no_message());
        }
        let turns_visible = next.map(|at| Instant::now() + (at - now).to_std().unwrap_or_default());
        tokio::select! {
            biased;
            () = changed => {}
            () = sleep_until(turns_visible.map_or(until, |at| at.min(until))) => {}
        }
    }
}

/// A poll that waits; it may be dropped at any time.
struct WaitingPoll(Arc<Shared>);

impl Drop for WaitingPoll {
    fn drop(&mut self) {
        if let Some(queue) = &mut self.0.state().queue {
            queue.waiting_polls -= 1;
        }
    }
}

fn batch_delete(queue: &mut Queue, handles: Vec<String>, now: DateTime<Utc>) -> Body {
    let mut errors = String::new();
    for handle in handles {
        if let Err(problem) = queue.delete(&handle, now) {
            let fields =
                [("ErrorCode", problem.code), ("ErrorMessage", problem.message), ("ReceiptHandle", handle)];
            errors += &format!("<Error>{}</Error>", elements(fields));
        }
    }
    if errors.is_empty() {
        return Body::Queue(204, String::new());
    }
    Body::Queue(404, queue_xml("Errors", &errors))
}

fn messages_body(messages: &[QueuedMessage], batch: bool, received: bool) -> Body {
    let items: Vec<String> = messages.iter().map(|message| message_fields(message, received)).collect();
    Body::Queue(
        200,
        match (batch, items.as_slice()) {
            (false, [one]) => queue_xml("Message", one),
            _ => {
                let items: String = items.iter().map(|item| format!("<Message>{item}</Message>")).collect();
                queue_xml("Messages", &items)
            }
        },
    )
}

fn message_fields(message: &QueuedMessage, received: bool) -> String {
    let mut fields = vec![
        ("MessageId", message.id.clone()),
        ("MessageBody", message.body.clone()),
        ("MessageBodyMD5", body_md5(&message.body)),
        ("EnqueueTime", milliseconds(message.enqueued)),
        ("FirstDequeueTime", milliseconds(message.first_dequeued.unwrap_or(message.enqueued))),
        ("DequeueCount", message.dequeue_count.to_string()),
        ("Priority", "8".into()),
    ];
    if received {
        fields.push(("ReceiptHandle", message.handle.clone()));
        fields.push(("NextVisibleTime", milliseconds(message.visible_from)));
    }
    elements(fields)
}

fn sent_body(id: String, body_md5: String) -> Body {
    Body::Queue(201, queue_xml("Message", &elements([("MessageId", id), ("MessageBodyMD5", body_md5)])))
}

fn attributes_body(script: &QueueScript, created: DateTime<Utc>) -> Body {
    // Seconds, where a message's times are milliseconds.
    let created = created.timestamp().to_string();
    let fields = [
        ("QueueName", script.name.clone()),
        ("CreateTime", created.clone()),
        ("LastModifyTime", created),
        ("DelaySeconds", "0".into()),
        ("VisibilityTimeout", script.visibility_timeout.as_secs().to_string()),
        ("MessageRetentionPeriod", script.retention.as_secs().to_string()),
        ("MaximumMessageSize", "65536".into()),
        ("PollingWaitSeconds", "0".into()),
        ("LoggingEnabled", "False".into()),
        // The counters are being withdrawn at the service, and read 0.
        ("ActiveMessages", "0".into()),
        ("InactiveMessages", "0".into()),
        ("DelayMessages", "0".into()),
    ];
    Body::Queue(200, queue_xml("Queue", &elements(fields)))
}

fn milliseconds(time: DateTime<Utc>) -> String {
    time.timestamp_millis().to_string()
}

/// The digest of a body as it is stored, as the service writes it.
fn body_md5(body: &str) -> String {
    hex(&Md5::digest(body)).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::xml::{self, Element};

    fn read(body: Body) -> Element {
        match body {
            Body::Queue(_, text) => xml::read(text.as_bytes()).unwrap(),
            other => panic!("no XML of the queue: {other:?}"),
        }
    }

    /// Source: the decoders of the vendor's Python SDK, which take an answer without one of these for damaged.
    #[test]
    fn messages_have_every_field_that_the_vendors_sdk_insists_on() {
        let mut queue = Queue::new(QueueScript::named("q"), DateTime::UNIX_EPOCH);
        queue.put("{}".into(), DateTime::UNIX_EPOCH);
        let peeked = queue.peek(1, DateTime::UNIX_EPOCH);
        let always =
            "DequeueCount EnqueueTime FirstDequeueTime MessageBody MessageId MessageBodyMD5 Priority";
        has_all(&read(messages_body(&peeked, false, false)), always);
        let taken = queue.take(1, DateTime::UNIX_EPOCH);
        let received = read(messages_body(&taken, false, true));
        has_all(&received, always);
        has_all(&received, "NextVisibleTime ReceiptHandle");
        assert_eq!(received.field("MessageBodyMD5"), Some("99914B932BD37A50B983C5E7C90AE93B"));
        has_all(&read(sent_body("M1".into(), body_md5("{}"))), "MessageId MessageBodyMD5");
    }

    #[test]
    fn attributes_have_every_field_that_the_vendors_sdk_insists_on() {
        let root = read(attributes_body(&QueueScript::named("q"), DateTime::UNIX_EPOCH));
        has_all(
            &root,
            "ActiveMessages CreateTime DelayMessages DelaySeconds InactiveMessages LastModifyTime",
        );
        has_all(&root, "MaximumMessageSize MessageRetentionPeriod QueueName VisibilityTimeout");
        has_all(&root, "PollingWaitSeconds LoggingEnabled");
    }

    fn has_all(element: &Element, names: &str) {
        for name in names.split(' ') {
            assert!(element.field(name).is_some_and(|text| !text.is_empty()), "{name} in {element:?}");
        }
    }
}
