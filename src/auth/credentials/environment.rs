//! The environment's key pair.

use secrecy::SecretString;

use super::{Credential, CredentialProvider, KEY_ID_VARIABLE, SECRET_VARIABLE, TOKEN_VARIABLE};
use crate::error::{Error, ErrorKind, Result};
use crate::net::transport::BoxFuture;

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
