//! Sends events: over HTTP in three attempts, a second apart, five seconds each, of which only the status 200 counts; into
//! the queue where there is one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderValue, header};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::log::SentEvent;
use super::operations::outcome;
use super::scenario::{Callback, EventScript};
use super::shared::{Shared, lock};
use super::state::{PlannedEvent, State};
use super::store::{Course, End, TaskRow};
use crate::auth::callback;
use crate::net::clock::to_wire;

const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// How an event that is sent by hand is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventSignature {
    /// As the service signs, with the scenario's key; without a key not at all.
    #[default]
    Right,
    /// No signature headers.
    Missing,
    /// The right timestamp, no signature.
    OnlyTimestamp,
    /// The right signature, no timestamp.
    OnlySignature,
    /// An empty signature.
    Empty,
    /// A signature of another key.
    Wrong,
    /// Rightly signed, this many seconds ago; negative: ahead.
    Aged(i64),
    /// The right digest in capital letters.
    Capitals,
    /// Rightly signed at this moment: the headers of an event that was sent then, as [`SentEvent::at`] has it.
    At(DateTime<Utc>),
    /// Rightly signed, over another URL than the one it is sent to.
    OverUrl(String),
}

/// Starts the events that a submit call will lead to. Each waits in a task of its own that does not keep the emulator
/// alive.
pub(super) fn schedule(shared: &Arc<Shared>, events: Vec<PlannedEvent>) {
    for event in events {
        let shared = Arc::downgrade(shared);
        tokio::spawn(async move {
            tokio::time::sleep(event.wait).await;
            deliver(&shared, &event).await;
        });
    }
}

async fn deliver(shared: &Weak<Shared>, event: &PlannedEvent) {
    let Some(shared) = shared.upgrade() else { return };
    let Some((http, messages)) = write(&mut shared.state(), event) else { return };
    for message in messages.iter().filter(|message| !message.only_http) {
        shared.put_into_queue(message);
    }
    let Some(callback) = http else { return };
    let mut last_sent = shared.state().now;
    for mut message in messages {
        if message.is_replay && message.signature == EventSignature::Right {
            message.signature = EventSignature::At(last_sent);
        }
        last_sent = shared.post_with_retries(&callback, &message).await.unwrap_or(last_sent);
    }
}

/// One event as it will be sent.
#[derive(Debug, Default)]
struct Message {
    kind: &'static str,
    body: String,
    signature: EventSignature,
    /// It does not go into the queue.
    only_http: bool,
    /// It goes out with the headers of the message before it.
    is_replay: bool,
}

/// Writes all messages for one media. A callback is there if events go out over HTTP; `None`: nothing is sent.
fn write(state: &mut State, event: &PlannedEvent) -> Option<(Option<Callback>, Vec<Message>)> {
    // Event types are switched on in the account's own settings only: without them there are no events at all.
    let callback = state.callback();
    if callback.is_none() && state.queue.is_none() {
        return None;
    }
    let real = body(state, &event.job_id, &event.media)?;
    let job = state.store.jobs.get(&event.job_id)?;
    let own_url = job.user_data.as_deref().and_then(callback_url);
    let callback = callback.map(|set| Callback { url: own_url.unwrap_or(set.url), key: set.key });
    let script = job.media.iter().find(|row| row.media == event.media)?.script.event.clone();
    let mut messages = Vec::new();
    if script.unsigned_fail_first {
        let (body, signature) = (failure(real.clone()), EventSignature::Missing);
        messages.push(Message { kind: "forged", body, signature, only_http: true, is_replay: false });
    }
    if !script.forged_first.is_empty() {
        let body = forge(state, real.clone(), &script.forged_first);
        messages.push(Message { kind: "forged", body, ..Message::default() });
    }
    for _ in 0..if script.double { 2 } else { 1 } {
        let (body, signature) = (real.to_string(), signature_of(&script));
        messages.push(Message { kind: "event", body, signature, ..Message::default() });
    }
    if !script.replayed_with.is_empty() {
        let body = forge(state, real, &script.replayed_with);
        let signature = signature_of(&script);
        messages.push(Message { kind: "replayed", body, signature, only_http: true, is_replay: true });
    }
    Some((callback, messages))
}

