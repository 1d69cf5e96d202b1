//! The client: where to, who, how fast; and the one way in which every call goes out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::answer::{self, Answer};
use super::endpoints::{TASK_REGION, endpoint_of_region};
use super::{
    describe_vod_refresh_tasks, get_media_refresh_jobs, refresh_media_play_urls, set_message_callback,
};
use crate::auth::echo;
use crate::auth::renew::{is_about_the_credential, renew};
use crate::auth::request::{Attempt, Operation, Signed, fresh_nonce, signed};
use crate::auth::{Credential, CredentialProvider, SignatureVersion, rpc};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock, date_of};
use crate::net::endpoint::checked_endpoint;
use crate::net::pace::Pacer;
use crate::net::retry::{Budget, Retry};
use crate::net::rng::Jitter;
use crate::net::transport::{Transport, send_within};
use crate::net::{HttpOptions, HttpTransport};

/// API version of every call here.
pub(super) const VERSION: &str = "2017-03-21";
/// Calls per second and action unless told otherwise.
pub(crate) const DEFAULT_MAX_RPS: u32 = 20;
/// Longest time of one attempt from connecting to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// Corrections of the clock smaller than this are not worth a word.
const SKEW_NOISE: TimeDelta = TimeDelta::seconds(10);

/// Hears what a client does on the way to its answers.
pub(crate) trait CallWatch: Send + Sync {
    /// A request goes out.
    fn calling(&self, action: &'static str);
    /// An answer asked us to slow down.
    fn throttled(&self, action: &'static str);
    /// An attempt failed and will be repeated after `wait`.
    fn retrying(&self, error: &Error, attempt: u32, wait: Duration);
    /// Our clock is off; signatures use the service's time from now on.
    fn clock_corrected(&self, ours: DateTime<Utc>, theirs: DateTime<Utc>);
}

/// Calls the VOD API. Clones share connections, pace and what was learned of the service's clock.
///
/// Every method retries what is worth it (see [`ErrorKind`]), signs each attempt anew, and keeps the pace of its
/// action. Cancel safety: dropping a call gives it up; a submission may then have been acted upon.
#[derive(Clone)]
pub struct VodClient {
    shared: Arc<Shared>,
    stop: CancellationToken,
    watch: Option<Arc<dyn CallWatch>>,
    budget: Budget,
}

struct Shared {
    transport: Arc<dyn Transport>,
    credentials: Arc<dyn CredentialProvider>,
    clock: Arc<dyn Clock>,
    endpoint: String,
    task_endpoint: String,
    signature: SignatureVersion,
    pace: Pace,
    /// The service's clock minus ours, in milliseconds.
    skew_ms: AtomicI64,
    /// The same by the last answer, whether it matters or not; `i64::MIN` before the first one.
    seen_skew_ms: AtomicI64,
    answered: AtomicBool,
    jitter: Jitter,
}

struct Pace {
    submit: Pacer,
    look_up: Pacer,
    tasks: Pacer,
    settings: Pacer,
    other: Pacer,
}

impl Pace {
    fn new(max_rps: Option<u32>) -> Self {
        let cap = f64::from(max_rps.unwrap_or(DEFAULT_MAX_RPS).max(1));
        // The user's own number counts for every action; else published limits do, where they are lower.
        let limit = |published: f64| {
            let rate = if max_rps.is_some() { cap } else { published.min(cap) };
            Pacer::new(rate, rate)
        };
        // No limit of task queries is published: the search begins at what the CDN's twin of the call allows.
        let tasks = if max_rps.is_some() { cap } else { describe_vod_refresh_tasks::PER_SECOND };
        Self {
            submit: limit(refresh_media_play_urls::PER_SECOND),
            look_up: limit(get_media_refresh_jobs::PER_SECOND),
            tasks: Pacer::new(tasks, cap),
            settings: limit(set_message_callback::PER_SECOND),
            other: limit(10.0),
        }
    }

    fn of(&self, action: &str) -> &Pacer {
        match action {
            refresh_media_play_urls::ACTION => &self.submit,
            get_media_refresh_jobs::ACTION => &self.look_up,
            describe_vod_refresh_tasks::ACTION => &self.tasks,
            set_message_callback::ACTION => &self.settings,
            _ => &self.other,
        }
    }
}

/// Which of the two endpoints serves an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service {
    /// The media's region.
    Media,
    /// Task and quota queries, documented for cn-shanghai only.
    Tasks,
}

impl VodClient {
    /// A client with these credentials and the defaults: region cn-shanghai, signature version 1.0, 20 calls a second.
    pub fn builder(credentials: impl CredentialProvider + 'static) -> VodClientBuilder {
        VodClientBuilder {
            credentials: Arc::new(credentials),
            region: TASK_REGION.to_owned(),
            endpoint: None,
            task_endpoint: None,
            allow_http: false,
            signature: SignatureVersion::default(),
            max_rps: None,
            http: HttpOptions::default(),
            transport: None,
            clock: Arc::new(SystemClock),
            jitter_seed: None,
        }
    }

