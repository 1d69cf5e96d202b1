//! `X-VOD-SIGNATURE`: the MD5 of `URL|timestamp|key` in hex.
//!
//! It proves that the sender knows the key. It does not cover the body and has no nonce, so an event is a hint: what
//! counts is confirmed by the API. Source: "HTTP callback authentication" of the VOD documentation.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use md5::{Digest as _, Md5};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::acs3::hex;
use super::redact;

/// Header with the Unix seconds of sending.
pub const TIMESTAMP_HEADER: &str = "x-vod-timestamp";
/// Header with the signature.
pub const SIGNATURE_HEADER: &str = "x-vod-signature";
/// How far the timestamp may be from our clock. The vendor's page gives five minutes as its example.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Why a callback was refused. The sender sees only the status; the log tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A header is not there or empty; names it.
    Missing(&'static str),
    /// The timestamp is no number of seconds.
    BadTimestamp,
    /// The timestamp is older than [`TOLERANCE`]; holds the age in seconds.
    TooOld(u64),
    /// The timestamp is further ahead than [`TOLERANCE`]; holds the lead in seconds.
    TooNew(u64),
    /// No key and URL of ours give this signature.
    Mismatch,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(header) => write!(f, "no {header} header"),
            Self::BadTimestamp => f.write_str("the timestamp is no number of seconds"),
            Self::TooOld(s) => write!(f, "the timestamp is {s} s old, {} s are allowed", TOLERANCE.as_secs()),
            Self::TooNew(s) => {
                write!(f, "the timestamp is {s} s ahead, {} s are allowed", TOLERANCE.as_secs())
            }
            Self::Mismatch => f.write_str("the signature fits neither the configured URL nor the key"),
        }
    }
}

impl std::error::Error for Refusal {}

/// The signature of one callback, 32 small hex digits. `timestamp` is in Unix seconds, or the text that was sent.
pub fn sign(url: &str, timestamp: impl fmt::Display, key: &SecretString) -> String {
    hex(&Md5::digest(format!("{url}|{timestamp}|{}", key.expose_secret())))
}

/// Checks callbacks against the configured URL and one or two keys.
#[derive(Clone)]
pub struct CallbackVerifier {
    url: String,
    keys: Vec<SecretString>,
}

impl CallbackVerifier {
    /// A verifier for callbacks to `url`: the string configured at VOD, character for character.
    ///
    /// Any of `keys` may have signed, so that a key can be changed without a gap. The URL is never rebuilt from the
    /// request: proxies change scheme, host and path. An empty key, as a variable that is not set may give it, has signed
    /// nothing: everybody knows it.
    pub fn new(url: impl Into<String>, keys: Vec<SecretString>) -> Self {
        Self { url: url.into(), keys }
    }

    /// The URL that signatures are checked against.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether there is a key to check with.
    pub fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// `text` without the keys; `None` if it holds none.
    pub(crate) fn hidden(&self, text: &str) -> Option<String> {
        redact::hidden(text, self.keys.iter().map(|key| key.expose_secret()))
    }

    /// Checks one callback; `now` is our own time of day.
    ///
    /// The digest may come in capital letters. Every key is tried, each in constant time.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why; it never holds the expected digest.
    pub fn verify(
        &self,
        timestamp: Option<&str>,
        signature: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let present = |value: &&str| !value.is_empty();
        let timestamp = timestamp.map(str::trim).filter(present);
        let timestamp = timestamp.ok_or(Refusal::Missing(TIMESTAMP_HEADER))?;
        let signature = signature.map(str::trim).filter(present);
        let signature = signature.ok_or(Refusal::Missing(SIGNATURE_HEADER))?.to_ascii_lowercase();
        // Digits only: "+5" and "5_0" parse in some languages, and the digest covers the text.
        if timestamp.len() > 12 || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::BadTimestamp);
        }
        let sent: i64 = timestamp.parse().map_err(|_| Refusal::BadTimestamp)?;
        let age = now.timestamp().saturating_sub(sent);
        if age.unsigned_abs() > TOLERANCE.as_secs() {
            let seconds = age.unsigned_abs();
            return Err(if age > 0 { Refusal::TooOld(seconds) } else { Refusal::TooNew(seconds) });
        }
        let mut fits = subtle::Choice::from(0);
        for key in self.keys.iter().filter(|key| !key.expose_secret().is_empty()) {
            fits |= sign(&self.url, timestamp, key).as_bytes().ct_eq(signature.as_bytes());
        }
        if bool::from(fits) { Ok(()) } else { Err(Refusal::Mismatch) }
    }
}

