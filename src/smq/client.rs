//! The client: which queue, who, and the one way in which every call goes out.

mod builder;

pub use builder::QueueClientBuilder;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, Method, header};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::QueueUrl;
use super::answer::{self, Answer};
use crate::auth::queue::{self, TOKEN_HEADER, ToSign, VERSION_HEADER};
use crate::auth::{Credential, CredentialProvider, echo, renew};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::to_wire;
use crate::net::retry::{Budget, Retry};
use crate::net::rng::Jitter;
use crate::net::service_time::{Corrected, ServiceTime};
use crate::net::transport::{Transport, send_within};

/// Version of the API.
const VERSION: &str = "2015-06-06";
/// How much longer than its long poll an attempt may take. The service holds a throttled call back for up to 5 s.
const BEYOND_THE_POLL: Duration = Duration::from_secs(10);

/// Calls one queue. Clones share connections and what was learned of the service's clock.
///
/// Every method retries what is worth it (see [`ErrorKind`]) and signs each attempt anew; a handle that is no longer
/// valid is an answer, not an error. Cancel safety: dropping a call gives it up. A receive that is given up may have taken
/// messages, which are visible again after the queue's visibility timeout.
#[derive(Clone)]
pub struct QueueClient {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Arc<dyn Transport>,
    credentials: Arc<dyn CredentialProvider>,
    time: ServiceTime,
    url: QueueUrl,
    answered: AtomicBool,
    jitter: Jitter,
}

/// One operation to be called.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) action: &'static str,
    pub(super) method: Method,
    /// Path and query exactly as they go out: this is what is signed.
    pub(super) target: String,
    /// XML, or nothing.
    pub(super) body: String,
    /// How long the service may hold the answer back by our own wish.
    pub(super) wait: Duration,
    pub(super) budget: Budget,
    /// `false`: being throttled ends the call at once.
    pub(super) outlast_throttling: bool,
}

impl Call {
    pub(super) fn new(action: &'static str, method: Method, target: String) -> Self {
        Self {
            action,
            method,
            target,
            body: String::new(),
            wait: Duration::ZERO,
            budget: Budget::default(),
            outlast_throttling: true,
        }
    }

    /// About a receipt handle, which is dead before long: trying for minutes makes no sense.
    pub(super) fn about_a_handle(action: &'static str, method: Method, target: String) -> Self {
        let soon = Duration::from_secs(20);
        let budget = Budget { answered: soon, first_contact: soon, busy: soon };
        Self { budget, ..Self::new(action, method, target) }
    }
}

impl QueueClient {
    /// A client for the queue at `url`, `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`.
    pub fn builder(
        credentials: impl CredentialProvider + 'static,
        url: impl Into<String>,
    ) -> QueueClientBuilder {
        QueueClientBuilder::new(Arc::new(credentials), url.into())
    }

    /// The queue that is called.
    pub fn url(&self) -> &QueueUrl {
        &self.shared.url
    }

    /// A number in `0.0..1.0`, to spread waits.
    pub(crate) fn jitter(&self) -> f64 {
        self.shared.jitter.next()
    }

    /// The service's time of day, as well as it is known.
    pub(crate) fn service_time(&self) -> DateTime<Utc> {
        self.shared.time.now()
    }

    /// Calls an operation, with retries. All of them may be repeated: what was done is not done twice.
    pub(super) async fn call(&self, call: &Call) -> Result<Answer> {
        let action = call.action;
        let never = CancellationToken::new();
        let renewed = &AtomicBool::new(false);
        let retry = Retry {
            budget: call.budget,
            idempotent: true,
            stop: &never,
            answered: &|| self.shared.answered.load(Ordering::Relaxed),
            renewed: &|| renewed.load(Ordering::Relaxed),
            jitter: &|| self.jitter(),
            on_retry: &|error, number, wait| {
                debug!(action, attempt = number, wait_ms = wait.as_millis() as u64, %error, "will try again");
            },
        };
        let answer = retry.run(|| {
            Box::pin(async move {
                match self.attempt(call, renewed).await {
                    // An outcome for the caller, not a failure to be tried again.
                    Err(e) if e.kind() == ErrorKind::Throttled && !call.outlast_throttling => Ok(Err(e)),
                    Err(error) => Err(error),
                    Ok(answer) => Ok(Ok(answer)),
                }
            })
        });
        answer.await?
    }

