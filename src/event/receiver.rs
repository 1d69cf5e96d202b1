//! Events over HTTP: checks the signature, answers within a second.
//!
//! VOD tries three times, a second apart, then drops the event for ever; so every genuine event gets its 200 as soon
//! as the run has written it down, also one of a type that is not ours. Refusals are bare: the log says why.
//!
//! The address is public. The signature is checked before the body is read, which it does not cover, so a forged event
//! costs its head alone; and the room for bodies is bounded, whoever signs them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use http::{HeaderMap, Method, Response, StatusCode, header};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::body::{BodyRoom, MAX_EVENT_BYTES};
use super::{Decoded, Inbox, Source, decode};
use crate::auth::callback::{CallbackVerifier, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock};
use crate::net::serve::{ServeLimits, serve};

/// How long the head of a request may take. VOD waits five seconds for its answer.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Connections that the system holds until they are accepted; it may allow fewer.
const QUEUE: u32 = 4_096;
/// A flood of forged events must not become a flood of log lines.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);

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
    bodies: BodyRoom,
    warned: Mutex<Option<Instant>>,
}

impl Receiver {
    fn new(inbox: Inbox, verifier: CallbackVerifier, clock: Arc<dyn Clock>) -> Self {
        Self { inbox, verifier, clock, bodies: BodyRoom::new(), warned: Mutex::default() }
    }

    /// Whether a refusal is worth a warning: the first, and then one a second.
    fn may_warn(&self) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let due = warned.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS);
        if due {
            *warned = Some(Instant::now());
        }
        due
    }

    /// Counts a refusal and tells of it.
    fn refuse(&self, why: &dyn std::fmt::Display, what: &str) {
        self.inbox.reject();
        let (url, rejected) = (self.verifier.url(), self.inbox.counts().rejected);
        if self.may_warn() {
            warn!(%why, url, rejected, "refused {what}");
        } else {
            debug!(%why, url, rejected, "refused {what}");
        }
    }
}

impl EventReceiver {
    /// A receiver for events signed as `verifier` wants them, by the machine's clock. Without a key, unsigned events are
    /// taken: still harmless, since an event is only a hint, but anybody can then cost a run a lookup.
    pub fn new(inbox: Inbox, verifier: CallbackVerifier) -> Self {
        Self(Arc::new(Receiver::new(inbox, verifier, Arc::new(SystemClock))))
    }

