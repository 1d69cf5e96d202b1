//! Opens connections: directly or through a proxy, in plain text or through TLS.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::endpoint::{bare_host, port_of};
use super::proxies::{Proxies, Proxy};
use super::tls::client_config;
use super::transport::{BoxFuture, Phase, TransportError, host_of};
use crate::error::{Error, ErrorKind, Result};

/// Opens connections: for the pool of an HTTP client, or for one exchange.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tcp: HttpConnector,
    proxies: Option<Proxies>,
    given_roots: Vec<CertificateDer<'static>>,
    /// Made at the first call over TLS: a run that needs none works on a machine without certificates.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
    timeout: Duration,
}

impl Connector {
    /// Reads the certificates of `roots` (PEM), and the variables of proxies where they count. A connection that is not there
    /// within `timeout` is given up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a certificate is none.
    pub(crate) fn new(roots: &[Vec<u8>], has_proxies: bool, timeout: Duration) -> Result<Self> {
        use rustls::pki_types::pem::PemObject as _;
        let no_certificate = || Error::new(ErrorKind::Config, "the CA file holds no PEM certificate");
        let mut given_roots = Vec::new();
        for pem in roots {
            let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
                .collect::<Result<_, _>>()
                .map_err(|error| no_certificate().with_source(error))?;
            if found.is_empty() {
                return Err(no_certificate());
            }
            given_roots.extend(found);
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let proxies = has_proxies.then(|| Proxies::read(variable));
        Ok(Self(Arc::new(Shared { tcp, proxies, given_roots, tls: OnceLock::new(), timeout })))
    }

    /// A connector as in an environment with these variables.
    #[cfg(test)]
    pub(crate) fn behind(variables: &[(&str, &str)]) -> Self {
        let value = |name: &str| {
            variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        };
        let (tls, timeout) = (OnceLock::new(), Duration::from_secs(5));
        let (tcp, proxies) = (HttpConnector::new(), Some(Proxies::read(value)));
        Self(Arc::new(Shared { tcp, proxies, given_roots: Vec::new(), tls, timeout }))
    }

    /// The proxy that a call to `uri` goes through.
    pub(super) fn proxy_of(&self, uri: &Uri) -> Result<Option<&Proxy>, TransportError> {
        let Some(proxies) = &self.0.proxies else { return Ok(None) };
        proxies.of(uri).map_err(|variable| {
            // Its value may hold a password.
            let message =
                format!("the variable {variable} holds no address of a proxy, as `http://HOST:PORT` is");
            TransportError::new(Phase::Proxy, host_of(uri), message)
        })
    }

    async fn connect(&self, uri: &Uri) -> Result<Stream, TransportError> {
        if let Some(proxy) = self.proxy_of(uri)?.filter(|proxy| proxy.is_http())
            && uri.scheme_str() != Some("https")
        {
            return Ok(Stream::new(self.to_proxy(proxy, uri).await?, true));
        }
        Ok(Stream::new(self.open(uri, uri).await?.io, false))
    }

    /// Opens a connection to the host and port of `at`, over which `uri` is then asked for: with TLS for the host of `uri` where
    /// its scheme says so. The proxy for `at` only passes bytes on, also those in plain text.
    ///
    /// Cancel safety: dropping the future gives the connection up.
    pub(crate) async fn open(&self, at: &Uri, uri: &Uri) -> Result<Line, TransportError> {
        let (io, end) = match self.proxy_of(at)? {
            None => {
                let (io, peer) = self.tcp(at.clone()).await.map_err(|why| failure(at, None, &*why))?;
                (io, End::Peer(peer))
            }
            Some(proxy) => {
                let opened = self.to_proxy(proxy, at).await?;
                let io = if proxy.is_http() {
                    tunnel(opened, proxy, at).await?
                } else {
                    socks(opened, proxy, at).await?
                };
                (io, End::Proxy(proxy.host().to_owned()))
            }
        };
        let is_tls = uri.scheme_str() == Some("https");
        Ok(Line { io: if is_tls { self.secure(io, uri, at).await? } else { io }, end })
    }

    /// Opens a connection to `proxy`, on the way to `uri`.
    async fn to_proxy(&self, proxy: &Proxy, uri: &Uri) -> Result<BoxedIo, TransportError> {
        let (io, _) = self.tcp(proxy.uri.clone()).await.map_err(|why| failure(uri, Some(proxy), &*why))?;
        if proxy.uri.scheme_str() == Some("https") { self.secure(io, &proxy.uri, uri).await } else { Ok(io) }
    }

    async fn tcp(&self, uri: Uri) -> Result<(BoxedIo, SocketAddr), Box<dyn StdError>> {
        let mut tcp = self.0.tcp.clone();
        let stream = tcp.call(uri).await?.into_inner();
        let peer = stream.peer_addr()?;
        Ok((boxed(stream), peer))
    }

    /// Speaks TLS with `peer`, on the way to `uri`.
    async fn secure(&self, io: BoxedIo, peer: &Uri, uri: &Uri) -> Result<BoxedIo, TransportError> {
        let tls = self.0.tls.get_or_init(|| client_config(&self.0.given_roots));
        let tls =
            tls.as_ref().map_err(|why| TransportError::new(Phase::Trust, host_of(peer), why.clone()))?;
        let host = bare_host(peer.host().unwrap_or_default());
        let name = ServerName::try_from(host.to_owned()).map_err(|why| failure(uri, None, &why))?;
        let stream = TlsConnector::from(tls.clone())
            .connect(name, io)
            .await
            .map_err(|why| failure(peer, None, &why))?;
        Ok(boxed(stream))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Stream, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            tokio::time::timeout(this.0.timeout, this.connect(&uri)).await.unwrap_or_else(|_| {
                let proxy = this.proxy_of(&uri)?;
                let late = TransportError::new(Phase::Connect, host_of(&uri), through(proxy, ""));
                Err(TransportError { timed_out: true, ..late })
            })
        })
    }
}

