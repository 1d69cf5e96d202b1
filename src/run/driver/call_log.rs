//! Counts the calls of one run and passes on what happens inside them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::Error;
use crate::model::Calls;
use crate::run::observer::Notice;
use crate::vod::CallObserver;

/// Shared by the calls of a run. Notices go to the loop, so that the observer gets them in one order.
pub(super) struct CallLog {
    log: Mutex<Log>,
    notices: UnboundedSender<Notice>,
}

#[derive(Default)]
struct Log {
    calls: Calls,
    /// Why the last attempt failed, of actions that have not gone well since.
    troubles: BTreeMap<&'static str, Error>,
}

impl CallLog {
    pub(super) fn new() -> (Arc<Self>, UnboundedReceiver<Notice>) {
        let (notices, receiver) = unbounded_channel();
        (Arc::new(Self { log: Mutex::default(), notices }), receiver)
    }

    pub(super) fn counted(&self) -> Calls {
        self.lock().calls.clone()
    }

    /// What did not go well up to now, in words.
    pub(super) fn troubles(&self) -> Vec<String> {
        self.lock().troubles.values().map(|why| format!("failing when the run ended: {why}")).collect()
    }

    /// Why the last attempt at an action failed that has not gone well since.
    pub(super) fn first_trouble(&self) -> Option<Error> {
        self.lock().troubles.values().next().cloned()
    }

    /// Tells what a person should know.
    pub(super) fn warn(&self, message: String) {
        self.send(Notice::Warning { message });
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, notice: Notice) {
        // The loop may have ended; then nobody wants to know.
        let _ = self.notices.send(notice);
    }
}

/// Counts one more of an action.
fn add(counts: &mut BTreeMap<String, u64>, action: &str) {
    *counts.entry(action.to_owned()).or_default() += 1;
}

impl CallObserver for CallLog {
    fn calling(&self, action: &'static str) {
        add(&mut self.lock().calls.api_calls, action);
    }

    fn throttled(&self, action: &'static str) {
        add(&mut self.lock().calls.throttled, action);
    }

    fn retrying(&self, error: &Error, attempt: u32, wait: Duration) {
        let action = error.action().unwrap_or("call");
        let mut log = self.lock();
        add(&mut log.calls.retries, action);
        log.troubles.insert(action, error.clone());
        drop(log);
        self.send(Notice::Retrying {
            action,
            attempt,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            error: error.into(),
        });
    }

    fn went_well(&self, action: &'static str) {
        self.lock().troubles.remove(action);
    }

    fn clock_corrected(&self, ours: DateTime<Utc>, theirs: DateTime<Utc>) {
        self.send(Notice::ClockCorrected { ours, theirs, behind_s: (theirs - ours).num_seconds() });
    }
}
