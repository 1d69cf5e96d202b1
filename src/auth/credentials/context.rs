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
    /// This profile and nothing else. Where it is `None`, the variable `ALIBABA_CLOUD_PROFILE` says which profile counts; keys
    /// and an OIDC role in the environment go before that one, as in the vendor's SDKs.
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
    pub(super) fn named_profile(&self) -> Option<NamedProfile> {
        let option = self.options.profile.clone().filter(|name| !name.is_empty());
        let by_option = option.map(|name| NamedProfile { name, by: "the profile option", is_alone: true });
        by_option.or_else(|| {
            let name = self.environment.variable(PROFILE_VARIABLE)?;
            Some(NamedProfile { name, by: PROFILE_VARIABLE, is_alone: false })
        })
    }
}

/// A profile that somebody named.
#[derive(Debug)]
pub(super) struct NamedProfile {
    pub(super) name: String,
    pub(super) by: &'static str,
    /// Nothing else is asked. A variable says no more than which profile counts where profiles are asked; it may be left over.
    pub(super) is_alone: bool,
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
