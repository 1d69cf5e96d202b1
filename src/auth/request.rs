//! Builds one signed HTTP request. Called for each attempt, since a nonce and a time are good for one attempt only.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::InvalidHeaderValue;
use http::{HeaderValue, Method, Uri, header};
use secrecy::ExposeSecret as _;

use super::acs3::{self, ToSign};
use super::credential::Credential;
use super::percent;
use super::rpc::{self, Params};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::to_wire;

/// How requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SignatureVersion {
    /// RPC signature version 1.0, HMAC-SHA1.
    #[default]
    V1,
    /// ACS3-HMAC-SHA256.
    V3,
}

/// One API operation to be called.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Name of the action, as the vendor spells it.
    pub action: &'static str,
    /// API version, as `2017-03-21`.
    pub version: &'static str,
    /// GET or POST; it is part of what is signed.
    pub method: Method,
    /// The operation's own parameters.
    pub params: Params,
}

/// What makes one attempt different from the next.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// Who signs.
    pub credential: &'a Credential,
    /// Never used before.
    pub nonce: String,
    /// The service's time of day, as well as we know it.
    pub now: DateTime<Utc>,
}

/// A request ready to be sent.
///
/// Both fields are as good as secrets: they hold the key id, the token and a signature.
pub struct Signed {
    /// The HTTP request.
    pub request: http::Request<Bytes>,
    /// The text that was signed, to be compared with the one that the service names when it refuses.
    pub string_to_sign: String,
}

/// A fresh nonce: 128 bits from the system's generator, in hex.
///
/// # Errors
///
/// [`ErrorKind::Internal`] if the system has no random numbers.
pub fn fresh_nonce() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::new(ErrorKind::Internal, format!("the system gives no random numbers: {e}")))?;
    Ok(acs3::hex(&bytes))
}

/// Signs `operation` for `endpoint` (`https://host[:port]`).
///
/// # Errors
///
/// [`ErrorKind::Config`] if the key id or the token can't stand in a header, or the endpoint is no URL.
pub fn signed(
    version: SignatureVersion,
    endpoint: &str,
    operation: &Operation,
    attempt: &Attempt<'_>,
) -> Result<Signed> {
    match version {
        SignatureVersion::V1 => signed_v1(endpoint, operation, attempt),
        SignatureVersion::V3 => signed_v3(endpoint, operation, attempt),
    }
}

