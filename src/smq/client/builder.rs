//! Settings of the client, checked.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{QueueClient, Shared};
use crate::auth::CredentialProvider;
use crate::error::Result;
use crate::net::clock::{Clock, SystemClock};
use crate::net::rng::Jitter;
use crate::net::service_time::ServiceTime;
use crate::net::transport::Transport;
use crate::net::{HttpOptions, HttpTransport};
use crate::smq::{MAX_WAIT, QueueUrl};

/// Silence on the line that ends an attempt, beyond the longest poll.
const READ_BEYOND: Duration = Duration::from_secs(5);

/// Settings of a [`QueueClient`].
#[derive(Debug, Clone)]
#[must_use]
pub struct QueueClientBuilder {
    credentials: Arc<dyn CredentialProvider>,
    url: String,
    allow_http: bool,
    http: HttpOptions,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    jitter_seed: Option<u64>,
}

impl QueueClientBuilder {
    pub(super) fn new(credentials: Arc<dyn CredentialProvider>, url: String) -> Self {
        Self {
            credentials,
            url,
            allow_http: false,
            http: HttpOptions::default(),
            transport: None,
            clock: Arc::new(SystemClock),
            jitter_seed: None,
        }
    }

    /// Allows plain HTTP to other hosts than this machine: internal endpoints have no TLS. Bodies and the STS token
    /// are then readable on the way.
    pub fn with_plain_http_allowed(mut self, allowed: bool) -> Self {
        self.allow_http = allowed;
        self
    }

    /// Timeouts, certificates and proxy of the default transport. The read timeout is raised to 35 s, since a long
    /// poll is silent for up to 30.
    pub fn with_http_options(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Another transport than reqwest's: the emulator in process, or your own. It must bear 35 s of silence.
    pub fn with_transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Another wall clock than the machine's.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Fixes what is left to chance on purpose: how long a failed call waits before it is repeated. For tests
    /// of your own that must go the same way twice, with an emulator of a fixed seed and a paused clock. Seeded by the
    /// system by default; clients of one account that share a seed stay in step, which is what jitter is there against.
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Checks the settings. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for what is no queue URL, [`ErrorKind::Config`] for plain HTTP where it is not allowed or
    /// certificates that can't be used.
    ///
    /// [`ErrorKind::Usage`]: crate::error::ErrorKind::Usage
    /// [`ErrorKind::Config`]: crate::error::ErrorKind::Config
    pub fn build(self) -> Result<QueueClient> {
        let url = QueueUrl::parse(&self.url, self.allow_http)?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => {
                let read_timeout = self.http.read_timeout.max(MAX_WAIT + READ_BEYOND);
                let plain_http_only = url.origin().starts_with("http://");
                Arc::new(HttpTransport::new(&HttpOptions { read_timeout, plain_http_only, ..self.http })?)
            }
        };
        Ok(QueueClient {
            shared: Arc::new(Shared {
                transport,
                credentials: self.credentials,
                time: ServiceTime::new(self.clock),
                url,
                answered: AtomicBool::new(false),
                jitter: Jitter::of(self.jitter_seed),
            }),
        })
    }
}
