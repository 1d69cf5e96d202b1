//! The seam between calls and the network.
//!
//! A [`Transport`] sends one request and gives back one whole answer. Two kinds exist: [`HttpTransport`] over real
//! sockets, and in-process ones (a tower service through [`ServiceTransport`], the emulator) for tests with paused time.
//!
//! [`HttpTransport`]: super::HttpTransport

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use tower_service::Service;

use crate::error::{Error, ErrorKind, Fate};
use crate::ids::masked_address;

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One whole answer, of any status; or why none came.
pub type TransportResult = Result<http::Response<Bytes>, TransportError>;

/// Sends one HTTP request and reads the whole answer.
///
/// Retries, signatures and pace are not its business. A transport of your own may wrap another, as one does on the page
/// `docs::library`.
///
/// Cancel safety: dropping the future gives the request up; whether it was acted upon is then unknown.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request`, whose URI is absolute.
    ///
    /// An answer of any status is `Ok`; [`TransportError`] means that no whole answer came.
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, TransportResult>;

    /// The proxy through which a request to `uri` goes, as a URL without a login; `None` for none, and where this is not known.
    /// Runs share what they learn only where their calls go the same way.
    fn proxy_of(&self, _uri: &http::Uri) -> Option<String> {
        None
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, TransportResult> {
        (**self).send(request)
    }

    fn proxy_of(&self, uri: &http::Uri) -> Option<String> {
        (**self).proxy_of(uri)
    }
}

/// Marks a request, as an extension of it, that must not go out on a connection which was used before: the peer may be about
/// to close that one, and then nobody knows whether the request was acted upon.
#[derive(Debug, Clone, Copy)]
pub struct NewConnection;

/// Where a request got stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Name lookup, TCP or TLS handshake: the request never left.
    Connect,
    /// The peer's certificate is not trusted: the request never left.
    Trust,
    /// The proxy's variable holds no address, or the proxy wants another login: the request never left.
    Proxy,
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
    /// A failure that no timeout caused.
    pub(crate) fn new(phase: Phase, host: String, message: String) -> Self {
        Self { phase, timed_out: false, host, message }
    }

    /// Whether the peer may have acted on the request.
    pub fn fate(&self) -> Fate {
        match self.phase {
            Phase::Connect | Phase::Trust | Phase::Proxy => Fate::NotActed,
            Phase::Answer | Phase::Body | Phase::TooLong => Fate::Unknown,
        }
    }

    /// What a caller can do about it. An untrusted certificate stays untrusted, as a password stays wrong: no retry, and it is
    /// the user's to configure.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.phase {
            Phase::Trust | Phase::Proxy => ErrorKind::Config,
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

/// Host and port of a URI, as errors name them: without a password before them.
pub(crate) fn host_of(uri: &http::Uri) -> String {
    uri.authority().map(|authority| masked_address(authority.as_str()).into_owned()).unwrap_or_default()
}

/// Sends `request` and waits `patience` at most for the whole answer.
pub(crate) async fn send_within(
    transport: &dyn Transport,
    request: http::Request<Bytes>,
    patience: Duration,
) -> TransportResult {
    let uri = request.uri().clone();
    let late = |_| TransportError {
        timed_out: true,
        ..TransportError::new(Phase::Answer, host_of(&uri), String::new())
    };
    tokio::time::timeout(patience, transport.send(request)).await.map_err(late)?
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match (self.phase, self.timed_out) {
            (Phase::Connect, true) => write!(f, "no connection to {host} in time")?,
            (Phase::Connect, false) => write!(f, "cannot connect to {host}")?,
            (Phase::Proxy, _) => write!(f, "the proxy for {host} can't be used")?,
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

/// Calls a tower service, such as an `EventReceiver` or an axum router, without a socket.
///
/// For tests of receivers, and for anything that hands events to an `EventReceiver` in process.
#[derive(Debug, Clone)]
pub struct ServiceTransport<S>(pub S);

impl<S, B> Transport for ServiceTransport<S>
where
    S: Service<http::Request<Full<Bytes>>, Response = http::Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + fmt::Debug,
    S::Future: Send,
    B: Body<Data = Bytes, Error: fmt::Display> + Send,
{
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, TransportResult> {
        let mut service = self.0.clone();
        Box::pin(async move {
            let host = host_of(request.uri());
            let answer = service.call(request.map(Full::new)).await;
            let (head, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
            match body.collect().await {
                Ok(body) => Ok(http::Response::from_parts(head, body.to_bytes())),
                Err(error) => Err(TransportError::new(Phase::Body, host, error.to_string())),
            }
        })
    }
}