fn signed_v1(endpoint: &str, operation: &Operation, attempt: &Attempt<'_>) -> Result<Signed> {
    let (query, string_to_sign) = signed_v1_query(operation, attempt);
    let (target, body) = match operation.method {
        Method::GET => (format!("{endpoint}/?{query}"), Bytes::new()),
        _ => (format!("{endpoint}/"), Bytes::from(query)),
    };
    let mut request = http::Request::builder()
        .method(operation.method.clone())
        .uri(target)
        .header(header::ACCEPT, "application/json");
    if operation.method != Method::GET {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    Ok(Signed { request: request.body(body).map_err(|_| no_url(endpoint))?, string_to_sign })
}

/// The signed query or form of signature version 1.0, and the text that was signed.
fn signed_v1_query(operation: &Operation, attempt: &Attempt<'_>) -> (String, String) {
    let params = v1_params(operation, attempt);
    let mut query = rpc::canonical_query(&params);
    let text = rpc::string_to_sign(&operation.method, &query);
    let signature = rpc::sign(&text, attempt.credential.secret.expose_secret());
    query.push_str("&Signature=");
    query.push_str(&percent::encode(&signature));
    (query, text)
}

/// Every parameter of signature version 1.0 but the signature.
pub(super) fn v1_params(operation: &Operation, attempt: &Attempt<'_>) -> Params {
    let mut params = operation.params.clone();
    let mut set = |name: &str, value: &str| params.insert(name.to_owned(), value.to_owned());
    set("Action", operation.action);
    set("Version", operation.version);
    set("Format", "JSON");
    set("AccessKeyId", &attempt.credential.key_id);
    set("SignatureMethod", "HMAC-SHA1");
    set("SignatureVersion", "1.0");
    set("SignatureNonce", &attempt.nonce);
    set("Timestamp", &to_wire(attempt.now));
    if let Some(token) = &attempt.credential.token {
        set("SecurityToken", token.expose_secret());
    }
    params
}

fn signed_v3(endpoint: &str, operation: &Operation, attempt: &Attempt<'_>) -> Result<Signed> {
    // As the vendor's SDKs do: parameters in the query, the body empty.
    let query = rpc::canonical_query(&operation.params);
    let target = if query.is_empty() { format!("{endpoint}/") } else { format!("{endpoint}/?{query}") };
    let uri: Uri = target.parse().map_err(|_| no_url(endpoint))?;
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let body_sha256 = acs3::sha256_hex(b"");
    let mut headers = BTreeMap::from([
        ("host".to_owned(), host),
        ("x-acs-action".to_owned(), operation.action.to_owned()),
        ("x-acs-version".to_owned(), operation.version.to_owned()),
        ("x-acs-date".to_owned(), to_wire(attempt.now)),
        ("x-acs-signature-nonce".to_owned(), attempt.nonce.clone()),
        ("x-acs-content-sha256".to_owned(), body_sha256.clone()),
    ]);
    if let Some(token) = &attempt.credential.token {
        headers.insert("x-acs-accesskey-id".to_owned(), attempt.credential.key_id.clone());
        headers.insert("x-acs-security-token".to_owned(), token.expose_secret().to_owned());
    }
    let to_sign = ToSign {
        method: &operation.method,
        path: "/",
        query: &query,
        headers: &headers,
        body_sha256: &body_sha256,
    };
    let authorization =
        to_sign.authorization(&attempt.credential.key_id, attempt.credential.secret.expose_secret());
    let string_to_sign = to_sign.string_to_sign();
    headers.insert("authorization".to_owned(), authorization);
    headers.insert("accept".to_owned(), "application/json".to_owned());
    let mut request = http::Request::builder().method(operation.method.clone()).uri(uri);
    for (name, value) in headers {
        let is_secret = name.contains("token") || name == "authorization";
        let value = if is_secret { secret_header(&value) } else { HeaderValue::from_str(&value) };
        let value = value.map_err(|_| {
            let message = format!("the credential can't be sent: {name} has control characters");
            Error::new(ErrorKind::Config, message)
        })?;
        request = request.header(name, value);
    }
    Ok(Signed { request: request.body(Bytes::new()).map_err(|_| no_url(endpoint))?, string_to_sign })
}

/// A header that is shown nowhere.
pub(crate) fn secret_header(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_str(text).map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

fn no_url(endpoint: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the endpoint {endpoint:?} is no URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: Method) -> Operation {
        Operation {
            action: "GetMediaRefreshJobs",
            version: "2017-03-21",
            method,
            params: Params::from([("MediaRefreshJobId".to_owned(), "41d4 65".to_owned())]),
        }
    }

    fn attempt(credential: &Credential) -> Attempt<'_> {
        Attempt { credential, nonce: "n1".into(), now: DateTime::from_timestamp(1_750_000_000, 0).unwrap() }
    }

    #[test]
    fn a_get_carries_everything_in_the_query() {
        let credential = Credential::new("testid", "testsecret").with_token("t/+=");
        let Signed { request, .. } = signed(
            SignatureVersion::V1,
            "http://127.0.0.1:1",
            &operation(Method::GET),
            &attempt(&credential),
        )
        .unwrap();
        let query = request.uri().query().unwrap();
        assert!(query.contains("MediaRefreshJobId=41d4%2065"), "{query}");
        assert!(query.contains("SecurityToken=t%2F%2B%3D"), "{query}");
        assert!(query.contains("Timestamp=2025-06-15T15%3A06%3A40Z"), "{query}");
        assert!(request.body().is_empty());
    }

    #[test]
    fn a_post_carries_everything_in_the_form() {
        let credential = Credential::new("testid", "testsecret");
        let Signed { request, .. } = signed(
            SignatureVersion::V1,
            "http://127.0.0.1:1",
            &operation(Method::POST),
            &attempt(&credential),
        )
        .unwrap();
        assert_eq!(request.uri().query(), None);
        assert!(request.body().starts_with(b"AccessKeyId=testid&Action=GetMediaRefreshJobs&"));
        assert!(std::str::from_utf8(request.body()).unwrap().contains("&Signature="));
    }

    #[test]
    fn v3_keeps_the_token_out_of_debug_output() {
        let credential = Credential::new("testid", "testsecret").with_token("TOKENMARK");
        let Signed { request, .. } = signed(
            SignatureVersion::V3,
            "http://127.0.0.1:1",
            &operation(Method::GET),
            &attempt(&credential),
        )
        .unwrap();
        assert!(request.headers()["authorization"].to_str().unwrap().contains("x-acs-security-token"));
        assert!(!format!("{request:?}").contains("TOKENMARK"));
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(fresh_nonce().unwrap(), fresh_nonce().unwrap());
        assert_eq!(fresh_nonce().unwrap().len(), 32);
    }
}