    /// Where submissions and lookups go: scheme, host and port.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Where task and quota queries go: scheme, host and port.
    pub fn task_endpoint(&self) -> &str {
        &self.shared.task_endpoint
    }

    /// Where credentials come from, for other clients of the same account.
    pub fn credentials(&self) -> Arc<dyn CredentialProvider> {
        self.shared.credentials.clone()
    }

    /// The credential that the next call would be signed with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is none, or what the provider says. Cancel safe where the provider is.
    pub async fn credential(&self) -> Result<Credential> {
        self.shared.credentials.credential().await?.ok_or_else(|| {
            Error::new(ErrorKind::Config, "the provider has no credentials").with_code("NoCredentials")
        })
    }

    /// Our own time of day.
    pub(crate) fn local_time(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// The service's time of day, as well as it is known.
    pub fn service_time(&self) -> DateTime<Utc> {
        self.shared.clock.now() + TimeDelta::milliseconds(self.shared.skew_ms.load(Ordering::Relaxed))
    }

    /// How far the service's clock is ahead of ours by the `Date` of its last answer; `None` before the first one.
    /// Good to about a second.
    pub fn measured_skew(&self) -> Option<TimeDelta> {
        let millis = self.shared.seen_skew_ms.load(Ordering::Relaxed);
        (millis != i64::MIN).then(|| TimeDelta::milliseconds(millis))
    }

    /// The service's clock, as well as it is known: what callbacks' timestamps are to be compared with.
    pub fn service_clock(&self) -> impl Clock + 'static {
        ServiceClock(self.clone())
    }

    /// The seed of a run that is driven with this client.
    pub(crate) fn seed_of_a_run(&self) -> u64 {
        self.shared.jitter.next_seed()
    }

    /// A clone whose calls end their waits when `stop` is cancelled, and tell `watch`.
    ///
    /// A request that is on the wire is not cut by `stop`: its answer is worth having.
    pub(crate) fn watched(&self, stop: CancellationToken, watch: Arc<dyn CallWatch>) -> Self {
        Self { stop, watch: Some(watch), ..self.clone() }
    }

    /// A clone whose calls give up once they have failed for so long, where a run has more patience: 25 s with a
    /// service that never answered, minutes with one that did.
    #[must_use]
    pub fn with_patience(&self, limit: Duration) -> Self {
        Self { budget: self.budget.at_most(limit), ..self.clone() }
    }

    /// Calls `operation`, with retries. `idempotent`: repeating it after a lost answer does no harm.
    pub(crate) async fn call(
        &self,
        service: Service,
        action: &'static str,
        method: http::Method,
        params: rpc::Params,
        idempotent: bool,
    ) -> Result<Answer> {
        let operation = Operation { action, version: VERSION, method, params };
        let endpoint = match service {
            Service::Media => &self.shared.endpoint,
            Service::Tasks => &self.shared.task_endpoint,
        };
        let pacer = self.shared.pace.of(action);
        let renewed = &AtomicBool::new(false);
        let retry = Retry {
            budget: self.budget,
            idempotent,
            stop: &self.stop,
            answered: &|| self.shared.answered.load(Ordering::Relaxed),
            renewed: &|| renewed.load(Ordering::Relaxed),
            jitter: &|| self.shared.jitter.next(),
            on_retry: &|error, number, wait| {
                debug!(action, attempt = number, wait_ms = wait.as_millis() as u64, %error, "will try again");
                if error.kind() == ErrorKind::Throttled {
                    pacer.throttled(wait);
                }
                if let Some(watch) = &self.watch {
                    watch.retrying(error, number, wait);
                }
            },
        };
        let operation = &operation;
        let answer = retry.run(|| Box::pin(self.attempt(endpoint, operation, pacer, renewed))).await?;
        pacer.went_well();
        Ok(answer)
    }

