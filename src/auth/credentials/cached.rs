//! Keeps a credential, lets one caller renew it ahead of its end, and drops it when the service refuses it.
//!
//! A credential is *fresh*, then *due* (one caller renews it, the others go on with it), then *over* (everybody waits
//! for the renewal). A refused one is over at once. A renewal that fails while the old one is good is tried again a
//! little later; the old one is used meanwhile. All callers that waited for one renewal share its failure, or thirty of
//! them would each wait for a token service that does not answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{debug, warn};

use crate::auth::credential::{Credential, CredentialProvider};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock};
use crate::net::transport::BoxFuture;

/// The longest time ahead of the end at which a renewal begins, as in the vendor's SDKs.
const LONGEST_MARGIN: TimeDelta = TimeDelta::minutes(15);
/// The shortest, for sessions that are long enough for it.
const SHORTEST_MARGIN: TimeDelta = TimeDelta::minutes(3);
/// After a failed renewal the next one is tried so much later.
const RETRY_RENEWAL: TimeDelta = TimeDelta::seconds(30);
/// One that seems to be over when it arrives is asked for again after this long: our clock may be wrong.
const RETRY_IF_OVER_ON_ARRIVAL: TimeDelta = TimeDelta::minutes(1);

/// Keeps the credential of another provider, and renews it in time.
///
/// One that names no end is kept until the service refuses it. Cancel safety: a caller that is dropped while it renews
/// leaves the renewal to the next one.
#[derive(Debug)]
pub struct CachedCredentials {
    source: Box<dyn CredentialProvider>,
    clock: Arc<dyn Clock>,
    /// Never held across an await.
    state: Mutex<State>,
    /// Held by the one that renews.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// How many renewals failed, and why the last one did.
    failures: u64,
    last_failure: Option<Error>,
}

#[derive(Debug)]
struct Held {
    credential: Credential,
    /// From then on a new one is asked for.
    due: Option<DateTime<Utc>>,
    /// From then on it can't be used.
    over: Option<DateTime<Utc>>,
    refused: bool,
}

/// What is held at one moment.
struct Snapshot {
    /// The credential, unless it is over or was refused.
    usable: Option<Credential>,
    /// Whether it is time to ask for a new one.
    is_due: bool,
    /// How many renewals had failed.
    failures: u64,
}

