//! The emulator as an in-process transport: no socket, so a paused test moves its clock freely.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::answer::Reply;
use super::handle::handle;
use super::request::is_of_queue;
use super::shared::Shared;
use crate::net::transport::{BoxFuture, Phase, Transport, TransportError};

/// How long a poll of the queue may be silent.
const LONGEST_POLL: Duration = Duration::from_secs(30);

/// Sends requests straight into an [`Emulator`](super::Emulator).
#[derive(Clone, Debug)]
pub struct EmulatorTransport {
    shared: Arc<Shared>,
    timeout: Duration,
}

impl EmulatorTransport {
    /// As patient as the vendor's SDKs: 10 s for an answer.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, timeout: Duration::from_secs(10) }
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
        let long_poll = if is_of_queue(request.uri().path()) { LONGEST_POLL } else { Duration::ZERO };
        let timeout = self.timeout + long_poll;
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        Box::pin(async move {
            let failed = |phase, timed_out, message: &str| {
                Err(TransportError { phase, timed_out, host, message: message.to_owned() })
            };
            let answered = async {
                match handle(&self.shared, &request).await {
                    Reply::Stall => std::future::pending().await,
                    reply => reply,
                }
            };
            match tokio::time::timeout(timeout, answered).await {
                Ok(Reply::Answer(answer)) => Ok(answer),
                Ok(Reply::HalfBody(_)) => failed(Phase::Body, false, "unexpected end of file"),
                Ok(Reply::Reset | Reply::Stall) => failed(Phase::Answer, false, "connection reset"),
                Err(_) => failed(Phase::Answer, true, ""),
            }
        })
    }
}
