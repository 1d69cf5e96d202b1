//! The client: where to, who, and the calls' common part.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::actions::{self, Action};
use super::endpoints::{TASK_REGION, endpoint_of_region};
use super::service::{Body, Vod};
use crate::auth::rpc::Params;
use crate::auth::{Credential, CredentialProvider, SignatureVersion};
use crate::client::{Answer, Call, CallObserver, CallSettings, ClientBuilder, Core};
use crate::error::{ErrorKind, Result};
use crate::net::clock::Clock;
use crate::net::endpoint::checked_endpoint;
use crate::net::pace::SharedPace;

/// Longest time of one attempt from connecting to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls the VOD API. Clones share connections, pace and what was learned of the service's clock.
///
/// Every method signs each attempt anew, keeps the pace of its action (see
/// [`with_max_rps`](VodClientBuilder::with_max_rps)), and repeats what is worth it. An attempt takes 30 s at most. A call
/// that goes on failing is given up after 5 minutes with a service that answered before (15 where it has no room for the
/// work), after 25 s with one that never did; [`with_patience`](Self::with_patience) sets less. Cancel safety: dropping a
/// call gives it up; what writes may then have been acted upon. All but submissions may be repeated freely.
///
#[doc = include_str!("../docs/items/vod_errors.md")]
#[derive(Clone)]
pub struct VodClient {
    core: Arc<Core<Vod>>,
    /// The pace in it is that of task queries.
    settings: CallSettings,
}

/// Settings of a [`VodClient`].
pub type VodClientBuilder = ClientBuilder<VodSettings>;

/// The settings that only a [`VodClient`] has.
#[derive(Debug, Clone, Default)]
pub struct VodSettings {
    region: Option<String>,
    endpoint: Option<String>,
    task_endpoint: Option<String>,
    signature: SignatureVersion,
    max_rps: Option<u32>,
}

impl ClientBuilder<VodSettings> {
    /// The region of the media, `cn-shanghai` by default. A media is visible in its own region only.
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.settings.region = Some(region.into());
        self
    }

    /// Another endpoint than the region's: an emulator, a gateway. It serves task queries as well.
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.settings.endpoint = Some(endpoint.into());
        self
    }

    /// Another endpoint for task and quota queries, which live in cn-shanghai only.
    pub fn with_task_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.settings.task_endpoint = Some(endpoint.into());
        self
    }

    /// How requests are signed; signature version 1.0 by default.
    pub fn with_signature_version(mut self, version: SignatureVersion) -> Self {
        self.settings.signature = version;
        self
    }

    /// Cap on calls per second for each action, 20 by default; 0 counts as 1. A lower limit that the vendor publishes goes
    /// before the default, not before a cap that is given. Source: the QPS limits of the VOD API.
    ///
    /// Without it, task queries begin at 5 a second, which is what the CDN's own twin of the call allows
    /// ("DescribeRefreshTasks" of the CDN API), and grow towards the cap as long as the service does not ask to slow
    /// down. Throttled, the rate halves and comes back slowly, so that several processes share an account's rate.
    pub fn with_max_rps(mut self, calls_per_second: u32) -> Self {
        self.settings.max_rps = Some(calls_per_second);
        self
    }

    /// Checks the settings: [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a malformed region or endpoint,
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for plain HTTP where it is not allowed or certificates that can't be
    /// used. No connection is made yet.
    pub fn build(self) -> Result<VodClient> {
        let settings = &self.settings;
        let endpoint = match &settings.endpoint {
            Some(given) => checked_endpoint("endpoint", given, self.allow_http)?,
            None => endpoint_of_region(settings.region.as_deref().unwrap_or(TASK_REGION))?,
        };
        let task_endpoint = match (&settings.task_endpoint, &settings.endpoint) {
            (Some(given), _) => checked_endpoint("task endpoint", given, self.allow_http)?,
            (None, Some(_)) => endpoint.clone(),
            (None, None) => endpoint_of_region(TASK_REGION)?,
        };
        let (signature, pacers) = (settings.signature, actions::pacers(settings.max_rps));
        let api = Vod { endpoint, task_endpoint, signature, pacers };
        Ok(VodClient { core: self.connect(api, Duration::ZERO)?, settings: CallSettings::default() })
    }
}

impl VodClient {
    /// A client with these credentials and the defaults: region cn-shanghai, signature version 1.0, 20 calls a second.
    pub fn builder(credentials: impl CredentialProvider + 'static) -> VodClientBuilder {
        ClientBuilder::new(credentials, VodSettings::default())
    }

    /// Where submissions and lookups go: scheme, host and port.
    pub fn endpoint(&self) -> &str {
        &self.core.api.endpoint
    }

    /// Where task and quota queries go: scheme, host and port.
    pub fn task_endpoint(&self) -> &str {
        &self.core.api.task_endpoint
    }

    /// The way to the task endpoint: where two clients have the same text, they call the same service.
    pub(crate) fn way_to_tasks(&self) -> String {
        let endpoint = self.task_endpoint();
        let proxy = endpoint.parse().ok().and_then(|uri| self.core.proxy_of(&uri));
        proxy.map_or_else(|| endpoint.to_owned(), |proxy| format!("{endpoint} through {proxy}"))
    }

    /// Where credentials come from, for other clients of the same account.
    pub fn credentials(&self) -> Arc<dyn CredentialProvider> {
        self.core.credentials.clone()
    }

