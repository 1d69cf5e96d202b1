//! Is a request signed rightly, with a key we know, at the right time? Signature version 1.0 and ACS3, each from the
//! decoded request.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, Utc};

use super::answer::Problem;
use super::gate::WINDOW;
use super::memory::Memory;
use super::scenario::Scenario;
use super::sessions::Session;
use super::wire::Received;
use crate::auth::acs3::{ToSign, hmac_sha256_hex, sha256_hex};
use crate::auth::{percent, rpc};

/// Signature version 1.0; gives back version and nonce.
pub(super) fn check_v1(
    received: &Received,
    now: DateTime<Utc>,
    scenario: &Scenario,
    memory: &Memory,
) -> Result<(String, String), Problem> {
    let need = |name: &str| {
        received.param(name).filter(|value| !value.is_empty()).ok_or_else(|| Problem::missing(name))
    };
    let (_, version, key_id) = (need("Action")?, need("Version")?, need("AccessKeyId")?);
    let (nonce, time, signature) = (need("SignatureNonce")?, need("Timestamp")?, need("Signature")?);
    for (name, only) in [("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")] {
        if need(name)? != only {
            return Err(Problem::invalid_parameter(name, &format!("only {only} is supported")));
        }
    }
    let secret = secret_of(key_id, scenario, memory)?;
    check_token(key_id, received.param("SecurityToken"), now, scenario, memory)?;
    check_time(time, now)?;
    let text = rpc::string_to_sign(&received.method, &rpc::canonical_query(&received.params()));
    if STANDARD.decode(signature).map(|bytes| bytes.len()) != Ok(20) {
        return Err(incomplete(&format!("server string to sign is:{text}")));
    }
    if rpc::sign(&text, secret) != signature {
        return Err(mismatch(&text));
    }
    Ok((version.to_owned(), nonce.to_owned()))
}

pub(super) fn is_v3(authorization: &str) -> bool {
    authorization.starts_with("ACS3-")
}

pub(super) struct Authorization<'a> {
    pub(super) key_id: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

/// `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`.
pub(super) fn parse_authorization(text: &str) -> Option<Authorization<'_>> {
    let fields: BTreeMap<&str, &str> = text
        .strip_prefix("ACS3-HMAC-SHA256 ")?
        .split(',')
        .filter_map(|field| field.trim().split_once('='))
        .collect();
    Some(Authorization {
        key_id: fields.get("Credential")?,
        signed: fields.get("SignedHeaders")?.split(';').collect(),
        signature: fields.get("Signature")?,
    })
}

/// ACS3-HMAC-SHA256; gives back version and nonce.
pub(super) fn check_v3(
    received: &Received,
    authorization: &str,
    now: DateTime<Utc>,
    scenario: &Scenario,
    memory: &Memory,
) -> Result<(String, String), Problem> {
    let Some(authorization) = parse_authorization(authorization) else {
        return Err(incomplete("the Authorization header cannot be read"));
    };
    let need = |name: &str| {
        received.header(name).filter(|value| !value.is_empty()).ok_or_else(|| Problem::missing(name))
    };
    need("x-acs-action")?;
    let (version, nonce) = (need("x-acs-version")?, need("x-acs-signature-nonce")?);
    let (time, hash) = (need("x-acs-date")?, need("x-acs-content-sha256")?);
    let secret = secret_of(authorization.key_id, scenario, memory)?;
    check_token(authorization.key_id, received.header("x-acs-security-token"), now, scenario, memory)?;
    check_time(time, now)?;
    let headers = signed_headers(received, &authorization.signed)?;
    if hash != sha256_hex(&received.body) {
        return Err(Problem::invalid_parameter("x-acs-content-sha256", "it is not the hash of the body"));
    }
    let to_sign = ToSign {
        method: &received.method,
        path: &received.path,
        query: &percent::join(received.query.iter().map(|(n, v)| (n.as_str(), v.as_str()))),
        headers: &headers,
        body_sha256: hash,
    };
    if hmac_sha256_hex(secret.as_bytes(), to_sign.string_to_sign().as_bytes()) != authorization.signature {
        let (text, canonical) = (to_sign.string_to_sign(), to_sign.canonical_request());
        return Err(mismatch(&format!("{text}\nserver CanonicalRequest is:{canonical}")));
    }
    Ok((version.to_owned(), nonce.to_owned()))
}

