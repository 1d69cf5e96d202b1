//! Which keys and tokens are good: those of the scenario, and temporary ones that were given out. Which nonces were used.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ids::Ids;
use super::request::Problem;
use super::scenario::Scenario;
use super::scenario::duration::later;
use crate::net::clock::to_wire;

/// How far a timestamp may be off, and how long a nonce is remembered.
pub(super) const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Far more than a quarter of an hour at full speed; a bound, so that a misbehaving client can't fill the memory.
const MAX_NONCES: usize = 500_000;
/// Temporary keys that are remembered; the oldest go first, and are unknown keys from then on.
const MAX_SESSIONS: usize = 10_000;
const MAX_METADATA_TOKENS: usize = 1_000;

/// One temporary key, with its token and its end.
#[derive(Debug, Clone)]
pub(super) struct Session {
    key_id: String,
    secret: String,
    token: String,
    pub(super) from: DateTime<Utc>,
    until: DateTime<Utc>,
    revoked: bool,
}

impl Session {
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.revoked || now >= self.until
    }

    /// The four fields as the vendor's services write them.
    pub(super) fn body(&self) -> Value {
        json!({
            "AccessKeyId": self.key_id,
            "AccessKeySecret": self.secret,
            "SecurityToken": self.token,
            "Expiration": to_wire(self.until),
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    sessions: HashMap<String, Session>,
    /// The keys of `sessions`, the oldest first.
    session_order: VecDeque<String>,
    /// The key of the instance's role, which stays the same for a while.
    instance: Option<String>,
    /// Tokens of scenario keys that were replaced.
    pub(super) expired_tokens: HashSet<String>,
    /// Tokens of the instance metadata service and when they end.
    metadata_tokens: VecDeque<(String, DateTime<Utc>)>,
    used_nonces: HashSet<(String, String)>,
    nonce_order: VecDeque<(DateTime<Utc>, (String, String))>,
}

impl Keys {
    /// A new temporary key that lives for `life`.
    pub(super) fn issue(&mut self, ids: &mut Ids, life: Duration, now: DateTime<Utc>) -> Session {
        let session = Session {
            key_id: format!("STS.N{:016x}", ids.number()),
            secret: format!("{:016x}{:016x}", ids.number(), ids.number()),
            // Real tokens have these three characters too, which a careless client encodes wrongly.
            token: format!("CAIS+{:016x}/{:016x}==", ids.number(), ids.number()),
            from: now,
            until: later(now, life),
            revoked: false,
        };
        if self.session_order.len() >= MAX_SESSIONS
            && let Some(oldest) = self.session_order.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        self.session_order.push_back(session.key_id.clone());
        self.sessions.insert(session.key_id.clone(), session.clone());
        session
    }

    /// The instance's temporary key: the last one while more than half of its life is left, else a new one.
    pub(super) fn of_instance(&mut self, ids: &mut Ids, life: Duration, now: DateTime<Utc>) -> Session {
        let last = self.instance.as_ref().and_then(|key| self.sessions.get(key));
        let good = |session: &&Session| !session.is_over(now) && session.until - now > now - session.from;
        if let Some(session) = last.filter(good) {
            return session.clone();
        }
        let session = self.issue(ids, life, now);
        self.instance = Some(session.key_id.clone());
        session
    }

    /// Ends every temporary key that was given out.
    pub(super) fn revoke_sessions(&mut self) {
        self.sessions.values_mut().for_each(|session| session.revoked = true);
    }

    pub(super) fn add_metadata_token(&mut self, token: String, until: DateTime<Utc>) {
        self.metadata_tokens.push_back((token, until));
        if self.metadata_tokens.len() > MAX_METADATA_TOKENS {
            self.metadata_tokens.pop_front();
        }
    }

    pub(super) fn has_metadata_token(&self, given: &str, now: DateTime<Utc>) -> bool {
        self.metadata_tokens.iter().any(|(token, until)| token == given && now < *until)
    }

    /// The secret of a key that the scenario has or that was given out.
    pub(super) fn secret<'a>(&'a self, key_id: &str, scenario: &'a Scenario) -> Option<&'a str> {
        let own = scenario.keys.get(key_id);
        own.or_else(|| self.sessions.get(key_id).map(|session| &session.secret)).map(String::as_str)
    }

    /// Checks the security token that came with a key.
    pub(super) fn check_token(
        &self,
        key_id: &str,
        token: Option<&str>,
        now: DateTime<Utc>,
        scenario: &Scenario,
    ) -> Result<(), Problem> {
        let token = token.filter(|token| !token.is_empty());
        let session = self.sessions.get(key_id);
        let right = scenario.tokens.get(key_id).or(session.map(|session| &session.token));
        let ended = |given| {
            self.expired_tokens.contains(given)
                || session.is_some_and(|session| session.is_over(now) && session.token == given)
        };
        let (code, message) = match (right, token) {
            (_, Some(given)) if ended(given) => {
                ("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
            }
            (None, None) => return Ok(()),
            (Some(right), Some(given)) if right == given => return Ok(()),
            (Some(_), None) => ("MissingSecurityToken", "SecurityToken is mandatory for this action."),
            (None, Some(_)) => (
                "InvalidSecurityToken.MismatchWithAccessKey",
                "Specified SecurityToken mismatch with the AccessKey.",
            ),
            (Some(_), Some(_)) => ("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."),
        };
        Err(Problem::new(400, code, message))
    }

    /// Whether this nonce was not seen before; it counts as seen from now on.
    pub(super) fn is_first_use(&mut self, key_id: &str, nonce: &str, now: DateTime<Utc>) -> bool {
        while let Some((at, _)) = self.nonce_order.front()
            && (now - *at > WINDOW || self.nonce_order.len() >= MAX_NONCES)
        {
            if let Some((_, old)) = self.nonce_order.pop_front() {
                self.used_nonces.remove(&old);
            }
        }
        let entry = (key_id.to_owned(), nonce.to_owned());
        let first = self.used_nonces.insert(entry.clone());
        if first {
            self.nonce_order.push_back((now, entry));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000, 0).unwrap()
    }

    #[test]
    fn a_nonce_is_free_again_after_a_quarter_of_an_hour() {
        let mut keys = Keys::default();
        assert!(keys.is_first_use("a", "n", start()));
        assert!(!keys.is_first_use("a", "n", start() + TimeDelta::minutes(15)));
        assert!(keys.is_first_use("b", "n", start()), "each key has its own");
        assert!(keys.is_first_use("a", "n", start() + TimeDelta::minutes(16)));
        assert_eq!(keys.used_nonces.len(), 1);
    }

    #[test]
    fn the_instance_keeps_its_session_for_half_of_its_life() {
        let (mut keys, mut ids) = (Keys::default(), Ids::new(Some(1), Vec::new()));
        let mut at = |minutes: i64| {
            let now = start() + TimeDelta::minutes(minutes);
            keys.of_instance(&mut ids, Duration::from_secs(3600), now).key_id
        };
        let first = at(0);
        assert_eq!(at(29), first);
        assert_ne!(at(30), first);
        assert!(keys.sessions.contains_key(&first), "it is good to its end");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (mut keys, mut ids) = (Keys::default(), Ids::new(Some(1), Vec::new()));
        let first = keys.issue(&mut ids, Duration::from_secs(1), start());
        (0..MAX_SESSIONS).for_each(|_| drop(keys.issue(&mut ids, Duration::from_secs(1), start())));
        assert!(!keys.sessions.contains_key(&first.key_id));
        assert_eq!((keys.sessions.len(), keys.session_order.len()), (MAX_SESSIONS, MAX_SESSIONS));
    }
}
