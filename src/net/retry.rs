//! The one loop that retries.
//!
//! It repeats *sign and send*, so each attempt has a fresh nonce, time and credential. What is worth repeating is
//! decided by the error's kind; a call that may have been acted upon is repeated only if that does no harm. The time
//! is bounded, not only the count: a deploy that hangs is worse than one that fails.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::transport::BoxFuture;
use crate::error::{Error, ErrorKind, Fate, Result};

/// A shorter wait that the service asks for is not taken as one.
const MIN_RETRY_AFTER: Duration = Duration::from_millis(250);

/// How long one call may go on failing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// For a service that answered us before: a short outage must not end an hour's wait.
    pub(crate) answered: Duration,
    /// For a service that never answered: a wrong endpoint or no network shows soon.
    pub(crate) first_contact: Duration,
    /// For work that the service takes only after some minutes (a full queue).
    pub(crate) busy: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            answered: Duration::from_secs(300),
            first_contact: Duration::from_secs(25),
            busy: Duration::from_secs(900),
        }
    }
}

impl Budget {
    /// The same, with nothing above `limit`.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let Self { answered, first_contact, busy } = self;
        Self { answered: answered.min(limit), first_contact: first_contact.min(limit), busy: busy.min(limit) }
    }

    fn of(self, kind: ErrorKind, answered_before: bool) -> Duration {
        match kind {
            ErrorKind::Busy => self.busy,
            // A throttled service is there; how long it goes on is not known.
            ErrorKind::Throttled => self.answered,
            _ if answered_before => self.answered,
            _ => self.first_contact,
        }
    }
}

/// What the loop needs to know of a call.
pub(crate) struct Retry<'a> {
    pub(crate) budget: Budget,
    /// Whether repeating a call that was acted upon does no harm.
    pub(crate) idempotent: bool,
    /// Cut short: no further attempt, the last error is the answer.
    pub(crate) stop: &'a CancellationToken,
    /// Whether the service has answered anything yet.
    pub(crate) answered: &'a (dyn Fn() -> bool + Sync),
    /// Whether another credential stands ready after the last attempt's was refused.
    pub(crate) renewed: &'a (dyn Fn() -> bool + Sync),
    /// A number in `0.0..1.0`.
    pub(crate) jitter: &'a (dyn Fn() -> f64 + Sync),
    /// Told before each wait: the error, which attempt it was (from 1), the wait.
    pub(crate) on_retry: &'a (dyn Fn(&Error, u32, Duration) + Sync),
}

impl Retry<'_> {
    /// Runs `attempt` until it succeeds, can't be helped, or the budget is used up.
    pub(crate) async fn run<'f, T>(
        &self,
        mut attempt: impl FnMut() -> BoxFuture<'f, Result<T>> + Send,
    ) -> Result<T> {
        let mut first_failure = None;
        let mut clock_corrected = false;
        let mut signed_anew = false;
        for number in 1u32.. {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let failing_since = *first_failure.get_or_insert_with(Instant::now);
            let once_more = match error.kind() {
                // The clock was just corrected; refused again, it is not the clock.
                ErrorKind::Clock => !std::mem::replace(&mut clock_corrected, true),
                // Refused with the new credential as well, it is not the credential.
                ErrorKind::Expired | ErrorKind::Refused if (self.renewed)() => {
                    !std::mem::replace(&mut signed_anew, true)
                }
                kind => kind.is_retryable() && (self.idempotent || error.fate() == Fate::NotActed),
            };
            if !once_more || self.stop.is_cancelled() {
                return Err(error);
            }
            let left =
                self.budget.of(error.kind(), (self.answered)()).saturating_sub(failing_since.elapsed());
            if left.is_zero() {
                return Err(given_up(error, number, failing_since.elapsed()));
            }
            // A longer wait than the budget's rest is cut to it: one last attempt falls on its end.
            let wait = delay(&error, number, (self.jitter)()).min(left);
            (self.on_retry)(&error, number, wait);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(error),
                () = sleep(wait) => {}
            }
        }
        unreachable!("the attempts are not counted to an end")
    }
}

/// Says how long it was tried, beside what the last attempt said.
fn given_up(error: Error, attempts: u32, elapsed: Duration) -> Error {
    let message =
        format!("{}; gave up after {attempts} attempts in {} s", error.message(), elapsed.as_secs());
    error.with_message(message)
}

