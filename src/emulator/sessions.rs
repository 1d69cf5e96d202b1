//! Temporary keys that the pretend cloud gave out, each with its token and its end.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ids::Ids;
use crate::net::clock::to_wire;

/// Sessions that are remembered; the oldest go first, and are unknown keys from then on.
const MAX: usize = 10_000;

/// One temporary key.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) key_id: String,
    pub(super) secret: String,
    pub(super) token: String,
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    revoked: bool,
}

impl Session {
    pub(super) fn is_over(&self, now: DateTime<Utc>) -> bool {
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
pub(super) struct Sessions {
    by_key: HashMap<String, Session>,
    order: VecDeque<String>,
    /// The key of the instance's role, which stays the same for a while.
    instance: Option<String>,
}

impl Sessions {
    pub(super) fn get(&self, key_id: &str) -> Option<&Session> {
        self.by_key.get(key_id)
    }

    /// A new session that lives for `life`.
    pub(super) fn issue(&mut self, ids: &mut Ids, life: Duration, now: DateTime<Utc>) -> Session {
        let session = Session {
            key_id: format!("STS.N{:016x}", ids.number()),
            secret: format!("{:016x}{:016x}", ids.number(), ids.number()),
            // Real tokens have these three characters too, which a careless client encodes wrongly.
            token: format!("CAIS+{:016x}/{:016x}==", ids.number(), ids.number()),
            from: now,
            until: now + TimeDelta::from_std(life).unwrap_or(TimeDelta::days(3650)),
            revoked: false,
        };
        if self.order.len() >= MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back(session.key_id.clone());
        self.by_key.insert(session.key_id.clone(), session.clone());
        session
    }

    /// The instance's session: the last one while more than half of its life is left, else a new one.
    pub(super) fn of_instance(&mut self, ids: &mut Ids, life: Duration, now: DateTime<Utc>) -> Session {
        let last = self.instance.as_ref().and_then(|key| self.by_key.get(key));
        let good = |session: &&Session| !session.is_over(now) && session.until - now > now - session.from;
        if let Some(session) = last.filter(good) {
            return session.clone();
        }
        let session = self.issue(ids, life, now);
        self.instance = Some(session.key_id.clone());
        session
    }

    /// Ends every session that was given out.
    pub(super) fn revoke_all(&mut self) {
        self.by_key.values_mut().for_each(|session| session.revoked = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_keeps_its_session_for_half_of_its_life() {
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let (mut sessions, mut ids) = (Sessions::default(), Ids::new(Some(1), Vec::new()));
        let mut at = |minutes: i64| {
            let now = start + TimeDelta::minutes(minutes);
            sessions.of_instance(&mut ids, Duration::from_secs(3600), now).key_id
        };
        let first = at(0);
        assert_eq!(at(29), first);
        assert_ne!(at(30), first);
        assert!(sessions.get(&first).is_some(), "it is good to its end");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let (mut sessions, mut ids) = (Sessions::default(), Ids::new(Some(1), Vec::new()));
        let first = sessions.issue(&mut ids, Duration::from_secs(1), now);
        (0..MAX).for_each(|_| drop(sessions.issue(&mut ids, Duration::from_secs(1), now)));
        assert!(sessions.get(&first.key_id).is_none());
        assert_eq!((sessions.by_key.len(), sessions.order.len()), (MAX, MAX));
    }
}
