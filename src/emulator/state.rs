//! All that the emulator knows, under one lock: the scenario and what came of it. It is used by one request at a time, and
//! never across an await. It knows none of the operations that change it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::account::{EventSettings, QuotaUse};
use super::actions;
use super::answer::Body;
use super::ids::{Ids, MergedIds};
use super::keys::Keys;
use super::log::{Call, Log, SentEvent};
use super::queue::store::Queue;
use super::scenario::{Callback, Fault, FaultRule, MediaScript, Scenario};
use super::store::Store;
use crate::auth::rpc::Params;

#[derive(Debug)]
pub(super) struct State {
    pub(super) scenario: Scenario,
    /// The moment at which the state was locked, by the emulator's clock.
    pub(super) now: DateTime<Utc>,
    pub(super) ids: Ids,
    pub(super) merged_ids: MergedIds,
    pub(super) keys: Keys,
    pub(super) store: Store,
    /// There if the scenario has one, once the clock is known.
    pub(super) queue: Option<Queue>,
    pub(super) event_settings: EventSettings,
    pub(super) quota_use: QuotaUse,
    pub(super) faults: FaultBook,
    pub(super) calls: Log<Call>,
    pub(super) events: Log<SentEvent>,
    /// Whether the jobs and the queue of the scenario were made; they need the clock, which comes after the scenario.
    pub(super) opened: bool,
    counts: HashMap<String, usize>,
    rates: Rates,
    scripts: HashMap<String, Arc<MediaScript>>,
    default_script: Arc<MediaScript>,
}

/// What an operation of VOD or of the token service did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) body: Body,
    pub(super) events: Vec<PlannedEvent>,
    /// How long the answer is held back.
    pub(super) hold: Duration,
}

impl Done {
    pub(super) fn of(body: Body) -> Self {
        Self { body, events: Vec::new(), hold: Duration::ZERO }
    }
}

/// An event to come.
#[derive(Debug, Clone)]
pub(super) struct PlannedEvent {
    pub(super) job_id: String,
    pub(super) media: String,
    pub(super) wait: Duration,
}

impl State {
    pub(super) fn new(mut scenario: Scenario) -> Self {
        let mut faults = FaultBook::default();
        scenario.faults.drain(..).for_each(|rule| faults.add(rule));
        let media = std::mem::take(&mut scenario.media);
        Self {
            now: DateTime::UNIX_EPOCH,
            ids: Ids::new(scenario.seed, std::mem::take(&mut scenario.job_ids)),
            merged_ids: MergedIds::default(),
            keys: Keys::default(),
            store: Store::default(),
            queue: None,
            event_settings: EventSettings::default(),
            quota_use: QuotaUse::default(),
            faults,
            calls: Log::default(),
            events: Log::default(),
            opened: false,
            counts: HashMap::new(),
            rates: Rates::default(),
            scripts: media.into_iter().map(|(id, script)| (id, Arc::new(script))).collect(),
            default_script: Arc::new(std::mem::take(&mut scenario.default_media)),
            scenario,
        }
    }

    pub(super) fn script_of(&self, media: &str) -> Arc<MediaScript> {
        Arc::clone(self.scripts.get(media).unwrap_or(&self.default_script))
    }

    /// How a URL behaves that is no media's.
    pub(super) fn script_of_url(&self, url: &str, domain: &str) -> Arc<MediaScript> {
        let script = self.scripts.get(url).or_else(|| self.scripts.get(domain));
        Arc::clone(script.unwrap_or(&self.default_script))
    }

    pub(super) fn set_media(&mut self, media: String, script: MediaScript) {
        self.scripts.insert(media, Arc::new(script));
    }

    /// Where the events of jobs are posted, if they are switched on.
    pub(super) fn callback(&self) -> Option<Callback> {
        self.event_settings.callback(self.scenario.callback.as_ref())
    }

    pub(super) fn record(&mut self, call: Call) {
        // Only actions that exist have a counter, or a misbehaving client could fill the memory with names.
        if actions::is_known(&call.action) {
            *self.counts.entry(call.action.clone()).or_default() += 1;
        }
        self.calls.push(call);
    }

    pub(super) fn count(&self, action: &str) -> usize {
        self.counts.get(action).copied().unwrap_or_default()
    }

    /// Whether one more call of an action keeps its rate; it counts from now on.
    pub(super) fn keeps_rate(&mut self, action: &str) -> bool {
        self.rates.take(action, &self.scenario.rates, self.now)
    }

    pub(super) fn is_denied(&self, action: &str) -> bool {
        self.scenario.deny.iter().any(|denied| denied == action)
    }
}

