//! The token service: a role taken on with a key (`AssumeRole`) or with an OIDC token.
//!
//! `AssumeRole` is signed with this crate's own signer; `AssumeRoleWithOIDC` is not signed, and goes out as a POST with
//! the token in the body, since URLs end up in logs. Source: the vendor's STS API, version 2015-04-01.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::context::{Context, config_error};
use super::temporary_key;
use crate::auth::credential::Credential;
use crate::auth::percent;
use crate::auth::redact;
use crate::auth::request::{Attempt, Operation, SignatureVersion, fresh_nonce, signed};
use crate::auth::rpc::Params;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{RequestId, masked_address};
use crate::net::clock::{date_of, to_wire};
use crate::net::endpoint::checked_endpoint;
use crate::net::retry::{Budget, Retry};
use crate::net::rng::Jitter;

const VERSION: &str = "2015-04-01";
/// One exchange from connecting to the last byte: the vendor's 5 s to connect and 10 s to answer.
const LIMIT: Duration = Duration::from_secs(15);
/// A hiccup is waited out here; longer outages are the caller's to judge, who asks again.
const PATIENCE: Duration = Duration::from_secs(3);
/// The role to take on; also for profiles that name none.
pub(super) const ROLE_VARIABLE: &str = "ALIBABA_CLOUD_ROLE_ARN";
/// Limits of `DurationSeconds`. The upper one is the role's own.
pub(super) const SHORTEST_SESSION: u64 = 900;
const DEFAULT_SESSION: u64 = 3600;
/// The session's name where nobody gave one; it shows in the account's audit log.
const DEFAULT_SESSION_NAME: &str = "vod-refresh";
/// Longer texts of the service are cut: the rest explains nothing.
const MAX_MESSAGE: usize = 300;

/// The role to take on, and how.
#[derive(Debug, Default)]
pub(super) struct Role {
    /// `acs:ram::<account>:role/<name>`.
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    /// 900 s up to the role's own limit.
    pub(super) seconds: Option<u64>,
    pub(super) policy: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) vpc: bool,
}

impl Role {
    fn params(&self, context: &Context) -> Params {
        let name = self.session_name.clone();
        let name = name.or_else(|| context.environment.variable("ALIBABA_CLOUD_ROLE_SESSION_NAME"));
        let seconds = self.seconds.unwrap_or(DEFAULT_SESSION);
        let mut params = Params::from([
            ("RoleArn".to_owned(), self.arn.clone()),
            ("RoleSessionName".to_owned(), name.unwrap_or_else(|| DEFAULT_SESSION_NAME.to_owned())),
            ("DurationSeconds".to_owned(), seconds.to_string()),
        ]);
        params.extend(self.policy.clone().map(|policy| ("Policy".to_owned(), policy)));
        params
    }