/// Asks an HTTP proxy for a connection to the host of `uri`.
async fn tunnel(io: BoxedIo, proxy: &Proxy, uri: &Uri) -> Result<BoxedIo, TransportError> {
    let failed = |why: hyper::Error| failure(uri, Some(proxy), &why);
    let target = with_port(uri);
    let target = target.authority().map_or("", |authority| authority.as_str());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(failed)?;
    // It ends with the tunnel, or with `sender` where there is none.
    tokio::spawn(connection.with_upgrades());
    let mut request = http::Request::connect(target).header(http::header::HOST, target);
    if let Some(login) = proxy.login.basic_auth() {
        request = request.header(http::header::PROXY_AUTHORIZATION, login);
    }
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
    let request = request.map_err(|why| failure(uri, Some(proxy), &why))?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    match answer.status() {
        status if status.is_success() => {
            Ok(boxed(TokioIo::new(hyper::upgrade::on(answer).await.map_err(failed)?)))
        }
        http::StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(wants_login(proxy, uri)),
        status => {
            let message = through(Some(proxy), &format!("it answered {status}"));
            Err(TransportError::new(Phase::Connect, host_of(uri), message))
        }
    }
}

/// Asks a SOCKS proxy for a connection to the host of `uri`. The schemes with `a` and `h` let the proxy look the host up.
async fn socks(io: BoxedIo, proxy: &Proxy, uri: &Uri) -> Result<BoxedIo, TransportError> {
    type Socks5Error = <SocksV5<Opened> as Service<Uri>>::Error;
    let (opened, mut target, address) = (Opened(Some(io)), with_port(uri), proxy.uri.clone());
    let scheme = proxy.uri.scheme_str().unwrap_or_default();
    if let ("socks4" | "socks5", Some(authority)) = (scheme, target.authority()) {
        let found =
            tokio::net::lookup_host(authority.as_str()).await.map_err(|why| failure(uri, None, &why))?;
        let found = { found }.find(|found| found.is_ipv4() || scheme == "socks5");
        let found =
            found.ok_or_else(|| failure(uri, None, &io::Error::other("it has no address of IPv4")))?;
        target = with_authority(target, &found.to_string());
    }
    let stream = if scheme.starts_with("socks4") {
        let mut socks = SocksV4::new(address, opened);
        socks.call(target).await.map_err(|why| failure(uri, Some(proxy), &why))?
    } else {
        let mut socks = SocksV5::new(address, opened);
        if let Some((user, password)) = proxy.login.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        socks.call(target).await.map_err(|why| match &why {
            // The type inside has no public name.
            Socks5Error::V5(inner) if format!("{inner:?}").starts_with("Auth") => wants_login(proxy, uri),
            _ => failure(uri, Some(proxy), &why),
        })?
    };
    Ok(stream.into_inner())
}

