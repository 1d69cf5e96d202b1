//! [`Transport`] over real sockets: a pool of HTTP/1.1 connections.

use std::error::Error as StdError;
use std::future::Future;
use std::io::Read as _;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::{Connector, wants_login};
use super::long_body;
use super::transport::{
    BoxFuture, NewConnection, Phase, Transport, TransportError, TransportResult, host_of,
};
use crate::error::Result;

/// Idle connections are dropped before the server does it: its side closes them after about ten seconds.
const IDLE: Duration = Duration::from_secs(8);

/// Longest body of an answer that is read, in bytes. The longest that the service gives is a job of 20 media with thousands
/// of URLs each: some 8 MB.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// The answer to a call that must not be repeated is waited for so long at least: whoever gives up early does not know whether it
/// was acted upon.
const LEAST_PATIENCE_FOR_A_SUBMISSION: Duration = Duration::from_secs(30);
/// Longer than this, a body gets memory of its own.
const LONG: usize = 256 * 1024;

/// Settings of [`HttpTransport`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Longest wait for name lookup, TCP, proxy and TLS handshake together.
    pub connect_timeout: Duration,
    /// Longest silence while waiting for the answer or between two pieces of it. The answer to a call that must not be repeated
    /// is waited for 30 s at least.
    pub read_timeout: Duration,
    /// Certificates (PEM) to trust beside the system's: of authorities, or a server's own.
    pub extra_roots: Vec<Vec<u8>>,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count, as they do for curl. This machine is never called
    /// through a proxy.
    pub proxy_from_environment: bool,
    /// Longest body of an answer, in bytes, after it is decompressed; [`MAX_ANSWER_BYTES`] by default.
    pub max_answer_bytes: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(10),
            extra_roots: Vec::new(),
            proxy_from_environment: true,
            max_answer_bytes: MAX_ANSWER_BYTES,
        }
    }
}

/// HTTP/1.1 over TCP and TLS, connections reused. The cryptography is ring's, unless the program has installed another
/// provider of `rustls` before. Redirects are not followed: a signature is for one host. Bodies may come compressed with gzip.
/// Certificates are read at the first call over TLS.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    pool: Client<Connector, Full<Bytes>>,
    /// Keeps no connection.
    without_pool: Client<Connector, Full<Bytes>>,
    connector: Connector,
    read_timeout: Duration,
    max_answer_bytes: usize,
}

impl HttpTransport {
    /// Builds a client. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a certificate is none.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        let HttpOptions { extra_roots, proxy_from_environment, connect_timeout, .. } = options;
        let connector = Connector::new(extra_roots, *proxy_from_environment, *connect_timeout)?;
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Ok(Self {
            pool: builder.build(connector.clone()),
            without_pool: builder.pool_max_idle_per_host(0).build(connector.clone()),
            connector,
            read_timeout: options.read_timeout,
            max_answer_bytes: options.max_answer_bytes,
        })
    }

    /// Waits for a part of the answer.
    async fn wait<T, E: StdError + 'static>(
        &self,
        patience: Duration,
        phase: Phase,
        uri: &http::Uri,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, TransportError> {
        match tokio::time::timeout(patience, part).await {
            Ok(part) => part.map_err(|why| failure(&why, phase, uri)),
            Err(_) => {
                let late = TransportError::new(phase, host_of(uri), String::new());
                Err(TransportError { timed_out: true, ..late })
            }
        }
    }

    async fn send(&self, mut request: http::Request<Bytes>) -> TransportResult {
        let uri = request.uri().clone();
        let (client, patience) = match request.extensions_mut().remove::<NewConnection>() {
            Some(NewConnection) => {
                (&self.without_pool, self.read_timeout.max(LEAST_PATIENCE_FOR_A_SUBMISSION))
            }
            None => (&self.pool, self.read_timeout),
        };
        let headers = request.headers_mut();
        let agent = concat!("vod-refresh/", env!("CARGO_PKG_VERSION"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(agent));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        // A proxy reads requests in plain text itself; the others get their login where the tunnel is asked for.
        let forwarding = self.connector.proxy_of(&uri)?;
        let forwarding = forwarding.filter(|proxy| proxy.is_http() && uri.scheme_str() == Some("http"));
        if let Some(login) = forwarding.and_then(|proxy| proxy.login.basic_auth()) {
            headers.insert(PROXY_AUTHORIZATION, login.clone());
        }
        let call = client.request(request.map(Full::new));
        let answer = self.wait(patience, Phase::Answer, &uri, call).await?;
        let (head, mut body) = answer.into_parts();
        if let Some(proxy) = forwarding
            && head.status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return Err(wants_login(proxy, &uri));
        }
        let mut bytes = BytesMut::new();
        while let Some(frame) =
            self.wait(self.read_timeout, Phase::Body, &uri, async { body.frame().await.transpose() }).await?
        {
            let Ok(piece) = frame.into_data() else { continue };
            if bytes.len() + piece.len() > self.max_answer_bytes {
                return Err(self.too_long(&uri));
            }
            if bytes.len() <= LONG && bytes.len() + piece.len() > LONG {
                let short = std::mem::replace(&mut bytes, long_body::set_aside(0));
                bytes.extend_from_slice(&short);
            }
            bytes.extend_from_slice(&piece);
        }
        let mut bytes = bytes.freeze();
        if head
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"))
        {
            bytes = self.decompressed(&bytes, &uri)?;
        }
        Ok(http::Response::from_parts(head, bytes))
    }

    fn decompressed(&self, bytes: &[u8], uri: &http::Uri) -> Result<Bytes, TransportError> {
        let limit = self.max_answer_bytes as u64 + 1;
        let mut plain = flate2::read::MultiGzDecoder::new(bytes).take(limit);
        let mut text = long_body::set_aside(0).writer();
        let read = std::io::copy(&mut plain, &mut text);
        read.map_err(|why| TransportError::new(Phase::Body, host_of(uri), why.to_string()))?;
        let text = text.into_inner();
        if text.len() > self.max_answer_bytes { Err(self.too_long(uri)) } else { Ok(text.freeze()) }
    }

    fn too_long(&self, uri: &http::Uri) -> TransportError {
        TransportError::new(
            Phase::TooLong,
            host_of(uri),
            format!("more than {} bytes", self.max_answer_bytes),
        )
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, TransportResult> {
        Box::pin(self.send(request))
    }

    fn proxy_of(&self, uri: &http::Uri) -> Option<String> {
        self.connector.proxy_of(uri).ok().flatten().map(|proxy| proxy.uri.to_string())
    }
}

/// Why a call to `uri` failed: what the connector said, or the innermost cause. Neither holds the URL, whose query is signed.
fn failure(why: &(dyn StdError + 'static), phase: Phase, uri: &http::Uri) -> TransportError {
    let mut message = String::new();
    let mut cause = Some(why);
    while let Some(this) = cause {
        if let Some(connecting) = this.downcast_ref::<TransportError>() {
            return connecting.clone();
        }
        message = this.to_string();
        cause = this.source();
    }
    TransportError::new(phase, host_of(uri), message)
}