    /// The credential that the next call would be signed with; [`ErrorKind::Config`](crate::ErrorKind::Config) if there is none.
    pub async fn credential(&self) -> Result<Credential> {
        self.core.credential().await
    }

    /// Our own time of day.
    pub(crate) fn local_time(&self) -> DateTime<Utc> {
        self.core.time.local()
    }

    /// The service's time of day, as well as it is known.
    pub fn service_time(&self) -> DateTime<Utc> {
        self.core.time.now()
    }

    /// How far the service's clock is ahead of ours by the `Date` of its last answer; `None` before the first one.
    /// Good to about a second.
    pub fn measured_skew(&self) -> Option<TimeDelta> {
        self.core.time.seen()
    }

    /// By how much signatures are moved ahead of our clock.
    pub(crate) fn signed_ahead(&self) -> TimeDelta {
        self.core.time.signed_ahead()
    }

    /// How far the service's clock is ahead of ours, as well as signatures and answers tell.
    pub(crate) fn service_ahead(&self) -> TimeDelta {
        self.core.time.ahead()
    }

    /// The service's clock, as well as it is known: what callbacks' timestamps are to be compared with.
    pub fn service_clock(&self) -> impl Clock + 'static {
        self.clone()
    }

    /// The seed of a run that is driven with this client.
    pub(crate) fn seed_of_a_run(&self) -> u64 {
        self.core.jitter.next_seed()
    }

    /// A clone whose calls end their waits when `stop` is cancelled, and report to `observer`.
    pub(crate) fn watched(&self, stop: CancellationToken, observer: Arc<dyn CallObserver>) -> Self {
        let settings = CallSettings { stop, observer, ..self.settings.clone() };
        Self { settings, ..self.clone() }
    }

    /// A clone whose task queries keep this pace together with those of other processes.
    pub(crate) fn with_task_pace(&self, pace: Option<Arc<dyn SharedPace>>) -> Self {
        Self { settings: CallSettings { pace, ..self.settings.clone() }, ..self.clone() }
    }

    /// A clone whose calls give up once they have failed for `limit`.
    #[must_use]
    pub fn with_patience(&self, limit: Duration) -> Self {
        let budget = self.settings.budget.at_most(limit);
        Self { settings: CallSettings { budget, ..self.settings.clone() }, ..self.clone() }
    }

    /// `text` without the secrets of the last request; `None` if it holds none of them.
    pub(crate) fn hidden(&self, text: &str) -> Option<String> {
        self.core.hidden(text)
    }

    /// Makes a call, with retries, and returns what `decode` reads in the answer.
    pub(super) async fn call<T: Send>(
        &self,
        action: &'static Action,
        params: Params,
        decode: impl Fn(&Answer<Body>) -> Result<T> + Sync,
    ) -> Result<T> {
        let mut settings = self.settings.clone();
        settings.pace = settings.pace.filter(|_| action.name == actions::QUERY_TASKS.name);
        let call = Call {
            action: action.name,
            operation: (action.host, action.operation(params)),
            idempotent: action.idempotent,
            attempt_timeout: ATTEMPT_TIMEOUT,
            settings,
        };
        self.core.call(&call, decode).await
    }
}

/// What the service says it does not know is no error where there may be nothing.
pub(super) fn or_if_not_found<T>(outcome: Result<T>, nothing: impl FnOnce() -> T) -> Result<T> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(nothing()),
        outcome => outcome,
    }
}

/// The service's clock.
impl Clock for VodClient {
    fn now(&self) -> DateTime<Utc> {
        self.service_time()
    }
}

impl fmt::Debug for VodClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VodClient")
            .field("endpoint", &self.endpoint())
            .field("task_endpoint", &self.task_endpoint())
            .field("credentials", &self.core.credentials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;

    use super::*;
    use crate::auth::StaticCredentials;
    use crate::error::Fate;
    use crate::ids::{JobId, MediaId, TaskId};
    use crate::net::transport::{BoxFuture, Transport, TransportError};
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
        let twice = r#"{"MediaRefreshJobs":[{"MediaId":"m1","TaskIds":"T1","TaskIds":"T2"}]}"#;
        let rows = client(&[(200, twice), (200, row)]).get_media_refresh_jobs(&job).await.unwrap();
        assert!(rows.len() == 1 && rows[0].tasks.is_empty(), "of two lists neither counts: {rows:?}");
        let task = TaskId::new("T").unwrap();
        let shown = r#"{"Tasks":{"Task":[{"TaskId":"T"}]},"PageSize":50}"#;
        for fields in
            [r#""TaskId":"T","Status":"Failed","Status":"Complete""#, r#""TaskId":"T","TaskId":"T""#]
        {
            let twice: &str = format!(r#"{{"Tasks":[{{{fields}}}],"PageSize":50}}"#).leak();
            let rows = client(&[(200, twice), (200, shown)]).task_rows(&task, |_| false).await.unwrap().rows;
            assert!(rows.len() == 1 && !rows[0].status.is_final(), "{twice}");
        }
        let twice = r#"{"Tasks":[{"TaskId":"T","Status":"Failed"}],"Tasks":[],"PageSize":50}"#;
        assert_eq!(
            client(&[(200, twice), (200, shown)]).task_rows(&task, |_| false).await.unwrap().rows.len(),
            1
        );
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
