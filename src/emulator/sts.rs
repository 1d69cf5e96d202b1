//! The token service: `AssumeRole` and `AssumeRoleWithOIDC`, version 2015-04-01.
//!
//! What it gives out, the VOD side accepts until the session ends or is revoked.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Problem;
use super::duration;
use super::state::{Done, State};
use crate::auth::rpc::Params;

pub(super) const VERSION: &str = "2015-04-01";
/// The one action that is not signed: its token says who asks.
pub(super) const WITH_OIDC: &str = "AssumeRoleWithOIDC";
const WITH_KEY: &str = "AssumeRole";
/// Bounds of `DurationSeconds`, and what is meant without it.
const SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;
const DEFAULT_SECONDS: u64 = 3600;

/// How the token service behaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sts {
    /// How long sessions live, whatever is asked for; none: as asked for.
    #[serde(with = "duration::option")]
    pub life: Option<Duration>,
    /// ARNs of the roles that exist; empty: every role does.
    pub roles: Vec<String>,
    /// OIDC tokens that are good; empty: every token is.
    pub oidc_tokens: Vec<String>,
}

pub(super) fn is_action(action: &str) -> bool {
    action == WITH_KEY || action == WITH_OIDC
}

pub(super) fn denied(action: &str) -> Problem {
    let message = "You are not authorized to do this action. You should be authorized by RAM.";
    Problem { denied: Some(format!("sts:{action}")), ..Problem::new(403, "NoPermission", message) }
}

pub(super) fn perform(
    state: &mut State,
    action: &str,
    params: &Params,
    now: DateTime<Utc>,
) -> Result<Done, Problem> {
    let need =
        |name: &str| params.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Problem::missing(name));
    let invalid = |name: &str, why: &str| {
        let Problem { message, .. } = Problem::invalid_parameter(name, why);
        Problem::new(400, format!("InvalidParameter.{name}"), message)
    };
    let (arn, name) = (need("RoleArn")?, need("RoleSessionName")?);
    let Some((account, role)) = parse_arn(arn) else {
        return Err(invalid("RoleArn", "it is not acs:ram::<account>:role/<name>"));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(fits) {
        return Err(invalid("RoleSessionName", "it has 2 to 64 letters, digits or .@-_"));
    }
    let seconds = match params.get("DurationSeconds") {
        None => DEFAULT_SECONDS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| SECONDS.contains(seconds))
            .ok_or_else(|| invalid("DurationSeconds", "it is not 900 to 43200"))?,
    };
    let sts = &state.scenario.sts;
    if action == WITH_OIDC {
        let (provider, token) = (need("OIDCProviderArn")?, need("OIDCToken")?);
        if !provider.starts_with("acs:ram::") {
            return Err(invalid("OIDCProviderArn", "it is no ARN"));
        }
        // A line break at its end, which the vendor's SDKs send along, is no part of a token.
        if !sts.oidc_tokens.is_empty() && !sts.oidc_tokens.contains(token) {
            let message = "The OIDC token is invalid or has expired.";
            return Err(Problem::new(400, "AuthenticationFail.OIDCToken.Expired", message));
        }
    }
    if !sts.roles.is_empty() && !sts.roles.contains(arn) {
        let message = format!("The role not exists: {arn}.");
        return Err(Problem::new(404, "EntityNotExist.Role", message));
    }
    let life = sts.life.unwrap_or(Duration::from_secs(seconds));
    let session = state.memory.sessions.issue(&mut state.ids, life, now);
    let mut body: Value = json!({
        "AssumedRoleUser": {
            "AssumedRoleId": format!("33157794895460:{name}"),
            "Arn": format!("acs:ram::{account}:role/{role}/{name}"),
        },
        "Credentials": session.body(),
    });
    if action == WITH_OIDC {
        body["OIDCTokenInfo"] = json!({"Subject": name, "Issuer": "https://oidc.emulator.test"});
    }
    Ok(Done::of(body))
}

fn parse_arn(arn: &str) -> Option<(&str, &str)> {
    let (account, role) = arn.strip_prefix("acs:ram::")?.split_once(":role/")?;
    let digits = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
    (digits && !role.is_empty()).then_some((account, role))
}
