//! When something goes wrong: rules that pick a fault for a request.

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::auth::rpc::Params;

/// One fault, and the requests it strikes. In a scenario file:
/// `{"action": "DescribeVodRefreshTasks", "task": "T1", "skip": 1, "times": 2, "fault": {"html": {"status": 502}}}`.
///
/// Only requests with a right signature count. Rules are tried in order; the first that fires wins, and a request
/// that a rule lets pass (`skip`) is shown to the next one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The action it strikes; `*`, the default, is any.
    #[serde(default = "any")]
    pub action: String,
    /// Only requests for this `TaskId`; empty: only those that name none, as listings do.
    #[serde(default)]
    pub task: Option<String>,
    /// Only requests that name this media, alone or among others.
    #[serde(default)]
    pub media: Option<String>,
    /// Only requests for this `MediaRefreshJobId`.
    #[serde(default)]
    pub job: Option<String>,
    /// So many matching requests pass first; default 0.
    #[serde(default)]
    pub skip: u32,
    /// How often it fires; default 1; 0 means for ever.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub fault: Fault,
}

fn any() -> String {
    "*".into()
}

fn once() -> u32 {
    1
}

impl FaultRule {
    /// A fault that strikes the next call of `action` (`*`: of any action), once.
    pub fn on(action: impl Into<String>, fault: Fault) -> Self {
        Self { action: action.into(), task: None, media: None, job: None, skip: 0, times: 1, fault }
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Sets how often it fires; 0 means for ever.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = count;
        self
    }

    /// Only requests for this task id; with an empty one, only those that name none, as listings do.
    #[must_use]
    pub fn for_task(mut self, id: impl Into<String>) -> Self {
        self.task = Some(id.into());
        self
    }

    /// Only requests that name this media.
    #[must_use]
    pub fn for_media(mut self, id: impl Into<String>) -> Self {
        self.media = Some(id.into());
        self
    }

    /// Only requests for this job.
    #[must_use]
    pub fn for_job(mut self, id: impl Into<String>) -> Self {
        self.job = Some(id.into());
        self
    }

    fn matches(&self, action: &str, params: &Params) -> bool {
        let is = |wanted: &Option<String>, name: &str| match wanted {
            Some(id) => params.get(name).map_or("", String::as_str) == id,
            None => true,
        };
        let names_media = match &self.media {
            Some(id) => ["MediaId", "MediaIds"]
                .iter()
                .filter_map(|name| params.get(*name))
                .any(|given| given.split(',').any(|one| one.trim() == id)),
            None => true,
        };
        (self.action == "*" || self.action == action)
            && is(&self.task, "TaskId")
            && is(&self.job, "MediaRefreshJobId")
            && names_media
    }
}

/// The rules, and how far each has got.
#[derive(Debug, Default)]
pub(super) struct FaultBook(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    rule: FaultRule,
    passed: u32,
    fired: u32,
}

impl FaultBook {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.0.push(Entry { rule, passed: 0, fired: 0 });
    }

    /// The fault that strikes this request, if one does.
    pub(super) fn pick(&mut self, action: &str, params: &Params) -> Option<Fault> {
        for entry in &mut self.0 {
            let spent = entry.rule.times != 0 && entry.fired >= entry.rule.times;
            if spent || !entry.rule.matches(action, params) {
                continue;
            }
            if entry.passed < entry.rule.skip {
                entry.passed += 1;
                continue;
            }
            entry.fired += 1;
            return Some(entry.rule.fault.clone());
        }
        None
    }

    /// Rules that did not fire as often as they were told to, or not once.
    pub(super) fn unused(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|e| e.fired < e.rule.times.max(1));
        unused
            .map(|e| {
                let (name, action) = (e.rule.fault.name(), &e.rule.action);
                format!("{name} on {action}: fired {} of {} times", e.fired, e.rule.times.max(1))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    fn names(book: &mut FaultBook, action: &str, params: &Params, calls: usize) -> Vec<&'static str> {
        (0..calls).map(|_| book.pick(action, params).map_or("-", |f| f.name())).collect()
    }

    #[test]
    fn rules_fire_in_order_each_as_often_as_told() {
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
    fn filters_pick_one_task_media_or_job() {
        let table = [
            (FaultRule::on("*", Fault::Garbage).for_task("T1"), ("TaskId", "T1"), true),
            (FaultRule::on("*", Fault::Garbage).for_task("T1"), ("TaskId", "T2"), false),
            (FaultRule::on("*", Fault::Garbage).for_task(""), ("PageNumber", "1"), true),
            (FaultRule::on("*", Fault::Garbage).for_task(""), ("TaskId", "T1"), false),
            (FaultRule::on("*", Fault::Garbage).for_media("m2"), ("MediaIds", "m1, m2"), true),
            (FaultRule::on("*", Fault::Garbage).for_media("m"), ("MediaIds", "m1,m2"), false),
            (FaultRule::on("*", Fault::Garbage).for_job("J"), ("MediaRefreshJobId", "J"), true),
            (FaultRule::on("*", Fault::Garbage).for_job("J"), ("TaskId", "J"), false),
            (FaultRule::on("B", Fault::Garbage), ("TaskId", "T1"), false),
        ];
        for (rule, pair, expected) in table {
            assert_eq!(rule.matches("A", &params(&[pair])), expected, "{rule:?} {pair:?}");
        }
    }
}
