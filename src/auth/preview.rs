//! What a signed request would look like, with nothing in it that is worth stealing or good for one attempt only.
//!
//! It is made by the code that signs, so that a preview can't drift from what is sent.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::acs3::hex;
use super::credential::Credential;
use super::request::{Attempt, Operation, SignatureVersion, signed, v1_params};
use super::rpc::Params;
use crate::error::Result;

/// Stands for a signature.
const SIGNATURE: &str = "<signature>";
/// Stands for a nonce.
const NONCE: &str = "<nonce>";
/// Stands for the time of signing.
const TIME: &str = "<time>";
/// Stands for a security token.
const TOKEN: &str = "<token>";
/// Stands for a key id that is not known.
const KEY_ID: &str = "<access key id>";

/// Who would sign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signer {
    /// The key id, partly masked; `None`: not known.
    pub key_id: Option<String>,
    /// Whether a security token goes along.
    pub has_token: bool,
}

impl From<&Credential> for Signer {
    fn from(credential: &Credential) -> Self {
        Self { key_id: Some(masked_key_id(&credential.key_id)), has_token: credential.token.is_some() }
    }
}

/// A request that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preview {
    /// Parameters in canonical order; with signature version 1.0 those of the signature too.
    pub params: Params,
    /// Headers of the signature, in order of their names; none with version 1.0.
    pub headers: Params,
}

/// The request for `operation`, with placeholders for what each attempt makes anew and for every secret.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) if the endpoint is no URL.
pub fn preview(
    version: SignatureVersion,
    endpoint: &str,
    operation: &Operation,
    signer: &Signer,
) -> Result<Preview> {
    let mut credential = Credential::new(signer.key_id.as_deref().unwrap_or(KEY_ID), "");
    if signer.has_token {
        credential = credential.with_token(TOKEN);
    }
    let attempt = Attempt { credential: &credential, nonce: NONCE.into(), now: DateTime::<Utc>::UNIX_EPOCH };
    if version == SignatureVersion::V1 {
        let mut params = v1_params(operation, &attempt);
        params.insert("Timestamp".into(), TIME.into());
        params.insert("Signature".into(), SIGNATURE.into());
        return Ok(Preview { params, headers: Params::new() });
    }
    let request = signed(version, endpoint, operation, &attempt)?.request;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: Params =
        request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    headers.insert("x-acs-date".into(), TIME.into());
    if let Some(authorization) = headers.get_mut("authorization")
        && let Some(at) = authorization.find("Signature=")
    {
        authorization.replace_range(at + "Signature=".len().., SIGNATURE);
    }
    Ok(Preview { params: operation.params.clone(), headers })
}

/// Tells one access key from another, and holds none: the ends of its id, and the beginning of the id's SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMark {
    shown: String,
    digest: String,
}

impl KeyMark {
    /// The mark of the access key with this id.
    pub fn of(key_id: &str) -> Self {
        let digest = hex(&Sha256::digest(key_id)[..8]);
        Self { shown: masked_key_id(key_id), digest }
    }

    /// Equal for equal keys, and nothing of the key can be read off it.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

impl fmt::Display for KeyMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A key id of which enough is left to tell it from others.
pub fn masked_key_id(key_id: &str) -> String {
    let letters: Vec<char> = key_id.chars().collect();
    let show = match letters.len() {
        0..=3 => 0,
        4..=11 => 2,
        _ => 4,
    };
    let text = |part: &[char]| part.iter().collect::<String>();
    // ASCII only: it stands in a header of the preview.
    format!("{}***{}", text(&letters[..show]), text(&letters[letters.len() - show.min(4)..]))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn operation() -> Operation {
        let params = Params::from([("MediaIds".to_owned(), "m1,m2".to_owned())]);
        Operation { action: "RefreshMediaPlayUrls", version: "2017-03-21", method: Method::POST, params }
    }

    #[test]
    fn version_1_shows_every_parameter_and_no_secret() {
        let credential = Credential::new("LTAI5tABCDEFGHIJ", "SECRETMARK").with_token("TOKENMARK");
        let preview =
            preview(SignatureVersion::V1, "https://h", &operation(), &Signer::from(&credential)).unwrap();
        let lines: Vec<String> = preview.params.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            lines,
            [
                "AccessKeyId=LTAI***GHIJ",
                "Action=RefreshMediaPlayUrls",
                "Format=JSON",
                "MediaIds=m1,m2",
                "SecurityToken=<token>",
                "Signature=<signature>",
                "SignatureMethod=HMAC-SHA1",
                "SignatureNonce=<nonce>",
                "SignatureVersion=1.0",
                "Timestamp=<time>",
                "Version=2017-03-21",
            ]
        );
        assert!(preview.headers.is_empty());
    }

    #[test]
    fn version_3_shows_the_headers_and_works_without_a_credential() {
        let preview = preview(SignatureVersion::V3, "https://h", &operation(), &Signer::default()).unwrap();
        assert_eq!(preview.params.len(), 1);
        let authorization = &preview.headers["authorization"];
        assert!(authorization.starts_with("ACS3-HMAC-SHA256 Credential=<access key id>,"), "{authorization}");
        assert!(authorization.ends_with(",Signature=<signature>"), "{authorization}");
        assert_eq!(preview.headers["x-acs-date"], "<time>");
        assert_eq!(preview.headers["x-acs-signature-nonce"], "<nonce>");
    }

    #[test]
    fn a_key_id_keeps_its_ends_if_it_is_long_enough() {
        for (key_id, masked) in
            [("", "***"), ("abc", "***"), ("testid", "te***id"), ("LTAI5tABCDEFGHIJ", "LTAI***GHIJ")]
        {
            assert_eq!(masked_key_id(key_id), masked);
        }
    }
}
