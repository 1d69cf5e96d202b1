//! Counts the calls of one run and passes on what happens inside them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::Error;
use crate::run::observer::Notice;
use crate::run::report::Summary;
use crate::vod::CallWatch;

/// Shared by the calls of a run. Notices go to the loop, so that the observer hears them in one order.
pub(super) struct Watch {
    calls: Mutex<BTreeMap<&'static str, u64>>,
    retries: AtomicU64,
    notices: UnboundedSender<Notice>,
}

impl Watch {
    pub(super) fn new() -> (Arc<Self>, UnboundedReceiver<Notice>) {
        let (notices, receiver) = unbounded_channel();
        (Arc::new(Self { calls: Mutex::default(), retries: AtomicU64::new(0), notices }), receiver)
    }

    pub(super) fn fill(&self, summary: &mut Summary) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        summary.api_calls = calls.iter().map(|(action, count)| ((*action).to_owned(), *count)).collect();
        summary.retries = self.retries.load(Ordering::Relaxed);
    }

    fn send(&self, notice: Notice) {
        // The loop may have ended; then nobody wants to know.
        let _ = self.notices.send(notice);
    }
}

impl CallWatch for Watch {
    fn calling(&self, action: &'static str) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(action).or_default() += 1;
    }

    fn retrying(&self, error: &Error, attempt: u32, wait: Duration) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        self.send(Notice::Retrying {
            action: error.action().unwrap_or("call"),
            attempt,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            error: error.into(),
        });
    }

    fn clock_corrected(&self, ours: DateTime<Utc>, theirs: DateTime<Utc>) {
        self.send(Notice::ClockCorrected { ours, theirs, behind_s: (theirs - ours).num_seconds() });
    }
}