/// The rules, and how far each has got.
#[derive(Debug, Default)]
pub(super) struct FaultBook(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    rule: FaultRule,
    /// Requests that it was for, as long as it was not spent.
    seen: u32,
}

impl Entry {
    fn fired(&self) -> u32 {
        self.seen.saturating_sub(self.rule.skip)
    }
}

impl FaultBook {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.0.push(Entry { rule, seen: 0 });
    }

    /// Returns the fault for this request, if one does.
    pub(super) fn pick(&mut self, action: &str, params: &Params) -> Option<Fault> {
        for entry in &mut self.0 {
            let is_spent = entry.rule.times != 0 && entry.fired() >= entry.rule.times;
            if !is_spent && entry.rule.matches(action, params) {
                entry.seen = entry.seen.saturating_add(1);
                if entry.fired() > 0 {
                    return Some(entry.rule.fault.clone());
                }
            }
        }
        None
    }

    /// The rules that did not fire as often as they say, or not once.
    pub(super) fn unused(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|e| e.fired() < e.rule.times.max(1));
        unused
            .map(|e| {
                let (name, action) = (e.rule.fault.name(), &e.rule.action);
                format!("{name} on {action}: fired {} of {} times", e.fired(), e.rule.times.max(1))
            })
            .collect()
    }
}

/// Published rates; the one of `DescribeVodRefreshTasks` is not, so it has none unless the scenario sets it.
const PUBLISHED: &[(&str, f64)] =
    &[("RefreshMediaPlayUrls", 50.0), ("GetMediaRefreshJobs", 50.0), ("SetMessageCallback", 15.0)];

/// A token bucket for each action, holding the calls of one second.
#[derive(Debug, Default)]
struct Rates(HashMap<String, Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: DateTime<Utc>,
}

impl Rates {
    /// Takes one call; `false` if it is one too many.
    fn take(&mut self, action: &str, rates: &BTreeMap<String, f64>, now: DateTime<Utc>) -> bool {
        let published = || PUBLISHED.iter().find(|(name, _)| *name == action).map(|(_, rate)| *rate);
        let rate = rates.get(action).copied().or_else(published).unwrap_or(0.0);
        if rate <= 0.0 {
            return true;
        }
        let full = rate.max(1.0);
        let bucket = self.0.entry(action.to_owned()).or_insert(Bucket { tokens: full, at: now });
        let passed = (now - bucket.at).to_std().unwrap_or_default().as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate).min(full);
        bucket.at = now;
        let enough = bucket.tokens >= 1.0;
        if enough {
            bucket.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn names(book: &mut FaultBook, action: &str, params: &Params, calls: usize) -> Vec<String> {
        (0..calls).map(|_| book.pick(action, params).map_or("-".to_owned(), |f| f.name())).collect()
    }

    #[test]
    fn rules_strike_in_order_each_as_often_as_it_says() {
        let mut book = FaultBook::default();
        book.add(FaultRule::on("*", Fault::throttle()).skip(1).times(2));
        book.add(FaultRule::on("A", Fault::Garbage));
        assert_eq!(book.unused().len(), 2);
        let found = names(&mut book, "A", &Params::new(), 5);
        assert_eq!(found, ["garbage", "throttle", "throttle", "-", "-"]);
        assert!(book.unused().is_empty());
    }

    #[test]
    fn a_fault_for_ever_never_wears_off() {
        let mut book = FaultBook::default();
        book.add(FaultRule::on("A", Fault::NoTotal).times(0));
        assert_eq!(book.unused().len(), 1);
        assert_eq!(names(&mut book, "A", &Params::new(), 3), ["no_total"; 3]);
        assert!(book.unused().is_empty());
    }

    #[test]
    fn a_second_holds_as_many_calls_as_the_rate_says() {
        let mut rates_used = Rates::default();
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let rates = BTreeMap::from([("A".to_owned(), 2.0), ("GetMediaRefreshJobs".to_owned(), 0.0)]);
        let mut at = |action: &str, ms: i64, calls: usize| {
            (0..calls)
                .filter(|_| rates_used.take(action, &rates, start + TimeDelta::milliseconds(ms)))
                .count()
        };
        assert_eq!(at("A", 0, 5), 2);
        assert_eq!(at("A", 500, 5), 1);
        assert_eq!(at("A", 9_000, 5), 2);
        assert_eq!(at("RefreshMediaPlayUrls", 0, 60), 50);
        assert_eq!(at("GetMediaRefreshJobs", 0, 60), 60);
        assert_eq!(at("DescribeVodRefreshTasks", 0, 999), 999);
    }
}
