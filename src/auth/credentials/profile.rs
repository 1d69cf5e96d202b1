//! What a profile of `config.json` or a section of `credentials.ini` means, mode by mode.
//!
//! Unlike the vendor's SDKs, an empty field is not filled from the environment's key pair: two halves of two accounts
//! make no key. The role's ARN is, because that is what its variable is for.

use std::fmt::Display;
use std::path::Path;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::context::{Context, config_error};
use super::sts::{self, ROLE_VARIABLE, Role, SHORTEST_SESSION};
use super::{command, metadata, variables};
use crate::auth::credential::Credential;
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::to_wire;

/// How the sections of credentials files call the fields that they have, by the names of `config.json`.
pub(super) const INI_KEYS: &[(&str, &str)] = &[
    ("mode", "type"),
    ("access_key_id", "access_key_id"),
    ("access_key_secret", "access_key_secret"),
    ("sts_token", "sts_token"),
    ("ram_role_arn", "role_arn"),
    ("ram_session_name", "role_session_name"),
    ("ram_role_name", "role_name"),
    ("policy", "policy"),
    ("oidc_provider_arn", "oidc_provider_arn"),
    ("oidc_token_file", "oidc_token_file_path"),
];

/// Which mode a profile has that names none, by the fields that it has: the first that fits. Source: `AutoModeRecognition` of the
/// vendor's command line.
const MODES_BY_FIELDS: &[(&[&str], &str)] = &[
    (&["access_key_id", "access_key_secret", "sts_token"], "StsToken"),
    (&["access_key_id", "access_key_secret", "ram_role_arn"], "RamRoleArn"),
    (&["access_key_id", "access_key_secret"], "AK"),
    (&["ram_role_name"], "EcsRamRole"),
    (&["process_command"], "External"),
    (&["oidc_provider_arn", "oidc_token_file"], "OIDC"),
];

/// One profile's fields, by the names of `config.json`. Its errors name file, profile and field, never a value.
pub(super) struct Profile {
    pub(super) name: String,
    /// How people know it: `profile "prod" of ~/.aliyun/config.json`.
    pub(super) label: String,
    /// Whether it is a section of a credentials file.
    pub(super) is_section: bool,
    pub(super) fields: Map<String, Value>,
}

impl Profile {
    pub(super) fn error(&self, why: impl Display) -> Error {
        config_error(format!("{}: {why}", self.label))
    }

    /// An error about one field.
    pub(super) fn field_error(&self, field: &str, why: impl Display) -> Error {
        if !self.is_section {
            return self.error(format!("field {field} {why}"));
        }
        let key = INI_KEYS.iter().find(|(name, _)| *name == field);
        self.error(format!("key {} {why}", key.map_or(field, |(_, key)| key)))
    }

    /// A text field; an empty one is as missing.
    pub(super) fn text(&self, field: &str) -> Result<Option<String>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.field_error(field, "is no text")),
        }
    }

    fn need(&self, field: &str) -> Result<String> {
        self.text(field)?.ok_or_else(|| self.field_error(field, "is missing"))
    }

    /// A whole number above 0, also in quotes; 0 is as missing, as the `aliyun` command writes it.
    fn number(&self, field: &str) -> Result<Option<u64>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let written = || value.as_str().and_then(|text| text.trim().parse().ok());
                let number = value
                    .as_u64()
                    .or_else(written)
                    .ok_or_else(|| self.field_error(field, "is no whole number"))?;
                Ok(Some(number).filter(|number| *number > 0))
            }
        }
    }

    fn has(&self, field: &str) -> bool {
        !matches!(self.text(field), Ok(None))
    }

    /// Its mode; where that is empty, the one that its fields are for, as the `aliyun` command takes it.
    fn mode(&self) -> Result<String> {
        let guess = || MODES_BY_FIELDS.iter().find(|(fields, _)| fields.iter().all(|field| self.has(field)));
        match self.text("mode")? {
            None if !self.is_section => guess().map(|(_, mode)| (*mode).to_owned()),
            mode => mode,
        }
        .ok_or_else(|| self.field_error("mode", "is missing"))
    }

    /// Whether it is the empty profile that the `aliyun` command begins with.
    pub(super) fn is_blank(&self) -> bool {
        let has_key = self.has("access_key_id") || self.has("access_key_secret");
        !has_key && self.mode().map_or_else(|_| !self.has("mode"), |mode| mode == "AK")
    }

    fn key_pair(&self) -> Result<Credential> {
        Ok(Credential::new(self.need("access_key_id")?, self.need("access_key_secret")?))
    }

    fn key_with_token(&self) -> Result<Credential> {
        let mut credential = self.key_pair()?;
        credential.token = Some(SecretString::from(self.need("sts_token")?));
        Ok(credential)
    }

    fn role(&self, context: &Context) -> Result<Role> {
        let environment = &context.environment;
        let arn = self.text("ram_role_arn")?.or_else(|| environment.variable(ROLE_VARIABLE));
        // Sections know no external id.
        let known = || environment.variable("ALIBABA_CLOUD_EXTERNAL_ID").filter(|_| !self.is_section);
        let external_id = self.text("external_id")?.or_else(known);
        let seconds = self.number("expired_seconds")?;
        if seconds.is_some_and(|seconds| seconds < SHORTEST_SESSION) {
            return Err(self.field_error("expired_seconds", format!("is less than {SHORTEST_SESSION}")));
        }
        Ok(Role {
            arn: arn.ok_or_else(|| self.field_error("ram_role_arn", "is missing"))?,
            session_name: self.text("ram_session_name")?,
            seconds,
            policy: self.text("policy")?,
            external_id,
            region: self.text("sts_region")?,
            endpoint: self.text("sts_endpoint")?,
            vpc: self.fields.get("enable_vpc").and_then(Value::as_bool).unwrap_or_default(),
        })
    }
}

