//! The pretend cloud's mind, under one lock: scenario, memory, store. Reached by one request at a time, never across an
//! await.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::answer::Problem;
use super::ids::Ids;
use super::log::{Call, Log, SentEvent};
use super::media::MediaScript;
use super::memory::Memory;
use super::pace::Pace;
use super::queue::Queue;
use super::quota::{self, Spent};
use super::rules::FaultBook;
use super::scenario::{Callback, Scenario};
use super::settings::{self, Settings};
use super::store::Store;
use super::submit::{self, Submission};
use super::{gate, lookup, sts, tasks};
use crate::auth::rpc::Params;

#[derive(Debug)]
pub(super) struct State {
    pub(super) scenario: Scenario,
    pub(super) ids: Ids,
    pub(super) memory: Memory,
    pub(super) store: Store,
    /// There if the scenario has one, once the clock is known.
    pub(super) queue: Option<Queue>,
    pub(super) settings: Settings,
    pub(super) spent: Spent,
    pub(super) faults: FaultBook,
    pub(super) calls: Log<Call>,
    pub(super) events: Log<SentEvent>,
    counts: HashMap<String, usize>,
    pace: Pace,
    scripts: HashMap<String, Arc<MediaScript>>,
    default_script: Arc<MediaScript>,
    /// Whether the scenario's own jobs were made; they need the clock, which comes after the scenario.
    opened: bool,
}

/// What an action did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) body: Value,
    pub(super) events: Vec<PlannedEvent>,
    /// Hold the answer back for so long.
    pub(super) hold: Duration,
}

impl Done {
    pub(super) fn of(body: Value) -> Self {
        Self { body, events: Vec::new(), hold: Duration::ZERO }
    }
}

/// An event to come.
#[derive(Debug, Clone)]
pub(super) struct PlannedEvent {
    pub(super) job_id: String,
    pub(super) media: String,
    pub(super) wait: Duration,
    pub(super) hold_the_answer: Option<Duration>,
}

impl State {
    pub(super) fn new(mut scenario: Scenario) -> Self {
        let mut faults = FaultBook::default();
        scenario.faults.drain(..).for_each(|rule| faults.add(rule));
        let media = std::mem::take(&mut scenario.media);
        Self {
            ids: Ids::new(scenario.seed, std::mem::take(&mut scenario.job_ids)),
            memory: Memory::default(),
            store: Store::default(),
            queue: None,
            settings: Settings::default(),
            spent: Spent::default(),
            faults,
            calls: Log::default(),
            events: Log::default(),
            counts: HashMap::new(),
            pace: Pace::default(),
            scripts: media.into_iter().map(|(id, script)| (id, Arc::new(script))).collect(),
            default_script: Arc::new(std::mem::take(&mut scenario.default_media)),
            opened: false,
            scenario,
        }
    }

    pub(super) fn script_of(&self, media: &str) -> Arc<MediaScript> {
        Arc::clone(self.scripts.get(media).unwrap_or(&self.default_script))
    }

    /// Where events of ours go, if they are switched on.
    pub(super) fn callback(&self) -> Option<Callback> {
        self.settings.callback(self.scenario.callback.as_ref())
    }

    pub(super) fn set_media(&mut self, media: String, script: MediaScript) {
        self.scripts.insert(media, Arc::new(script));
    }

    pub(super) fn record(&mut self, call: Call) {
        // Only actions that exist have a counter, or a mad client could fill the memory with names.
        if gate::is_known(&call.action) {
            *self.counts.entry(call.action.clone()).or_default() += 1;
        }
        self.calls.push(call);
    }

    pub(super) fn count(&self, action: &str) -> usize {
        self.counts.get(action).copied().unwrap_or_default()
    }

    /// Makes the jobs and the queue that the scenario says exist already.
    pub(super) fn open_scripted_jobs(&mut self, now: DateTime<Utc>) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        self.queue = self.scenario.queue.take().map(|script| Queue::new(script, now));
        for (id, job) in std::mem::take(&mut self.scenario.jobs) {
            let there = |media: &String| {
                let script = self.script_of(media);
                !script.missing && !script.forbidden
            };
            let submission = Submission {
                media: job.media.iter().filter(|media| there(media)).cloned().collect(),
                task_type: job.task_type,
                filter_policy: "{\"ResultType\":\"Single\",\"SliceFlag\":false}".into(),
                user_data: job.user_data,
                ending: "mp4".into(),
            };
            submit::open_job(self, &id, submission, now);
        }
    }

    /// Whether one more call of an action keeps its rate.
    pub(super) fn allows(&mut self, action: &str, now: DateTime<Utc>) -> bool {
        self.pace.take(action, &self.scenario.rates, now)
    }

    /// Does what a request asks for, within its rate and its permissions.
    pub(super) fn perform(
        &mut self,
        action: &str,
        params: &Params,
        now: DateTime<Utc>,
    ) -> Result<Done, Problem> {
        if !self.allows(action, now) {
            let message = "Request was denied due to user flow control.";
            return Err(Problem::new(400, "Throttling.User", message));
        }
        if self.scenario.deny.iter().any(|denied| denied == action) {
            let sts = sts::is_action(action);
            return Err(if sts { sts::denied(action) } else { Problem::denied_by_ram(action) });
        }
        match action {
            _ if sts::is_action(action) => sts::perform(self, action, params, now),
            "RefreshMediaPlayUrls" => submit::refresh_media_play_urls(self, params, now),
            "GetMediaRefreshJobs" => lookup::get_media_refresh_jobs(self, params, now),
            "DescribeVodRefreshQuota" => Ok(quota::describe_vod_refresh_quota(self, now)),
            "GetMessageCallback" => settings::get_message_callback(self, params),
            "SetMessageCallback" => settings::set_message_callback(self, params),
            "DeleteMessageCallback" => settings::delete_message_callback(self, params),
            _ => tasks::describe_vod_refresh_tasks(self, params, now),
        }
    }
}
