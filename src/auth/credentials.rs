//! Credentials, and where they come from.
//!
//! A [`CredentialProvider`] answers *not mine* (`Ok(None)`), gives a credential, or says what is broken (`Err`); an
//! error is never passed over, or a broken profile would silently become another account.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::net::transport::BoxFuture;

/// Variable of the key id.
pub const KEY_ID_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
/// Variable of the secret.
pub const SECRET_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
/// Variable of the STS token that goes with a temporary key.
pub const TOKEN_VARIABLE: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// An access key, with its STS token if it is a temporary one. Prints no secret.
#[derive(Clone)]
pub struct Credential {
    /// The key id; not a secret, it goes over the wire in clear.
    pub key_id: String,
    /// The secret that signs.
    pub secret: SecretString,
    /// The STS token of a temporary credential.
    pub token: Option<SecretString>,
    /// When a temporary credential ends, if that is known.
    pub expires: Option<DateTime<Utc>>,
    /// Where it came from, for people: `environment`, `profile "prod" of /root/.aliyun/config.json`.
    pub source: String,
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
        }
    }

    /// Adds the STS token of a temporary key.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretString::from(token.into()));
        self
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
            .finish_non_exhaustive()
    }
}

/// A source of credentials. It is asked before each attempt, so it may hand out a renewed one at any time.
pub trait CredentialProvider: Send + Sync + fmt::Debug {
    /// The credential to sign the next attempt with; `None` if this source has none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the source is there but broken, [`ErrorKind::Unavailable`] if it can't be reached.
    /// The text names the source and the field, never a secret.
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>>;
}

/// The same credential each time.
#[derive(Debug, Clone)]
pub struct StaticCredentials(pub Credential);

impl CredentialProvider for StaticCredentials {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(async { Ok(Some(self.0.clone())) })
    }
}

/// The three variables `ALIBABA_CLOUD_ACCESS_KEY_ID`, `…_SECRET` and `ALIBABA_CLOUD_SECURITY_TOKEN`.
///
/// A set but empty variable is as unset. Half a pair is an error that names the other half.
#[derive(Debug, Clone)]
pub struct EnvironmentCredentials(Option<Credential>, Option<&'static str>);

impl EnvironmentCredentials {
    /// Reads the process environment once, now.
    pub fn from_process() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables through `lookup`, so that tests need not touch the process environment.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        match (set(KEY_ID_VARIABLE), set(SECRET_VARIABLE)) {
            (Some(key_id), Some(secret)) => {
                let mut credential = Credential::new(key_id, secret);
                credential.token = set(TOKEN_VARIABLE).map(SecretString::from);
                credential.source = "environment".into();
                Self(Some(credential), None)
            }
            (Some(_), None) => Self(None, Some(SECRET_VARIABLE)),
            (None, Some(_)) => Self(None, Some(KEY_ID_VARIABLE)),
            (None, None) => Self(None, None),
        }
    }
}

impl CredentialProvider for EnvironmentCredentials {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(async {
            match self.1 {
                Some(missing) => {
                    let other = if missing == SECRET_VARIABLE { KEY_ID_VARIABLE } else { SECRET_VARIABLE };
                    Err(Error::new(ErrorKind::Config, format!("{other} is set but {missing} is not")))
                }
                None => Ok(self.0.clone()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn from(pairs: &[(&str, &str)]) -> Result<Option<Credential>> {
        EnvironmentCredentials::from_lookup(|name| {
            pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
        .credential()
        .await
    }

    #[tokio::test]
    async fn a_whole_pair_is_taken_with_its_token() {
        let found =
            from(&[(KEY_ID_VARIABLE, "id"), (SECRET_VARIABLE, "s3cret"), (TOKEN_VARIABLE, "tok")]).await;
        let found = found.unwrap().unwrap();
        assert_eq!((found.key_id.as_str(), found.token.is_some()), ("id", true));
        let printed = format!("{found:?}");
        assert!(!printed.contains("s3cret") && !printed.contains("tok\""), "{printed}");
    }

    #[tokio::test]
    async fn half_a_pair_names_the_other_half() {
        let error = from(&[(KEY_ID_VARIABLE, "id"), (SECRET_VARIABLE, "")]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("ALIBABA_CLOUD_ACCESS_KEY_SECRET is not"), "{error}");
        let error = from(&[(SECRET_VARIABLE, "s")]).await.unwrap_err();
        assert!(error.message().contains("ALIBABA_CLOUD_ACCESS_KEY_ID is not"), "{error}");
    }

    #[tokio::test]
    async fn nothing_set_is_not_mine() {
        assert!(from(&[(KEY_ID_VARIABLE, ""), (SECRET_VARIABLE, "")]).await.unwrap().is_none());
    }
}
