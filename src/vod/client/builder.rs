//! Settings of the client, checked.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::{Shared, VodClient};
use crate::auth::{CredentialProvider, SignatureVersion};
use crate::error::Result;
use crate::net::clock::{Clock, SystemClock};
use crate::net::endpoint::checked_endpoint;
use crate::net::retry::Budget;
use crate::net::rng::Jitter;
use crate::net::service_time::ServiceTime;
use crate::net::transport::Transport;
use crate::net::{HttpOptions, HttpTransport};
use crate::vod::endpoints::{TASK_REGION, endpoint_of_region};

/// Settings of a [`VodClient`].
#[derive(Debug, Clone)]
#[must_use]
pub struct VodClientBuilder {
    credentials: Arc<dyn CredentialProvider>,
    region: String,
    endpoint: Option<String>,
    task_endpoint: Option<String>,
    allow_http: bool,
    signature: SignatureVersion,
    max_rps: Option<u32>,
    http: HttpOptions,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    jitter_seed: Option<u64>,
}

impl VodClientBuilder {
    pub(super) fn new(credentials: Arc<dyn CredentialProvider>) -> Self {
        Self {
            credentials,
            region: TASK_REGION.to_owned(),
            endpoint: None,
            task_endpoint: None,
            allow_http: false,
            signature: SignatureVersion::default(),
            max_rps: None,
            http: HttpOptions::default(),
            transport: None,
            clock: Arc::new(SystemClock),
            jitter_seed: None,
        }
    }

    /// The region of the media, `cn-shanghai` by default. A media is visible in its own region only. Source:
    /// "Endpoints" of the VOD API.
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Another endpoint than the region's: an emulator, a gateway. It serves task queries as well.
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Another endpoint for task and quota queries, which live in cn-shanghai only.
    pub fn with_task_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.task_endpoint = Some(endpoint.into());
        self
    }

    /// Allows plain HTTP to other hosts than this machine. The STS token is then readable on the way.
    pub fn with_plain_http_allowed(mut self, allowed: bool) -> Self {
        self.allow_http = allowed;
        self
    }

    /// How requests are signed; signature version 1.0 by default.
    pub fn with_signature_version(mut self, version: SignatureVersion) -> Self {
        self.signature = version;
        self
    }

    /// Cap on calls per second for each action, 20 by default; 0 counts as 1. A lower limit that the vendor publishes goes
    /// before the default, not before a cap that is given. Source: the QPS limits of the VOD API.
    ///
    /// Without it, task queries begin at 5 a second, which is what the CDN's own twin of the call allows
    /// ("DescribeRefreshTasks" of the CDN API), and grow towards the cap as long as the service does not ask to slow
    /// down. Throttled, the rate halves and comes back slowly, so that several processes share an account's rate.
    pub fn with_max_rps(mut self, calls_per_second: u32) -> Self {
        self.max_rps = Some(calls_per_second);
        self
    }

    /// Timeouts, certificates and proxy of the default transport.
    pub fn with_http_options(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Another transport than reqwest's: the emulator in process, or your own.
    pub fn with_transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Another wall clock than the machine's.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Fixes what is left to chance on purpose: how long a failed call waits before it is repeated, and when a run looks
    /// at its tasks. For tests of your own that must go the same way twice, with an emulator of a fixed seed and a paused
    /// clock. Seeded by the system by default; clients of one account that share a seed stay in step, which is what jitter
    /// is there against.
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Checks the settings. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a malformed region or endpoint, [`ErrorKind::Config`] for plain HTTP where it is not
    /// allowed or certificates that can't be used.
    ///
    /// [`ErrorKind::Usage`]: crate::error::ErrorKind::Usage
    /// [`ErrorKind::Config`]: crate::error::ErrorKind::Config
    pub fn build(self) -> Result<VodClient> {
        let endpoint = match &self.endpoint {
            Some(given) => checked_endpoint(given, self.allow_http)?,
            None => endpoint_of_region(&self.region)?,
        };
        let task_endpoint = match (&self.task_endpoint, &self.endpoint) {
            (Some(given), _) => checked_endpoint(given, self.allow_http)?,
            (None, Some(_)) => endpoint.clone(),
            (None, None) => endpoint_of_region(TASK_REGION)?,
        };
        let transport = match self.transport {
            Some(transport) => transport,
            None => {
                let plain_http_only = [&endpoint, &task_endpoint].iter().all(|e| e.starts_with("http://"));
                Arc::new(HttpTransport::new(&HttpOptions { plain_http_only, ..self.http })?)
            }
        };
        Ok(VodClient {
            shared: Arc::new(Shared {
                transport,
                credentials: self.credentials,
                time: ServiceTime::new(self.clock),
                endpoint,
                task_endpoint,
                signature: self.signature,
                pace: Pace::new(self.max_rps),
                answered: AtomicBool::new(false),
                signer: Mutex::new(None),
                jitter: Jitter::of(self.jitter_seed),
            }),
            stop: CancellationToken::new(),
            watch: None,
            budget: Budget::default(),
        })
    }
}
