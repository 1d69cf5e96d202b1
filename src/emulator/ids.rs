//! Ids that the pretend cloud hands out, each once.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};

use crate::net::rng;

#[derive(Debug)]
pub(super) struct Ids {
    seed: u64,
    count: u64,
    /// Job ids that the scenario wants to see first.
    jobs: VecDeque<String>,
}

impl Ids {
    /// Two emulators differ unless they have the same seed: the service never gives one id twice either.
    pub(super) fn new(seed: Option<u64>, jobs: Vec<String>) -> Self {
        let seed = seed.or_else(|| getrandom::u64().ok()).unwrap_or_default();
        Self { seed, count: 0, jobs: jobs.into() }
    }

    /// A number that looks like any.
    pub(super) fn number(&mut self) -> u64 {
        self.count += 1;
        rng::mix(self.seed ^ rng::mix(self.count))
    }

    /// 32 hex digits.
    pub(super) fn job(&mut self) -> String {
        self.jobs.pop_front().unwrap_or_else(|| format!("{:016x}{:016x}", self.number(), self.number()))
    }

    /// Eleven decimal digits or more, counted up.
    pub(super) fn task(&mut self) -> String {
        self.count += 1;
        (10_000_000_000 + (rng::mix(self.seed) % 8_000) * 10_000_000 + self.count).to_string()
    }

    /// A UUID in capital letters.
    pub(super) fn request(&mut self) -> String {
        let (high, low) = (self.number(), self.number());
        let (a, b, c) = (high >> 32, (high >> 16) & 0xFFFF, high & 0xFFF);
        format!("{a:08X}-{b:04X}-4{c:03X}-{:04X}-{:012X}", 0x8000 | (low >> 50), low & 0xFFFF_FFFF_FFFF)
    }
}

/// So many URLs share one task id at most.
const MOST_MERGED: usize = 2_000;

/// The task ids of this second: URLs of one domain and type that come within a second share one.
#[derive(Debug, Default)]
pub(super) struct MergedIds {
    second: i64,
    /// By domain and type: the id, and how many URLs have it.
    ids: HashMap<(String, &'static str), (String, usize)>,
}

impl MergedIds {
    pub(super) fn id_of(
        &mut self,
        ids: &mut Ids,
        domain: &str,
        object_type: &'static str,
        now: DateTime<Utc>,
    ) -> String {
        if std::mem::replace(&mut self.second, now.timestamp()) != now.timestamp() {
            self.ids.clear();
        }
        let key = (domain.to_ascii_lowercase(), object_type);
        let (id, count) = self.ids.entry(key).or_insert_with(|| (ids.task(), 0));
        if *count == MOST_MERGED {
            (*id, *count) = (ids.task(), 0);
        }
        *count += 1;
        id.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_the_services() {
        let mut ids = Ids::new(Some(1), vec!["J1".into()]);
        assert_eq!(ids.job(), "J1");
        assert_eq!(ids.job().len(), 32);
        assert!(ids.task().parse::<u64>().is_ok());
        assert_ne!(ids.task(), ids.task());
        let request = ids.request();
        let parsed = uuid::Uuid::parse_str(&request).unwrap();
        assert_eq!(parsed.get_version_num(), 4, "{request}");
        assert_eq!(request, request.to_uppercase());
    }
}
