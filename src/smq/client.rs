//! The client: which queue, who, and how its requests are signed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::answer::{self, Body};
use super::fault;
use super::queue_url::QueueUrl;
use crate::auth::queue::{self, TOKEN_HEADER, ToSign, VERSION_HEADER};
use crate::auth::rpc::Params;
use crate::auth::{Credential, CredentialProvider};
use crate::client::{Answer, Api, Call, CallObserver, ClientBuilder, Core, Envelope, Fault, Signed};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RequestId;
use crate::net::clock::to_wire;
use crate::net::pace::Pacer;
use crate::net::retry::Budget;

/// Version of the API.
const VERSION: &str = "2015-06-06";
/// How much longer than its long poll an attempt may take. The service holds a throttled call back for up to 5 s.
const BEYOND_THE_POLL: Duration = Duration::from_secs(10);
/// The least that the read timeout may be: the longest poll, and 5 s more.
const LONGEST_SILENCE: Duration = Duration::from_secs(35);

/// Calls one queue. Clones share connections and what was learned of the service's clock.
///
/// Every method retries what is worth it (see [`ErrorKind`]) and signs each attempt anew; a handle that is no longer
/// valid is an answer, not an error. Cancel safety: dropping a call gives it up. A receive that is given up may have taken
/// messages, which are visible again after the queue's visibility timeout.
#[derive(Clone)]
pub struct QueueClient(Arc<Core<Queue>>);

/// Settings of a [`QueueClient`].
pub type QueueClientBuilder = ClientBuilder<QueueSettings>;

/// The settings that only a [`QueueClient`] has.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    url: String,
}

impl ClientBuilder<QueueSettings> {
    /// Checks the settings. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for what is no queue URL, [`ErrorKind::Config`] for plain HTTP where it is not allowed or
    /// certificates that can't be used.
    pub fn build(self) -> Result<QueueClient> {
        let url = QueueUrl::parse(&self.settings.url, self.allow_http)?;
        let plain_http_only = url.origin().starts_with("http://");
        self.connect(Queue { url }, plain_http_only, LONGEST_SILENCE).map(QueueClient)
    }
}

/// One operation to be called. All of them may be repeated: what was done is not done twice.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(super) action: &'static str,
    pub(super) method: Method,
    /// Path and query exactly as they go out: this is what is signed.
    pub(super) target: String,
    /// XML, or nothing.
    pub(super) body: String,
    /// How long the service may hold the answer back by our own wish.
    pub(super) wait: Duration,
    /// How long it is tried at most.
    pub(super) patience: Duration,
    pub(super) ends_when_throttled: bool,
}

impl Operation {
    pub(super) fn new(action: &'static str, method: Method, target: String) -> Self {
        Self {
            action,
            method,
            target,
            body: String::new(),
            wait: Duration::ZERO,
            patience: Duration::MAX,
            ends_when_throttled: false,
        }
    }
}

/// Warns of a wrong clock, and stops a call that must not go on once it is throttled.
struct Observer {
    stop_when_throttled: Option<CancellationToken>,
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

/// How the queue service is spoken to.
pub(crate) struct Queue {
    url: QueueUrl,
}

impl Api for Queue {
    type Operation = Operation;
    type Body = Body;

    const REQUEST_ID_HEADER: &'static str = "x-mns-request-id";
    const SIGNATURE_HINT: &'static str =
        "; the secret does not belong to the key id, or the host is not the one of the queue's account";

    fn sign(&self, call: &Operation, credential: &Credential, now: DateTime<Utc>) -> Result<Signed> {
        let date = queue::date(now);
        let (content_type, content_md5) = match call.body.as_str() {
            "" => ("", String::new()),
            body => ("text/xml", queue::content_md5(body.as_bytes())),
        };
        let string_to_sign = ToSign {
            method: &call.method,
            content_md5: &content_md5,
            content_type,
            date: &date,
            headers: &BTreeMap::from([(VERSION_HEADER.to_owned(), VERSION.to_owned())]),
            target: &call.target,
        }
        .text();
        let signature = queue::sign(&string_to_sign, credential.secret.expose_secret());
        let mut request = Request::new(Bytes::from(call.body.clone()));
        *request.method_mut() = call.method.clone();
        let internal = |_| Error::new(ErrorKind::Internal, "the request target is no part of a URL");
        *request.uri_mut() = format!("{}{}", self.url.origin(), call.target).parse().map_err(internal)?;
        debug_assert_eq!(request.uri().path_and_query().map(|p| p.as_str()), Some(call.target.as_str()));
        let headers = request.headers_mut();
        let mut put = |name: HeaderName, text: &str, sensitive: bool| -> Result<()> {
            let wrong = |_| {
                let source = &credential.source;
                let message = format!("the key id or token from {source} can't stand in a header");
                Error::new(ErrorKind::Config, message).with_action(call.action)
            };
            let mut value = HeaderValue::from_str(text).map_err(wrong)?;
            value.set_sensitive(sensitive);
            headers.insert(name, value);
            Ok(())
        };
        put(header::DATE, &date, false)?;
        put(HeaderName::from_static(VERSION_HEADER), VERSION, false)?;
        put(header::CONTENT_LENGTH, &call.body.len().to_string(), false)?;
        if !call.body.is_empty() {
            put(header::CONTENT_TYPE, content_type, false)?;
            put(HeaderName::from_static("content-md5"), &content_md5, false)?;
        }
        put(header::AUTHORIZATION, &queue::authorization(&credential.key_id, &signature), true)?;
        if let Some(token) = &credential.token {
            put(HeaderName::from_static(TOKEN_HEADER), token.expose_secret(), true)?;
        }
        Ok(Signed { request, string_to_sign })
    }

    fn params(_: &Operation) -> Option<&Params> {
        None
    }

    fn parse(response: &Response<Bytes>, _: &[&str]) -> Result<(Body, Option<RequestId>), Envelope> {
        answer::parse(response).map(|root| (root, None))
    }

    fn classify(code: &str, status: u16, _: bool) -> Fault {
        fault::classify(code, status)
    }

    fn pacer(&self, _: &str) -> Option<&Pacer> {
        None
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

    /// Calls an operation, with retries, and returns what `decode` reads in the answer.
    pub(super) async fn call<T: Send>(
        &self,
        operation: Operation,
        decode: impl Fn(&Answer<Body>) -> Result<T> + Sync,
    ) -> Result<T> {
        let stop = CancellationToken::new();
        let stop_when_throttled = operation.ends_when_throttled.then(|| stop.clone());
        let call = Call {
            action: operation.action,
            idempotent: true,
            attempt_timeout: operation.wait + BEYOND_THE_POLL,
            budget: Budget::default().at_most(operation.patience),
            stop,
            observer: Arc::new(Observer { stop_when_throttled }),
            operation,
        };
        self.0.call(&call, decode).await
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