/// The credential that `profile` leads to; `find` gives the profiles that it may name as its source.
pub(super) async fn resolve(
    context: &Context,
    profile: Profile,
    find: impl Fn(&str) -> Result<Option<Profile>>,
) -> Result<Credential> {
    // Each takes on a role with the credential of the next one.
    let mut chain = Vec::new();
    let mut last = profile;
    while last.mode()? == "ChainableRamRoleArn" {
        let name = last.need("source_profile")?;
        chain.push(last);
        let names = chain.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>();
        let last_named = &chain[chain.len() - 1];
        if names.contains(&name.as_str()) {
            let loop_of_names = names.join(" → ");
            let why = format!("closes a loop: {loop_of_names} → {name}");
            return Err(last_named.field_error("source_profile", why));
        }
        last = find(&name)?.ok_or_else(|| {
            let why = format!("names profile {name:?}, which does not exist");
            last_named.field_error("source_profile", why)
        })?;
    }
    let mut credential = own_credential(context, &last).await?.with_source(&last.label);
    for profile in chain.iter().rev() {
        credential = assume_role(context, profile, &credential).await?.with_source(&profile.label);
    }
    Ok(credential)
}

/// The credential that a profile gives by itself.
async fn own_credential(context: &Context, profile: &Profile) -> Result<Credential> {
    let label = &profile.label;
    match profile.mode()?.as_str() {
        "AK" => profile.key_pair(),
        "StsToken" => profile.key_with_token(),
        "RamRoleArn" => {
            let mut source = profile.key_pair()?;
            source.token = profile.text("sts_token")?.map(SecretString::from);
            assume_role(context, profile, &source).await
        }
        "EcsRamRole" => instance_role(context, profile).await,
        // The name that the vendor's command line uses, and the one that its documentation does.
        "RamRoleArnWithRoleName" | "RamRoleArnWithEcs" => {
            let source = instance_role(context, profile).await?;
            assume_role(context, profile, &source).await
        }
        "OIDC" => {
            let (provider, file) = (profile.need("oidc_provider_arn")?, profile.need("oidc_token_file")?);
            let role = profile.role(context)?;
            sts::assume_role_with_oidc(context, &provider, Path::new(&file), &role)
                .await
                .map_err(|error| error.with_message_suffix(&format!(" ({label})")))
        }
        "External" => {
            let command = profile.need("process_command")?;
            command::credential_of(context, &command, &format!("process_command of {label}")).await
        }
        "CredentialsURI" => {
            let uri = profile.need("credentials_uri")?;
            variables::fetch_from(context, &uri, &format!("credentials_uri of {label}")).await
        }
        mode @ ("CloudSSO" | "OAuth") => stored_session(context, profile, mode),
        mode @ ("RsaKeyPair" | "BearerToken" | "Anonymous") => {
            Err(profile.error(format!("mode {mode} is not supported: choose another profile by `--profile`")))
        }
        // The value is not shown: whoever mixes up two fields may have put a secret here.
        _ => Err(profile.field_error("mode", "is none of the known ones (they are case-sensitive)")),
    }
}

async fn assume_role(context: &Context, profile: &Profile, source: &Credential) -> Result<Credential> {
    let role = profile.role(context)?;
    sts::assume_role(context, source, &role)
        .await
        .map_err(|error| error.with_message_suffix(&format!("; role {}, {}", role.arn, profile.label)))
}

async fn instance_role(context: &Context, profile: &Profile) -> Result<Credential> {
    metadata::role(context, profile.text("ram_role_name")?)
        .await
        .map_err(|error| error.with_message_suffix(&format!(" ({})", profile.label)))
}

/// The session that a login in the browser left in the file. It is a complete credential until it ends; a new one needs
/// the browser, and so the `aliyun` command.
fn stored_session(context: &Context, profile: &Profile, mode: &str) -> Result<Credential> {
    let log_in = format!("log in again with `aliyun configure --profile {} --mode {mode}`", profile.name);
    let Some(end) = profile.number("sts_expiration")? else {
        return Err(profile.error(format!("it holds no session (field sts_expiration): {log_in}")));
    };
    let end = i64::try_from(end).ok().and_then(|end| chrono::DateTime::from_timestamp(end, 0));
    let end = end.ok_or_else(|| profile.field_error("sts_expiration", "is no time in Unix seconds"))?;
    if end <= context.environment.clock.now() {
        let message = format!("its session ended at {}: {log_in}", to_wire(end));
        return Err(profile.error(message).with_kind(ErrorKind::Expired));
    }
    let mut credential = profile.key_with_token()?;
    credential.expires = Some(end);
    Ok(credential)
}
