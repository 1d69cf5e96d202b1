//! The client: where to and who; and the one way in which every call goes out.

mod builder;
mod pace;

pub use builder::VodClientBuilder;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::answer::{self, Answer, Asked};
use crate::auth::request::{Attempt, Operation, Signed, fresh_nonce, signed};
use crate::auth::{Credential, CredentialProvider, SignatureVersion, echo, renew, rpc};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::Clock;
use crate::net::pace::Pacer;
use crate::net::retry::{Budget, Retry};
use crate::net::rng::Jitter;
use crate::net::service_time::{Corrected, ServiceTime};
use crate::net::transport::{BoxFuture, Transport, send_within};
use pace::Pace;

/// API version of every call here.
pub(super) const VERSION: &str = "2017-03-21";
/// Longest time of one attempt from connecting to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Hears what a client does on the way to its answers.
pub(crate) trait CallWatch: Send + Sync {
    /// A request goes out.
    fn calling(&self, action: &'static str);
    /// An answer asked us to slow down.
    fn throttled(&self, action: &'static str);
    /// An attempt failed and will be repeated after `wait`.
    fn retrying(&self, error: &Error, attempt: u32, wait: Duration);
    /// A call came to a good answer.
    fn went_well(&self, action: &'static str);
    /// Our clock is off; signatures use the service's time from now on.
    fn clock_corrected(&self, ours: DateTime<Utc>, theirs: DateTime<Utc>);
}

/// Calls the VOD API. Clones share connections, pace and what was learned of the service's clock.
///
/// Every method signs each attempt anew, keeps the pace of its action (see
/// [`with_max_rps`](VodClientBuilder::with_max_rps)), and repeats what is worth it. An attempt takes 30 s at most. A call
/// that goes on failing is given up after 5 minutes with a service that answered before (15 where it has no room for the
/// work), after 25 s with one that never did; [`with_patience`](Self::with_patience) sets less. Cancel safety: dropping a
/// call gives it up; a submission may then have been acted upon.
///
/// # Errors
///
/// What a call may meet, besides what its method names:
///
/// | kind | when |
/// |---|---|
/// | [`Config`](ErrorKind::Config) | there are no credentials |
/// | [`Refused`](ErrorKind::Refused), [`Expired`](ErrorKind::Expired) | the key, the signature or the permission is not good, and there is no other credential |
/// | [`Clock`](ErrorKind::Clock) | the service refuses the time, also after it was corrected by its own |
/// | [`Rejected`](ErrorKind::Rejected), [`NotFound`](ErrorKind::NotFound) | the service refuses what was asked for |
/// | [`Quota`](ErrorKind::Quota) | the day's quota is used up |
/// | [`Throttled`](ErrorKind::Throttled), [`Busy`](ErrorKind::Busy), [`Unavailable`](ErrorKind::Unavailable), [`Garbled`](ErrorKind::Garbled) | too fast, no room, no answer of the service (a proxy's page is none), or none that makes sense, for as long as it was tried |
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
    time: ServiceTime,
    endpoint: String,
    task_endpoint: String,
    signature: SignatureVersion,
    pace: Pace,
    answered: AtomicBool,
    /// What the last request was signed with. A std mutex: never held across an await.
    signer: Mutex<Option<Credential>>,
    jitter: Jitter,
}

/// One operation to be called.
#[derive(Debug)]
pub(super) struct Call {
    service: Service,
    operation: Operation,
    /// Whether repeating it after a lost answer does no harm.
    idempotent: bool,
}

impl Call {
    /// A call that may be repeated freely.
    pub(super) fn repeatable(
        service: Service,
        action: &'static str,
        method: http::Method,
        params: rpc::Params,
    ) -> Self {
        Self { service, operation: Operation { action, version: VERSION, method, params }, idempotent: true }
    }

    /// A call that does its work once more each time.
    pub(super) fn once(service: Service, operation: Operation) -> Self {
        Self { service, operation, idempotent: false }
    }
}

/// Which of the two endpoints serves an operation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    /// The media's region.
    Media,
    /// Task and quota queries, documented for cn-shanghai only.
    Tasks,
}

impl VodClient {
    /// A client with these credentials and the defaults: region cn-shanghai, signature version 1.0, 20 calls a second.
    pub fn builder(credentials: impl CredentialProvider + 'static) -> VodClientBuilder {
        VodClientBuilder::new(Arc::new(credentials))
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
        self.shared.time.local()
    }

