//! A small HTTP/1 server loop, for the event receiver and the emulator.
//!
//! It differs from a framework's loop in three points. A service can drop the connection without an answer ([`Abort`]).
//! [`serve`] returns only when every connection is gone, so that a closed port is really closed. Where there are more
//! connections than the limit, the oldest half-open or idle ones are closed: half-open connections cost their owner nothing,
//! while an honest client sends its request at once and is never the oldest for long.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The limits of one listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServeLimits {
    /// Connections at once. One more, and the oldest that is not being answered is closed.
    pub(crate) max_connections: usize,
    /// How long the head of a request may take. It runs on an idle connection as well, and closes it.
    pub(crate) header_timeout: Duration,
    /// What is read ahead on one connection; the longest head as well. `None`: some hundred KiB, hyper's own.
    pub(crate) read_ahead: Option<usize>,
}

/// Where anybody may connect, each connection costs at most this much before it has proven anything.
const PUBLIC_READ_AHEAD: usize = 16 * 1024;
const PUBLIC_CONNECTIONS: u64 = 2_048;

impl ServeLimits {
    /// Limits for a port that anybody can reach.
    pub(crate) fn on_a_public_address(header_timeout: Duration) -> Self {
        // A quarter of the file handles stays for the rest of the process: its own calls must not fail because
        // strangers hold connections. Not known, it is small; macOS allows 256 handles.
        let connections =
            open_files_limit().map_or(192, |files| (files - files / 4).clamp(64, PUBLIC_CONNECTIONS));
        Self {
            max_connections: usize::try_from(connections).unwrap_or(192),
            header_timeout,
            read_ahead: Some(PUBLIC_READ_AHEAD),
        }
    }
}

/// How many files this process may open, where the system tells without unsafe code.
fn open_files_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Drops the connection without an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abort;

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the service dropped the connection")
    }
}

impl std::error::Error for Abort {}

/// Requests in flight when the server stops get this long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after a failed accept: the usual cause, no free file handle, does not go away by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// So many connections are closed when there is no file handle: the queue behind the port is served without a pause for
/// each.
const EVICTED_AFTER_FAILURE: usize = 64;

/// One connection, as the accept loop and its own task see it.
#[derive(Debug, Default)]
struct Connection {
    /// A request is being worked on.
    busy: AtomicBool,
    /// Cancelled when the connection has to make room for a newer one.
    evicted: CancellationToken,
}

/// The open connections, the oldest first, among some that have ended.
type Open = VecDeque<Weak<Connection>>;

/// Adds a connection; it is open until the handle is dropped.
fn add(open: &mut Open, limit: usize) -> Arc<Connection> {
    // Those that ended are taken out now and then.
    if open.len() >= 2 * limit {
        open.retain(|connection| connection.strong_count() > 0);
    }
    let connection = Arc::new(Connection::default());
    open.push_back(Arc::downgrade(&connection));
    connection
}

/// Closes up to `count` of the connections, the oldest first, that work on no request.
fn evict(open: &Open, count: usize) {
    let idle = open
        .iter()
        .filter_map(Weak::upgrade)
        .filter(|connection| !connection.busy.load(Ordering::Relaxed) && !connection.evicted.is_cancelled());
    idle.take(count).for_each(|connection| connection.evicted.cancel());
}

/// Serves `listener` until `shutdown`, then lets requests in flight end and returns when all connections are gone.
pub(crate) async fn serve<S, F, B>(
    listener: TcpListener,
    limits: ServeLimits,
    shutdown: CancellationToken,
    service: S,
) where
    S: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<http::Response<B>, Abort>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let (mut open, mut has_warned) = (Open::new(), false);
    while let Some(stream) = shutdown.run_until_cancelled(accept(&listener, &open, &mut has_warned)).await {
        // Ended ones are taken out as we go, or a long life would collect them all.
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        while tasks.len() >= limits.max_connections && !shutdown.is_cancelled() {
            evict(&open, 1);
            // All of them busy: one may be idle a moment later.
            if let Ok(Some(ended)) = tokio::time::timeout(ACCEPT_PAUSE, tasks.join_next()).await {
                report(ended);
            }
        }
        let connection = add(&mut open, limits.max_connections);
        tasks.spawn(serve_one(stream, limits, shutdown.clone(), connection, service.clone()));
    }
    drop(listener);
    while let Some(ended) = tasks.join_next().await {
        report(ended);
    }
}