/// The wait before attempt `number + 1`.
///
/// The wait that the service asks for comes first, unless it is less than [`MIN_RETRY_AFTER`]: a `Retry-After: 0` would
/// make us call it without a pause. Throttled: 1–2 s, 2–4 s, 4–8 s … to 32–64 s, never less than the step before.
/// Busy: the minutes that the service is known to need. Everything else: full jitter, 0 to 0.25 s, 0.5 s … to 16 s.
pub(crate) fn delay(error: &Error, number: u32, jitter: f64) -> Duration {
    let asked = error.retry_after().unwrap_or_default();
    if asked >= MIN_RETRY_AFTER {
        return asked + asked.min(Duration::from_secs(5)).mul_f64(0.1 * jitter);
    }
    let doubled = |base: f64, most: u32| base * f64::from(1u32 << (number - 1).min(most));
    let own = Duration::from_secs_f64(match error.kind() {
        // Nothing to wait for: what was wrong has been put right.
        ErrorKind::Clock | ErrorKind::Expired | ErrorKind::Refused => 0.0,
        ErrorKind::Throttled => doubled(1.0, 5) * (1.0 + jitter),
        ErrorKind::Busy => 60.0 * (1.0 + jitter / 4.0),
        _ => doubled(0.25, 6) * jitter,
    });
    own.max(asked)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Bench {
        stop: CancellationToken,
        waits: Mutex<Vec<Duration>>,
        answered: bool,
        renewed: bool,
    }

    impl Bench {
        fn new() -> Self {
            Self { stop: CancellationToken::new(), waits: Mutex::default(), answered: false, renewed: false }
        }

        async fn run(&self, idempotent: bool, mut errors: Vec<Error>) -> Result<u32> {
            errors.reverse();
            let errors = std::sync::Arc::new(Mutex::new((errors, 0)));
            let retry = Retry {
                budget: Budget::default(),
                idempotent,
                stop: &self.stop,
                answered: &|| self.answered,
                renewed: &|| self.renewed,
                jitter: &|| 0.5,
                on_retry: &|_, _, wait| self.waits.lock().unwrap().push(wait),
            };
            retry
                .run(move || {
                    let errors = errors.clone();
                    Box::pin(async move {
                        let mut script = errors.lock().unwrap();
                        script.1 += 1;
                        match script.0.pop() {
                            Some(error) => Err(error),
                            None => Ok(script.1),
                        }
                    })
                })
                .await
        }
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "scripted")
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_waits_longer_each_time() {
        let bench = Bench::new();
        let throttled = || error(ErrorKind::Throttled);
        assert_eq!(bench.run(false, vec![throttled(), throttled(), throttled()]).await.unwrap(), 4);
        let waits: Vec<u128> = bench.waits.lock().unwrap().iter().map(Duration::as_millis).collect();
        assert_eq!(waits, [1_500, 3_000, 6_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_repeated_only_where_it_does_no_harm() {
        let lost = || vec![error(ErrorKind::Unavailable).with_fate(Fate::Unknown)];
        assert_eq!(Bench::new().run(true, lost()).await.unwrap(), 2);
        assert_eq!(Bench::new().run(false, lost()).await.unwrap_err().fate(), Fate::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn the_services_own_wait_is_honoured_and_capped_by_the_budget() {
        let bench = Bench::new();
        let told = |s| error(ErrorKind::Throttled).with_retry_after(Some(Duration::from_secs(s)));
        let start = Instant::now();
        let failure = bench.run(true, vec![told(2), told(3_600), told(3_600)]).await.unwrap_err();
        assert!(bench.waits.lock().unwrap()[0] >= Duration::from_secs(2));
        assert_eq!(start.elapsed().as_secs(), 300);
        assert!(failure.message().contains("gave up after 3 attempts in 300 s"), "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_asks_for_no_wait_is_not_run_against() {
        for millis in [0, 1, 249] {
            let bench = Bench::new();
            let told = |kind| error(kind).with_retry_after(Some(Duration::from_millis(millis)));
            let errors = [ErrorKind::Throttled, ErrorKind::Throttled, ErrorKind::Unavailable].map(told);
            bench.run(true, errors.into()).await.unwrap();
            let waits: Vec<u128> = bench.waits.lock().unwrap().iter().map(Duration::as_millis).collect();
            assert_eq!(waits, [1_500, 3_000, 500]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_never_answered_is_given_up_sooner() {
        let down = || (0..1_000).map(|_| error(ErrorKind::Unavailable)).collect();
        let start = Instant::now();
        Bench::new().run(true, down()).await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_corrected_once() {
        assert_eq!(Bench::new().run(false, vec![error(ErrorKind::Clock)]).await.unwrap(), 2);
        let twice = vec![error(ErrorKind::Clock), error(ErrorKind::Clock)];
        assert_eq!(Bench::new().run(false, twice).await.unwrap_err().kind(), ErrorKind::Clock);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_credential_is_replaced_once_and_at_once() {
        for kind in [ErrorKind::Expired, ErrorKind::Refused] {
            let bench = Bench { renewed: true, ..Bench::new() };
            assert_eq!(bench.run(false, vec![error(kind)]).await.unwrap(), 2);
            assert_eq!(*bench.waits.lock().unwrap(), [Duration::ZERO]);
            let twice = bench.run(false, vec![error(kind), error(kind)]).await;
            assert_eq!(twice.unwrap_err().kind(), kind);
            let alone = Bench::new().run(false, vec![error(kind)]).await;
            assert_eq!(alone.unwrap_err().kind(), kind, "there is no other one");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_helped_ends_at_once() {
        for kind in [ErrorKind::Refused, ErrorKind::Quota, ErrorKind::Rejected, ErrorKind::Config] {
            assert_eq!(Bench::new().run(true, vec![error(kind)]).await.unwrap_err().kind(), kind);
        }
    }
}
