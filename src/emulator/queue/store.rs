//! The messages of the queue. Nothing in here moves by itself: what is visible is computed for each request.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::emulator::request::Problem;
use crate::emulator::scenario::duration::later;
use crate::emulator::scenario::{QueueEncoding, QueueScript};
use crate::net::rng;

/// A message as the queue holds it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct QueuedMessage {
    /// Its id, the same at each delivery.
    pub id: String,
    /// The text.
    pub body: String,
    /// When it was sent.
    pub enqueued: DateTime<Utc>,
    /// From when on it can be received.
    pub visible_from: DateTime<Utc>,
    /// When it was received first.
    pub first_dequeued: Option<DateTime<Utc>>,
    /// How often it was received.
    pub dequeue_count: u64,
    /// The handle that counts.
    #[serde(skip)]
    pub(super) handle: String,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) script: QueueScript,
    pub(super) created: DateTime<Utc>,
    messages: BTreeMap<u64, QueuedMessage>,
    /// Counts messages and handles.
    count: u64,
    events: u64,
    /// Polls that wait for a message.
    pub(super) waiting_polls: usize,
}

impl Queue {
    pub(crate) fn new(script: QueueScript, now: DateTime<Utc>) -> Self {
        let bodies = first_bodies(&script);
        let mut queue =
            Self { script, created: now, messages: BTreeMap::new(), count: 0, events: 0, waiting_polls: 0 };
        for body in bodies {
            queue.put(body, now);
        }
        queue
    }

    pub(crate) fn name(&self) -> &str {
        &self.script.name
    }

    /// All that is in it, the oldest first.
    pub(crate) fn list(&self) -> Vec<QueuedMessage> {
        self.messages.values().cloned().collect()
    }

    /// Adds a message as it is; returns its id.
    pub(crate) fn put(&mut self, body: String, now: DateTime<Utc>) -> String {
        self.count += 1;
        let id = format!("{:016X}-{}", rng::mix(self.count), self.count);
        let message = QueuedMessage {
            id: id.clone(),
            body,
            enqueued: now,
            visible_from: now,
            first_dequeued: None,
            dequeue_count: 0,
            handle: String::new(),
        };
        self.messages.insert(self.count, message);
        id
    }

    /// Adds an event, written as the script says.
    pub(crate) fn put_event(&mut self, json: &str, now: DateTime<Utc>) {
        self.events += 1;
        let base64 = match self.script.encoding {
            QueueEncoding::Raw => false,
            QueueEncoding::Base64 => true,
            QueueEncoding::Mixed => self.events.is_multiple_of(2),
        };
        self.put(if base64 { STANDARD.encode(json) } else { json.to_owned() }, now);
    }

    /// Delivers up to `most` messages that are visible, in no order.
    pub(super) fn take(&mut self, most: usize, now: DateTime<Utc>) -> Vec<QueuedMessage> {
        let until = later(now, self.script.visibility_timeout);
        let mut taken = Vec::new();
        for number in self.visible(most, now) {
            let handle = self.fresh_handle(number);
            if let Some(message) = self.messages.get_mut(&number) {
                message.handle = handle;
                message.visible_from = until;
                message.first_dequeued.get_or_insert(now);
                message.dequeue_count += 1;
                taken.push(message.clone());
            }
        }
        taken
    }

    /// Returns up to `most` messages that are visible, and changes nothing.
    pub(super) fn peek(&mut self, most: usize, now: DateTime<Utc>) -> Vec<QueuedMessage> {
        self.visible(most, now).iter().filter_map(|number| self.messages.get(number).cloned()).collect()
    }

    /// Numbers of visible messages, beginning anywhere: the service keeps no order either.
    fn visible(&mut self, most: usize, now: DateTime<Utc>) -> Vec<u64> {
        let retention = TimeDelta::from_std(self.script.retention).unwrap_or(TimeDelta::MAX);
        self.messages.retain(|_, message| now - message.enqueued <= retention);
        self.count += 1;
        let start = rng::mix(self.count) % self.count;
        let from_there = self.messages.range(start..).chain(self.messages.range(..start));
        from_there.filter(|(_, message)| message.visible_from <= now).map(|(n, _)| *n).take(most).collect()
    }

    /// When the next hidden message turns visible.
    pub(super) fn next_visible(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.messages.values().map(|message| message.visible_from).filter(|at| *at > now).min()
    }

    pub(super) fn delete(&mut self, handle: &str, now: DateTime<Utc>) -> Result<(), Problem> {
        let number = self.held(handle, now)?;
        self.messages.remove(&number);
        Ok(())
    }

