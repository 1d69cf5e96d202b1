//! Who signs and how: signatures (RPC version 1.0, ACS3, callback, queue) and credentials.
//!
//! The signers are pure: method, parameters, nonce and time go in, a signature comes out. They read no clock and no
//! environment, so they are pinned to the vendor's published vectors.

pub(crate) mod acs3;
pub mod callback;
mod credential;
pub mod credentials;
pub(crate) mod queue;
pub(crate) mod redact;
pub(crate) mod renew;

// Mechanics, public for the command line, the benchmarks and the tests; no users are meant to call them.
#[doc(hidden)]
pub mod percent;
#[doc(hidden)]
pub mod preview;
#[doc(hidden)]
pub mod request;
#[doc(hidden)]
pub mod rpc;

pub use credentials::{
    CachedCredentials, Credential, CredentialOptions, CredentialProvider, DefaultCredentials,
    EnvironmentCredentials, StaticCredentials,
};
pub use request::SignatureVersion;
