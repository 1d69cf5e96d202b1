//! Events over HTTP: checks the signature, answers within a second.
//!
//! VOD tries three times, a second apart, then drops the event for ever; so every genuine event gets its 200 as soon
//! as the run has written it down, also one of a type that is not ours. Refusals are bare: the log says why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Decoded, Inbox, Source, decode};
use crate::auth::callback::{CallbackVerifier, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock};
use crate::net::serve::{ServeLimits, serve};

/// A media with thousands of URLs makes a long event; no limit is documented for HTTP.
const MAX_BODY: usize = 1024 * 1024;
/// A body that takes longer is somebody holding the line.
const BODY_WITHIN: Duration = Duration::from_secs(4);

/// Enough for VOD and its retries; whoever opens more waits in the system's queue.
const LIMITS: ServeLimits = ServeLimits { max_connections: 256, header_timeout: Duration::from_secs(10) };

/// Receives events and hands them to an [`Inbox`].
///
/// Mount [`router`](Self::router) in your own axum server, call [`answer`](Self::answer) from any other server, or
/// let [`Listener`] serve it.
#[derive(Debug, Clone)]
pub struct EventReceiver(Arc<Receiver>);

#[derive(Debug)]
struct Receiver {
    inbox: Inbox,
    verifier: CallbackVerifier,
    clock: Arc<dyn Clock>,
}

impl EventReceiver {
    /// A receiver for events signed as `verifier` wants them. Without a key, unsigned events are taken.
    pub fn new(inbox: Inbox, verifier: CallbackVerifier) -> Self {
        Self(Arc::new(Receiver { inbox, verifier, clock: Arc::new(SystemClock) }))
    }

    /// Another wall clock to compare timestamps with.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        let Receiver { inbox, verifier, .. } = &*self.0;
        Self(Arc::new(Receiver { inbox: inbox.clone(), verifier: verifier.clone(), clock: Arc::new(clock) }))
    }

    /// A router that takes events at any path: a proxy in front may have changed it.
    pub fn router(&self) -> Router {
        Router::new().fallback(receive).with_state(self.clone())
    }

    /// The answer to one event: 200, 400 (unreadable), 401 (signature) or 503 (come again).
    ///
    /// Cancel safety: the event may or may not have been taken; VOD sends it again.
    pub async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let Receiver { inbox, verifier, clock } = &*self.0;
        if verifier.has_key() {
            let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
            if let Err(why) = verifier.verify(text(TIMESTAMP_HEADER), text(SIGNATURE_HEADER), clock.now()) {
                warn!(%why, url = verifier.url(), "refused a callback");
                inbox.reject();
                return StatusCode::UNAUTHORIZED;
            }
        }
        match decode(body, Source::Callback) {
            Ok(Decoded::Refresh(event)) => {
                let job_id = event.job.clone();
                if inbox.deliver(*event).await.is_some() {
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
                warn!(%why, bytes = body.len(), "refused a callback that can't be read");
                inbox.reject();
                StatusCode::BAD_REQUEST
            }
        }
    }
}

async fn receive(State(receiver): State<EventReceiver>, request: Request) -> Response<Body> {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response();
    }
    let (head, body) = request.into_parts();
    let status = match tokio::time::timeout(BODY_WITHIN, read_body(&head.headers, body)).await {
        Ok(Ok(body)) => receiver.answer(&head.headers, &body).await,
        Ok(Err(status)) => status,
        Err(_) => StatusCode::REQUEST_TIMEOUT,
    };
    let mut answer = status.into_response();
    if !status.is_success() {
        // What is left of a refused body is not read.
        answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    answer
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, StatusCode> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY as u64) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
}

/// Serves an [`EventReceiver`] on an address of its own until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Listener {
    /// Binds `address` (port 0 picks one) and starts to serve what `receiver` makes of the bound address.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the address can't be bound.
    pub async fn bind(
        address: SocketAddr,
        receiver: impl FnOnce(SocketAddr) -> EventReceiver,
    ) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Config, format!("cannot listen for callbacks on {address}")).with_source(e)
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = receiver(address).router();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, LIMITS, stop.clone(), move |request| {
            let mut router = router.clone();
            async move {
                Ok(tower_service::Service::call(&mut router, request)
                    .await
                    .unwrap_or_else(|never| match never {}))
            }
        }));
        Ok(Self { address, stop, task })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening; answers under way end within a second.
    pub async fn close(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