    /// Hides a message for `timeout` from now on; returns the handle that counts from now on.
    pub(super) fn hide(
        &mut self,
        handle: &str,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<(String, DateTime<Utc>), Problem> {
        let number = self.held(handle, now)?;
        let (fresh, until) = (self.fresh_handle(number), now + timeout);
        if let Some(message) = self.messages.get_mut(&number) {
            message.handle.clone_from(&fresh);
            message.visible_from = until;
        }
        Ok((fresh, until))
    }

    /// The message of a handle that still counts.
    fn held(&self, handle: &str, now: DateTime<Utc>) -> Result<u64, Problem> {
        let number = handle.split_once('-').and_then(|(number, _)| number.parse().ok());
        let Some(number) = number else {
            return Err(Problem::new(
                400,
                "ReceiptHandleError",
                "The receipt handle you provided is not valid.",
            ));
        };
        match self.messages.get(&number) {
            Some(message) if message.handle == handle && message.visible_from > now => Ok(number),
            _ => Err(Problem::no_message()),
        }
    }

    /// With all the letters that handles have: `+`, `/`, `=`, `-`.
    fn fresh_handle(&mut self, number: u64) -> String {
        self.count += 1;
        let noise = [rng::mix(self.count), rng::mix(!self.count)].map(u64::to_be_bytes).concat();
        format!("{number}-{}", STANDARD.encode(noise))
    }
}

impl Problem {
    pub(super) fn no_message() -> Self {
        Self::new(404, "MessageNotExist", "Message not exist.")
    }
}

/// The bodies of the messages that are in the queue from the beginning.
fn first_bodies(script: &QueueScript) -> Vec<String> {
    let foreign = (0..script.foreign).map(|n| match n % 2 {
        0 => format!(
            r#"{{"EventTime":"2026-01-01T00:00:00Z","EventType":"SubmitMediaRefreshComplete","Status":"success","MediaRefreshJobId":"somebodys-job-{n}","MediaId":"somebodys-media","TaskType":"refresh","TaskIds":"1","SuccessPlayUrls":"https://other.example.test/a.mp4"}}"#
        ),
        _ => format!(r#"{{"EventType":"FileUploadComplete","VideoId":"somebodys-video-{n}"}}"#),
    });
    let undecodable =
        (0..script.undecodable).map(|n| ["no event & no <JSON>", "{\"Event", "AAEC"][n % 3].to_owned());
    foreign.chain(undecodable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000 + seconds, 0).unwrap()
    }

    fn queue(messages: usize) -> Queue {
        let mut queue = Queue::new(QueueScript::default(), at(0));
        (0..messages).for_each(|n| drop(queue.put(n.to_string(), at(0))));
        queue
    }

    #[test]
    fn a_received_message_is_hidden_until_its_time_is_over() {
        let mut queue = queue(1);
        let first = queue.take(16, at(0)).remove(0);
        assert!(queue.take(16, at(29)).is_empty() && queue.peek(16, at(29)).is_empty());
        assert_eq!(queue.next_visible(at(29)), Some(at(30)));
        let second = queue.take(16, at(30)).remove(0);
        assert_eq!((second.id, second.dequeue_count), (first.id, 2));
        assert_eq!(second.first_dequeued, Some(at(0)));
        assert_ne!(second.handle, first.handle);
    }

    #[test]
    fn only_the_newest_handle_counts_and_only_in_time() {
        let mut queue = queue(1);
        let old = queue.take(1, at(0)).remove(0).handle;
        let (new, until) = queue.hide(&old, Duration::from_secs(5), at(1)).unwrap();
        assert_eq!(until, at(6));
        assert_eq!(queue.delete(&old, at(2)).unwrap_err().code, "MessageNotExist");
        assert_eq!(queue.delete(&new, at(6)).unwrap_err().code, "MessageNotExist", "visible again");
        assert_eq!(queue.delete("nonsense", at(2)).unwrap_err().code, "ReceiptHandleError");
        assert!(queue.delete(&new, at(5)).is_ok());
        assert_eq!(queue.delete(&new, at(5)).unwrap_err().code, "MessageNotExist");
    }

    #[test]
    fn messages_come_in_no_order_each_once_and_go_after_their_time() {
        let mut queue = queue(40);
        let bodies: Vec<String> =
            (0..3).flat_map(|_| queue.take(16, at(0))).map(|message| message.body).collect();
        let mut sorted: Vec<u32> = bodies.iter().map(|body| body.parse().unwrap()).collect();
        assert!(!sorted.is_sorted());
        sorted.sort_unstable();
        assert_eq!(sorted, (0..40).collect::<Vec<_>>());
        assert_eq!(queue.take(16, at(345_601)).len(), 0);
    }
}
