//! Checks who sends a request: is it signed rightly, now, and for the first time?
//!
//! VOD and the token service take signature version 1.0 and ACS3, the queue service has its own. The order of the checks:
//! what must be there, the key, the token, the time, the signature, the nonce; then the action, its version and its
//! method. A nonce counts as used only after the signature was right, or anybody could burn it. Each signature is computed
//! from the decoded request. This file reads the emulator's state; of its operations it knows nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, Utc};
use http::Method;

use super::actions;
use super::keys::WINDOW;
use super::request::{Problem, Received};
use super::state::State;
use crate::auth::acs3::{self, hmac_sha256_hex, sha256_hex};
use crate::auth::{percent, queue, rpc};

/// What a request says about its sender, before anything is believed.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    pub(super) key_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) signature_version: &'static str,
}

pub(super) fn claims(received: &Received) -> Claims<'_> {
    let claims = if received.is_of_queue() {
        (queue_authorization(received).map(|(key_id, _)| key_id), None, "MNS")
    } else if let Some(text) = acs3_authorization(received) {
        (parse_acs3(text).map(|parts| parts.key_id), received.header("x-acs-signature-nonce"), "ACS3")
    } else {
        (received.given("AccessKeyId"), received.given("SignatureNonce"), "1.0")
    };
    let (key_id, nonce, signature_version) = claims;
    Claims { key_id: key_id.unwrap_or_default(), nonce: nonce.unwrap_or_default(), signature_version }
}

/// The `Authorization` header, where it is one of ACS3.
pub(super) fn acs3_authorization(received: &Received) -> Option<&str> {
    received.header("authorization").filter(|text| text.starts_with("ACS3-"))
}

/// Checks a request to VOD or the token service.
pub(super) fn check(received: &Received, state: &mut State) -> Result<(), Problem> {
    if received.path != "/" {
        let message = "Specified api is not found, please check your url.";
        return Err(Problem::new(404, "InvalidApi.NotFound", message));
    }
    let unsupported = Problem::new(403, "UnsupportedHTTPMethod", "This http method is not supported.");
    if !matches!(received.method, Method::GET | Method::POST) {
        return Err(unsupported);
    }
    let action = received.action();
    let version = if action == actions::ASSUME_ROLE_WITH_OIDC {
        // Not signed: the token in it says who asks.
        received.given("Version").unwrap_or_default()
    } else {
        let version = match acs3_authorization(received) {
            Some(text) => check_acs3(received, text, state)?,
            None => check_v1(received, state)?,
        };
        let Claims { key_id, nonce, .. } = claims(received);
        if !state.keys.is_first_use(key_id, nonce, state.now) {
            let message = "Specified signature nonce was used already.";
            return Err(Problem::new(400, "SignatureNonceUsed", message));
        }
        version
    };
    let Some(methods) = actions::methods(action) else {
        let message =
            format!("Specified api is not found, please check your url and method. Action: {action}.");
        return Err(Problem::new(404, "InvalidAction.NotFound", message));
    };
    if version != actions::version(action) {
        return Err(Problem::new(400, "InvalidVersion", "Specified parameter Version is not valid."));
    }
    if !methods.contains(&received.method) {
        return Err(unsupported);
    }
    Ok(())
}

/// Checks signature version 1.0; returns the API version.
fn check_v1<'a>(received: &'a Received, state: &State) -> Result<&'a str, Problem> {
    let State { scenario, keys, now, .. } = state;
    let need = |name| received.required(name);
    let (_, version, key_id) = (need("Action")?, need("Version")?, need("AccessKeyId")?);
    let (_, time, signature) = (need("SignatureNonce")?, need("Timestamp")?, need("Signature")?);
    for (name, only) in [("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")] {
        if need(name)? != only {
            return Err(Problem::invalid_parameter(name, format!("only {only} is supported")));
        }
    }
    let secret = keys.secret(key_id, scenario).ok_or_else(unknown_key)?;
    keys.check_token(key_id, received.given("SecurityToken"), *now, scenario)?;
    check_time(time, *now)?;
    let text = rpc::string_to_sign(&received.method, &rpc::canonical_query(&received.params()));
    if STANDARD.decode(signature).map(|bytes| bytes.len()) != Ok(20) {
        return Err(incomplete(&format!("server string to sign is:{text}")));
    }
    if rpc::sign(&text, secret) != signature {
        return Err(mismatch(&text));
    }
    Ok(version)
}

struct Acs3<'a> {
    key_id: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

/// `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`.
fn parse_acs3(text: &str) -> Option<Acs3<'_>> {
    let fields: BTreeMap<&str, &str> = text
        .strip_prefix("ACS3-HMAC-SHA256 ")?
        .split(',')
        .filter_map(|field| field.trim().split_once('='))
        .collect();
    Some(Acs3 {
        key_id: fields.get("Credential")?,
        signed: fields.get("SignedHeaders")?.split(';').collect(),
        signature: fields.get("Signature")?,
    })
}

