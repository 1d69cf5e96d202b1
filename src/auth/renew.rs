//! What a client does when the service takes a credential no longer.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::debug;

use super::credential::{Credential, CredentialProvider};
use crate::error::{Error, ErrorKind, Result};

/// Passes the outcome of an attempt on. If it is that the credential was refused, that one is dropped, and `renewed` is
/// set where there is another, so that the call is worth another attempt.
pub(crate) async fn after<T>(
    outcome: Result<T>,
    credentials: &dyn CredentialProvider,
    used: &Credential,
    renewed: &AtomicBool,
) -> Result<T> {
    match outcome {
        Err(error) if is_about_the_credential(&error) => {
            let (error, another) = renew(credentials, error, used).await;
            renewed.store(another, Ordering::Relaxed);
            Err(error)
        }
        outcome => outcome,
    }
}

/// Whether the service says that this key or token is not (or no longer) one.
fn is_about_the_credential(error: &Error) -> bool {
    let code = error.code().unwrap_or_default().to_ascii_lowercase();
    // A temporary key that ended is reported as an unknown key by some products.
    error.kind() == ErrorKind::Expired
        || (error.kind() == ErrorKind::Refused
            && ["invalidaccesskeyid", "invalidsecuritytoken"].iter().any(|family| code.starts_with(family)))
}

/// Drops a credential that was refused with `error`, and asks for another; `true` if there is one.
async fn renew(credentials: &dyn CredentialProvider, error: Error, used: &Credential) -> (Error, bool) {
    credentials.refused(used);
    match credentials.credential().await {
        Ok(Some(other)) if !other.is_same_as(used) => {
            debug!(key_id = %other.key_id, "the credential was refused; signing with a new one");
            (error, true)
        }
        Ok(_) => (error.with_message_suffix(&format!("; {} has no other credential", used.source)), false),
        // An outage may pass, and then there is one: worth another attempt.
        Err(failure) if failure.kind().is_retryable() => (failure, false),
        Err(failure) => (error.with_message_suffix(&format!("; no new credential: {failure}")), false),
    }
}
