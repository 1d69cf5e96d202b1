//! The type of a credential, and of all that gives one.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Result;
use crate::net::transport::BoxFuture;

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

    /// Whether the secret has blanks around it, as after careless copying.
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
/// The page `docs::library` has a source of your own, such as a vault. Cancel safety: the future may be dropped at any time; a call that is given up does so.
pub trait CredentialProvider: Send + Sync + fmt::Debug {
    /// The credential to sign the next attempt with; `None` if this source has none.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::error::ErrorKind::Config) if the source is there but broken, [`Unavailable`](crate::error::ErrorKind::Unavailable) if it can't be reached,
    /// [`Refused`](crate::error::ErrorKind::Refused) if it may not give one. The text names the source and the field, never a secret.
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
