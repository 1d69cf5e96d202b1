//! The client: which queue, who, and how its requests are signed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Method;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::queue_url::QueueUrl;
use super::service::{Operation, Queue};
use crate::auth::CredentialProvider;
use crate::client::{Call, CallObserver, CallSettings, ClientBuilder, Core};
use crate::error::Result;
use crate::net::clock::to_wire;

/// Longest time of one attempt, besides its long poll. The service holds a throttled call back for up to 5 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The least that the read timeout may be: the longest poll, and 5 s more.
const LONGEST_SILENCE: Duration = Duration::from_secs(35);

/// Calls one queue. Clones share connections and what was learned of the service's clock.
///
/// Every method retries what is worth it (see [`ErrorKind`](crate::ErrorKind)) and signs each attempt anew; a handle that is no longer
/// valid is an answer, not an error. Each call needs the permission of its own name, such as `mns:DeleteMessage`: without it
/// the error is [`Refused`](crate::ErrorKind::Refused); if there is no such queue, it is [`Config`](crate::ErrorKind::Config).
/// Cancel safety: dropping a call gives it up; it may have been done. A receive that is given up may have taken messages,
/// which are visible again after the queue's visibility timeout: let it end in a task of its own.
#[derive(Clone)]
pub struct QueueClient(pub(super) Arc<Core<Queue>>);

/// Settings of a [`QueueClient`].
pub type QueueClientBuilder = ClientBuilder<QueueSettings>;

/// The settings that only a [`QueueClient`] has.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    url: String,
}

impl ClientBuilder<QueueSettings> {
    /// Checks the settings: [`ErrorKind::Usage`](crate::ErrorKind::Usage) for what is no queue URL,
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for plain HTTP where it is not allowed or certificates that can't be
    /// used. No connection is made yet.
    pub fn build(self) -> Result<QueueClient> {
        let url = QueueUrl::parse(&self.settings.url, self.allow_http)?;
        self.connect(Queue { url }, LONGEST_SILENCE).map(QueueClient)
    }
}

/// A call with the settings that most operations have. All of them may be repeated: what was done is not done twice.
pub(super) fn usual_call(action: &'static str, method: Method, target: String) -> Call<Operation> {
    Call {
        action,
        operation: Operation { action, method, target, body: String::new() },
        idempotent: true,
        attempt_timeout: ATTEMPT_TIMEOUT,
        settings: CallSettings {
            observer: Arc::new(Observer { stop_when_throttled: None }),
            ..CallSettings::default()
        },
    }
}

/// Warns of a wrong clock, and stops a call that must not go on once it is throttled.
pub(super) struct Observer {
    pub(super) stop_when_throttled: Option<CancellationToken>,
}

impl CallObserver for Observer {
    fn throttled(&self, _: &'static str) {
        if let Some(stop) = &self.stop_when_throttled {
            stop.cancel();
        }
    }

    fn clock_corrected(&self, ours: DateTime<Utc>, theirs: DateTime<Utc>) {
        let (ours, theirs) = (to_wire(ours), to_wire(theirs));
        warn!(ours, theirs, "the queue service's clock is another; its time is used from now on");
    }
}

impl QueueClient {
    /// A client for the queue at `url`, `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`.
    pub fn builder(
        credentials: impl CredentialProvider + 'static,
        url: impl Into<String>,
    ) -> QueueClientBuilder {
        ClientBuilder::new(credentials, QueueSettings { url: url.into() })
    }

    /// The queue that is called.
    pub fn url(&self) -> &QueueUrl {
        &self.0.api.url
    }

    /// A number in `0.0..1.0`, to spread waits.
    pub(crate) fn jitter(&self) -> f64 {
        self.0.jitter.next()
    }

    /// The service's time of day, as well as it is known.
    pub(crate) fn service_time(&self) -> DateTime<Utc> {
        self.0.time.now()
    }
}

impl fmt::Debug for QueueClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueClient")
            .field("url", self.url())
            .field("credentials", &self.0.credentials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::auth::{Credential, StaticCredentials};
    use crate::net::transport::{BoxFuture, Transport, TransportError};

    /// A gateway that answers some requests with a page of its own before it lets them through.
    #[derive(Debug)]
    struct Portal {
        pages: usize,
        requests: Arc<AtomicUsize>,
    }

    impl Transport for Portal {
        fn send(
            &self,
            _: http::Request<Bytes>,
        ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
            let is_page = self.requests.fetch_add(1, Ordering::Relaxed) < self.pages;
            let answer = http::Response::builder().status(if is_page { 403 } else { 200 });
            let body =
                if is_page { "<html>portal</html>" } else { "<Queue><QueueName>q</QueueName></Queue>" };
            Box::pin(async move { Ok(answer.body(Bytes::from_static(body.as_bytes())).unwrap()) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_outlasts_the_page_of_a_gateway_and_gives_up_where_there_is_no_end_to_it() {
        for (pages, is_answered) in [(2, true), (1_000, false)] {
            let requests = Arc::new(AtomicUsize::new(0));
            let credentials = StaticCredentials(Credential::new("testid", "testsecret"));
            let client = QueueClient::builder(credentials, "http://127.0.0.1:1/queues/q")
                .with_transport(Portal { pages, requests: requests.clone() })
                .build()
                .unwrap();
            let start = tokio::time::Instant::now();
            let attributes = client.get_queue_attributes().await;
            assert_eq!(attributes.is_ok(), is_answered, "{attributes:?}");
            if is_answered {
                assert_eq!(requests.load(Ordering::Relaxed), 3);
            } else {
                // Like a service that never answered.
                assert_eq!(start.elapsed().as_secs(), 25);
            }
        }
    }
}
