//! The role of the ECS instance that we run on, from its metadata service.
//!
//! Version 2 of the service wants a token first, which a request forged through us could not get; where that fails,
//! version 1 is tried unless `ALIBABA_CLOUD_IMDSV1_DISABLED` is on. Never through a proxy: the address means "this
//! machine", and a proxy would answer for another. Source: "View instance metadata" of the vendor's ECS guide.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::context::{Context, Finding, config_error};
use super::temporary_key;
use crate::auth::credential::Credential;
use crate::error::{Error, ErrorKind, Result};
use crate::net::transport::{Phase, TransportError, TransportResult};

const ENDPOINT: &str = "http://100.100.100.200";
const TOKEN_PATH: &str = "/latest/api/token";
const ROLE_PATH: &str = "/latest/meta-data/ram/security-credentials/";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
const TOKEN_LIFE_HEADER: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
/// Life of the metadata token in seconds: 1 to 21,600. It is used at once and then forgotten.
const TOKEN_LIFE: &str = "60";
/// A request as a whole; connecting and silence have a second each.
const LIMIT: Duration = Duration::from_secs(2);
const ROLE_VARIABLE: &str = "ALIBABA_CLOUD_ECS_METADATA";
const DISABLED_VARIABLE: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";
const V1_DISABLED_VARIABLE: &str = "ALIBABA_CLOUD_IMDSV1_DISABLED";

/// Asks for the instance's role without being told to, so that no instance, or one without a role, is no error.
pub(super) async fn own_role(context: &Context) -> Result<Finding> {
    if context.environment.is_on(DISABLED_VARIABLE) {
        return Ok(Finding::Absent(format!("{DISABLED_VARIABLE} is on")));
    }
    let named = context.environment.variable(ROLE_VARIABLE);
    let is_meant = named.is_some() || context.on_instance.load(Ordering::Relaxed);
    match fetch(context, named).await {
        Ok(credential) => {
            context.on_instance.store(true, Ordering::Relaxed);
            Ok(Finding::Found(credential))
        }
        Err(Failure { error, is_absence: true }) if !is_meant => {
            Ok(Finding::Absent(error.message().to_owned()))
        }
        Err(failure) => Err(failure.error),
    }
}

/// The role that a profile asks for; with no name the instance's only one.
pub(super) async fn role(context: &Context, name: Option<String>) -> Result<Credential> {
    if context.environment.is_on(DISABLED_VARIABLE) {
        let message = format!("the instance role is asked for, but {DISABLED_VARIABLE} is on");
        return Err(config_error(message));
    }
    fetch(context, name).await.map_err(|failure| failure.error)
}

/// Why there is no credential.
struct Failure {
    error: Error,
    /// There is no metadata service or no role, which means little where nobody asked for one.
    is_absence: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, is_absence: false }
    }
}

fn absence(kind: ErrorKind, message: impl Into<String>) -> Failure {
    Failure { error: Error::new(kind, message), is_absence: true }
}

async fn fetch(context: &Context, name: Option<String>) -> Result<Credential, Failure> {
    let service = Service::connect(context).await?;
    let name = match name {
        Some(name) => name,
        None => service.role_name().await?,
    };
    service.credential(&name).await
}

/// The metadata service, and the token that it gave.
struct Service<'a> {
    context: &'a Context,
    endpoint: String,
    /// None: version 1.
    token: Option<HeaderValue>,
    v1: bool,
}

impl<'a> Service<'a> {
    /// Asks for a token of version 2.
    async fn connect(context: &'a Context) -> Result<Self, Failure> {
        let endpoint = context.options.metadata_endpoint.clone().unwrap_or_else(|| ENDPOINT.into());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let v1 = !context.environment.is_on(V1_DISABLED_VARIABLE);
        let mut service = Self { context, endpoint, token: None, v1 };
        let life = HeaderValue::from_static(TOKEN_LIFE);
        let why = match service.send(Method::PUT, TOKEN_PATH, &[(TOKEN_LIFE_HEADER, &life)]).await? {
            Ok(answer) if answer.status() == StatusCode::OK => {
                let token = String::from_utf8_lossy(answer.body()).trim().to_owned();
                service.token = HeaderValue::from_str(&token).ok().filter(|token| !token.is_empty());
                "gives no token".to_owned()
            }
            Ok(answer) => format!("answers HTTP {} when asked for a token", answer.status().as_u16()),
            // Nobody is there: a second request would only cost another second.
            Err(failure) if failure.phase == Phase::Connect => return Err(unreachable(&failure)),
            Err(failure) => failure.to_string(),
        };
        if service.token.is_some() || v1 {
            return Ok(service);
        }
        let message = format!("the metadata service {why}, and {V1_DISABLED_VARIABLE} is on");
        Err(absence(ErrorKind::Unavailable, message))
    }

    async fn role_name(&self) -> Result<String, Failure> {
        let answer = self.get(ROLE_PATH).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(absence(ErrorKind::Config, "the instance has no RAM role"));
        }
        let name = String::from_utf8_lossy(answer.body()).trim().to_owned();
        // What answers here need not be an Alibaba Cloud instance: the address is in a shared range.
        if answer.status() != StatusCode::OK || !is_role_name(&name) {
            let message = format!("the metadata service names no role (HTTP {})", answer.status().as_u16());
            return Err(absence(ErrorKind::Unavailable, message));
        }
        Ok(name)
    }

    async fn credential(&self, name: &str) -> Result<Credential, Failure> {
        let failed = |kind, why: &str| {
            let error = Error::new(kind, format!("instance role {name:?}: {why}"));
            Failure::from(error)
        };
        if !is_role_name(name) {
            return Err(failed(ErrorKind::Config, "that is no name of a role"));
        }
        let answer = self.get(&format!("{ROLE_PATH}{name}")).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(failed(ErrorKind::Config, "the instance has no such role")),
            status => {
                let why = format!("the metadata service answers HTTP {}", status.as_u16());
                return Err(failed(ErrorKind::Unavailable, &why));
            }
        }
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if temporary_key::text(&body, "Code") != Some("Success") {
            return Err(failed(ErrorKind::Unavailable, "the answer's Code is not Success"));
        }
        let credential = temporary_key::read(&body)
            .map_err(|field| failed(ErrorKind::Garbled, &format!("the answer has no usable {field}")))?;
        Ok(credential.with_source(format!("instance role {name:?}")))
    }

    /// With the token; once more without it where that fails.
    async fn get(&self, path: &str) -> Result<http::Response<Bytes>, Failure> {
        if let Some(token) = &self.token {
            let answer = self.send(Method::GET, path, &[(TOKEN_HEADER, token)]).await?;
            match answer {
                Ok(answer) if answer.status() == StatusCode::OK || !self.v1 => return Ok(answer),
                Err(failure) if !self.v1 => return Err(unreachable(&failure)),
                _ => {}
            }
        }
        self.send(Method::GET, path, &[]).await?.map_err(|failure| unreachable(&failure))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &HeaderValue)],
    ) -> Result<TransportResult, Failure> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::new()).map_err(|_| {
            config_error(format!("the metadata service's endpoint {:?} is no URL", self.endpoint))
        })?;
        Ok(self.context.environment.send_to_metadata(request, LIMIT).await?)
    }
}

fn unreachable(failure: &TransportError) -> Failure {
    absence(ErrorKind::Unavailable, format!("no metadata service: {failure}"))
}

/// Letters, digits, `.`, `-` and `_`, at most 64 of them, as RAM has it.
fn is_role_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}
