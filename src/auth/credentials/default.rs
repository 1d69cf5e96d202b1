//! The front door: everything that the vendor's tools would look at, behind one provider.

use std::sync::Arc;

use super::chain::{self, Context, Explanation};
use super::{CachedCredentials, Credential, CredentialProvider, World};
use crate::error::Result;
use crate::net::HttpOptions;
use crate::net::transport::BoxFuture;

/// Settings of [`DefaultCredentials`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CredentialOptions {
    /// This profile and nothing else; the variable `ALIBABA_CLOUD_PROFILE` counts where it is `None`.
    pub profile: Option<String>,
    /// Timeouts, certificates and proxy for the token service and credentials services.
    pub http: HttpOptions,
    /// Plain HTTP is allowed to other machines than this one.
    pub allow_plain_http: bool,
    /// Another token service, `host` or `http://127.0.0.1:port`: an emulator. It goes before every setting of a file.
    pub sts_endpoint: Option<String>,
    /// Another metadata service than `http://100.100.100.200`: an emulator.
    pub metadata_endpoint: Option<String>,
}

impl CredentialOptions {
    /// The profile to use, if any.
    #[must_use]
    pub fn with_profile(mut self, profile: Option<String>) -> Self {
        self.profile = profile;
        self
    }
}

/// Finds credentials where the vendor's tools find them, and keeps them alive.
///
/// The order: the profile that was named; else environment, OIDC role (RRSA, CI), `~/.aliyun/config.json`,
/// `~/.alibabacloud/credentials.ini` or `credentials`, `ALIBABA_CLOUD_CREDENTIALS_URI`, the ECS instance's role. What is
/// broken stops the search. Files are read, never written. Clones share what was found.
///
/// Nothing is looked at before the first question, and all of it again at each renewal.
#[derive(Debug, Clone)]
pub struct DefaultCredentials {
    chain: Arc<Chain>,
    cached: Arc<CachedCredentials>,
}

impl DefaultCredentials {
    /// Looks into this process's world.
    pub fn new(options: CredentialOptions) -> Self {
        let world = World::process(&options.http);
        Self::in_world(world, options)
    }

    /// Looks into another world, for tests.
    pub fn in_world(world: World, options: CredentialOptions) -> Self {
        let clock = world.clock();
        let chain = Arc::new(Chain(Context::new(world, options)));
        let cached = CachedCredentials::new(chain.clone()).with_shared_clock(clock);
        Self { chain, cached: Arc::new(cached) }
    }

    /// Asks every source anew, past what is kept, and says what each answered. No secret is in it. Cancel safe.
    pub async fn explain(&self) -> Explanation {
        chain::walk(&self.chain.0).await
    }
}

impl CredentialProvider for DefaultCredentials {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        self.cached.credential()
    }

    fn refused(&self, used: &Credential) {
        self.cached.refused(used);
    }
}

#[derive(Debug)]
struct Chain(Context);

impl CredentialProvider for Chain {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(async { chain::walk(&self.0).await.outcome.map(Some) })
    }
}
