//! The emulator as an in-process transport: no socket, so a paused test moves its clock freely.

use std::time::Duration;

use bytes::Bytes;

use super::{Emulator, Reply, queue};
use crate::net::transport::{BoxFuture, Phase, Transport, TransportError};

/// Sends requests straight into an [`Emulator`].
#[derive(Debug, Clone)]
pub struct EmulatorTransport {
    emulator: Emulator,
    timeout: Duration,
}

impl EmulatorTransport {
    /// As patient as the vendor's SDKs: 10 s for an answer.
    pub(super) fn new(emulator: Emulator) -> Self {
        Self { emulator, timeout: Duration::from_secs(10) }
    }

    /// Sets how long to wait for an answer; for one of the queue half a minute more, since a long poll is silent so long.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Transport for EmulatorTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let held = if queue::serves(request.uri().path()) { crate::smq::MAX_WAIT } else { Duration::ZERO };
        let patience = self.timeout + held;
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        Box::pin(async move {
            let failed = |phase, timed_out, message: &str| {
                Err(TransportError { phase, timed_out, host, message: message.to_owned() })
            };
            let whole = async {
                match self.emulator.handle(request).await {
                    Reply::Stall => std::future::pending().await,
                    reply => reply,
                }
            };
            match tokio::time::timeout(patience, whole).await {
                Ok(Reply::Answer(answer)) => Ok(answer),
                Ok(Reply::HalfBody(_)) => failed(Phase::Body, false, "unexpected end of file"),
                Ok(Reply::Reset | Reply::Stall) => failed(Phase::Answer, false, "connection reset"),
                Err(_) => failed(Phase::Answer, true, ""),
            }
        })
    }
}