    /// One attempt: wait for our turn, sign, send, read. Sets `renewed` if its credential was refused and another is
    /// there.
    async fn attempt(
        &self,
        endpoint: &str,
        operation: &Operation,
        pacer: &Pacer,
        renewed: &AtomicBool,
    ) -> Result<Answer> {
        let action = operation.action;
        renewed.store(false, Ordering::Relaxed);
        let prepared = async {
            pacer.turn().await;
            // After the wait: it may have been long enough for a credential to end.
            self.credential().await
        };
        let credential = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                return Err(Error::new(ErrorKind::Unavailable, "stopped before it was sent").with_action(action));
            }
            credential = prepared => credential?,
        };
        let attempt = Attempt { credential: &credential, nonce: fresh_nonce()?, now: self.service_time() };
        let Signed { request, string_to_sign } =
            signed(self.shared.signature, endpoint, operation, &attempt)?;
        if let Some(watch) = &self.watch {
            watch.calling(action);
        }
        let answer = send_within(&*self.shared.transport, request, ATTEMPT_TIMEOUT)
            .await
            .map_err(|failure| Error::from(failure).with_action(action))?;
        if let Some(theirs) = date_of(answer.headers()) {
            let skew = theirs - self.shared.clock.now();
            self.shared.seen_skew_ms.store(skew.num_milliseconds(), Ordering::Relaxed);
        }
        let secrets = echo::secrets_of(&credential, Some(&operation.params));
        let result = answer::read(&answer).map(|answer| answer.with_harmless_id(&secrets)).map_err(|error| {
            let error = echo::masked(error, &secrets).with_action(action);
            match error.kind() {
                ErrorKind::Clock => self.correct_clock(error, &answer),
                _ if error.code() == Some("SignatureDoesNotMatch") => {
                    explain_signature(error, &answer, &string_to_sign, &credential)
                }
                _ => error,
            }
        });
        let code = result.as_ref().err().map(|error| error.code().unwrap_or("none"));
        debug!(action, status = answer.status().as_u16(), code, "answered");
        if let (Err(error), Some(watch)) = (&result, &self.watch)
            && error.kind() == ErrorKind::Throttled
        {
            watch.throttled(action);
        }
        if code != Some("none") {
            self.shared.answered.store(true, Ordering::Relaxed);
        }
        match result {
            Err(error) if is_about_the_credential(&error) => {
                let (error, another) = renew(&*self.shared.credentials, error, &credential).await;
                renewed.store(another, Ordering::Relaxed);
                Err(error)
            }
            result => result,
        }
    }

    /// Measures how far our clock is off; the next attempt uses the service's time.
    fn correct_clock(&self, error: Error, answer: &http::Response<bytes::Bytes>) -> Error {
        let ours = self.shared.clock.now();
        let Some(theirs) = date_of(answer.headers()) else {
            return error.with_message_suffix("; the answer has no Date header to measure our clock by");
        };
        let skew = theirs - ours;
        let before = self.shared.skew_ms.swap(skew.num_milliseconds(), Ordering::Relaxed);
        let moved = (skew - TimeDelta::milliseconds(before)).abs() > SKEW_NOISE;
        if moved && let Some(watch) = &self.watch {
            watch.clock_corrected(ours, theirs);
        }
        error.with_message_suffix(&format!(
            "; our clock says {}, the service's {}",
            ours.format("%Y-%m-%dT%H:%M:%SZ"),
            theirs.format("%Y-%m-%dT%H:%M:%SZ")
        ))
    }
}

/// [`VodClient::service_time`] as a clock.
#[derive(Debug)]
struct ServiceClock(VodClient);

impl Clock for ServiceClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.service_time()
    }
}

