//! The seam between calls and the network.
//!
//! A [`Transport`] sends one request and gives back one whole answer. Two kinds exist: [`HttpTransport`] over real
//! sockets, and in-process ones (an axum router through [`RouterTransport`], the emulator) for tests with paused time.
//!
//! [`HttpTransport`]: super::HttpTransport

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Fate};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends one HTTP request and reads the whole answer.
///
/// Retries, signatures and pace are not its business. A transport of your own may wrap another:
///
#[cfg_attr(feature = "emulator", doc = "```")]
#[cfg_attr(not(feature = "emulator"), doc = "```ignore")]
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use bytes::Bytes;
/// use vod_refresh::emulator::{Emulator, Scenario};
/// use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};
/// use vod_refresh::{Credential, StaticCredentials, VodClient};
///
/// /// Counts the bytes that come in.
/// #[derive(Debug)]
/// struct Counting<T> {
///     inner: T,
///     bytes: AtomicU64,
/// }
///
/// impl<T: Transport> Transport for Counting<T> {
///     fn send(
///         &self,
///         request: http::Request<Bytes>,
///     ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
///         Box::pin(async move {
///             let answer = self.inner.send(request).await?;
///             self.bytes.fetch_add(answer.body().len() as u64, Ordering::Relaxed);
///             Ok(answer)
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Here it wraps the emulator; in production `HttpTransport::new(&HttpOptions::default())?`.
/// let inner = Emulator::new(Scenario::new()).transport();
/// let counting = Arc::new(Counting { inner, bytes: AtomicU64::new(0) });
/// let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
///     .with_endpoint("http://127.0.0.1:1")
///     .with_transport(counting.clone())
///     .build()?;
/// client.describe_vod_refresh_quota().await?;
/// assert!(counting.bytes.load(Ordering::Relaxed) > 100);
/// # Ok(())
/// # }
/// ```
///
/// Cancel safety: dropping the future gives the request up;
/// whether it was acted upon is then unknown.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request`, whose URI is absolute.
    ///
    /// An answer of any status is `Ok`; [`TransportError`] means that no whole answer came.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        (**self).send(request)
    }
}

/// Where a request got stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Name lookup, TCP or TLS handshake: the request never left.
    Connect,
    /// The peer's certificate is not trusted: the request never left.
    Trust,
    /// The request was on its way, no answer began.
    Answer,
    /// The answer began and broke off.
    Body,
    /// The answer is longer than any that makes sense: it was not read to its end.
    TooLong,
}

/// No whole answer came. Holds no URL: a signed query is a secret.
#[derive(Debug, Clone)]
pub struct TransportError {
    /// Where it got stuck.
    pub phase: Phase,
    /// Whether a timeout ended it.
    pub timed_out: bool,
    /// Host and port that were called.
    pub host: String,
    /// What the system said, without URLs.
    pub message: String,
}

impl TransportError {
    /// Whether the peer may have acted on the request.
    pub fn fate(&self) -> Fate {
        match self.phase {
            Phase::Connect | Phase::Trust => Fate::NotActed,
            Phase::Answer | Phase::Body | Phase::TooLong => Fate::Unknown,
        }
    }

    /// What a caller can do about it. An untrusted certificate stays untrusted: no retry, and it is ours to configure.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.phase {
            Phase::Trust => ErrorKind::Config,
            Phase::TooLong => ErrorKind::Garbled,
            Phase::Connect | Phase::Answer | Phase::Body => ErrorKind::Unavailable,
        }
    }
}

impl From<TransportError> for Error {
    fn from(failure: TransportError) -> Self {
        Self::new(failure.kind(), failure.to_string()).with_fate(failure.fate())
    }
}

/// Sends `request` and waits `patience` at most for the whole answer.
pub(crate) async fn send_within(
    transport: &dyn Transport,
    request: http::Request<Bytes>,
    patience: Duration,
) -> Result<http::Response<Bytes>, TransportError> {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let late = TransportError { phase: Phase::Answer, timed_out: true, host, message: String::new() };
    tokio::time::timeout(patience, transport.send(request)).await.unwrap_or(Err(late))
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match (self.phase, self.timed_out) {
            (Phase::Connect, true) => write!(f, "no connection to {host} in time")?,
            (Phase::Connect, false) => write!(f, "cannot connect to {host}")?,
            (Phase::Trust, _) => write!(f, "the TLS certificate of {host} is not trusted")?,
            (Phase::Answer, true) => write!(f, "{host} took the request and did not answer in time")?,
            (Phase::Answer, false) => write!(f, "the connection to {host} broke before the answer")?,
            (Phase::Body, true) => write!(f, "the answer of {host} stopped half way and timed out")?,
            (Phase::Body, false) => write!(f, "the answer of {host} broke off")?,
            (Phase::TooLong, _) => write!(f, "the answer of {host} is too long")?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for TransportError {}

/// Calls an axum router without a socket.
///
/// For tests of receivers, and for anything that wants to hand events to [`EventReceiver`] in process.
///
/// [`EventReceiver`]: crate::event::EventReceiver
#[derive(Debug, Clone)]
pub struct RouterTransport(pub axum::Router);

impl Transport for RouterTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let mut router = self.0.clone();
        Box::pin(async move {
            let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
            let answer =
                match tower_service::Service::call(&mut router, request.map(axum::body::Body::from)).await {
                    Ok(answer) => answer,
                    Err(never) => match never {},
                };
            let (head, body) = answer.into_parts();
            match axum::body::to_bytes(body, usize::MAX).await {
                Ok(body) => Ok(http::Response::from_parts(head, body)),
                Err(error) => Err(TransportError {
                    phase: Phase::Body,
                    timed_out: false,
                    host,
                    message: error.to_string(),
                }),
            }
        })
    }
}
