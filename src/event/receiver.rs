//! Events over HTTP: checks the signature, answers within a second.
//!
//! VOD tries three times, a second apart, then drops the event for ever; so every genuine event gets its 200 as soon
//! as the run has written it down, also one of a type that no run needs. Refusals are bare: the log says why.
//!
//! The address is public. The signature is checked before the body is read, which it does not cover, so a forged event
//! costs its head alone; and the memory for bodies is bounded, whoever signs them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Body;
use tokio::time::Instant;
use tower_service::Service;
use tracing::{debug, warn};

use super::body::{BodyReader, MAX_EVENT_BYTES};
use super::decode::{Decoded, Source, decode};
use super::inbox::{Inbox, ReceiverGuard};
use crate::auth::callback::{CallbackVerifier, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::client::quoted;
use crate::ids::masked_address;
use crate::net::clock::{Clock, SystemClock};
use crate::net::transport::BoxFuture;

/// A flood of forged events must not become a flood of log lines: after each warning, twice as long is waited for the next one.
const FIRST_SILENCE: Duration = Duration::from_secs(1);
const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// Receives events and hands them to an [`Inbox`]. Clones share what bounds them.
///
/// It is a tower service: mount it in your own server (in axum with `Router::new().fallback_service(receiver)`), call
/// [`answer`](Self::answer) from a server of another kind, or let a [`Listener`](crate::Listener) serve it. As a service it takes
/// events at any path, since a proxy in front may have changed it, and bounds what many senders can make it hold: 2,048
/// short bodies, 32 long ones. Its answers are those of [`answer`](Self::answer), besides 200 to GET and HEAD (a load balancer
/// that asks whether somebody is there), 405 to other methods than POST, and 408 (a body that takes longer than four seconds).
#[derive(Debug, Clone)]
pub struct EventReceiver {
    inbox: Inbox,
    /// Of all clones together.
    _is_source: Arc<ReceiverGuard>,
    verifier: Arc<CallbackVerifier>,
    clock: Arc<dyn Clock>,
    bodies: Arc<BodyReader>,
    warned: Arc<Mutex<Option<(Instant, Duration)>>>,
}

impl EventReceiver {
    /// A receiver for events that are signed as `verifier` wants them, by the machine's clock. Without a key it takes unsigned
    /// events, which is harmless, since an event is only a hint; but anybody can then cost a run a lookup. It counts as a source
    /// of events as long as one of its clones lives.
    pub fn new(inbox: Inbox, verifier: CallbackVerifier) -> Self {
        Self {
            _is_source: Arc::new(inbox.receiver_opened()),
            inbox,
            verifier: Arc::new(verifier),
            clock: Arc::new(SystemClock),
            bodies: Arc::default(),
            warned: Arc::default(),
        }
    }

    /// Another wall clock to compare timestamps with.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The answer to one POST request whose body was read elsewhere: a status, which goes out with an empty body.
    ///
    #[doc = include_str!("../docs/items/event_receiver.md")]
    pub async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        match self.check_signature(headers) {
            Ok(()) if body.len() > MAX_EVENT_BYTES => StatusCode::PAYLOAD_TOO_LARGE,
            Ok(()) => self.take(body).await,
            Err(status) => status,
        }
    }

    /// Checks the signature, for which the headers are enough.
    fn check_signature(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        if !self.verifier.has_key() {
            return Ok(());
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let verified = self.verifier.verify(text(TIMESTAMP_HEADER), text(SIGNATURE_HEADER), self.clock.now());
        verified.map_err(|why| {
            self.refuse(&why, "a callback");
            StatusCode::UNAUTHORIZED
        })
    }

    /// Takes an event whose signature is right.
    async fn take(&self, body: &[u8]) -> StatusCode {
        match decode(body, Source::Callback) {
            Ok(Decoded::Refresh(mut event)) => {
                event.signed = self.verifier.has_key();
                event.row.iter_mut().for_each(|row| row.hide(|text| self.verifier.hidden(text)));
                let job_id = event.job.clone();
                if self.inbox.deliver(*event).await.is_some() {
                    return StatusCode::OK;
                }
                match self.may_warn() {
                    true => warn!(%job_id, "could not write an event down in time; VOD will send it again"),
                    false => debug!(%job_id, "could not write an event down in time; VOD will send it again"),
                }
                StatusCode::SERVICE_UNAVAILABLE
            }
            Ok(Decoded::Other(event_type)) => {
                debug!(event_type = quoted(&event_type, |_| None), "an event of another type");
                StatusCode::OK
            }
            Err(why) => {
                self.refuse(&why, &format!("a callback of {} bytes that can't be read", body.len()));
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// Counts a refusal and logs it, now and then as a warning.
    fn refuse(&self, why: &dyn std::fmt::Display, what: &str) {
        self.inbox.reject();
        let (url, rejected) = (&*masked_address(self.verifier.url()), self.inbox.rejected());
        if self.may_warn() {
            warn!(%why, url, rejected, "refused {what}");
        } else {
            debug!(%why, url, rejected, "refused {what}");
        }
    }

    /// Whether a warning is due: the first one, and then ever more rarely.
    fn may_warn(&self) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = match *warned {
            None => FIRST_SILENCE,
            Some((at, silence)) if at.elapsed() >= silence => (2 * silence).min(LONGEST_SILENCE),
            Some(_) => return false,
        };
        *warned = Some((Instant::now(), silence));
        true
    }

    async fn receive<B: Body<Data = Bytes, Error: Send> + Send>(
        &self,
        request: Request<B>,
    ) -> Result<StatusCode, StatusCode> {
        match *request.method() {
            Method::POST => {}
            // A load balancer asks whether somebody is there.
            Method::GET | Method::HEAD => return Ok(StatusCode::OK),
            _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
        }
        let (head, body) = request.into_parts();
        self.check_signature(&head.headers)?;
        // A long body keeps its slot until the event is written down or refused.
        let body = self.bodies.read(&head.headers, body).await?;
        Ok(self.take(body.bytes()).await)
    }

    /// Answers a request as the service does.
    pub(crate) async fn serve<B: Body<Data = Bytes, Error: Send> + Send>(
        &self,
        request: Request<B>,
    ) -> Response<Empty<Bytes>> {
        let status = self.receive(request).await.unwrap_or_else(|refusal| refusal);
        let mut answer = Response::new(Empty::new());
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        } else if !status.is_success() {
            // What is left of a refused body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl<B: Body<Data = Bytes, Error: Send> + Send + 'static> Service<Request<B>> for EventReceiver {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let receiver = self.clone();
        Box::pin(async move { Ok(receiver.serve(request).await) })
    }
}
