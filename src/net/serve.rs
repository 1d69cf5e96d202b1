//! A small HTTP/1 server loop, for the event receiver and the emulator.
//!
//! It differs from a framework's loop in three points: a service can drop the connection without an answer ([`Abort`]),
//! and [`serve`] returns only when every connection is gone, so that a closed port is really closed. Where there are more
//! connections than slots, the oldest half-open or idle ones give way.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::crowd::{Crowd, Guest};

/// What one listener takes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServeLimits {
    /// Connections at once. One more, and the oldest that is not being answered gives way.
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
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Pause after a failed accept: the usual cause, no free file handle, does not go away by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// So many give way when there is no file handle: the queue behind the port is served without a pause for each.
const ROOM_AFTER_FAILURE: usize = 64;

/// Serves `listener` until `shutdown`, then lets requests in flight end and returns when all connections are gone.
pub(crate) async fn serve<S, F>(
    listener: TcpListener,
    limits: ServeLimits,
    shutdown: CancellationToken,
    service: S,
) where
    S: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<http::Response<Body>, Abort>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let mut crowd = Crowd::of_at_most(limits.max_connections);
    let mut connections = JoinSet::new();
    while let Some((stream, slot)) = next(&listener, &slots, &crowd, &shutdown).await {
        let (service, shutdown, guest) = (service.clone(), shutdown.clone(), crowd.enter());
        connections.spawn(async move {
            connection(stream, limits, shutdown, &guest, service).await;
            drop(slot);
        });
        // Ended ones are taken out as we go, or a long life would collect them all.
        while let Some(ended) = connections.try_join_next() {
            report(ended);
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// The next connection with its slot; `None` when it is time to stop.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    crowd: &Crowd,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accepted = async {
        let stream = accept(listener, crowd).await;
        Some((stream, slot(slots, crowd).await?))
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn accept(listener: &TcpListener, crowd: &Crowd) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                crowd.make_room(ROOM_AFTER_FAILURE);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A slot, for which another connection may have to go. `None` never comes: the slots are not closed.
async fn slot(slots: &Arc<Semaphore>, crowd: &Crowd) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return Some(slot);
        }
        crowd.make_room(1);
        // All of them busy: one may be idle a moment later.
        if let Ok(slot) = tokio::time::timeout(ACCEPT_PAUSE, Arc::clone(slots).acquire_owned()).await {
            return slot.ok();
        }
    }
}

async fn connection<S, F>(
    stream: TcpStream,
    limits: ServeLimits,
    shutdown: CancellationToken,
    guest: &Guest,
    service: S,
) where
    S: Fn(http::Request<Incoming>) -> F + Send + Sync,
    F: Future<Output = Result<http::Response<Body>, Abort>> + Send,
{
    // Answers are small and whole; waiting to fill a packet only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = hyper::service::service_fn(|request| {
        guest.set_busy(true);
        let answer = service(request);
        async move {
            let answer = answer.await;
            guest.set_busy(false);
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
        ended = &mut connection => ended,
        () = guest.sent_away() => {
            if !guest.is_busy() {
                return tracing::debug!("a connection gave way to a newer one");
            }
            // A request came in that very moment; it is answered.
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
        () = shutdown.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            match tokio::time::timeout(LAST_WORDS, &mut connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    let Err(error) = ended else { return };
    if aborted(&error) {
        // No linger makes the system send a reset instead of a polite end.
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "the connection ends without a reset");
        }
    } else {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn aborted(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Abort>())
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

    async fn answer(request: http::Request<Incoming>) -> Result<http::Response<Body>, Abort> {
        match request.uri().path() {
            "/abort" => Err(Abort),
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(http::Response::new(Body::from("late")))
            }
            "/stall" => std::future::pending().await,
            _ => Ok(http::Response::new(Body::from("hello"))),
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
                match tower_service::Service::call(&mut router, request.map(Body::new)).await {
                    Ok(answer) => Ok(answer),
                    Err(never) => match never {},
                }
            }
        };
        tokio::spawn(serve(listener, LIMITS, CancellationToken::new(), service));
        assert!(ask(address, "/").await.unwrap().ends_with("from the router"));
    }
}
