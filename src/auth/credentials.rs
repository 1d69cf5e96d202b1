//! Credentials, where they come from, and how long they live.
//!
//! A [`CredentialProvider`] answers *not mine* (`Ok(None)`), gives a credential, or says what is broken (`Err`); an
//! error is never passed over, or a broken profile would silently become another account.
//!
//! [`DefaultCredentials`] looks where the vendor's tools look: `chain` has the order, and each source is a file
//! (`environment`, `oidc`, `cli_config` with `profile`, `ini`, `uri`, `metadata`). What several sources need is `sts`
//! (roles), `external` (processes) and `session` (the JSON of a temporary key). [`World`] is all that they can touch, so
//! that a test scripts it. [`CachedCredentials`] renews what they found, one renewal at a time.

mod cached;
mod chain;
mod cli_config;
mod default;
mod environment;
mod external;
mod ini;
mod metadata;
mod oidc;
mod profile;
mod session;
mod similar;
mod split;
mod sts;
mod uri;
mod world;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Result;
use crate::net::transport::BoxFuture;

pub use self::cached::CachedCredentials;
pub use self::chain::{Explanation, Step, Verdict};
pub use self::default::{CredentialOptions, DefaultCredentials};
pub use self::environment::EnvironmentCredentials;
pub use self::world::{FileText, ProcessOutput, World};

/// Variable of the key id.
pub const KEY_ID_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
/// Variable of the secret.
pub const SECRET_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
/// Variable of the STS token that goes with a temporary key.
pub const TOKEN_VARIABLE: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// An access key, with its STS token if it is a temporary one. Prints no secret.
#[derive(Clone)]
#[non_exhaustive]
pub struct Credential {
    /// The key id; not a secret, it goes over the wire in clear.
    pub key_id: String,
    /// The secret that signs.
    pub secret: SecretString,
    /// The STS token of a temporary credential.
    pub token: Option<SecretString>,
    /// When a temporary credential ends, if that is known.
    pub expires: Option<DateTime<Utc>>,
    /// Where it came from, for people: `environment`, `profile "prod" of ~/.aliyun/config.json`.
    pub source: String,
    /// Whether its source makes a new one when this one ends. A pair or token that somebody put down does not renew
    /// itself.
    pub renewable: bool,
}

impl Credential {
    /// A long-lived access key.
    pub fn new(key_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            key_id: key_id.into(),
            secret: SecretString::from(secret.into()),
            token: None,
            expires: None,
            source: "the caller".into(),
            renewable: false,
        }
    }

    /// Adds the STS token of a temporary key.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretString::from(token.into()));
        self
    }

    /// Says when it ends, and that its source makes a new one then.
    #[must_use]
    pub fn with_renewal_at(mut self, end: DateTime<Utc>) -> Self {
        self.expires = Some(end);
        self.renewable = true;
        self
    }

    /// Names where it came from, for people.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Whether both are the same key with the same secret and token, wherever they came from.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let token = |c: &Self| c.token.as_ref().map(|token| token.expose_secret().to_owned());
        self.key_id == other.key_id
            && self.secret.expose_secret() == other.secret.expose_secret()
            && token(self) == token(other)
    }

    /// By how much it ends before `until`; `None` if it lasts, renews itself, or its end is not known.
    pub fn shortfall(&self, until: DateTime<Utc>) -> Option<TimeDelta> {
        let expires = self.expires.filter(|_| !self.renewable)?;
        (expires < until).then(|| until - expires)
    }

    /// Whether the secret has blanks around it, the usual slip of copying.
    pub(crate) fn secret_has_blanks_around(&self) -> bool {
        let secret = self.secret.expose_secret();
        secret.trim() != secret
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("key_id", &self.key_id)
            .field("token", &self.token.is_some())
            .field("expires", &self.expires)
            .field("source", &self.source)
            .field("renewable", &self.renewable)
            .finish_non_exhaustive()
    }
}

/// A source of credentials. It is asked before each attempt, so it may hand out a renewed one at any time.
///
/// A source of your own, such as a vault:
///
/// ```
/// use vod_refresh::auth::CachedCredentials;
/// use vod_refresh::net::transport::BoxFuture;
/// use vod_refresh::{Credential, CredentialProvider, Error, ErrorKind, Result, VodClient};
///
/// #[derive(Debug)]
/// struct Vault;
///
/// impl CredentialProvider for Vault {
///     fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
///         Box::pin(async {
///             let (id, secret) = read_from_vault().await.map_err(|why| {
///                 Error::new(ErrorKind::Unavailable, "the vault does not answer").with_source(why)
///             })?;
///             Ok(Some(Credential::new(id, secret).with_source("the vault")))
///         })
///     }
/// }
/// # async fn read_from_vault() -> std::io::Result<(&'static str, &'static str)> { Ok(("testid", "testsecret")) }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// // Cached: the vault is asked again shortly before a key ends, or when the service refuses it.
/// let client = VodClient::builder(CachedCredentials::new(Vault)).build()?;
/// assert_eq!(client.credential().await?.key_id, "testid");
/// # Ok(())
/// # }
/// ```
///
/// Cancel safety: the future may be dropped at any time; a call that is given up does so.
pub trait CredentialProvider: Send + Sync + fmt::Debug {
    /// The credential to sign the next attempt with; `None` if this source has none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the source is there but broken, [`ErrorKind::Unavailable`] if it can't be reached,
    /// [`ErrorKind::Refused`] if it may not give one. The text names the source and the field, never a secret.
    ///
    /// [`ErrorKind::Config`]: crate::ErrorKind::Config
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    /// [`ErrorKind::Refused`]: crate::ErrorKind::Refused
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>>;

    /// Hears that the service takes `used` no longer: it ran out, or was revoked.
    ///
    /// A source that keeps credentials forgets this one, so that the next question brings another if there is one. It
    /// must not forget one that it has renewed since: many calls find out about one dead credential at once.
    fn refused(&self, used: &Credential) {
        let _ = used;
    }
}

impl<P: CredentialProvider + ?Sized> CredentialProvider for Arc<P> {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        (**self).credential()
    }

    fn refused(&self, used: &Credential) {
        (**self).refused(used);
    }
}

/// The same credential each time.
#[derive(Debug, Clone)]
pub struct StaticCredentials(pub Credential);

impl CredentialProvider for StaticCredentials {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(async { Ok(Some(self.0.clone())) })
    }
}
