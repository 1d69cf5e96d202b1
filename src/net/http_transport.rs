//! [`Transport`] over real sockets: reqwest with its URL-bearing errors made safe.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper_util::client::proxy::matcher::Matcher;

use super::transport::{BoxFuture, Phase, Transport, TransportError, TransportResult, host_of};
use crate::error::{Error, ErrorKind, Result};

/// Idle connections are dropped before the server does it: its side closes them after about ten seconds.
const IDLE: Duration = Duration::from_secs(8);

/// Longest body of an answer that is read, in bytes. The longest that the service gives is a job of 20 media with thousands
/// of URLs each: some 8 MB.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Settings of [`HttpTransport`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Longest wait for name lookup, TCP and TLS handshake together.
    pub connect_timeout: Duration,
    /// Longest silence while waiting for the answer or between two pieces of it.
    pub read_timeout: Duration,
    /// Certificates (PEM) to trust beside the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
    pub proxy_from_environment: bool,
    /// Longest body of an answer, in bytes, after it is decompressed; [`MAX_ANSWER_BYTES`] by default.
    pub max_answer_bytes: usize,
    /// No TLS will be needed: skips loading the system's certificates, and works where there are none.
    pub plain_http_only: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(10),
            extra_roots: Vec::new(),
            proxy_from_environment: true,
            max_answer_bytes: MAX_ANSWER_BYTES,
            plain_http_only: false,
        }
    }
}

/// HTTP/1.1 over TCP and TLS, connections reused. The cryptography is ring's, unless the program has installed another
/// provider of `rustls` before. Redirects are not followed: a signature is for one host. Bodies
/// may come compressed with gzip.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    /// Which proxy a call goes through; the client reads the same variables and does not tell.
    proxies: Option<Arc<Matcher>>,
    max_answer_bytes: usize,
}

impl HttpTransport {
    /// Builds a client. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a certificate is none, or the system's trust store can't be read.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        // Does nothing where the program has installed another provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("vod-refresh/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            // Each attempt is signed anew; a resend below us would use a nonce twice.
            .retry(reqwest::retry::never())
            .tcp_nodelay(true);
        if !options.proxy_from_environment {
            builder = builder.no_proxy();
        }
        let no_certificate = || Error::new(ErrorKind::Config, "the CA file holds no PEM certificate");
        let mut roots = Vec::new();
        for pem in &options.extra_roots {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| no_certificate().with_source(error))?;
            if certificates.is_empty() {
                return Err(no_certificate());
            }
            roots.extend(certificates);
        }
        builder = if options.plain_http_only {
            builder.tls_certs_only(roots)
        } else {
            builder.tls_certs_merge(roots)
        };
        let client = builder.build().map_err(|e| {
            Error::new(ErrorKind::Config, "the HTTP client can't be set up").with_source(e.without_url())
        })?;
        let proxies = options.proxy_from_environment.then(|| Arc::new(Matcher::from_env()));
        Ok(Self { client, proxies, max_answer_bytes: options.max_answer_bytes })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, TransportResult> {
        Box::pin(async move {
            let uri = request.uri().clone();
            let failed =
                |error: reqwest::Error, phase| convert(error, phase, host_of(&uri), self.proxy_of(&uri));
            let request = reqwest::Request::try_from(request).map_err(|e| failed(e, Phase::Connect))?;
            let mut answer = self.client.execute(request).await.map_err(|e| failed(e, Phase::Answer))?;
            let mut head = http::Response::new(Bytes::new());
            *head.status_mut() = answer.status();
            std::mem::swap(head.headers_mut(), answer.headers_mut());
            let mut body = BytesMut::new();
            while let Some(piece) = answer.chunk().await.map_err(|e| failed(e, Phase::Body))? {
                if body.len() + piece.len() > self.max_answer_bytes {
                    let message = format!("more than {} bytes", self.max_answer_bytes);
                    return Err(TransportError::new(Phase::TooLong, host_of(&uri), message));
                }
                body.extend_from_slice(&piece);
            }
            Ok(head.map(|_| body.freeze()))
        })
    }
}

impl HttpTransport {
    /// Host and port of the proxy that a call to `uri` goes through, without what stands before them: a password, perhaps.
    fn proxy_of(&self, uri: &http::Uri) -> Option<String> {
        let proxy = self.proxies.as_ref()?.intercept(uri)?;
        let (host, port) = (proxy.uri().host()?, proxy.uri().port());
        Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

/// Keeps what a person needs and drops the URL, whose query is signed.
fn convert(error: reqwest::Error, phase: Phase, host: String, proxy: Option<String>) -> TransportError {
    let error = error.without_url();
    let mut message = String::new();
    let mut trust = false;
    let mut source = error.source();
    while let Some(cause) = source {
        message = cause.to_string();
        trust |= message.contains("invalid peer certificate");
        source = cause.source();
    }
    let timed_out = error.is_timeout();
    let phase = match phase {
        _ if trust => Phase::Trust,
        Phase::Answer if error.is_connect() || error.is_builder() => Phase::Connect,
        phase => phase,
    };
    if timed_out {
        // "operation timed out" says no more than the phase does.
        message.clear();
    }
    if message.contains("InvalidContentType") {
        message = format!("it does not speak TLS; is it `http://`? ({message})");
    }
    if let Some(proxy) = proxy.filter(|_| phase == Phase::Connect) {
        // Nobody connects to the host itself, so it is the proxy that failed, or refused to go on.
        let why = if message.is_empty() { String::new() } else { format!(": {message}") };
        message = format!("through the proxy {proxy}{why}");
    }
    TransportError { phase, timed_out, host, message }
}