/// Tells a wrong secret from a request that was changed on the way.
fn explain_signature(
    error: Error,
    answer: &http::Response<bytes::Bytes>,
    string_to_sign: &str,
    credential: &Credential,
) -> Error {
    let key_id = &credential.key_id;
    if credential.secret_has_blanks_around() {
        return error.with_message_suffix("; the secret has a blank or line break at its start or end");
    }
    let Some(theirs) = answer::servers_string_to_sign(answer) else { return error };
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    error.with_message_suffix(&if squeezed(&theirs) == squeezed(string_to_sign) {
        format!("; the service signs the same text, so the secret does not belong to key id {key_id}")
    } else {
        "; the service signs another text than we do: something changed the request on the way".to_owned()
    })
}

impl fmt::Debug for VodClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VodClient")
            .field("endpoint", &self.shared.endpoint)
            .field("task_endpoint", &self.shared.task_endpoint)
            .field("credentials", &self.shared.credentials)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`VodClient`].
#[derive(Debug, Clone)]
#[must_use]
pub struct VodClientBuilder {
    credentials: Arc<dyn CredentialProvider>,
    region: String,
    endpoint: Option<String>,
    task_endpoint: Option<String>,
    allow_http: bool,
    signature: SignatureVersion,
    max_rps: Option<u32>,
    http: HttpOptions,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    jitter_seed: Option<u64>,
}

impl VodClientBuilder {
    /// The region of the media, `cn-shanghai` by default. A media is visible in its own region only.
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Another endpoint than the region's: an emulator, a gateway. It serves task queries as well.
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Another endpoint for task and quota queries, which live in cn-shanghai only.
    pub fn with_task_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.task_endpoint = Some(endpoint.into());
        self
    }

    /// Allows plain HTTP to other hosts than this machine.
    pub fn with_plain_http_allowed(mut self, allowed: bool) -> Self {
        self.allow_http = allowed;
        self
    }

    /// How requests are signed.
    pub fn with_signature_version(mut self, version: SignatureVersion) -> Self {
        self.signature = version;
        self
    }

    /// Cap on calls per second for each action, 20 by default.
    ///
    /// Without it, task queries begin at 5 a second, which is what the CDN's own twin of the call allows, and grow
    /// towards the cap as long as the service does not ask to slow down. Throttled, the rate halves and comes back
    /// slowly, so that several processes share an account's rate.
    pub fn with_max_rps(mut self, calls_per_second: u32) -> Self {
        self.max_rps = Some(calls_per_second);
        self
    }

    /// Timeouts, certificates and proxy of the default transport.
    pub fn with_http_options(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Another transport than reqwest's: the emulator in process, or your own.
    pub fn with_transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Another wall clock than the machine's.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Fixes what is left to chance on purpose: how long a failed call waits before it is repeated, and when
    /// a run looks at its tasks. For tests
    /// of your own that must go the same way twice, with an emulator of a fixed seed and a paused clock. Seeded by the
    /// system by default; clients of one account that share a seed stay in step, which is what jitter is there against.
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Checks the settings. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a malformed region or endpoint, [`ErrorKind::Config`] for plain HTTP where it is not
    /// allowed or certificates that can't be used.
    pub fn build(self) -> Result<VodClient> {
        let endpoint = match &self.endpoint {
            Some(given) => checked_endpoint(given, self.allow_http)?,
            None => endpoint_of_region(&self.region)?,
        };
        let task_endpoint = match (&self.task_endpoint, &self.endpoint) {
            (Some(given), _) => checked_endpoint(given, self.allow_http)?,
            (None, Some(_)) => endpoint.clone(),
            (None, None) => endpoint_of_region(TASK_REGION)?,
        };
        let transport = match self.transport {
            Some(transport) => transport,
            None => {
                let plain_http_only = [&endpoint, &task_endpoint].iter().all(|e| e.starts_with("http://"));
                Arc::new(HttpTransport::new(&HttpOptions { plain_http_only, ..self.http })?)
            }
        };
        Ok(VodClient {
            shared: Arc::new(Shared {
                transport,
                credentials: self.credentials,
                clock: self.clock,
                endpoint,
                task_endpoint,
                signature: self.signature,
                pace: Pace::new(self.max_rps),
                skew_ms: AtomicI64::new(0),
                seen_skew_ms: AtomicI64::new(i64::MIN),
                answered: AtomicBool::new(false),
                jitter: Jitter::of(self.jitter_seed),
            }),
            stop: CancellationToken::new(),
            watch: None,
            budget: Budget::default(),
        })
    }
}
