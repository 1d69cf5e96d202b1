//! An address of our own on which an [`EventReceiver`] is served.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
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
        let receiver = receiver(address);
        let stop = CancellationToken::new();
        let limits = ServeLimits::on_a_public_address(HEAD_WITHIN);
        let task = tokio::spawn(serve(listener, limits, stop.clone(), move |request| {
            let receiver = receiver.clone();
            async move { Ok(receiver.serve(request).await) }
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
