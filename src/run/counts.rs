//! What a run took: how often the service was called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::Summary;

/// How often the service was called, by action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Calls {
    api_calls: BTreeMap<String, u64>,
    retries: BTreeMap<String, u64>,
    throttled: BTreeMap<String, u64>,
}

impl Calls {
    pub(crate) fn new(
        api_calls: BTreeMap<String, u64>,
        retries: BTreeMap<String, u64>,
        throttled: BTreeMap<String, u64>,
    ) -> Self {
        Self { api_calls, retries, throttled }
    }

    /// Adds those of another process.
    pub(crate) fn add(&mut self, other: &Self) {
        let add = |sums: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>| {
            for (action, count) in more {
                *sums.entry(action.clone()).or_default() += count;
            }
        };
        add(&mut self.api_calls, &other.api_calls);
        add(&mut self.retries, &other.retries);
        add(&mut self.throttled, &other.throttled);
    }

    pub(crate) fn fill(self, summary: &mut Summary) {
        summary.api_calls = self.api_calls;
        summary.retries = self.retries.values().sum();
        summary.retries_by_action = self.retries;
        summary.throttled = self.throttled;
    }
}
