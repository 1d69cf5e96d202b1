//! What a ledger must know of its run.

use std::time::Duration;

use crate::ids::RunId;
use crate::model::{LookupAfter, Moment};
use crate::vod::TaskType;

/// How long a task or a job may stay invisible before it counts as failed. Creation is asynchronous at the service.
pub(crate) const GRACE: Duration = Duration::from_secs(600);
/// What was not shown counts as absent only after three answers within the grace, at least.
const ANSWERS_OF_A_GRACE: u32 = 3;
/// How long lookups may stay empty before an event stands unconfirmed.
pub(super) const CONFIRM_GRACE: Duration = Duration::from_secs(60);

/// Lookups that say the same for so long are believed to name all, unless a run is told otherwise.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// What a ledger must know of its run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The run, whose mark comes back in events.
    pub run: RunId,
    /// Purge or prefetch; `None` when waiting for jobs of others.
    pub task_type: Option<TaskType>,
    /// Whether events can come in.
    pub has_events: bool,
    /// When jobs are queried.
    pub lookup: LookupAfter,
    /// First wait between two polls.
    pub poll_first: Duration,
    /// Longest wait between two polls.
    pub poll_cap: Duration,
    /// Both while media are preloaded that this run has refreshed; `None`: they are not.
    pub preload_polls: Option<(Duration, Duration)>,
    /// The last poll falls here.
    pub deadline: Moment,
    /// Whether a batch with an unknown outcome is sent again.
    pub resubmit: bool,
    /// How long an event may tell of a lost answer first.
    pub outcome_wait: Duration,
    /// Lookups that say the same for so long are believed to name all: the service may go on naming.
    pub settle: Duration,
    /// A job of others has all its media when its rows have not changed for so long, unless the caller knows better.
    pub close: Duration,
    /// Seed of the jitter.
    pub seed: u64,
    /// The run was begun with another access key, perhaps of another account: what it does not find proves nothing.
    pub may_be_foreign: bool,
}

impl Settings {
    /// Settings with the defaults of a run without events: lookups at once, an hour's deadline.
    pub fn new(run: RunId, task_type: Option<TaskType>) -> Self {
        let preload = task_type == Some(TaskType::Preload);
        let seconds =
            |refresh, preload_seconds| Duration::from_secs(if preload { preload_seconds } else { refresh });
        Self {
            run,
            task_type,
            has_events: false,
            lookup: LookupAfter::After(Duration::ZERO),
            poll_first: seconds(2, 10),
            poll_cap: seconds(15, 60),
            preload_polls: None,
            deadline: Moment::after(Duration::from_secs(3_600)),
            resubmit: true,
            outcome_wait: Duration::from_secs(60),
            settle: SETTLE,
            close: Duration::from_secs(10),
            seed: 0,
            may_be_foreign: false,
        }
    }
}

/// Whether the service has had the whole grace to show something that it was asked for since then, and answered: half as many
/// looks as fit into a grace at least, where they are `cap` apart. An outage, or a process that was stopped, is no silence.
pub(super) fn is_grace_over(now: Moment, since: Moment, answers: u32, cap: Duration) -> bool {
    let fit = GRACE.as_millis() / cap.as_millis().max(1);
    u128::from(answers) >= u128::from(ANSWERS_OF_A_GRACE).max(fit / 2) && now.since(since) >= GRACE
}