async fn accept(listener: &TcpListener, open: &Open, has_warned: &mut bool) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                // It may go on for as long as somebody holds all file handles.
                if !std::mem::replace(has_warned, true) {
                    tracing::warn!(%error, "a connection could not be accepted; the oldest idle ones are closed for new ones");
                }
                evict(open, EVICTED_AFTER_FAILURE);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_one<S, F, B>(
    stream: TcpStream,
    limits: ServeLimits,
    shutdown: CancellationToken,
    this: Arc<Connection>,
    service: S,
) where
    S: Fn(http::Request<Incoming>) -> F + Send + Sync,
    F: Future<Output = Result<http::Response<B>, Abort>> + Send,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    // Answers are small and whole; waiting to fill a packet only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = hyper::service::service_fn(|request| {
        this.busy.store(true, Ordering::Relaxed);
        let answer = service(request);
        let busy = &this.busy;
        async move {
            let answer = answer.await;
            busy.store(false, Ordering::Relaxed);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    if let Some(bytes) = limits.read_ahead {
        builder.max_buf_size(bytes);
    }
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        // The connection first: what it can answer now, it answers before it goes.
        biased;
        ended = &mut connection => Some(ended),
        () = this.evicted.cancelled() => {
            if !this.busy.load(Ordering::Relaxed) {
                return tracing::debug!("a connection was closed for a newer one");
            }
            // A request came in that very moment; it is answered.
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            Some((&mut connection).await)
        }
        () = shutdown.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            tokio::time::timeout(DRAIN_TIMEOUT, &mut connection).await.ok()
        }
    };
    let Some(Err(error)) = ended else { return };
    if std::error::Error::source(&error).is_some_and(|source| source.is::<Abort>()) {
        // No linger makes the system send a reset instead of a polite end.
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "the connection ends without a reset");
        }
    } else {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIMITS: ServeLimits =
        ServeLimits { max_connections: 4, header_timeout: Duration::from_millis(300), read_ahead: None };

    async fn answer(request: http::Request<Incoming>) -> Result<http::Response<String>, Abort> {
        match request.uri().path() {
            "/abort" => Err(Abort),
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(http::Response::new("late".to_owned()))
            }
            "/stall" => std::future::pending().await,
            _ => Ok(http::Response::new("hello".to_owned())),
        }
    }

    async fn start() -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        (address, shutdown.clone(), tokio::spawn(serve(listener, LIMITS, shutdown, answer)))
    }

    async fn ask(address: std::net::SocketAddr, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    #[test]
    fn the_oldest_that_is_not_busy_is_closed() {
        let mut open = Open::new();
        let connections: Vec<_> = (0..4).map(|_| add(&mut open, 4)).collect();
        connections[0].busy.store(true, Ordering::Relaxed);
        evict(&open, 1);
        evict(&open, 1);
        let closed: Vec<_> = connections.iter().map(|connection| connection.evicted.is_cancelled()).collect();
        assert_eq!(closed, [false, true, true, false]);
    }

    #[test]
    fn those_that_left_are_forgotten() {
        let mut open = Open::new();
        (0..100).for_each(|_| drop(add(&mut open, 4)));
        assert!(open.len() <= 8);
    }

    #[tokio::test]
    async fn a_request_is_answered() {
        let (address, _shutdown, _server) = start().await;
        assert!(ask(address, "/").await.unwrap().ends_with("hello"));
    }

    #[tokio::test]
    async fn an_abort_resets_the_connection() {
        let (address, _shutdown, _server) = start().await;
        let error = ask(address, "/abort").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_before_the_end() {
        let (address, shutdown, server) = start().await;
        let asked = tokio::spawn(ask(address, "/slow"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        shutdown.cancel();
        assert!(asked.await.unwrap().unwrap().ends_with("late"));
        server.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_stalled_request_does_not_hold_the_end_up() {
        let (address, shutdown, server) = start().await;
        let asked = tokio::spawn(ask(address, "/stall"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(3), server).await.unwrap().unwrap();
        asked.await.unwrap().ok();
    }

    #[tokio::test]
    async fn a_silent_peer_is_sent_away() {
        let (address, _shutdown, _server) = start().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok());
    }

    #[tokio::test]
    async fn half_open_connections_give_way_to_newer_ones() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let patient = ServeLimits { header_timeout: Duration::from_secs(60), ..LIMITS };
        tokio::spawn(serve(listener, patient, CancellationToken::new(), answer));
        let slow = tokio::spawn(ask(address, "/slow"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut crowd = Vec::new();
        for _ in 0..12 {
            crowd.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(ask(address, "/").await.unwrap().ends_with("hello"));
        assert!(slow.await.unwrap().unwrap().ends_with("late"), "an answer under way gave way");
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed() {
        let (address, _shutdown, _server) = start().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut text = String::new();
        let ended = tokio::time::timeout(Duration::from_secs(3), stream.read_to_string(&mut text)).await;
        assert!(ended.is_ok() && text.ends_with("hello"), "{text}");
    }

    #[tokio::test]
    async fn a_router_can_be_served() {
        let router = axum::Router::new().fallback(|| async { "from the router" });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = move |request: http::Request<Incoming>| {
            let mut router = router.clone();
            async move {
                match tower_service::Service::call(&mut router, request).await {
                    Ok(answer) => Ok(answer),
                    Err(never) => match never {},
                }
            }
        };
        tokio::spawn(serve(listener, LIMITS, CancellationToken::new(), service));
        assert!(ask(address, "/").await.unwrap().ends_with("from the router"));
    }
}
