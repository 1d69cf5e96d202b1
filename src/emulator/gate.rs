//! The gateway: who asks, is it signed rightly, now, and for the first time?
//!
//! Order of the checks: what must be there, the key, the token, the time, the signature, the nonce; then the action, its
//! version and its method. A nonce counts as used only after the signature was right, or anybody could burn it.

use chrono::{DateTime, TimeDelta, Utc};
use http::Method;

use super::answer::Problem;
use super::memory::Memory;
use super::scenario::Scenario;
use super::signature::{check_v1, check_v3, is_v3, parse_authorization};
use super::sts;
use super::wire::Received;
use super::{metadata, queue};
use crate::auth::rpc::Params;

/// The actions that there are, and the methods they take (`GetMediaRefreshJobs` is documented for GET only).
pub(super) const ACTIONS: &[(&str, &[Method])] = &[
    ("RefreshMediaPlayUrls", &[Method::GET, Method::POST]),
    ("GetMediaRefreshJobs", &[Method::GET]),
    ("DescribeVodRefreshTasks", &[Method::GET, Method::POST]),
    ("AssumeRole", &[Method::GET, Method::POST]),
    (sts::WITH_OIDC, &[Method::GET, Method::POST]),
    ("DescribeVodRefreshQuota", &[Method::GET, Method::POST]),
    ("GetMessageCallback", &[Method::GET, Method::POST]),
    ("SetMessageCallback", &[Method::GET, Method::POST]),
    ("DeleteMessageCallback", &[Method::GET, Method::POST]),
];
const VERSION: &str = "2017-03-21";
/// How far a timestamp may be off, and how long a nonce is remembered.
pub(super) const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// Whether rules may speak of `name`: an action, or something that is found by its path.
pub(super) fn is_known(name: &str) -> bool {
    ACTIONS.iter().any(|(action, _)| *action == name)
        || metadata::NAMES.contains(&name)
        || queue::OPERATIONS.contains(&name)
}

/// A request that came through.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) action: String,
    pub(super) params: Params,
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
    let action = received.action().to_owned();
    let version = if action == sts::WITH_OIDC {
        // Not signed: the token in it says who asks.
        received.param("Version").unwrap_or_default().to_owned()
    } else {
        let v3 = received.header("authorization").filter(|text| is_v3(text));
        let (version, nonce) = match v3 {
            Some(text) => check_v3(received, text, now, scenario, memory)?,
            None => check_v1(received, now, scenario, memory)?,
        };
        if !memory.first_use(&claims(received).key_id, &nonce, now) {
            let message = "Specified signature nonce was used already.";
            return Err(Problem::new(400, "SignatureNonceUsed", message));
        }
        version
    };
    let Some((_, methods)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
        let message =
            format!("Specified api is not found, please check your url and method. Action: {action}.");
        return Err(Problem::new(404, "InvalidAction.NotFound", message));
    };
    if version != if sts::is_action(&action) { sts::VERSION } else { VERSION } {
        return Err(Problem::new(400, "InvalidVersion", "Specified parameter Version is not valid."));
    }
    if !methods.contains(&received.method) {
        return Err(unsupported_method());
    }
    Ok(Admitted { action, params: received.params() })
}

fn unsupported_method() -> Problem {
    Problem::new(403, "UnsupportedHTTPMethod", "This http method is not supported.")
}