impl fmt::Debug for CallbackVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackVerifier").field("url", &self.url).field("keys", &self.keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://cb.example.test/vod/hook";

    fn key(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn published_digests_are_reproduced() {
        let table = [
            (
                "https://www.example.com/your/callback",
                1_519_375_990,
                "test123",
                "c72b60894140fa98920f1279219b7ed4",
            ),
            (URL, 1_750_000_000, "Abc123Key", "381c32d4f9aaf11048d16bdda88de06e"),
            (URL, 1_750_000_000, "Old456Key", "9bd8b99cce247df36eab6b7ece88f63c"),
        ];
        for (url, timestamp, k, digest) in table {
            assert_eq!(sign(url, timestamp, &key(k)), digest);
        }
    }

    #[test]
    fn either_key_opens_during_a_rotation() {
        let verifier = CallbackVerifier::new(URL, vec![key("Abc123Key"), key("Old456Key")]);
        for digest in ["381c32d4f9aaf11048d16bdda88de06e", "9BD8B99CCE247DF36EAB6B7ECE88F63C"] {
            assert_eq!(verifier.verify(Some("1750000000"), Some(digest), at(1_750_000_010)), Ok(()));
        }
    }

    #[test]
    fn attacks_are_refused_each_for_its_reason() {
        let verifier = CallbackVerifier::new(URL, vec![key("Abc123Key")]);
        let good = "381c32d4f9aaf11048d16bdda88de06e";
        let now = 1_750_000_000;
        let table = [
            (None, None, now, Refusal::Missing(TIMESTAMP_HEADER)),
            (Some("1750000000"), None, now, Refusal::Missing(SIGNATURE_HEADER)),
            (None, Some(good), now, Refusal::Missing(TIMESTAMP_HEADER)),
            (Some("1750000000"), Some(""), now, Refusal::Missing(SIGNATURE_HEADER)),
            (Some("-1750000000"), Some(good), now, Refusal::BadTimestamp),
            (Some("1750000000000000000"), Some(good), now, Refusal::BadTimestamp),
            (Some("soon"), Some(good), now, Refusal::BadTimestamp),
            (Some("1750000000"), Some(good), now + 301, Refusal::TooOld(301)),
            (Some("1750000000"), Some(good), now - 301, Refusal::TooNew(301)),
            (Some("1750000001"), Some(good), now, Refusal::Mismatch),
            (Some("1750000000"), Some(&good[..31]), now, Refusal::Mismatch),
            (Some("1750000000"), Some("9bd8b99cce247df36eab6b7ece88f63c"), now, Refusal::Mismatch),
        ];
        for (timestamp, signature, now, why) in table {
            assert_eq!(
                verifier.verify(timestamp, signature, at(now)),
                Err(why),
                "{timestamp:?} {signature:?}"
            );
        }
    }

    #[test]
    fn an_empty_key_has_signed_nothing_and_switches_nothing_off() {
        let verifier = CallbackVerifier::new(URL, vec![key("")]);
        let forged = sign(URL, 1_750_000_000, &key(""));
        let verified = verifier.verify(Some("1750000000"), Some(&forged), at(1_750_000_000));
        assert_eq!((verifier.has_key(), verified), (true, Err(Refusal::Mismatch)));
    }

    #[test]
    fn a_verifier_prints_no_key() {
        let text = format!("{:?}", CallbackVerifier::new(URL, vec![key("Abc123Key")]));
        assert!(!text.contains("Abc123"), "{text}");
    }
}
