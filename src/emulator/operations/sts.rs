//! The token service: `AssumeRole` and `AssumeRoleWithOIDC`. VOD takes the keys that it gives out until they end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::emulator::actions::ASSUME_ROLE_WITH_OIDC;
use crate::emulator::request::{Problem, Received};
use crate::emulator::state::State;

/// The bounds of `DurationSeconds`, and what is meant without it.
const SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;
const DEFAULT_SECONDS: u64 = 3600;

pub(super) fn assume_role(state: &mut State, action: &str, args: &Received) -> Result<Value, Problem> {
    let invalid = |name: &str, why: &str| Problem {
        code: format!("InvalidParameter.{name}"),
        ..Problem::invalid_parameter(name, why)
    };
    let (arn, name) = (args.required("RoleArn")?, args.required("RoleSessionName")?);
    let Some((account, role)) = parse_arn(arn) else {
        return Err(invalid("RoleArn", "it is not acs:ram::<account>:role/<name>"));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(fits) {
        return Err(invalid("RoleSessionName", "it has 2 to 64 letters, digits or .@-_"));
    }
    let seconds = args
        .number("DurationSeconds", SECONDS)
        .map_err(|problem| Problem { code: "InvalidParameter.DurationSeconds".into(), ..problem })?;
    let seconds = seconds.unwrap_or(DEFAULT_SECONDS);
    let sts = &state.scenario.sts;
    if action == ASSUME_ROLE_WITH_OIDC {
        let (provider, token) = (args.required("OIDCProviderArn")?, args.required("OIDCToken")?);
        if !provider.starts_with("acs:ram::") {
            return Err(invalid("OIDCProviderArn", "it is no ARN"));
        }
        // A line break at its end, which the vendor's SDKs send along, is no part of a token.
        if !sts.oidc_tokens.is_empty() && !sts.oidc_tokens.iter().any(|good| good == token) {
            let message = "The OIDC token is invalid or has expired.";
            return Err(Problem::new(400, "AuthenticationFail.OIDCToken.Expired", message));
        }
    }
    if !sts.roles.is_empty() && !sts.roles.iter().any(|known| known == arn) {
        return Err(Problem::new(404, "EntityNotExist.Role", format!("The role not exists: {arn}.")));
    }
    let life = sts.life.unwrap_or(Duration::from_secs(seconds));
    let session = state.keys.issue(&mut state.ids, life, state.now);
    let mut body = json!({
        "AssumedRoleUser": {
            "AssumedRoleId": format!("33157794895460:{name}"),
            "Arn": format!("acs:ram::{account}:role/{role}/{name}"),
        },
        "Credentials": session.body(),
    });
    if action == ASSUME_ROLE_WITH_OIDC {
        body["OIDCTokenInfo"] = json!({"Subject": name, "Issuer": "https://oidc.emulator.test"});
    }
    Ok(body)
}

fn parse_arn(arn: &str) -> Option<(&str, &str)> {
    let (account, role) = arn.strip_prefix("acs:ram::")?.split_once(":role/")?;
    let digits = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
    (digits && !role.is_empty()).then_some((account, role))
}
