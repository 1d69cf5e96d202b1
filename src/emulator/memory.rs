//! What the gateway remembers from one request to the next.

use std::collections::{HashSet, VecDeque};

use chrono::{DateTime, Utc};

use super::gate::WINDOW;
use super::sessions::Sessions;

/// What the gateway remembers: used nonces, tokens that ended, keys that were given out for a while.
#[derive(Debug, Default)]
pub(super) struct Memory {
    used: HashSet<(String, String)>,
    order: VecDeque<(DateTime<Utc>, (String, String))>,
    pub(super) expired_tokens: HashSet<String>,
    pub(super) sessions: Sessions,
    /// Tokens of the instance metadata service and when they end.
    pub(super) metadata_tokens: VecDeque<(String, DateTime<Utc>)>,
}

/// Far more than a quarter of an hour at full speed; a bound, so that a mad client can't fill the memory.
const MAX_NONCES: usize = 500_000;

impl Memory {
    /// Whether this nonce was not seen before; it counts as seen from now on.
    pub(super) fn first_use(&mut self, key_id: &str, nonce: &str, now: DateTime<Utc>) -> bool {
        while let Some((at, _)) = self.order.front()
            && (now - *at > WINDOW || self.order.len() >= MAX_NONCES)
        {
            if let Some((_, old)) = self.order.pop_front() {
                self.used.remove(&old);
            }
        }
        let entry = (key_id.to_owned(), nonce.to_owned());
        let first = self.used.insert(entry.clone());
        if first {
            self.order.push_back((now, entry));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_nonce_is_free_again_after_a_quarter_of_an_hour() {
        let mut memory = Memory::default();
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        assert!(memory.first_use("a", "n", start));
        assert!(!memory.first_use("a", "n", start + TimeDelta::minutes(15)));
        assert!(memory.first_use("b", "n", start), "each key has its own");
        assert!(memory.first_use("a", "n", start + TimeDelta::minutes(16)));
        assert_eq!(memory.used.len(), 1);
    }
}