    /// One attempt: sign, send, read. Sets `renewed` if its credential was refused and another is there.
    async fn attempt(&self, call: &Call, renewed: &AtomicBool) -> Result<Answer> {
        let action = call.action;
        renewed.store(false, Ordering::Relaxed);
        let credential = self.shared.credentials.credential().await?.ok_or_else(|| {
            Error::new(ErrorKind::Config, "no credentials to read the queue with").with_action(action)
        })?;
        let request = self.signed(call, &credential).map_err(|error| error.with_action(action))?;
        let answer = send_within(&*self.shared.transport, request, call.wait + BEYOND_THE_POLL)
            .await
            .map_err(|failure| Error::from(failure).with_action(action))?;
        let secrets = echo::secrets_of(&credential, None);
        let result = answer::read(&answer).map(|answer| answer.with_harmless_id(&secrets)).map_err(|error| {
            let error = echo::masked(error, &secrets).with_action(action);
            match error.kind() {
                ErrorKind::Clock => self.correct_clock(error, &answer),
                ErrorKind::Refused if credential.secret_has_blanks_around() => {
                    error.with_message_suffix("; the secret has a blank or line break at its start or end")
                }
                _ if error.code() == Some("SignatureDoesNotMatch") => error.with_message_suffix(
                    "; the secret does not belong to the key id, or the host is not the one of the queue's account",
                ),
                _ => error,
            }
        });
        let request_id = answer::header(&answer, "x-mns-request-id");
        debug!(action, status = answer.status().as_u16(), request_id, "answered");
        // A proxy can answer as well; the service names the request, or gives a reason.
        if request_id.is_some() || result.as_ref().map_or_else(|e| e.code().is_some(), |_| true) {
            self.shared.answered.store(true, Ordering::Relaxed);
        }
        renew::after(result, &*self.shared.credentials, &credential, renewed).await
    }

    fn signed(&self, call: &Call, credential: &Credential) -> Result<http::Request<Bytes>> {
        let date = queue::date(self.service_time());
        let (content_type, content_md5) = match call.body.as_str() {
            "" => ("", String::new()),
            body => ("text/xml", queue::content_md5(body.as_bytes())),
        };
        let text = ToSign {
            method: &call.method,
            content_md5: &content_md5,
            content_type,
            date: &date,
            headers: &BTreeMap::from([(VERSION_HEADER.to_owned(), VERSION.to_owned())]),
            target: &call.target,
        }
        .text();
        let signature = queue::sign(&text, credential.secret.expose_secret());
        let mut request = http::Request::new(Bytes::from(call.body.clone()));
        *request.method_mut() = call.method.clone();
        let internal = |_| Error::new(ErrorKind::Internal, "the request target is no part of a URL");
        *request.uri_mut() =
            format!("{}{}", self.shared.url.origin(), call.target).parse().map_err(internal)?;
        debug_assert_eq!(request.uri().path_and_query().map(|p| p.as_str()), Some(call.target.as_str()));
        let headers = request.headers_mut();
        let mut put = |name: HeaderName, text: &str, sensitive: bool| -> Result<()> {
            let wrong = |_| {
                let source = &credential.source;
                let message = format!("the key id or token from {source} can't stand in a header");
                Error::new(ErrorKind::Config, message)
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
        Ok(request)
    }

    /// The next attempt uses the service's time.
    fn correct_clock(&self, error: Error, answer: &http::Response<Bytes>) -> Error {
        let (error, corrected) = self.shared.time.correct(error, answer.headers());
        if let Some(Corrected { ours, theirs }) = corrected {
            let (ours, theirs) = (to_wire(ours), to_wire(theirs));
            warn!(ours, theirs, "the queue service's clock is another; its time is used from now on");
        }
        error
    }
}

impl fmt::Debug for QueueClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueClient")
            .field("url", &self.shared.url)
            .field("credentials", &self.shared.credentials)
            .finish_non_exhaustive()
    }
}
