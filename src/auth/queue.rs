//! Signature of the queue API (HMAC-SHA1, `Authorization: MNS …`).
//!
//! What is signed is the request target exactly as it goes over the wire: nothing is sorted, decoded or encoded again.
//! So the target is built once, signed and sent. The host is not signed.
//! Source: "Signatures" of Simple Message Queue (doc-detail 27487), and the wire text of the vendor's SDKs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::Method;
use md5::{Digest as _, Md5};

use super::{acs3, rpc};

/// Headers whose names begin like this are signed.
pub(crate) const SIGNED_PREFIX: &str = "x-mns-";
/// Carries the STS token of a temporary key; it is not signed.
pub(crate) const TOKEN_HEADER: &str = "security-token";
/// Version of the API; it is signed.
pub(crate) const VERSION_HEADER: &str = "x-mns-version";

/// All that a signature covers. A header that is not sent is an empty text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToSign<'a> {
    pub(crate) method: &'a Method,
    pub(crate) content_md5: &'a str,
    /// `Content-Type`, byte for byte.
    pub(crate) content_type: &'a str,
    pub(crate) date: &'a str,
    /// Headers by name in small letters; those without the prefix `x-mns-` are passed over.
    pub(crate) headers: &'a BTreeMap<String, String>,
    /// Path and query as they go out.
    pub(crate) target: &'a str,
}

impl ToSign<'_> {
    /// The text that is signed.
    pub(crate) fn text(&self) -> String {
        let mut text =
            format!("{}\n{}\n{}\n{}\n", self.method, self.content_md5, self.content_type, self.date);
        for (name, value) in self.headers.iter().filter(|(name, _)| name.starts_with(SIGNED_PREFIX)) {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(self.target);
        text
    }
}

/// The signature in Base64. The HMAC key is the secret as it is.
pub(crate) fn sign(text: &str, secret: &str) -> String {
    STANDARD.encode(rpc::hmac_sha1(secret.as_bytes(), text.as_bytes()))
}

/// The header `Authorization`.
pub(crate) fn authorization(key_id: &str, signature: &str) -> String {
    format!("MNS {key_id}:{signature}")
}

/// `Content-MD5` in the form of the vendor's SDKs: the hex text, and that in Base64. The documents name RFC 1864, which
/// takes the bytes; the service is known to take either.
pub(crate) fn content_md5(body: &[u8]) -> String {
    STANDARD.encode(acs3::hex(&Md5::digest(body)))
}

/// A time as the header `Date` has it: `Thu, 15 Jan 2026 08:30:00 GMT`.
pub(crate) fn date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
        cross_checks: Vec<CrossCheck>,
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        method: String,
        path_and_query: String,
        headers: BTreeMap<String, String>,
        body: String,
        access_key_id: String,
        access_key_secret: String,
        security_token: Option<String>,
        expected_string_to_sign: String,
        expected_authorization: String,
    }

    #[derive(serde::Deserialize)]
    struct CrossCheck {
        source: String,
        access_key_secret: String,
        string_to_sign: String,
        signature: Option<String>,
        signature_prefix: Option<String>,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/fixtures/smq-signature.json")).unwrap()
    }

    #[test]
    fn every_vector_is_reproduced() {
        let vectors = vectors().vectors;
        assert_eq!(vectors.len(), 20);
        for v in vectors {
            let header = |name: &str| v.headers.get(name).map_or("", String::as_str);
            let to_sign = ToSign {
                method: &v.method.parse().unwrap(),
                content_md5: header("content-md5"),
                content_type: header("content-type"),
                date: header("date"),
                headers: &v.headers,
                target: &v.path_and_query,
            };
            assert_eq!(to_sign.text(), v.expected_string_to_sign, "{}", v.name);
            let signature = sign(&to_sign.text(), &v.access_key_secret);
            assert_eq!(authorization(&v.access_key_id, &signature), v.expected_authorization, "{}", v.name);
            assert_eq!(v.headers.get(TOKEN_HEADER), v.security_token.as_ref(), "{}", v.name);
            if !v.body.is_empty() {
                assert_eq!(content_md5(v.body.as_bytes()), header("content-md5"), "{}", v.name);
            }
        }
    }

    #[test]
    fn what_others_published_is_signed_the_same() {
        let checks = vectors().cross_checks;
        assert_eq!(checks.len(), 5);
        for c in checks {
            let signature = sign(&c.string_to_sign, &c.access_key_secret);
            match (&c.signature, &c.signature_prefix) {
                (Some(whole), _) => assert_eq!(&signature, whole, "{}", c.source),
                (_, Some(prefix)) => assert!(signature.starts_with(prefix), "{}", c.source),
                _ => panic!("{} checks nothing", c.source),
            }
        }
    }

    #[test]
    fn dates_have_two_digits_and_the_word_gmt() {
        let time = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        assert_eq!(date(time), "Thu, 01 Jan 2026 00:00:00 GMT");
    }
}
