//! Who we are, and for how long.

use chrono::{DateTime, TimeDelta, Utc};
use vod_refresh::auth::preview::masked_key_id;
use vod_refresh::net::clock::{Clock as _, SystemClock, to_wire};
use vod_refresh::{Credential, Error, ErrorKind, RunOptions, VodClient};

use super::finding::Finding;
use crate::exit::ExitCode;

const CHECK: &str = "credentials";
/// The code of a chain at whose end there is nothing.
const NO_CREDENTIALS: &str = "NoCredentials";

/// The finding, and whether there is anybody to ask the service as.
pub(super) async fn check(client: &VodClient) -> (Finding, bool) {
    match client.credential().await {
        Ok(credential) => {
            let expired = credential.expires.is_some_and(|end| end <= SystemClock.now());
            (judge(&credential, SystemClock.now()), !expired)
        }
        Err(error) => (nobody(&error), false),
    }
}

/// Where nothing was found, the error lists every source and the hint of a run fits; what is broken is named and must
/// be mended, since no other source is asked then.
fn nobody(error: &Error) -> Finding {
    let finding = Finding::error(CHECK, error);
    if error.kind() == ErrorKind::Config && error.code() != Some(NO_CREDENTIALS) {
        return finding.remedy(
            "mend what is named there, or name a profile that works with `--profile`; `-v` shows each source that was asked",
        );
    }
    finding
}

fn judge(credential: &Credential, now: DateTime<Utc>) -> Finding {
    let key = format!("key {} of the {}", masked_key_id(&credential.key_id), credential.source);
    let usual_run = RunOptions::default().timeout;
    match (credential.expires, &credential.token) {
        (None, None) => Finding::ok(CHECK, format!("{key}, for good")),
        (None, Some(_)) => Finding::ok(CHECK, format!("{key}, temporary; when it ends is not known")),
        (Some(end), _) if end <= now => {
            Finding::fail(CHECK, format!("{key} ended at {}", to_wire(end)), ExitCode::Refused)
                .remedy("get a new temporary credential")
        }
        (Some(end), _) => {
            let left = end - now;
            let text = format!("{key}, temporary: {} min left, until {}", left.num_minutes(), to_wire(end));
            if left < TimeDelta::from_std(usual_run).unwrap_or_default() {
                Finding::warn(CHECK, text)
                    .remedy("a run may wait for an hour: renew it first, or lower `--timeout`")
            } else {
                Finding::ok(CHECK, text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_credential_that_ends_within_a_run_is_warned_of() {
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let ends = |minutes| {
            let mut credential = Credential::new("LTAI5tABCDEFGHIJ", "SECRETMARK");
            credential.expires = Some(now + TimeDelta::minutes(minutes));
            judge(&credential, now)
        };
        for (minutes, status) in [(-1, Status::Fail), (0, Status::Fail), (43, Status::Warn), (90, Status::Ok)]
        {
            assert_eq!(ends(minutes).status, status, "{minutes}");
        }
        let text = format!("{:?}", ends(43));
        assert!(
            text.contains("LTAI***GHIJ") && text.contains("43 min") && !text.contains("SECRETMARK"),
            "{text}"
        );
    }
}
