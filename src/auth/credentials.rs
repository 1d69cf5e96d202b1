//! Credentials, where they come from, and how long they live.
//!
//! A [`CredentialProvider`] answers *not mine* (`Ok(None)`), gives a credential, or says what is broken (`Err`); an
//! error is never passed over, or a broken profile would silently become another account.
//!
//! [`DefaultCredentials`] asks the sources that the vendor's tools ask: `chain` has the order and knows the sources
//! (`files` with `profile`, `variables`, `metadata`); no source knows the chain. What several sources need lies below
//! them: `sts` (roles), `command` and `process` (programs), `temporary_key` (the JSON of a temporary key), `context` (what a source is
//! given and answers). [`Environment`] is all that they can touch, so that a test scripts it. [`CachedCredentials`] renews
//! what they found, one renewal at a time.

mod cached;
mod chain;
mod command;
mod context;
mod environment;
mod files;
mod metadata;
mod process;
mod profile;
mod sts;
mod temporary_key;
mod variables;

#[cfg(test)]
mod tests;

pub use self::cached::CachedCredentials;
pub use self::chain::{DefaultCredentials, Explanation};
pub use self::context::CredentialOptions;
pub use self::environment::{Environment, FileText};
pub use self::process::ProcessOutput;
pub use self::variables::{EnvironmentCredentials, KEY_ID_VARIABLE, SECRET_VARIABLE, TOKEN_VARIABLE};
pub use super::credential::{Credential, CredentialProvider, StaticCredentials};