fn callback_url(user_data: &str) -> Option<String> {
    let fields: Value = serde_json::from_str(user_data).ok()?;
    let url = fields.get("MessageCallback")?.get("CallbackURL")?.as_str()?;
    (!url.is_empty()).then(|| url.to_owned())
}

/// How the script wants the event signed.
fn signature_of(script: &EventScript) -> EventSignature {
    match (script.unsigned, script.bad_signature, script.stale_timestamp) {
        (true, _, _) => EventSignature::Missing,
        (_, true, _) => EventSignature::Wrong,
        (_, _, true) => EventSignature::Aged(600),
        _ => EventSignature::Right,
    }
}

/// Returns the event of one media, as the vendor's samples have it: `TaskType` in small letters.
pub(super) fn body(state: &State, job_id: &str, media: &str) -> Option<Value> {
    let job = state.store.jobs.get(job_id)?;
    let row = job.media.iter().find(|row| row.media == media)?;
    let mut out = json!({
        "EventType": "SubmitMediaRefreshComplete",
        "EventTime": to_wire(state.now),
        "MediaRefreshJobId": job_id,
        "MediaId": media,
        "TaskType": job.task_type.to_lowercase(),
        "FilterPolicy": job.filter_policy,
    });
    let named = if row.script.event.partial { row.urls.len().min(1) } else { row.urls.len() };
    outcome(row, 0..named, &mut out);
    if let Some(word) = &row.script.event.status {
        out["Status"] = json!(word);
    }
    let user_data: Option<Value> = job.user_data.as_deref().and_then(|text| serde_json::from_str(text).ok());
    if let Some(extend) = user_data.and_then(|fields| fields.get("Extend").cloned()) {
        let as_object = state.scenario.extend_as_object || row.script.event.extend_as_object;
        out["Extend"] = match extend {
            Value::String(text) => Value::String(text),
            object if as_object => object,
            object => Value::String(object.to_string()),
        };
    }
    Some(out)
}

/// An event that says that the CDN did not take the URLs.
fn failure(mut event: Value) -> String {
    if let Value::Object(fields) = &mut event {
        fields.retain(|name, _| !["SuccessPlayUrls", "TaskIds"].contains(&name.as_str()));
    }
    event["Status"] = json!("fail");
    event["ErrorCode"] = json!("InternalError");
    event["ErrorMessage"] = json!("forged");
    event.to_string()
}

/// An event that names other tasks, which then exist and are complete: who believes it takes the job for complete.
fn forge(state: &mut State, mut event: Value, task_ids: &[String]) -> String {
    let now = state.now;
    let urls: Vec<String> =
        task_ids.iter().map(|id| format!("https://forged.example.test/{id}.mp4")).collect();
    for (id, url) in task_ids.iter().zip(&urls) {
        if state.store.rows_of(id, false, now).is_empty() {
            state.store.add_task(TaskRow {
                id: Arc::from(id.as_str()),
                url: url.clone(),
                object_type: "file",
                created: now,
                course: Course { pending: Duration::ZERO, duration: Duration::ZERO, end: End::Complete },
                visible: now,
                hidden_queries: 0,
                script: Arc::default(),
                shown: true,
            });
        }
    }
    event["Status"] = json!("success");
    event["TaskIds"] = json!(task_ids.join(","));
    event["SuccessPlayUrls"] = json!(urls.join(","));
    event.to_string()
}

impl Shared {
    /// Puts an event into the queue: once, and unsigned, since whoever may write to the queue is believed.
    fn put_into_queue(&self, message: &Message) {
        let state = &mut *self.state();
        let at = state.now;
        let Some(queue) = &mut state.queue else { return };
        queue.put_event(&message.body, at);
        self.queue_changed.notify_waiters();
        let url = format!("/queues/{}", queue.name());
        let (kind, body) = (message.kind, message.body.clone());
        let (status, took) = (Some(201), Duration::ZERO);
        state.events.push(SentEvent { at, kind, url, body, attempt: 1, status, error: None, took });
    }

