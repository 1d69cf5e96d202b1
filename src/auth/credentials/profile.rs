//! What a profile of `config.json` means, mode by mode.
//!
//! Unlike the vendor's SDKs, an empty field is not filled from the environment's key pair: two halves of two accounts
//! make no key. The role's ARN is, because that is what its variable is for.

use std::path::Path;

use secrecy::SecretString;

use super::chain::Context;
use super::cli_config::{CliConfig, Profile};
use super::sts::{self, Role, SHORTEST_SESSION};
use super::{Credential, external, metadata, oidc, uri};
use crate::error::{ErrorKind, Result};
use crate::net::transport::BoxFuture;

/// The credential that `profile` leads to.
pub(super) async fn resolve(
    context: &Context,
    config: &CliConfig,
    profile: &Profile<'_>,
) -> Result<Credential> {
    through(context, config, profile, &mut Vec::new()).await
}

/// The same; `passed` holds the profiles that led here.
fn through<'a>(
    context: &'a Context,
    config: &'a CliConfig,
    profile: &'a Profile<'_>,
    passed: &'a mut Vec<String>,
) -> BoxFuture<'a, Result<Credential>> {
    Box::pin(async move {
        let label = profile.label();
        let credential = match profile.need("mode")?.as_str() {
            "AK" => pair(profile)?,
            "StsToken" => {
                let mut credential = pair(profile)?;
                credential.token = Some(SecretString::from(profile.need("sts_token")?));
                credential
            }
            "RamRoleArn" => {
                let mut source = pair(profile)?;
                source.token = profile.text("sts_token")?.map(SecretString::from);
                assume(context, profile, &source).await?
            }
            "ChainableRamRoleArn" => {
                let source = source(context, config, profile, passed).await?;
                assume(context, profile, &source).await?
            }
            "EcsRamRole" => instance_role(context, profile).await?,
            // The name that the vendor's command line uses, and the one that its documentation does.
            "RamRoleArnWithRoleName" | "RamRoleArnWithEcs" => {
                let source = instance_role(context, profile).await?;
                assume(context, profile, &source).await?
            }
            "OIDC" => {
                let (provider, file) = (profile.need("oidc_provider_arn")?, profile.need("oidc_token_file")?);
                let role = role(context, profile)?;
                oidc::assume(context, &provider, Path::new(&file), &role)
                    .await
                    .map_err(|error| error.with_message_suffix(&format!(" ({label})")))?
            }
            "External" => {
                let command = profile.need("process_command")?;
                external::fetch(context, &command, &format!("process_command of {label}")).await?
            }
            "CredentialsURI" => {
                let uri = profile.need("credentials_uri")?;
                uri::fetch(context, &uri, &format!("credentials_uri of {label}")).await?
            }
            mode @ ("CloudSSO" | "OAuth") => stored_session(context, profile, mode)?,
            mode @ ("RsaKeyPair" | "BearerToken" | "Anonymous") => {
                return Err(profile.error(format!("mode {mode} is not supported")));
            }
            // The value is not shown: whoever mixes up two fields may have put a secret here.
            _ => return Err(profile.error("field mode is none of the known ones (they are case-sensitive)")),
        };
        Ok(credential.with_source(label))
    })
}

fn pair(profile: &Profile<'_>) -> Result<Credential> {
    Ok(Credential::new(profile.need("access_key_id")?, profile.need("access_key_secret")?))
}

/// The credential of `source_profile`, whatever its mode.
async fn source(
    context: &Context,
    config: &CliConfig,
    profile: &Profile<'_>,
    passed: &mut Vec<String>,
) -> Result<Credential> {
    passed.push(profile.name.to_owned());
    let name = profile.need("source_profile")?;
    if passed.contains(&name) {
        let way = passed.join(" → ");
        return Err(profile.error(format!("field source_profile closes a loop: {way} → {name}")));
    }
    let source = config.profile(&name)?;
    let source = source.ok_or_else(|| {
        profile.error(format!("field source_profile names profile {name:?}, which does not exist"))
    })?;
    through(context, config, &source, passed).await
}

async fn assume(context: &Context, profile: &Profile<'_>, source: &Credential) -> Result<Credential> {
    let role = role(context, profile)?;
    sts::assume_role(context, source, &role)
        .await
        .map_err(|error| error.with_message_suffix(&format!("; role {}, {}", role.arn, profile.label())))
}

fn role(context: &Context, profile: &Profile<'_>) -> Result<Role> {
    let arn = profile.text("ram_role_arn")?.or_else(|| context.world.variable(oidc::ROLE_VARIABLE));
    let external_id = profile.text("external_id")?;
    let seconds = profile.number("expired_seconds")?;
    if seconds.is_some_and(|seconds| seconds < SHORTEST_SESSION) {
        return Err(profile.error(format!("field expired_seconds is less than {SHORTEST_SESSION}")));
    }
    Ok(Role {
        arn: arn.ok_or_else(|| profile.error("field ram_role_arn is missing"))?,
        session_name: profile.text("ram_session_name")?,
        seconds,
        policy: profile.text("policy")?,
        external_id: external_id.or_else(|| context.world.variable("ALIBABA_CLOUD_EXTERNAL_ID")),
        region: profile.text("sts_region")?,
        endpoint: profile.text("sts_endpoint")?,
        vpc: profile.is_on("enable_vpc"),
    })
}

async fn instance_role(context: &Context, profile: &Profile<'_>) -> Result<Credential> {
    metadata::role(context, profile.text("ram_role_name")?)
        .await
        .map_err(|error| error.with_message_suffix(&format!(" ({})", profile.label())))
}

/// The session that a login in the browser left in the file. It is a complete credential until it ends; a new one needs
/// the browser, and so the `aliyun` command.
fn stored_session(context: &Context, profile: &Profile<'_>, mode: &str) -> Result<Credential> {
    let log_in = || {
        let name = profile.name;
        format!("log in again with `aliyun configure --profile {name} --mode {mode}`")
    };
    let Some(end) = profile.number("sts_expiration")? else {
        return Err(profile.error(format!("it holds no session (field sts_expiration): {}", log_in())));
    };
    let end = i64::try_from(end).ok().and_then(|end| chrono::DateTime::from_timestamp(end, 0));
    let end = end.ok_or_else(|| profile.error("field sts_expiration is no time in Unix seconds"))?;
    if end <= context.world.now() {
        let ended = crate::net::clock::to_wire(end);
        let message = format!("its session ended at {ended}: {}", log_in());
        return Err(profile.error(message).with_kind(ErrorKind::Expired));
    }
    let mut credential = pair(profile)?;
    credential.token = Some(SecretString::from(profile.need("sts_token")?));
    credential.expires = Some(end);
    Ok(credential)
}