    /// Another wall clock to compare timestamps with.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        let Receiver { inbox, verifier, .. } = &*self.0;
        Self(Arc::new(Receiver::new(inbox.clone(), verifier.clone(), Arc::new(clock))))
    }

    /// A router to mount in an axum server. It takes events at any path, since a proxy in front may have changed it, and
    /// bounds what a crowd can make it hold: 2,048 short bodies, 32 long ones. Answers are those of
    /// [`answer`](Self::answer), besides 405 (not a POST) and 408 (a body that takes longer than four seconds).
    pub fn router(&self) -> Router {
        Router::new().fallback(receive).with_state(self.clone())
    }

    /// The answer to one POST request, for servers other than axum: a status, which goes out with an empty body.
    ///
    /// | status | when |
    /// |---|---|
    /// | 200 | taken: every run that wants it has written it down; also for an event of a type that isn't ours |
    /// | 400 | the body is no event |
    /// | 401 | the signature is missing, wrong or too old |
    /// | 413 | longer than [`MAX_EVENT_BYTES`] |
    /// | 503 | it could not be written down in time: VOD sends it again |
    ///
    /// It comes within a second; VOD waits for five. Only two headers are looked at,
    /// [`X-VOD-TIMESTAMP`](TIMESTAMP_HEADER) and [`X-VOD-SIGNATURE`](SIGNATURE_HEADER): where your server has another
    /// type for headers, put these two into a map. Limit bodies before you read them: the address is public.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::{HeaderMap, StatusCode};
    /// use vod_refresh::auth::callback::{CallbackVerifier, SIGNATURE_HEADER, TIMESTAMP_HEADER};
    /// use vod_refresh::{EventReceiver, Inbox};
    /// # use vod_refresh::net::clock::{Clock as _, SystemClock};
    ///
    /// // The URL as it is configured at VOD, and the key that goes with it.
    /// let url = "https://deploy.example.com/vod";
    /// let verifier = CallbackVerifier::new(url, vec!["Abc123Key".to_owned().into()]);
    /// let inbox = Inbox::new(); // the refresher gets a clone: `with_inbox(inbox.clone())`
    /// let receiver = EventReceiver::new(inbox, verifier);
    ///
    /// // In your server's handler, with what it received:
    /// # let now = SystemClock.now().timestamp();
    /// # let (timestamp, body) = (now.to_string(), br#"{"EventType": "FileUploadComplete"}"#);
    /// # let signature = vod_refresh::auth::callback::sign(url, now, &"Abc123Key".to_owned().into());
    /// let mut headers = HeaderMap::new();
    /// headers.insert(TIMESTAMP_HEADER, timestamp.parse()?);
    /// headers.insert(SIGNATURE_HEADER, signature.parse()?);
    /// assert_eq!(receiver.answer(&headers, body).await, StatusCode::OK);
    ///
    /// // Anybody can call the address. Only VOD knows the key.
    /// assert_eq!(receiver.answer(&HeaderMap::new(), body).await, StatusCode::UNAUTHORIZED);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel safety: the event may or may not have been taken; VOD sends it again.
    pub async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        match self.admit(headers) {
            Ok(()) if body.len() > MAX_EVENT_BYTES => StatusCode::PAYLOAD_TOO_LARGE,
            Ok(()) => self.take(body).await,
            Err(status) => status,
        }
    }

    /// Checks the signature, for which the headers are enough.
    fn admit(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let Receiver { verifier, clock, .. } = &*self.0;
        if verifier.has_key() {
            let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
            if let Err(why) = verifier.verify(text(TIMESTAMP_HEADER), text(SIGNATURE_HEADER), clock.now()) {
                self.0.refuse(&why, "a callback");
                return Err(StatusCode::UNAUTHORIZED);
            }
        }
        Ok(())
    }

    /// Takes an event whose signature is right.
    async fn take(&self, body: &[u8]) -> StatusCode {
        match decode(body, Source::Callback) {
            Ok(Decoded::Refresh(mut event)) => {
                event.signed = self.0.verifier.has_key();
                event.row.iter_mut().for_each(|row| row.hide(|text| self.0.verifier.hidden(text)));
                let job_id = event.job.clone();
                if self.0.inbox.deliver(*event).await.is_some() {
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
                self.0.refuse(&why, &format!("a callback of {} bytes that can't be read", body.len()));
                StatusCode::BAD_REQUEST
            }
        }
    }

    async fn receive(&self, request: Request) -> StatusCode {
        let (head, body) = request.into_parts();
        if let Err(status) = self.admit(&head.headers) {
            return status;
        }
        // A body keeps its room until the event is written down or refused.
        match self.0.bodies.read(&head.headers, body).await {
            Ok(body) => self.take(&body.bytes).await,
            Err(status) => status,
        }
    }
}

async fn receive(State(receiver): State<EventReceiver>, request: Request) -> Response<Body> {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response();
    }
    let status = receiver.receive(request).await;
    let mut answer = status.into_response();
    if !status.is_success() {
        // What is left of a refused body is not read.
        answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    answer
}

/// A listening socket with a long queue: a crowd that fills the usual one makes honest clients wait a second, until their
/// system tries to connect again.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows this would let two programs share a port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
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
    /// [`ErrorKind::Config`] if the address can't be bound. Cancel safety: nothing listens then.
    pub async fn bind(
        address: SocketAddr,
        receiver: impl FnOnce(SocketAddr) -> EventReceiver,
    ) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(ErrorKind::Config, format!("cannot listen for callbacks on {address}")).with_source(e)
        };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = receiver(address).router();
        let stop = CancellationToken::new();
        let limits = ServeLimits::on_a_public_address(HEAD_WITHIN);
        let task = tokio::spawn(serve(listener, limits, stop.clone(), move |request| {
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

    /// Stops listening; answers under way end within a second. Cancel safety: it stops all the same, in the background.
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
