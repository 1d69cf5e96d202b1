//! What the scenario says about the queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::emulator::duration;

/// The queue at `/queues/NAME`, to which the cloud sends its events.
///
/// In a scenario file: `{"name": "vod-events", "encoding": "base64", "foreign": 3}`. A scenario that has a callback as well
/// sends each event both ways.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueScript {
    /// Its name.
    pub name: String,
    /// How events are written into it.
    pub encoding: QueueEncoding,
    /// How long a received message is hidden.
    #[serde(with = "duration")]
    pub visibility_timeout: Duration,
    /// How long a message is kept.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// Other people's messages that are in it from the beginning: events of their jobs and of other types by turns.
    pub foreign: usize,
    /// Messages in it from the beginning that are no events at all.
    pub undecodable: usize,
    /// Polls that may wait at once; further ones find the queue empty at once. None: any number.
    pub poll_cap: Option<usize>,
}

impl Default for QueueScript {
    fn default() -> Self {
        Self {
            name: "vod-events".into(),
            encoding: QueueEncoding::Raw,
            visibility_timeout: Duration::from_secs(30),
            retention: Duration::from_secs(345_600),
            foreign: 0,
            undecodable: 0,
            poll_cap: None,
        }
    }
}

/// How events are written into a queue; the service's own way is not documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueEncoding {
    /// JSON as it is.
    #[default]
    Raw,
    /// JSON in Base64.
    Base64,
    /// By turns.
    Mixed,
}

impl QueueScript {
    /// A queue of this name with the service's defaults.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets how events are written into it.
    #[must_use]
    pub fn with_encoding(mut self, encoding: QueueEncoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Puts other people's messages into it.
    #[must_use]
    pub fn with_foreign(mut self, count: usize) -> Self {
        self.foreign = count;
        self
    }

    /// Puts messages into it that are no events.
    #[must_use]
    pub fn with_undecodable(mut self, count: usize) -> Self {
        self.undecodable = count;
        self
    }

    /// Sets how long a received message is hidden.
    #[must_use]
    pub fn with_visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility_timeout = timeout;
        self
    }

    /// Sets how many polls may wait at once.
    #[must_use]
    pub fn with_poll_cap(mut self, polls: usize) -> Self {
        self.poll_cap = Some(polls);
        self
    }

    /// Sets how long a message is kept.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The bodies that are in it from the beginning.
    pub(super) fn first_bodies(&self) -> Vec<String> {
        let foreign = (0..self.foreign).map(|n| match n % 2 {
            0 => format!(
                r#"{{"EventTime":"2026-01-01T00:00:00Z","EventType":"SubmitMediaRefreshComplete","Status":"success","MediaRefreshJobId":"somebodys-job-{n}","MediaId":"somebodys-media","TaskType":"refresh","TaskIds":"1","SuccessPlayUrls":"https://other.example.test/a.mp4"}}"#
            ),
            _ => format!(r#"{{"EventType":"FileUploadComplete","VideoId":"somebodys-video-{n}"}}"#),
        });
        let undecodable =
            (0..self.undecodable).map(|n| ["no event & no <JSON>", "{\"Event", "AAEC"][n % 3].to_owned());
        foreign.chain(undecodable).collect()
    }
}