    /// Scheme and host of the token service.
    fn endpoint(&self, context: &Context) -> Result<String> {
        let environment = &context.environment;
        let given = context.options.sts_endpoint.clone().or_else(|| self.endpoint.clone());
        if let Some(given) = given.or_else(|| environment.variable("ALIBABA_CLOUD_STS_ENDPOINT")) {
            return checked(&given, context.options.allow_plain_http);
        }
        let region = self.region.clone().or_else(|| environment.variable("ALIBABA_CLOUD_STS_REGION"));
        let Some(region) = region else { return Ok("https://sts.aliyuncs.com".into()) };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.len() > 63 || !region.chars().all(plain) {
            return Err(config_error(format!(
                "{:?} is no region of the token service",
                masked_address(&region)
            )));
        }
        let vpc = self.vpc || environment.is_on("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
        Ok(format!("https://sts{}.{region}.aliyuncs.com", if vpc { "-vpc" } else { "" }))
    }
}

/// The vendor's tools take a bare host; plain HTTP is for emulators on this machine.
fn checked(endpoint: &str, allow_plain_http: bool) -> Result<String> {
    checked_endpoint("the token service's endpoint", endpoint, allow_plain_http)
        .map_err(|error| error.with_kind(ErrorKind::Config))
}

/// Takes on `role` with the key `source`, which may itself be a temporary one.
pub(super) async fn assume_role(context: &Context, source: &Credential, role: &Role) -> Result<Credential> {
    let endpoint = role.endpoint(context)?;
    let mut params = role.params(context);
    params.extend(role.external_id.clone().map(|id| ("ExternalId".to_owned(), id)));
    let operation = Operation { action: "AssumeRole", version: VERSION, method: Method::POST, params };
    let secrets = redact::secrets_of(source, None);
    exchange(context, operation.action, &secrets, |now| {
        let attempt = Attempt { credential: source, nonce: fresh_nonce()?, now };
        Ok(signed(SignatureVersion::V1, &endpoint, &operation, &attempt)?.request)
    })
    .await
}

/// Takes on `role` with the OIDC token in `token_file`, which is read anew each time.
pub(super) async fn assume_role_with_oidc(
    context: &Context,
    provider_arn: &str,
    token_file: &Path,
    role: &Role,
) -> Result<Credential> {
    let broken = |why: &str| config_error(format!("the OIDC token file {} {why}", token_file.display()));
    let file = context.environment.file(token_file)?.ok_or_else(|| broken("does not exist"))?;
    // The vendor's SDKs send the line break at the end of the file as part of the token.
    let token = file.text.trim();
    if token.is_empty() {
        return Err(broken("is empty"));
    }
    let endpoint = role.endpoint(context)?;
    let mut params = role.params(context);
    params.insert("OIDCProviderArn".into(), provider_arn.to_owned());
    params.insert("OIDCToken".into(), token.to_owned());
    let form = Bytes::from(percent::join(params.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
    let action = "AssumeRoleWithOIDC";
    exchange(context, action, &[token], |now| {
        let time = to_wire(now);
        let common = [("Action", action), ("Version", VERSION), ("Format", "JSON"), ("Timestamp", &time)];
        http::Request::post(format!("{endpoint}/?{}", percent::join(common)))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(form.clone())
            .map_err(|_| config_error("the token service's endpoint is no URL"))
    })
    .await
    .map_err(|error| {
        let about = format!("; role {}, token from {}", role.arn, token_file.display());
        error.with_message_suffix(&about)
    })
}

/// Builds, sends and reads, again after a hiccup or with the service's time where our clock is off.
///
/// Repeating does no harm: a second session is only one more. `secrets` are what the answer must not bring back.
async fn exchange(
    context: &Context,
    action: &'static str,
    secrets: &[&str],
    build: impl Fn(DateTime<Utc>) -> Result<http::Request<Bytes>> + Send + Sync,
) -> Result<Credential> {
    let skew_ms = AtomicI64::new(0);
    let stop = CancellationToken::new();
    let jitter = Jitter::of(None);
    let retry = Retry {
        budget: Budget { answered: PATIENCE, first_contact: PATIENCE, busy: PATIENCE },
        idempotent: true,
        stop: &stop,
        answered: &|| true,
        renewed: &|| false,
        jitter: &|| jitter.next(),
        on_retry: &|error, attempt, _| tracing::debug!(action, attempt, %error, "will try again"),
    };
    let (skew_ms, build) = (&skew_ms, &build);
    retry
        .run(|| {
            Box::pin(async move {
                let ours = context.environment.clock.now();
                let request = build(ours + TimeDelta::milliseconds(skew_ms.load(Ordering::Relaxed)))?;
                let answer =
                    context.environment.send(request, LIMIT).await?.map_err(|failure| {
                        Error::new(failure.kind(), failure.to_string()).with_action(action)
                    })?;
                if let Some(theirs) = date_of(answer.headers()) {
                    skew_ms.store((theirs - ours).num_milliseconds(), Ordering::Relaxed);
                }
                read(&answer, secrets).map_err(|error| error.with_action(action))
            })
        })
        .await
}

fn read(answer: &http::Response<Bytes>, secrets: &[&str]) -> Result<Credential> {
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let id = temporary_key::text(&body, "RequestId").and_then(|id| RequestId::new(id).ok());
    let code = temporary_key::text(&body, "Code").unwrap_or_default();
    if status != 200 || !code.is_empty() {
        let shown = temporary_key::text(&body, "Message").map(|text| presentable(text, secrets));
        let message = shown.unwrap_or_else(|| format!("HTTP {status} without a message"));
        let error = Error::new(kind(code, status), message).with_request_id(id);
        let error = if code.is_empty() { error } else { error.with_code(code) };
        return Err(redact::masked(error, secrets));
    }
    temporary_key::read(body.get("Credentials").unwrap_or(&Value::Null)).map_err(|field| {
        let message = format!("the answer has no usable Credentials.{field}");
        Error::new(ErrorKind::Garbled, message).with_request_id(id)
    })
}

/// What the service says, without what it may repeat: the text that was signed holds the source's token.
fn presentable(message: &str, secrets: &[&str]) -> String {
    let (shown, _) = redact::split_at_string_to_sign(message);
    let hidden = redact::hidden(shown, secrets.iter().copied());
    hidden.as_deref().unwrap_or(shown).chars().take(MAX_MESSAGE).collect()
}

fn kind(code: &str, status: u16) -> ErrorKind {
    let lower = code.to_ascii_lowercase();
    match lower.as_str() {
        "invalidtimestamp.expired" => ErrorKind::Clock,
        "invalidsecuritytoken.expired" => ErrorKind::Expired,
        "internalerror" | "serviceunavailable" => ErrorKind::Unavailable,
        _ if lower.starts_with("throttling") => ErrorKind::Throttled,
        // What we sent comes from a file or a variable, so that is what has to be set right.
        _ if lower.starts_with("invalidparameter") || lower.starts_with("missingparameter") => {
            ErrorKind::Config
        }
        _ if status == 429 => ErrorKind::Throttled,
        _ if status >= 500 => ErrorKind::Unavailable,
        "" if status == 200 => ErrorKind::Garbled,
        // Nobody who speaks this protocol answers so: a proxy in between.
        "" => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> http::Response<Bytes> {
        http::Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn refusals_outages_and_slips_are_told_apart() {
        use ErrorKind::*;
        for (status, code, expected) in [
            (403, "NoPermission", Refused),
            (404, "EntityNotExist.Role", Refused),
            (401, "AuthenticationFail.OIDCToken.Expired", Refused),
            (404, "InvalidAccessKeyId.NotFound", Refused),
            (400, "InvalidParameter.RoleArn", Config),
            (400, "InvalidSecurityToken.Expired", Expired),
            (400, "InvalidTimeStamp.Expired", Clock),
            (400, "Throttling.User", Throttled),
            (503, "ServiceUnavailable", Unavailable),
        ] {
            let body = format!(r#"{{"Code":"{code}","Message":"m","RequestId":"R"}}"#);
            let error = read(&answer(status, &body), &[]).unwrap_err();
            assert_eq!((error.kind(), error.code()), (expected, Some(code)));
        }
        for (status, body, expected) in [
            (502, "<html>", Unavailable),
            (407, "", Unavailable),
            (200, "hello", Garbled),
            (200, r#"{"Credentials":{"AccessKeyId":"a"}}"#, Garbled),
        ] {
            assert_eq!(read(&answer(status, body), &[]).unwrap_err().kind(), expected, "{body}");
        }
    }

    #[test]
    fn what_the_service_repeats_is_not_shown() {
        let text = "Specified signature is not matched with our calculation. server string to sign is:MARK";
        assert_eq!(presentable(text, &[]), "Specified signature is not matched with our calculation");
        assert!(!presentable("the token MARK is bad", &["MARK"]).contains("MARK"));
        let body = r#"{"Code":"Bad.MARK","Message":"MARK","RequestId":"MARK"}"#;
        let error = read(&answer(400, body), &["MARK"]).unwrap_err();
        assert_eq!(error.to_string(), "Bad.<secret>: <secret>");
    }

    #[test]
    fn an_endpoint_is_a_host_and_plain_only_on_this_machine() {
        for (given, whole) in [
            ("sts.cn-beijing.aliyuncs.com", "https://sts.cn-beijing.aliyuncs.com"),
            ("https://sts.example.com/", "https://sts.example.com"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(checked(given, false).unwrap(), whole);
        }
        for bad in ["http://sts.example.com", "ftp://h", "a b"] {
            assert_eq!(checked(bad, false).unwrap_err().kind(), ErrorKind::Config, "{bad}");
        }
    }
}
