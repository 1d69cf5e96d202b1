//! The sources that variables of the environment name: a key pair, a role with an OIDC token, a credentials service.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use secrecy::SecretString;
use serde_json::Value;

use super::context::{Context, Finding, config_error};
use super::sts::{self, ROLE_VARIABLE, Role};
use super::temporary_key;
use crate::auth::credential::{Credential, CredentialProvider};
use crate::error::{Error, ErrorKind, Result};
use crate::net::endpoint::is_loopback;
use crate::net::transport::{BoxFuture, host_of};

/// Variable of the key id.
pub const KEY_ID_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
/// Variable of the secret.
pub const SECRET_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
/// Variable of the STS token that goes with a temporary key.
pub const TOKEN_VARIABLE: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";
/// The identity provider that signed the OIDC token.
const PROVIDER_VARIABLE: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
/// The file of the OIDC token. Whoever set the variable also renews the file.
const TOKEN_FILE_VARIABLE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";
const URI_VARIABLE: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
/// One exchange with a credentials service as a whole: the vendor's 5 s to connect and 10 s to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// The three variables `ALIBABA_CLOUD_ACCESS_KEY_ID`, `…_SECRET` and `ALIBABA_CLOUD_SECURITY_TOKEN`.
///
/// A set but empty variable is as unset. Half a pair is an error that names the other half.
#[derive(Debug, Clone)]
pub struct EnvironmentCredentials(Result<Option<Credential>>);

impl EnvironmentCredentials {
    /// Reads variables once, now, through `lookup`: `|name| std::env::var(name).ok()` reads those of this process.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let half = |set, missing| Err(config_error(format!("{set} is set but {missing} is not")));
        Self(match (read(KEY_ID_VARIABLE), read(SECRET_VARIABLE)) {
            (Some(key_id), Some(secret)) => {
                let mut credential = Credential::new(key_id, secret).with_source("environment");
                credential.token = read(TOKEN_VARIABLE).map(SecretString::from);
                Ok(Some(credential))
            }
            (Some(_), None) => half(KEY_ID_VARIABLE, SECRET_VARIABLE),
            (None, Some(_)) => half(SECRET_VARIABLE, KEY_ID_VARIABLE),
            (None, None) => Ok(None),
        })
    }
}

impl CredentialProvider for EnvironmentCredentials {
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(async { self.0.clone() })
    }
}

/// Asks the variables of a key pair.
pub(super) fn key_pair(context: &Context) -> Result<Finding> {
    let found = EnvironmentCredentials::from_lookup(|name| context.environment.variable(name)).0?;
    let absent = || Finding::Absent(format!("{KEY_ID_VARIABLE} and {SECRET_VARIABLE} are not set"));
    Ok(found.map_or_else(absent, Finding::Found))
}

/// Asks the variables of an OIDC role: pods with RRSA, and runners of continuous integration. The role's variable alone
/// says nothing about OIDC: it also stands in for profiles.
pub(super) async fn oidc_role(context: &Context) -> Result<Finding> {
    let names = [PROVIDER_VARIABLE, TOKEN_FILE_VARIABLE, ROLE_VARIABLE];
    let [provider, file, arn] = names.map(|name| context.environment.variable(name));
    if provider.is_none() && file.is_none() {
        return Ok(Finding::Absent(format!("{PROVIDER_VARIABLE} and {TOKEN_FILE_VARIABLE} are not set")));
    }
    match (provider, file, arn) {
        (Some(provider), Some(file), Some(arn)) => {
            let role = Role { arn, ..Role::default() };
            let credential = sts::assume_role_with_oidc(context, &provider, Path::new(&file), &role).await?;
            let source = format!("OIDC role {} with the token in {file}", role.arn);
            Ok(Finding::Found(credential.with_source(source)))
        }
        (provider, file, arn) => {
            let is_set = [provider.is_some(), file.is_some(), arn.is_some()];
            let named = |wanted: bool| {
                let chosen = names.iter().zip(is_set).filter(|(_, is_set)| *is_set == wanted);
                chosen.map(|(name, _)| *name).collect::<Vec<_>>().join(" and ")
            };
            let (set, missing) = (named(true), named(false));
            Err(config_error(format!("for an OIDC role {set} is set but {missing} is not")))
        }
    }
}

/// Whether the variables of an OIDC role are set, wholly or in part.
pub(super) fn has_oidc_role(context: &Context) -> bool {
    [PROVIDER_VARIABLE, TOKEN_FILE_VARIABLE].iter().any(|name| context.environment.variable(name).is_some())
}

/// Asks the credentials service whose URI the variable holds.
pub(super) async fn credentials_uri(context: &Context) -> Result<Finding> {
    let Some(uri) = context.environment.variable(URI_VARIABLE) else {
        return Ok(Finding::Absent(format!("{URI_VARIABLE} is not set")));
    };
    fetch_from(context, &uri, URI_VARIABLE).await.map(Finding::Found)
}

/// Gets one temporary key from a credentials service. `setting` says where `uri` stands.
///
/// The URI may hold a password or a token, so only scheme and host are ever shown.
pub(super) async fn fetch_from(context: &Context, uri: &str, setting: &str) -> Result<Credential> {
    let wrong = |why: &str| config_error(format!("{setting} {why}"));
    let uri: Uri = uri.parse().map_err(|_| wrong("is no URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("is no URL"));
    };
    match scheme {
        "https" => {}
        "http" if is_loopback(authority.host()) || context.options.allow_plain_http => {}
        "http" => return Err(wrong("is plain HTTP, which is allowed to this machine only")),
        _ => return Err(wrong("is no http or https URL")),
    }
    let service = format!("the credentials service {scheme}://{}", host_of(&uri));
    let failed = |kind, why: &str| Error::new(kind, format!("{service} ({setting}) {why}"));
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = uri.clone();
    let answer = context.environment.send(request, LIMIT).await?;
    let answer = answer.map_err(|failure| failed(failure.kind(), &format!("can't be asked: {failure}")))?;
    let status = answer.status().as_u16();
    if status != 200 {
        let kind = if status >= 500 { ErrorKind::Unavailable } else { ErrorKind::Refused };
        return Err(failed(kind, &format!("answers HTTP {status}")));
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    // The vendor's Go and Node packages do not look at the code, so services without one are about.
    if temporary_key::text(&body, "Code").is_some_and(|code| code != "Success") {
        return Err(failed(ErrorKind::Refused, "answers with a Code that is not Success"));
    }
    let credential = temporary_key::read(&body)
        .map_err(|field| failed(ErrorKind::Config, &format!("gives no usable {field}")))?;
    Ok(credential.with_source(service))
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