    /// Returns when the last attempt was made, and signed.
    async fn post_with_retries(&self, callback: &Callback, message: &Message) -> Option<DateTime<Utc>> {
        let mut last = None;
        for attempt in 1..=ATTEMPTS {
            if attempt > 1 {
                tokio::time::sleep(PAUSE).await;
            }
            let (at, status) = self.post(callback, message, attempt).await?;
            last = Some(at);
            if status == Some(200) {
                return last;
            }
        }
        tracing::warn!(attempts = ATTEMPTS, "an event was given up");
        last
    }

    /// Posts an event by hand, once, to `url` or to the callback; returns the status, if one was answered.
    pub(super) async fn send_by_hand(
        &self,
        url: Option<&str>,
        body: String,
        signature: EventSignature,
    ) -> Option<u16> {
        let callback = match (url, self.state().callback()) {
            (Some(url), set) => Callback { url: url.to_owned(), key: set.and_then(|set| set.key) },
            (None, set) => set?,
        };
        let message = Message { kind: "by_hand", body, signature, ..Message::default() };
        self.post(&callback, &message, 1).await.and_then(|(_, status)| status)
    }

    /// Makes one attempt; returns when, and the status if one was answered. `None`: there is no transport.
    async fn post(
        &self,
        Callback { url, key }: &Callback,
        message: &Message,
        attempt: u32,
    ) -> Option<(DateTime<Utc>, Option<u16>)> {
        let Some(transport) = lock(&self.event_transport).clone() else {
            self.warned.call_once(|| {
                tracing::warn!("events are not sent: the emulator was given no transport for them");
            });
            return None;
        };
        let _slot = self.posts.acquire().await.ok()?;
        // Signed for each attempt: the timestamp is the time of sending.
        let at = self.state().now;
        let request = http::Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(message.body.clone()));
        let started = tokio::time::Instant::now();
        let (status, error) = match request {
            Err(error) => (None, Some(error.to_string())),
            Ok(mut request) => {
                request.headers_mut().extend(headers(url, key.as_deref(), &message.signature, at));
                match tokio::time::timeout(TIMEOUT, transport.send(request)).await {
                    Ok(Ok(answer)) => (Some(answer.status().as_u16()), None),
                    Ok(Err(error)) => (None, Some(error.to_string())),
                    Err(_) => (None, Some("no answer in 5 s".to_owned())),
                }
            }
        };
        let (kind, url, body) = (message.kind, url.to_owned(), message.body.clone());
        let took = started.elapsed();
        self.state().events.push(SentEvent { at, kind, url, body, attempt, status, error, took });
        Some((at, status))
    }
}

fn headers(url: &str, key: Option<&str>, signature: &EventSignature, now: DateTime<Utc>) -> HeaderMap {
    use EventSignature as S;
    let Some(key) = key else { return HeaderMap::new() };
    let time = match signature {
        S::Aged(seconds) => now - TimeDelta::seconds(*seconds),
        S::At(moment) => *moment,
        _ => now,
    };
    let sign =
        |url: &str, key: &str| callback::sign(url, time.timestamp(), &SecretString::from(key.to_owned()));
    let right = || sign(url, key);
    let timestamp = Some(time.timestamp().to_string());
    let (timestamp, digest) = match signature {
        S::Right | S::Aged(_) | S::At(_) => (timestamp, Some(right())),
        S::Missing => (None, None),
        S::OnlyTimestamp => (timestamp, None),
        S::OnlySignature => (None, Some(right())),
        S::Empty => (timestamp, Some(String::new())),
        S::Wrong => (timestamp, Some(sign(url, "some-other-key"))),
        S::Capitals => (timestamp, Some(right().to_uppercase())),
        S::OverUrl(other) => (timestamp, Some(sign(other, key))),
    };
    [(callback::TIMESTAMP_HEADER, timestamp), (callback::SIGNATURE_HEADER, digest)]
        .into_iter()
        .filter_map(|(name, text)| {
            let value = HeaderValue::from_str(&text?).ok()?;
            Some((header::HeaderName::from_static(name), value))
        })
        .collect()
}