impl CachedCredentials {
    /// Keeps what `source` gives, by the machine's clock.
    pub fn new(source: impl CredentialProvider + 'static) -> Self {
        Self {
            source: Box::new(source),
            clock: Arc::new(SystemClock),
            state: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// Replaces the wall clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    async fn current(&self) -> Result<Option<Credential>> {
        let before = self.snapshot();
        let _renewing = match &before.usable {
            Some(credential) if !before.is_due => return Ok(Some(credential.clone())),
            // Another caller renews it already; this one goes on with the old one.
            Some(credential) => match self.renewing.try_lock() {
                Ok(lock) => lock,
                Err(_) => return Ok(Some(credential.clone())),
            },
            None => self.renewing.lock().await,
        };
        // Whoever held the lock a moment ago may have renewed it, or failed to.
        let now = self.snapshot();
        match now.usable {
            Some(credential) if !now.is_due || before.usable.is_none() => Ok(Some(credential)),
            None if before.usable.is_none() && now.failures != before.failures => Err(self.last_failure()),
            _ => self.renew().await,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let state = self.state();
        let has_passed = |time: Option<DateTime<Utc>>| time.is_some_and(|time| now >= time);
        let usable = state.held.as_ref().filter(|held| !held.refused && !has_passed(held.over));
        Snapshot {
            usable: usable.map(|held| held.credential.clone()),
            is_due: usable.is_some_and(|held| has_passed(held.due)),
            failures: state.failures,
        }
    }

    /// Asks the source. The caller holds the lock `renewing`.
    async fn renew(&self) -> Result<Option<Credential>> {
        let answer = self.source.credential().await;
        let now = self.clock.now();
        let mut state = self.state();
        match answer {
            Ok(Some(credential)) => {
                debug!(key_id = %credential.key_id, expires = ?credential.expires, "credential from {}", credential.source);
                state.held = Some(Held::new(credential.clone(), now));
                Ok(Some(credential))
            }
            answer => {
                let good = |held: &&mut Held| !held.refused && held.over.is_none_or(|over| now < over);
                if let Some(held) = state.held.as_mut().filter(good) {
                    let why =
                        answer.err().map_or("its source has none".to_owned(), |error| error.to_string());
                    warn!("the credential from {} can't be renewed yet: {why}", held.credential.source);
                    held.due = Some(now + RETRY_RENEWAL);
                    return Ok(Some(held.credential.clone()));
                }
                let Err(error) = answer else { return Ok(None) };
                // We had one: work was done with it, so this is no longer a matter of setting things up.
                let error = match (&state.held, error.kind()) {
                    (Some(_), ErrorKind::Config) => error.with_kind(ErrorKind::Expired),
                    _ => error,
                };
                state.failures += 1;
                state.last_failure = Some(error.clone());
                Err(error)
            }
        }
    }

    fn last_failure(&self) -> Error {
        let unknown = || Error::new(ErrorKind::Unavailable, "the credential could not be renewed");
        self.state().last_failure.clone().unwrap_or_else(unknown)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialProvider for CachedCredentials {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(self.current())
    }

    fn refused(&self, used: &Credential) {
        if let Some(held) = self.state().held.as_mut().filter(|held| held.credential.is_same_as(used)) {
            held.refused = true;
        }
        self.source.refused(used);
    }
}

impl Held {
    fn new(credential: Credential, now: DateTime<Utc>) -> Self {
        let life = credential.expires.map(|end| end - now);
        let (due, over) = match life {
            None => (None, None),
            // The service knows better than our clock whether it is over; it gets to say so.
            Some(life) if life <= TimeDelta::zero() => (Some(now + RETRY_IF_OVER_ON_ARRIVAL), None),
            Some(life) => (Some(now + life - margin(life)), credential.expires),
        };
        Self { credential, due, over, refused: false }
    }
}

/// How long before its end a credential of this life is renewed: a quarter of its life, 15 minutes at most, 3 minutes at
/// least, but never more than half of its life.
fn margin(life: TimeDelta) -> TimeDelta {
    (life / 4).min(LONGEST_MARGIN).max(SHORTEST_MARGIN).min(life / 2)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::net::clock::TimerClock;

    /// Gives `k1`, `k2`, …, each after a second of work and for `life`; fails where the script says so, or has none without a kind.
    #[derive(Debug)]
    struct Mint {
        clock: TimerClock,
        asked: AtomicU32,
        life: Option<TimeDelta>,
        fail: Box<[u32]>,
        kind: Option<ErrorKind>,
    }

    impl CredentialProvider for Mint {
        fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
            Box::pin(async {
                let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
                sleep(Duration::from_secs(1)).await;
                if self.fail.contains(&number) {
                    let failure = |kind| Err(Error::new(kind, format!("failure {number}")));
                    return self.kind.map_or(Ok(None), failure);
                }
                let mut credential = Credential::new(format!("k{number}"), "s");
                credential.expires = self.life.map(|life| self.clock.now() + life);
                Ok(Some(credential))
            })
        }
    }

    struct Bench {
        mint: Arc<Mint>,
        cached: Arc<CachedCredentials>,
    }

    impl Bench {
        fn new(life: Option<TimeDelta>, fail: &[u32], kind: impl Into<Option<ErrorKind>>) -> Self {
            let kind = kind.into();
            let clock = TimerClock::starting_at(DateTime::from_timestamp(1_750_000_000, 0).unwrap());
            let mint = Mint { clock, asked: AtomicU32::new(0), life, fail: fail.into(), kind };
            let mint = Arc::new(mint);
            let cached = CachedCredentials::new(mint.clone()).with_clock(clock);
            Self { mint, cached: Arc::new(cached) }
        }

        async fn key(&self) -> Result<String> {
            Ok(self.cached.credential().await?.unwrap().key_id)
        }

        /// What thirty callers get who ask at once.
        async fn thirty(&self) -> Vec<Result<String>> {
            futures_util::future::join_all((0..30).map(|_| self.key())).await
        }

        fn asked(&self) -> u32 {
            self.mint.asked.load(Ordering::Relaxed)
        }
    }

    fn minutes(n: i64) -> Option<TimeDelta> {
        Some(TimeDelta::minutes(n))
    }

    async fn pass(minutes: u64) {
        sleep(Duration::from_secs(minutes * 60)).await;
    }

    #[test]
    fn the_margin_is_a_quarter_of_the_life_within_bounds() {
        for (life_s, margin_s) in
            [(6 * 3600, 900), (3600, 900), (1800, 450), (900, 225), (600, 180), (360, 180), (100, 50), (3, 1)]
        {
            assert_eq!(margin(TimeDelta::seconds(life_s)).num_seconds(), margin_s, "{life_s}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn thirty_callers_make_one_fetch() {
        let bench = Bench::new(minutes(60), &[], ErrorKind::Unavailable);
        assert!(bench.thirty().await.into_iter().all(|key| key.unwrap() == "k1"));
        assert_eq!(bench.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_ahead_of_the_end_holds_nobody_up_but_the_one_that_does_it() {
        let bench = Bench::new(minutes(60), &[], ErrorKind::Unavailable);
        assert_eq!(bench.key().await.unwrap(), "k1");
        pass(44).await;
        assert_eq!(bench.key().await.unwrap(), "k1");
        pass(1).await;
        let mut keys: Vec<String> = bench.thirty().await.into_iter().map(Result::unwrap).collect();
        keys.sort();
        assert_eq!((keys[28].as_str(), keys[29].as_str(), bench.asked()), ("k1", "k2", 2));
        assert_eq!(bench.key().await.unwrap(), "k2");
    }

    #[tokio::test(start_paused = true)]
    async fn the_old_one_serves_while_it_is_good_and_not_a_moment_longer() {
        let bench = Bench::new(minutes(60), &[2, 3, 4], ErrorKind::Unavailable);
        bench.key().await.unwrap();
        pass(46).await;
        assert_eq!(bench.key().await.unwrap(), "k1");
        assert_eq!(bench.key().await.unwrap(), "k1");
        assert_eq!(bench.asked(), 2, "a failed renewal is not repeated at once");
        pass(1).await;
        assert_eq!((bench.key().await.unwrap().as_str(), bench.asked()), ("k1", 3));
        pass(13).await;
        assert_eq!(bench.key().await.unwrap_err().message(), "failure 4");
        assert_eq!(bench.key().await.unwrap(), "k5");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_has_none_at_a_renewal_takes_no_good_one_away() {
        let bench = Bench::new(minutes(60), &[2, 3], None);
        bench.key().await.unwrap();
        pass(46).await;
        assert_eq!((bench.key().await.unwrap().as_str(), bench.asked()), ("k1", 2));
        pass(15).await;
        assert_eq!(bench.cached.credential().await.unwrap().map(|key| key.key_id), None, "it is over");
        assert_eq!(bench.key().await.unwrap(), "k4");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_waited_for_one_renewal_share_its_failure() {
        let bench = Bench::new(minutes(60), &[1], ErrorKind::Unavailable);
        let start = Instant::now();
        let errors = bench.thirty().await;
        assert!(errors.into_iter().all(|answer| answer.unwrap_err().message() == "failure 1"));
        assert_eq!((bench.asked(), start.elapsed().as_secs()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_one_is_renewed_once_for_all() {
        let bench = Bench::new(None, &[], ErrorKind::Unavailable);
        let dead = bench.cached.credential().await.unwrap().unwrap();
        pass(10_000).await;
        assert_eq!(bench.key().await.unwrap(), "k1", "one that names no end is kept");
        let one = async {
            bench.cached.refused(&dead);
            bench.key().await.unwrap()
        };
        let keys = futures_util::future::join_all((0..30).map(|_| async {
            bench.cached.refused(&dead);
            bench.key().await.unwrap()
        }));
        let (first, keys) = tokio::join!(one, keys);
        assert!(first == "k2" && keys.iter().all(|key| key == "k2"), "{keys:?}");
        bench.cached.refused(&dead);
        assert_eq!((bench.key().await.unwrap().as_str(), bench.asked()), ("k2", 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_breaks_later_is_a_credential_that_ran_out() {
        let bench = Bench::new(None, &[1, 3], ErrorKind::Config);
        assert_eq!(bench.key().await.unwrap_err().kind(), ErrorKind::Config);
        let dead = bench.cached.credential().await.unwrap().unwrap();
        bench.cached.refused(&dead);
        assert_eq!(bench.key().await.unwrap_err().kind(), ErrorKind::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_seems_over_when_it_arrives_is_left_to_the_service_to_judge() {
        let bench = Bench::new(minutes(-5), &[], ErrorKind::Unavailable);
        assert_eq!(bench.key().await.unwrap(), "k1");
        assert_eq!((bench.key().await.unwrap().as_str(), bench.asked()), ("k1", 1));
        pass(2).await;
        assert_eq!(bench.key().await.unwrap(), "k2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_leaves_the_renewal_to_the_next() {
        let bench = Bench::new(minutes(60), &[], ErrorKind::Unavailable);
        let short = tokio::time::timeout(Duration::from_millis(10), bench.key()).await;
        assert!(short.is_err());
        assert_eq!(bench.key().await.unwrap(), "k2");
    }
}