    /// The service's time of day, as well as it is known.
    pub fn service_time(&self) -> DateTime<Utc> {
        self.shared.time.now()
    }

    /// How far the service's clock is ahead of ours by the `Date` of its last answer; `None` before the first one.
    /// Good to about a second.
    pub fn measured_skew(&self) -> Option<TimeDelta> {
        self.shared.time.seen()
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

    /// `text` of an event without what its sender may know of our last request; `None` if it holds none of that.
    pub(crate) fn hidden(&self, text: &str) -> Option<String> {
        let signer = self.shared.signer.lock().unwrap_or_else(PoisonError::into_inner);
        echo::hidden(text, echo::secrets_of(signer.as_ref()?, None))
    }

    /// Makes a call, with retries, and gives back what `decode` reads in the answer. An answer that it refuses as garbled is
    /// worth another attempt like any that makes no sense.
    pub(super) async fn call<T: Send>(
        &self,
        call: Call,
        decode: impl Fn(&Answer) -> Result<T> + Sync,
    ) -> Result<T> {
        let action = call.operation.action;
        let (call, decode) = (&call, &decode);
        let pacer = self.shared.pace.of(action);
        let renewed = &AtomicBool::new(false);
        let retry = Retry {
            budget: self.budget,
            idempotent: call.idempotent,
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
        let attempt = || -> BoxFuture<'_, Result<T>> {
            Box::pin(async move {
                let answer = self.attempt(call, pacer, renewed).await?;
                let read = decode(&answer).map_err(|error| error.with_action(action))?;
                self.shared.answered.store(true, Ordering::Relaxed);
                Ok(read)
            })
        };
        let read = retry.run(attempt).await?;
        pacer.went_well();
        if let Some(watch) = &self.watch {
            watch.went_well(action);
        }
        Ok(read)
    }

    /// One attempt: wait for our turn, sign, send, read. Sets `renewed` if its credential was refused and another is
    /// there.
    async fn attempt(&self, call: &Call, pacer: &Pacer, renewed: &AtomicBool) -> Result<Answer> {
        let Call { service, operation, idempotent } = call;
        let action = operation.action;
        let endpoint = match service {
            Service::Media => &self.shared.endpoint,
            Service::Tasks => &self.shared.task_endpoint,
        };
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
        *self.shared.signer.lock().unwrap_or_else(PoisonError::into_inner) = Some(credential.clone());
        let attempt = Attempt { credential: &credential, nonce: fresh_nonce()?, now: self.service_time() };
        let Signed { request, string_to_sign } =
            signed(self.shared.signature, endpoint, operation, &attempt)?;
        if let Some(watch) = &self.watch {
            watch.calling(action);
        }
        let answer = send_within(&*self.shared.transport, request, ATTEMPT_TIMEOUT)
            .await
            .map_err(|failure| Error::from(failure).with_action(action))?;
        self.shared.time.see(answer.headers());
        let secrets = echo::secrets_of(&credential, Some(&operation.params));
        let asked = Asked { is_read: *idempotent, secrets: &secrets, now: self.service_time() };
        let result = answer::read(&answer, asked).map_err(|error| {
            let error = error.with_action(action);
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
        // A proxy can answer as well; the service gives a reason, or sense.
        if code.is_some_and(|code| code != "none") {
            self.shared.answered.store(true, Ordering::Relaxed);
        }
        renew::after(result, &*self.shared.credentials, &credential, renewed).await
    }

    /// The next attempt uses the service's time.
    fn correct_clock(&self, error: Error, answer: &http::Response<bytes::Bytes>) -> Error {
        let (error, corrected) = self.shared.time.correct(error, answer.headers());
        if let (Some(Corrected { ours, theirs }), Some(watch)) = (corrected, &self.watch) {
            watch.clock_corrected(ours, theirs);
        }
        error
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::auth::StaticCredentials;
    use crate::error::Fate;
    use crate::ids::{JobId, MediaId, TaskId};
    use crate::net::transport::TransportError;
    use crate::vod::{RefreshMediaPlayUrls, TaskType};

    /// Gives the n-th request the n-th answer.
    #[derive(Debug)]
    struct Script(Mutex<std::vec::IntoIter<(u16, &'static str)>>);

    impl Transport for Script {
        fn send(
            &self,
            _: http::Request<Bytes>,
        ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
            let (status, body) = self.0.lock().unwrap().next().expect("no more requests than answers");
            let answer = http::Response::builder().status(status).body(Bytes::from_static(body.as_bytes()));
            Box::pin(async { Ok(answer.unwrap()) })
        }
    }

    fn client(answers: &[(u16, &'static str)]) -> VodClient {
        VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
            .with_endpoint("http://127.0.0.1:1")
            .with_transport(Script(Mutex::new(Vec::from(answers).into_iter())))
            .build()
            .unwrap()
    }

    const PORTAL: &str = "<html>portal</html>";

    #[tokio::test(start_paused = true)]
    async fn a_read_outlasts_what_is_no_answer_of_the_service_and_what_makes_no_sense() {
        let job = JobId::new("J").unwrap();
        let row = r#"{"RequestId":"r","MediaRefreshJobs":{"MediaId":"m1"}}"#;
        for status in [200, 302, 400, 401, 403, 404, 407, 414, 451, 502] {
            let rows = client(&[(status, PORTAL), (200, row)]).get_media_refresh_jobs(&job).await;
            assert_eq!(rows.unwrap().len(), 1, "{status}");
        }
        for body in [r#"{"MediaRefreshJobs":"x"}"#, r#"{"MediaRefreshJobs":[{}]}"#, "[]"] {
            let rows = client(&[(200, body), (200, row)]).get_media_refresh_jobs(&job).await;
            assert_eq!(rows.unwrap().len(), 1, "{body}");
        }
        let task = TaskId::new("T").unwrap();
        let shown = r#"{"Tasks":{"Task":[{"TaskId":"T"}]},"PageSize":50}"#;
        let answers = [(200, r#"{"Tasks":{"Task":{}}}"#), (451, PORTAL), (200, shown)];
        assert_eq!(client(&answers).task_rows(&task, |_| false).await.unwrap().rows.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_portal_before_the_service_ends_a_read_as_unavailable() {
        let client = client(&[(403, PORTAL)]).with_patience(Duration::ZERO);
        let error = client.get_media_refresh_jobs(&JobId::new("J").unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), error.action()), (ErrorKind::Unavailable, Some("GetMediaRefreshJobs")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_never_made_sense_is_given_up_like_one_that_never_answered() {
        for answer in [(403, PORTAL), (200, "{}")] {
            let (client, start) = (client(&[answer; 1_000]), tokio::time::Instant::now());
            client.describe_vod_refresh_quota().await.unwrap_err();
            assert_eq!(start.elapsed().as_secs(), 25, "{answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_submission_is_not_repeated_after_an_answer_that_tells_nothing() {
        let media = vec![MediaId::new("m1").unwrap()];
        let request = RefreshMediaPlayUrls::new(TaskType::Refresh, media);
        for answer in [(302, PORTAL), (407, ""), (414, PORTAL), (403, PORTAL), (200, "{}"), (200, "[]")] {
            let error = client(&[answer]).refresh_media_play_urls(&request).await.unwrap_err();
            assert_eq!(error.fate(), Fate::Unknown, "{answer:?}");
            assert!(error.kind().is_retryable(), "{answer:?}");
        }
    }
}
