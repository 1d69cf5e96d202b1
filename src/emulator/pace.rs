//! Rates: a token bucket for each action, holding the calls of one second.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

/// Published rates; the one of `DescribeVodRefreshTasks` is not, so it has none unless the scenario sets it.
const PUBLISHED: &[(&str, f64)] =
    &[("RefreshMediaPlayUrls", 50.0), ("GetMediaRefreshJobs", 50.0), ("SetMessageCallback", 15.0)];

#[derive(Debug, Default)]
pub(super) struct Pace(HashMap<String, Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: DateTime<Utc>,
}

impl Pace {
    /// Takes one call; `false` if it is one too many.
    pub(super) fn take(&mut self, action: &str, rates: &BTreeMap<String, f64>, now: DateTime<Utc>) -> bool {
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

    #[test]
    fn a_second_holds_as_many_calls_as_the_rate_says() {
        let mut pace = Pace::default();
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let rates = BTreeMap::from([("A".to_owned(), 2.0), ("GetMediaRefreshJobs".to_owned(), 0.0)]);
        let mut at = |action: &str, ms: i64, calls: usize| {
            (0..calls).filter(|_| pace.take(action, &rates, start + TimeDelta::milliseconds(ms))).count()
        };
        assert_eq!(at("A", 0, 5), 2);
        assert_eq!(at("A", 500, 5), 1);
        assert_eq!(at("A", 9_000, 5), 2);
        assert_eq!(at("RefreshMediaPlayUrls", 0, 60), 50);
        assert_eq!(at("GetMediaRefreshJobs", 0, 60), 60);
        assert_eq!(at("DescribeVodRefreshTasks", 0, 999), 999);
    }
}
