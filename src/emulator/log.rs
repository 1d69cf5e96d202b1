//! The logs of calls that came in and of events that went out. They are bounded, the oldest entries go first.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::auth::rpc::Params;

/// Entries that a log holds.
const CAPACITY: usize = 100_000;

/// One request that came in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Call {
    /// When, by the emulator's clock.
    pub at: DateTime<Utc>,
    /// The action asked for; empty if none was.
    pub action: String,
    /// The HTTP method.
    pub method: String,
    /// Decoded parameters from query and form, without `Signature`; tokens are blanked out.
    pub params: Params,
    /// The access key id.
    pub key_id: String,
    /// The nonce.
    pub nonce: String,
    /// `1.0` or `ACS3`.
    pub signature_version: &'static str,
    /// The request id of the answer.
    pub request_id: String,
    /// `ok`, the error code, or the name of the fault that struck.
    pub outcome: String,
}

/// One attempt to deliver an event.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SentEvent {
    /// When it was sent, by the emulator's clock.
    pub at: DateTime<Utc>,
    /// `event`, `forged`, `replayed` or `by_hand`.
    pub kind: &'static str,
    /// Where to.
    pub url: String,
    /// The body.
    pub body: String,
    /// From 1; the third is the last.
    pub attempt: u32,
    /// The status that the receiver answered; none if no answer came in 5 s.
    pub status: Option<u16>,
    /// Why no answer came.
    pub error: Option<String>,
    /// How long the receiver took; in JSON milliseconds as `took_ms`.
    #[serde(rename = "took_ms", serialize_with = "milliseconds")]
    pub took: Duration,
}

fn milliseconds<S: Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

/// The last [`CAPACITY`] entries.
#[derive(Debug, Serialize)]
pub(super) struct Log<T>(VecDeque<T>);

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Log<T> {
    pub(super) fn push(&mut self, entry: T) {
        if self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_forgets_the_oldest() {
        let mut log = Log::default();
        (0..CAPACITY + 2).for_each(|n| log.push(n));
        assert_eq!(log.iter().count(), CAPACITY);
        assert_eq!(log.iter().next(), Some(&2));
    }
}
