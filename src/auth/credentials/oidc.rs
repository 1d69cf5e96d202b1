//! A role taken on with an OIDC token: pods with RRSA, and runners of continuous integration.

use std::path::Path;

use super::Credential;
use super::chain::{Answer, Context};
use super::sts::{self, Role};
use crate::error::{Error, ErrorKind, Result};

/// The role; also a stand-in for profiles that name none.
pub(super) const ROLE_VARIABLE: &str = "ALIBABA_CLOUD_ROLE_ARN";
/// The identity provider that signed the token.
const PROVIDER_VARIABLE: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
/// Where the token is. Whoever put the variable there also renews the file.
const TOKEN_FILE_VARIABLE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";

/// Asks the three variables. The role's alone says nothing about OIDC: it also stands in for profiles.
pub(super) async fn from_environment(context: &Context) -> Result<Answer> {
    let names = [PROVIDER_VARIABLE, TOKEN_FILE_VARIABLE, ROLE_VARIABLE];
    let [provider, file, arn] = names.map(|name| context.world.variable(name));
    if provider.is_none() && file.is_none() {
        let absent = format!("{PROVIDER_VARIABLE} and {TOKEN_FILE_VARIABLE} are not set");
        return Ok(Answer::Absent(absent));
    }
    match (provider, file, arn) {
        (Some(provider), Some(file), Some(arn)) => {
            let role = Role { arn, ..Role::default() };
            let credential = assume(context, &provider, Path::new(&file), &role).await?;
            let source = format!("OIDC role {} with the token in {file}", role.arn);
            Ok(Answer::Found(credential.with_source(source)))
        }
        (provider, file, arn) => {
            let set = [provider, file, arn].map(|value| value.is_some());
            let named = |wanted: bool| {
                let some = names.iter().zip(set).filter(|(_, is)| *is == wanted).map(|(name, _)| *name);
                some.collect::<Vec<_>>().join(" and ")
            };
            let message = format!("for an OIDC role {} is set but {} is not", named(true), named(false));
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

/// Reads the token anew and exchanges it.
pub(super) async fn assume(
    context: &Context,
    provider_arn: &str,
    token_file: &Path,
    role: &Role,
) -> Result<Credential> {
    let broken = |why: &str| {
        Error::new(ErrorKind::Config, format!("the OIDC token file {} {why}", token_file.display()))
    };
    let file = context.world.file(token_file)?.ok_or_else(|| broken("does not exist"))?;
    // The vendor's SDKs send the line break at the end of the file as part of the token.
    let token = file.text.trim();
    if token.is_empty() {
        return Err(broken("is empty"));
    }
    sts::assume_role_with_oidc(context, provider_arn, token, role).await.map_err(|error| {
        let about = format!("; role {}, token from {}", role.arn, token_file.display());
        error.with_message_suffix(&about)
    })
}