/// The headers that were signed, if those are all that must be.
fn signed_headers(received: &Received, names: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let sorted: BTreeSet<&str> = names.iter().copied().collect();
    if !sorted.iter().eq(names) {
        return Err(incomplete("SignedHeaders are not sorted, or hold a name twice"));
    }
    let must = received
        .headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| (name.starts_with("x-acs-")) || (*name == "content-type"));
    for name in must.chain(["host"]) {
        if !sorted.contains(name) {
            return Err(incomplete(&format!("the header {name} is not signed")));
        }
    }
    let mut headers = BTreeMap::new();
    for name in sorted {
        let value = if name == "host" { received.host.as_deref() } else { received.header(name) };
        let Some(value) = value else {
            return Err(incomplete(&format!("the header {name} is signed and not there")));
        };
        headers.insert(name.to_owned(), value.to_owned());
    }
    Ok(headers)
}

pub(super) fn secret_of<'a>(
    key_id: &str,
    scenario: &'a Scenario,
    memory: &'a Memory,
) -> Result<&'a str, Problem> {
    let own = scenario.keys.get(key_id);
    own.or_else(|| memory.sessions.get(key_id).map(|session| &session.secret))
        .map(String::as_str)
        .ok_or_else(|| Problem::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."))
}

pub(super) fn check_token(
    key_id: &str,
    token: Option<&str>,
    now: DateTime<Utc>,
    scenario: &Scenario,
    memory: &Memory,
) -> Result<(), Problem> {
    let token = token.filter(|token| !token.is_empty());
    let problem = |code: &str, message: &str| Err(Problem::new(400, code, message));
    if token.is_some_and(|token| memory.expired_tokens.contains(token)) {
        return problem("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.");
    }
    let session = memory.sessions.get(key_id);
    let right = scenario.tokens.get(key_id).or(session.map(|session| &session.token));
    let right_and_over = |session: &Session| session.is_over(now) && token == Some(&session.token);
    if session.is_some_and(right_and_over) {
        return problem("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.");
    }
    match (right, token) {
        (None, None) => Ok(()),
        (Some(_), None) => problem("MissingSecurityToken", "SecurityToken is mandatory for this action."),
        (Some(right), Some(given)) if right == given => Ok(()),
        (None, Some(_)) => problem(
            "InvalidSecurityToken.MismatchWithAccessKey",
            "Specified SecurityToken mismatch with the AccessKey.",
        ),
        (Some(_), Some(_)) => {
            problem("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
        }
    }
}

fn check_time(text: &str, now: DateTime<Utc>) -> Result<(), Problem> {
    let Some(time) = parse_time(text) else {
        return Err(Problem::new(
            400,
            "InvalidTimeStamp.Format",
            "Specified time stamp or date value is not well formatted.",
        ));
    };
    if (now - time).abs() > WINDOW {
        return Err(Problem::new(
            400,
            "InvalidTimeStamp.Expired",
            "Specified time stamp or date value is expired.",
        ));
    }
    Ok(())
}

/// `yyyy-MM-ddTHH:mm:ssZ` to the letter.
pub(super) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    // Twenty bytes: chrono alone would also take one-digit months.
    let naive =
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").ok().filter(|_| text.len() == 20)?;
    Some(naive.and_utc())
}

fn incomplete(why: &str) -> Problem {
    let message = format!("The request signature does not conform to Aliyun standards. {why}");
    Problem::new(400, "IncompleteSignature", message)
}

fn mismatch(text: &str) -> Problem {
    let message =
        format!("Specified signature is not matched with our calculation. server string to sign is:{text}");
    Problem::new(400, "SignatureDoesNotMatch", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_letter() {
        assert!(parse_time("2026-01-02T03:04:05Z").is_some());
        for text in [
            "2026-1-2T03:04:05Z",
            "2026-01-02 03:04:05",
            "2026-01-02T03:04:05.0Z",
            "2026-01-02T03:04:05+00:00",
            "",
        ] {
            assert!(parse_time(text).is_none(), "{text}");
        }
    }
}
