//! The settings that both clients have.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::api::Api;
use super::call::Core;
use crate::auth::CredentialProvider;
use crate::error::Result;
use crate::net::clock::{Clock, SystemClock};
use crate::net::rng::Jitter;
use crate::net::service_time::ServiceTime;
use crate::net::transport::Transport;
use crate::net::{HttpOptions, HttpTransport};

/// Settings of a client: those of its connections, and its own (`S`).
///
/// [`VodClient::builder`](crate::VodClient::builder) and [`QueueClient::builder`](crate::QueueClient::builder) give one.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder<S> {
    pub(crate) settings: S,
    pub(crate) allow_http: bool,
    credentials: Arc<dyn CredentialProvider>,
    http: HttpOptions,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    jitter_seed: Option<u64>,
}

impl<S> ClientBuilder<S> {
    pub(crate) fn new(credentials: impl CredentialProvider + 'static, settings: S) -> Self {
        Self {
            settings,
            allow_http: false,
            credentials: Arc::new(credentials),
            http: HttpOptions::default(),
            transport: None,
            clock: Arc::new(SystemClock),
            jitter_seed: None,
        }
    }

    /// Allows plain HTTP to other hosts than this machine, such as internal endpoints, which have no TLS. Messages and the STS
    /// token can then be read on the way.
    pub fn with_plain_http_allowed(mut self, allowed: bool) -> Self {
        self.allow_http = allowed;
        self
    }

    /// Timeouts, certificates and proxy of the default transport. For a queue the read timeout is raised to 35 s, since a
    /// long poll is silent for up to 30.
    pub fn with_http_options(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Another transport than [`HttpTransport`]: the emulator in process, or your own. For a queue it must bear 35 s of silence.
    pub fn with_transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Another wall clock than the machine's.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Fixes what is left to chance on purpose: how long a failed call waits before it is repeated, and when a run polls its
    /// tasks. For tests of your own that must go the same way twice, with an emulator of a fixed seed and a paused clock.
    /// Seeded by the system by default; clients of one account that share a seed stay in step, which is what jitter is there
    /// against.
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Makes the transport, unless it was given one, and the shared part of a client. `longest_silence` is the least that the
    /// read timeout may be.
    pub(crate) fn connect<A: Api>(self, api: A, longest_silence: Duration) -> Result<Arc<Core<A>>> {
        let transport = match self.transport {
            Some(transport) => transport,
            None => {
                let read_timeout = self.http.read_timeout.max(longest_silence);
                Arc::new(HttpTransport::new(&HttpOptions { read_timeout, ..self.http })?)
            }
        };
        Ok(Arc::new(Core {
            api,
            credentials: self.credentials,
            time: ServiceTime::new(self.clock),
            jitter: Jitter::of(self.jitter_seed),
            transport,
            answered: AtomicBool::new(false),
            last_credential: Mutex::default(),
        }))
    }
}
