//! Events over HTTP: checks the signature, answers within a second.
//!
//! VOD tries three times, a second apart, then drops the event for ever; so every genuine event gets its 200 as soon
//! as the run has written it down, also one of a type that no run needs. Refusals are bare: the log says why.
//!
//! The address is public. The signature is checked before the body is read, which it does not cover, so a forged event
//! costs its head alone; and the memory for bodies is bounded, whoever signs them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::body::{BodyReader, MAX_EVENT_BYTES};
use super::decode::{Decoded, Source, decode};
use super::inbox::Inbox;
use crate::auth::callback::{CallbackVerifier, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::net::clock::{Clock, SystemClock};

/// A flood of forged events must not become a flood of log lines.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);

/// Receives events and hands them to an [`Inbox`]. Clones share what bounds them.
///
/// Mount [`router`](Self::router) in your own axum server, call [`answer`](Self::answer) from any other server, or
/// let a [`Listener`](crate::Listener) serve it.
#[derive(Debug, Clone)]
pub struct EventReceiver {
    inbox: Inbox,
    verifier: Arc<CallbackVerifier>,
    clock: Arc<dyn Clock>,
    bodies: Arc<BodyReader>,
    warned: Arc<Mutex<Option<Instant>>>,
}

impl EventReceiver {
    /// A receiver for events that are signed as `verifier` wants them, by the machine's clock. Without a key it takes unsigned
    /// events, which is harmless, since an event is only a hint; but anybody can then cost a run a lookup.
    pub fn new(inbox: Inbox, verifier: CallbackVerifier) -> Self {
        Self {
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

    /// A router to mount in an axum server. It takes events at any path, since a proxy in front may have changed it, and
    /// bounds what many senders can make it hold: 2,048 short bodies, 32 long ones. Answers are those of
    /// [`answer`](Self::answer), besides 405 (not a POST) and 408 (a body that takes longer than four seconds).
    pub fn router(&self) -> Router {
        Router::new().fallback(receive).with_state(self.clone())
    }

    /// The answer to one POST request, for servers other than axum: a status, which goes out with an empty body.
    ///
    #[doc = include_str!("../docs/event_receiver.md")]
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
                warn!(%job_id, "could not write an event down in time; VOD will send it again");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Ok(Decoded::Other(event_type)) => {
                debug!(event_type, "an event of another type");
                StatusCode::OK
            }
            Err(why) => {
                self.refuse(&why, &format!("a callback of {} bytes that can't be read", body.len()));
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// Counts a refusal and logs it: the first one, and then one a second, as a warning.
    fn refuse(&self, why: &dyn std::fmt::Display, what: &str) {
        self.inbox.reject();
        let (url, rejected) = (self.verifier.url(), self.inbox.rejected());
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
            *warned = Some(Instant::now());
            warn!(%why, url, rejected, "refused {what}");
        } else {
            debug!(%why, url, rejected, "refused {what}");
        }
    }

    async fn receive(&self, request: Request) -> Result<StatusCode, StatusCode> {
        let (head, body) = request.into_parts();
        self.check_signature(&head.headers)?;
        // A long body keeps its slot until the event is written down or refused.
        let body = self.bodies.read(&head.headers, body).await?;
        Ok(self.take(&body.bytes).await)
    }
}

async fn receive(State(receiver): State<EventReceiver>, request: Request) -> Response<Body> {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response();
    }
    let status = receiver.receive(request).await.unwrap_or_else(|refusal| refusal);
    let mut answer = status.into_response();
    if !status.is_success() {
        // What is left of a refused body is not read.
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