/// Checks ACS3-HMAC-SHA256; returns the API version.
fn check_acs3<'a>(received: &'a Received, authorization: &str, state: &State) -> Result<&'a str, Problem> {
    let State { scenario, keys, now, .. } = state;
    let Some(authorization) = parse_acs3(authorization) else {
        return Err(incomplete("the Authorization header cannot be read"));
    };
    let need = |name: &str| {
        received.header(name).filter(|value| !value.is_empty()).ok_or_else(|| Problem::missing(name))
    };
    let (_, version, _) = (need("x-acs-action")?, need("x-acs-version")?, need("x-acs-signature-nonce")?);
    let (time, hash) = (need("x-acs-date")?, need("x-acs-content-sha256")?);
    let secret = keys.secret(authorization.key_id, scenario).ok_or_else(unknown_key)?;
    keys.check_token(authorization.key_id, received.header("x-acs-security-token"), *now, scenario)?;
    check_time(time, *now)?;
    let headers = signed_headers(received, &authorization.signed)?;
    if hash != sha256_hex(&received.body) {
        return Err(Problem::invalid_parameter("x-acs-content-sha256", "it is not the hash of the body"));
    }
    let to_sign = acs3::ToSign {
        method: &received.method,
        path: &received.path,
        query: &percent::join(received.query.iter().map(|(n, v)| (n.as_str(), v.as_str()))),
        headers: &headers,
        body_sha256: hash,
    };
    let text = to_sign.string_to_sign();
    if hmac_sha256_hex(secret.as_bytes(), text.as_bytes()) != authorization.signature {
        let canonical = to_sign.canonical_request();
        return Err(mismatch(&format!("{text}\nserver CanonicalRequest is:{canonical}")));
    }
    Ok(version)
}

/// The headers that were signed, if those are all that must be.
fn signed_headers(received: &Received, names: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    if !names.is_sorted_by(|one, next| one < next) {
        return Err(incomplete("SignedHeaders are not sorted, or hold a name twice"));
    }
    let must = received.headers.keys().map(|name| name.as_str());
    let must = must.filter(|name| name.starts_with("x-acs-") || *name == "content-type");
    if let Some(name) = must.chain(["host"]).find(|name| !names.contains(name)) {
        return Err(incomplete(&format!("the header {name} is not signed")));
    }
    let header = |name: &&str| {
        let value = if *name == "host" { received.host.as_deref() } else { received.header(name) };
        let value = value.ok_or_else(|| incomplete(&format!("the header {name} is signed and not there")))?;
        Ok(((*name).to_owned(), value.to_owned()))
    };
    names.iter().map(header).collect()
}

/// Key id and signature of a request to the queue service.
fn queue_authorization(received: &Received) -> Option<(&str, &str)> {
    received.header("authorization")?.strip_prefix("MNS ")?.split_once(':')
}

/// Checks a request to the queue service.
pub(super) fn check_queue(received: &Received, state: &State) -> Result<(), Problem> {
    let State { scenario, keys, now, .. } = state;
    let header = |name: &str| received.header(name).unwrap_or_default();
    let bad = |code: &str, message: &str| Problem::new(400, code, message);
    for (name, what, code) in [
        ("authorization", "Authorization", "MissingAuthorizationHeader"),
        (queue::VERSION_HEADER, "x-mns-version", "MissingVersionHeader"),
        ("date", "Date", "MissingDateHeader"),
    ] {
        if header(name).is_empty() {
            return Err(bad(code, &format!("The {what} header is required.")));
        }
    }
    let Some((key_id, signature)) = queue_authorization(received) else {
        return Err(bad("InvalidAuthorizationHeader", "The Authorization header is not valid."));
    };
    let date = header("date");
    let time = DateTime::parse_from_rfc2822(date).ok().filter(|_| date.ends_with(" GMT"));
    let Some(time) = time else { return Err(bad("InvalidDateHeader", "The Date header is not valid.")) };
    if (*now - time.with_timezone(&Utc)).abs() > WINDOW {
        return Err(Problem::new(408, "TimeExpired", "The http request you sent is expired."));
    }
    let Some(secret) = keys.secret(key_id, scenario) else {
        return Err(Problem::new(403, "InvalidAccessKeyId", "The AccessKey Id you provided is not exist."));
    };
    // The codes are those of the other services: the queue's list of errors has none for tokens.
    keys.check_token(key_id, received.header(queue::TOKEN_HEADER), *now, scenario)
        .map_err(|problem| Problem { status: 403, ..problem })?;
    let signed = received.headers.iter().filter(|(name, _)| name.as_str().starts_with(queue::SIGNED_PREFIX));
    let headers: BTreeMap<String, String> = signed
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let text = queue::ToSign {
        method: &received.method,
        content_md5: header("content-md5"),
        content_type: header("content-type"),
        date,
        headers: &headers,
        target: &received.target,
    }
    .text();
    if queue::sign(&text, secret) != signature {
        let message = "The request signature we calculated does not match the signature you provided.";
        return Err(Problem::new(403, "SignatureDoesNotMatch", message));
    }
    Ok(())
}

fn check_time(text: &str, now: DateTime<Utc>) -> Result<(), Problem> {
    let problem = |code: &str, what: &str| {
        Err(Problem::new(400, code, format!("Specified time stamp or date value is {what}.")))
    };
    match parse_time(text) {
        None => problem("InvalidTimeStamp.Format", "not well formatted"),
        Some(time) if (now - time).abs() > WINDOW => problem("InvalidTimeStamp.Expired", "expired"),
        Some(_) => Ok(()),
    }
}

/// `yyyy-MM-ddTHH:mm:ssZ` to the letter.
pub(super) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    // Twenty bytes: chrono alone would also take one-digit months.
    let naive =
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").ok().filter(|_| text.len() == 20)?;
    Some(naive.and_utc())
}

fn unknown_key() -> Problem {
    Problem::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
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
