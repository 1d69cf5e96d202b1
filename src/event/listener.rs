//! An address of our own on which an [`EventReceiver`] is served.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::receiver::EventReceiver;
use crate::error::{Error, ErrorKind, Result};
use crate::net::serve::{ServeLimits, serve};

/// How long the head of a request may take. VOD waits five seconds for its answer.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Connections that the system holds until they are accepted; it may allow fewer.
const BACKLOG: u32 = 4_096;

/// Serves an [`EventReceiver`] on an address of its own until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Listener {
    /// Binds `address` (port 0 picks one) and starts to serve what `receiver` makes of the bound address. On `[::]` it hears IPv4
    /// as well, and IPv4 alone, on `0.0.0.0`, where this machine has no IPv6.
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
        let (first, second) = listen_on(address).map_err(failed)?;
        let address = first.local_addr().map_err(failed)?;
        let receiver = receiver(address);
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let limits = ServeLimits::on_a_public_address(HEAD_WITHIN);
        for listener in std::iter::once(first).chain(second) {
            let receiver = receiver.clone();
            tasks.spawn(serve(listener, limits, stop.clone(), move |request| {
                let receiver = receiver.clone();
                async move { Ok(receiver.serve(request).await) }
            }));
        }
        Ok(Self { address, stop, tasks })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening; answers under way end within a second. Cancel safety: it stops all the same, in the background.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.detach_all();
    }
}

/// Listens on `address`; on all interfaces over both versions of IP.
fn listen_on(address: SocketAddr) -> io::Result<(TcpListener, Option<TcpListener>)> {
    if address.ip() != Ipv6Addr::UNSPECIFIED {
        return listen(address).map(|listener| (listener, None));
    }
    let over_ipv4 = |port| listen((Ipv4Addr::UNSPECIFIED, port).into());
    match listen(address) {
        Ok(listener) => {
            // Most systems hear IPv4 on this one already; then the address is in use.
            let port = listener.local_addr()?.port();
            Ok((listener, over_ipv4(port).ok()))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
            Err(error)
        }
        Err(no_ipv6) => over_ipv4(address.port()).map(|listener| (listener, None)).map_err(|_| no_ipv6),
    }
}

/// Listens with a long backlog: senders that fill the usual one make honest clients wait a second, until their system tries to
/// connect again.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Windows this would let two programs share a port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
