//! The gateway: who asks, is it signed rightly, now, and for the first time?
//!
//! Order of the checks: what must be there, the key, the token, the time, the signature, the nonce; then the action, its
//! version and its method. A nonce counts as used only after the signature was right, or anybody could burn it.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use http::Method;

use super::answer::Problem;
use super::scenario::Scenario;
use super::wire::Received;
use crate::auth::acs3::{ToSign, hmac_sha256_hex, sha256_hex};
use crate::auth::{percent, rpc};

/// The actions that there are, and the methods they take (GetMediaRefreshJobs is documented for GET only).
pub(super) const ACTIONS: &[(&str, &[Method])] = &[
    ("RefreshMediaPlayUrls", &[Method::GET, Method::POST]),
    ("GetMediaRefreshJobs", &[Method::GET]),
    ("DescribeVodRefreshTasks", &[Method::GET, Method::POST]),
];
const VERSION: &str = "2017-03-21";
/// How far a timestamp may be off, and how long a nonce is remembered.
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// A request that came through.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) action: String,
    pub(super) params: rpc::Params,
}

/// What a request says about itself, before anything is believed.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) key_id: String,
    pub(super) nonce: String,
    pub(super) version: &'static str,
}

pub(super) fn claims(received: &Received) -> Claims {
    match received.header("authorization") {
        Some(text) if is_v3(text) => Claims {
            key_id: parse_authorization(text).map(|a| a.key_id.to_owned()).unwrap_or_default(),
            nonce: received.header("x-acs-signature-nonce").unwrap_or_default().to_owned(),
            version: "ACS3",
        },
        _ => Claims {
            key_id: received.param("AccessKeyId").unwrap_or_default().to_owned(),
            nonce: received.param("SignatureNonce").unwrap_or_default().to_owned(),
            version: "1.0",
        },
    }
}

pub(super) fn is_v3(authorization: &str) -> bool {
    authorization.starts_with("ACS3-")
}

/// Checks a request from end to end.
pub(super) fn admit(
    received: &Received,
    now: DateTime<Utc>,
    scenario: &Scenario,
    memory: &mut Memory,
) -> Result<Admitted, Problem> {
    if received.path != "/" {
        return Err(Problem::new(
            404,
            "InvalidApi.NotFound",
            "Specified api is not found, please check your url.",
        ));
    }
    if !matches!(received.method, Method::GET | Method::POST) {
        return Err(unsupported_method());
    }
    let v3 = received.header("authorization").filter(|text| is_v3(text));
    let (version, nonce) = match v3 {
        Some(text) => check_v3(received, text, now, scenario, memory)?,
        None => check_v1(received, now, scenario, memory)?,
    };
    let claims = claims(received);
    if !memory.first_use(&claims.key_id, &nonce, now) {
        return Err(Problem::new(400, "SignatureNonceUsed", "Specified signature nonce was used already."));
    }
    let action = received.action().to_owned();
    let Some((_, methods)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
        let message =
            format!("Specified api is not found, please check your url and method. Action: {action}.");
        return Err(Problem::new(404, "InvalidAction.NotFound", message));
    };
    if version != VERSION {
        return Err(Problem::new(400, "InvalidVersion", "Specified parameter Version is not valid."));
    }
    if !methods.contains(&received.method) {
        return Err(unsupported_method());
    }
    Ok(Admitted { action, params: received.params() })
}

/// Signature version 1.0; gives back version and nonce.
fn check_v1(
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
    let secret = secret_of(key_id, scenario)?;
    check_token(key_id, received.param("SecurityToken"), scenario, memory)?;
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

struct Authorization<'a> {
    key_id: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

/// `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`.
fn parse_authorization(text: &str) -> Option<Authorization<'_>> {
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
fn check_v3(
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
    let secret = secret_of(authorization.key_id, scenario)?;
    check_token(authorization.key_id, received.header("x-acs-security-token"), scenario, memory)?;
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

fn secret_of<'a>(key_id: &str, scenario: &'a Scenario) -> Result<&'a str, Problem> {
    scenario
        .keys
        .get(key_id)
        .map(String::as_str)
        .ok_or_else(|| Problem::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."))
}

fn check_token(
    key_id: &str,
    token: Option<&str>,
    scenario: &Scenario,
    memory: &Memory,
) -> Result<(), Problem> {
    let token = token.filter(|token| !token.is_empty());
    let problem = |code: &str, message: &str| Err(Problem::new(400, code, message));
    if token.is_some_and(|token| memory.expired_tokens.contains(token)) {
        return problem("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.");
    }
    match (scenario.tokens.get(key_id), token) {
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

fn unsupported_method() -> Problem {
    Problem::new(403, "UnsupportedHTTPMethod", "This http method is not supported.")
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

/// What the gateway remembers: used nonces, tokens that ended.
#[derive(Debug, Default)]
pub(super) struct Memory {
    used: HashSet<(String, String)>,
    order: VecDeque<(DateTime<Utc>, (String, String))>,
    pub(super) expired_tokens: HashSet<String>,
}

/// Far more than a quarter of an hour at full speed; a bound, so that a mad client can't fill the memory.
const MAX_NONCES: usize = 500_000;

impl Memory {
    fn first_use(&mut self, key_id: &str, nonce: &str, now: DateTime<Utc>) -> bool {
        while let Some((at, _)) = self.order.front()
            && (now - *at > WINDOW || self.order.len() >= MAX_NONCES)
        {
            if let Some((_, old)) = self.order.pop_front() {
                self.used.remove(&old);
            }
        }
        let entry = (key_id.to_owned(), nonce.to_owned());
        let first = self.used.insert(entry.clone());
        if first {
            self.order.push_back((now, entry));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_free_again_after_a_quarter_of_an_hour() {
        let mut memory = Memory::default();
        let start = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        assert!(memory.first_use("a", "n", start));
        assert!(!memory.first_use("a", "n", start + TimeDelta::minutes(15)));
        assert!(memory.first_use("b", "n", start), "each key has its own");
        assert!(memory.first_use("a", "n", start + TimeDelta::minutes(16)));
        assert_eq!(memory.used.len(), 1);
    }

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
