//! Counts the calls of one run and passes on what happens inside them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::Error;
use crate::model::Calls;
use crate::run::observer::Notice;
use crate::vod::CallWatch;

/// Shared by the calls of a run. Notices go to the loop, so that the observer hears them in one order.
pub(super) struct CallLog {
    calls: Counts,
    retries: Counts,
    throttled: Counts,
    /// Why the last attempt failed, of actions that have not gone well since.
    troubles: Mutex<BTreeMap<&'static str, String>>,
    notices: UnboundedSender<Notice>,
}

impl CallLog {
    pub(super) fn new() -> (Arc<Self>, UnboundedReceiver<Notice>) {
        let (notices, receiver) = unbounded_channel();
        let log = Self {
            calls: Counts::default(),
            retries: Counts::default(),
            throttled: Counts::default(),
            troubles: Mutex::default(),
            notices,
        };
        (Arc::new(log), receiver)
    }

    pub(super) fn counted(&self) -> Calls {
        Calls::new(self.calls.by_action(), self.retries.by_action(), self.throttled.by_action())
    }

    /// What did not go well up to now, in words.
    pub(super) fn troubles(&self) -> Vec<String> {
        self.lock_troubles().values().map(|why| format!("failing when the run ended: {why}")).collect()
    }

    fn lock_troubles(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, notice: Notice) {
        // The loop may have ended; then nobody wants to know.
        let _ = self.notices.send(notice);
    }
}

/// How often something happened, by action.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    fn add(&self, action: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(action).or_default() += 1;
    }

    fn by_action(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(action, count)| ((*action).to_owned(), *count)).collect()
    }
}

impl CallWatch for CallLog {
    fn calling(&self, action: &'static str) {
        self.calls.add(action);
    }

    fn throttled(&self, action: &'static str) {
        self.throttled.add(action);
    }

    fn retrying(&self, error: &Error, attempt: u32, wait: Duration) {
        let action = error.action().unwrap_or("call");
        self.retries.add(action);
        self.lock_troubles().insert(action, error.to_string());
        self.send(Notice::Retrying {
            action,
            attempt,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            error: error.into(),
        });
    }

    fn went_well(&self, action: &'static str) {
        self.lock_troubles().remove(action);
    }

    fn clock_corrected(&self, ours: DateTime<Utc>, theirs: DateTime<Utc>) {
        self.send(Notice::ClockCorrected { ours, theirs, behind_s: (theirs - ours).num_seconds() });
    }
}
