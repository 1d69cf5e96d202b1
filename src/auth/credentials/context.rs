//! What every source of credentials is given, and what it answers.

use std::sync::atomic::AtomicBool;

use super::environment::Environment;
use crate::auth::credential::Credential;
use crate::error::{Error, ErrorKind};
use crate::net::HttpOptions;

/// The variable that names a profile.
const PROFILE_VARIABLE: &str = "ALIBABA_CLOUD_PROFILE";

/// Settings of [`DefaultCredentials`](super::DefaultCredentials).
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

/// What every source can see.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) environment: Environment,
    pub(super) options: CredentialOptions,
    /// Once the instance gave a role, its absence is an outage and no longer "we are not on an instance".
    pub(super) on_instance: AtomicBool,
}

impl Context {
    pub(super) fn new(environment: Environment, options: CredentialOptions) -> Self {
        Self { environment, options, on_instance: AtomicBool::new(false) }
    }

    /// The profile that was named, and by what.
    pub(super) fn named_profile(&self) -> Option<(String, &'static str)> {
        let option = self.options.profile.clone().filter(|name| !name.is_empty());
        option
            .map(|name| (name, "the profile option"))
            .or_else(|| Some((self.environment.variable(PROFILE_VARIABLE)?, PROFILE_VARIABLE)))
    }
}

/// What a source answers.
#[derive(Debug)]
pub(super) enum Finding {
    Found(Credential),
    /// Nothing of the source is here, and why; the next one is asked.
    Absent(String),
}

/// What is set up wrongly.
pub(super) fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