/// Gives the connection that is there already to what would open one.
#[derive(Default)]
struct Opened(Option<BoxedIo>);

impl Service<Uri> for Opened {
    type Response = TokioIo<BoxedIo>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<BoxedIo>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// The proxy refuses the login, or wants one.
pub(super) fn wants_login(proxy: &Proxy, uri: &Uri) -> TransportError {
    let message = format!("{} wants another user name or password", proxy.host());
    TransportError::new(Phase::Proxy, host_of(uri), message)
}

/// `uri` with its port written out, as a proxy has to be told.
fn with_port(uri: &Uri) -> Uri {
    let port = port_of(uri);
    with_authority(uri.clone(), &format!("{}:{port}", uri.host().unwrap_or_default()))
}

fn with_authority(uri: Uri, authority: &str) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.authority = authority.parse().ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

/// Nobody connects to the host itself where there is a proxy, so it is the proxy that failed, or refused to go on.
fn through(proxy: Option<&Proxy>, message: &str) -> String {
    match proxy {
        Some(proxy) if message.is_empty() => format!("through the proxy {}", proxy.host()),
        Some(proxy) => format!("through the proxy {}: {message}", proxy.host()),
        None => message.to_owned(),
    }
}

/// Why no connection to `uri` came about, from the innermost cause.
fn failure(uri: &Uri, proxy: Option<&Proxy>, why: &(dyn StdError + 'static)) -> TransportError {
    let mut message = why.to_string();
    let mut phase = Phase::Connect;
    let mut cause = Some(why);
    while let Some(this) = cause {
        message = this.to_string();
        // An error of input and output hides the one inside from `source`.
        let inner = this.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn StdError + 'static));
        match this.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => phase = Phase::Trust,
            Some(rustls::Error::InvalidMessage(_)) => {
                message = format!("it does not speak TLS; is it `http://`? ({message})");
            }
            _ => {}
        }
        cause = inner.or_else(|| this.source());
    }
    TransportError::new(phase, host_of(uri), through(proxy, &message))
}

/// What an open connection leads to.
pub(crate) enum End {
    /// The host itself.
    Peer(SocketAddr),
    /// This proxy, which chose whom to connect to.
    Proxy(String),
}

/// An open connection for one exchange.
pub(crate) struct Line {
    pub(crate) io: BoxedIo,
    pub(crate) end: End,
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
pub(crate) type BoxedIo = Box<dyn Io>;

fn boxed(io: impl Io + 'static) -> BoxedIo {
    Box::new(io)
}

/// An open connection.
pub(crate) struct Stream {
    io: TokioIo<BoxedIo>,
    /// A proxy reads the requests, so they name the host.
    is_forwarded: bool,
}

impl Stream {
    fn new(io: BoxedIo, is_forwarded: bool) -> Self {
        Self { io: TokioIo::new(io), is_forwarded }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_forwarded)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
