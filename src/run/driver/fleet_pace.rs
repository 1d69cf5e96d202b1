//! The pace that runs of one account keep together, in the journal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::call_log::CallLog;
use super::fleet::Shared;
use crate::net::pace::{Limits, Pace, PaceStep, SharedPace};
use crate::net::transport::BoxFuture;

/// A pause that others caused is told from this length on: shorter ones are usual.
const WORTH_TELLING: Duration = Duration::from_secs(5);

pub(super) struct FleetPace {
    shared: Arc<Shared>,
    call_log: Arc<CallLog>,
    /// Until when a pause lasts that was told of, or that a call of this run caused, by the journal's time. A std mutex: never
    /// held across an await.
    known_until: Mutex<Duration>,
}

impl FleetPace {
    pub(super) fn new(shared: Arc<Shared>, call_log: Arc<CallLog>) -> Self {
        Self { shared, call_log, known_until: Mutex::default() }
    }

    /// Tells of a pause that another run caused, once.
    fn tell(&self, step: PaceStep, pause: Duration, now: Duration) {
        let mut known_until = self.known_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let PaceStep::Throttled(own) = step {
            *known_until = (*known_until).max(now + own);
        } else if pause >= WORTH_TELLING && now + pause > *known_until {
            *known_until = now + pause;
            self.call_log.warn(format!(
                "another run of this account was told to slow down: this one asks about no task for {} s",
                pause.as_secs()
            ));
        }
    }
}

impl SharedPace for FleetPace {
    fn step(&self, limits: Limits, went_well: u32, step: PaceStep) -> BoxFuture<'_, Option<Duration>> {
        Box::pin(async move {
            let change = move |pace: Option<&str>, now| {
                let pace = pace.and_then(|text| serde_json::from_str::<Pace>(text).ok());
                let mut pace = pace.unwrap_or_default().read_at(now);
                let wait = pace.step(limits, went_well, step, now);
                (serde_json::to_string(&pace).ok(), (wait, pace.pause_left(now), now))
            };
            let (wait, pause, now) = self.shared.update("pace".to_owned(), change).await?;
            self.tell(step, pause, now);
            Some(wait)
        })
    }
}
