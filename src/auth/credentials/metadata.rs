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

use super::chain::{Answer, Context};
use super::world::Peer;
use super::{Credential, session};
use crate::error::{Error, ErrorKind, Result};
use crate::net::transport::{Phase, TransportError};

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

/// Asks without being told to, so that no instance, or one without a role, is no error.
pub(super) async fn from_environment(context: &Context) -> Result<Answer> {
    if context.world.is_on(DISABLED_VARIABLE) {
        return Ok(Answer::Absent(format!("{DISABLED_VARIABLE} is on")));
    }
    let named = context.world.variable(ROLE_VARIABLE);
    let meant = named.is_some() || context.on_instance.load(Ordering::Relaxed);
    match fetch(context, named).await {
        Ok(credential) => Ok(Answer::Found(credential)),
        Err(Failure::NoService(error) | Failure::NoRole(error)) if !meant => {
            Ok(Answer::Absent(error.message().to_owned()))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// The role that a profile asks for; with no name the instance's only one.
pub(super) async fn role(context: &Context, name: Option<String>) -> Result<Credential> {
    if context.world.is_on(DISABLED_VARIABLE) {
        let message = format!("the instance role is asked for, but {DISABLED_VARIABLE} is on");
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(fetch(context, name).await?)
}

/// Why there is no credential; the first two mean little where nobody asked for the role.
enum Failure {
    NoService(Error),
    NoRole(Error),
    Other(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoService(error) | Failure::NoRole(error) | Failure::Other(error) => error,
        }
    }
}

async fn fetch(context: &Context, name: Option<String>) -> Result<Credential, Failure> {
    let service = Service::greet(context).await?;
    let name = match name {
        Some(name) => name,
        None => service.role_name().await?,
    };
    service.credential(&name).await
}

/// The metadata service as far as we got with it.
struct Service<'a> {
    context: &'a Context,
    endpoint: String,
    /// None: version 1.
    token: Option<HeaderValue>,
    v1: bool,
}

impl<'a> Service<'a> {
    async fn greet(context: &'a Context) -> Result<Self, Failure> {
        let endpoint = context.options.metadata_endpoint.clone().unwrap_or_else(|| ENDPOINT.into());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let v1 = !context.world.is_on(V1_DISABLED_VARIABLE);
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
            Err(failure) if failure.phase == Phase::Connect => return Err(service.unreachable(&failure)),
            Err(failure) => failure.to_string(),
        };
        if service.token.is_some() || v1 {
            return Ok(service);
        }
        let message = format!("the metadata service {why}, and {V1_DISABLED_VARIABLE} is on");
        Err(Failure::NoService(Error::new(ErrorKind::Unavailable, message)))
    }

    async fn role_name(&self) -> Result<String, Failure> {
        let answer = self.get(ROLE_PATH).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            let message = "the instance has no RAM role";
            return Err(Failure::NoRole(Error::new(ErrorKind::Config, message)));
        }
        let name = String::from_utf8_lossy(answer.body()).trim().to_owned();
        // What answers here need not be an Alibaba Cloud instance: the address is in a shared range.
        if answer.status() != StatusCode::OK || !is_role_name(&name) {
            let message = format!("the metadata service names no role (HTTP {})", answer.status().as_u16());
            return Err(Failure::NoService(Error::new(ErrorKind::Unavailable, message)));
        }
        Ok(name)
    }

    async fn credential(&self, name: &str) -> Result<Credential, Failure> {
        let failed =
            |kind, why: String| Failure::Other(Error::new(kind, format!("instance role {name:?}: {why}")));
        if !is_role_name(name) {
            return Err(failed(ErrorKind::Config, "that is no name of a role".into()));
        }
        let answer = self.get(&format!("{ROLE_PATH}{name}")).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(failed(ErrorKind::Config, "the instance has no such role".into()));
            }
            status => {
                let why = format!("the metadata service answers HTTP {}", status.as_u16());
                return Err(failed(ErrorKind::Unavailable, why));
            }
        }
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match session::text(&body, "Code") {
            Some("Success") => {}
            _ => return Err(failed(ErrorKind::Unavailable, "the answer's Code is not Success".into())),
        }
        let credential = session::read(&body)
            .map_err(|field| failed(ErrorKind::Garbled, format!("the answer has no usable {field}")))?;
        Ok(credential.with_source(format!("instance role {name:?}")))
    }

    /// With the token; once more without it where that fails.
    async fn get(&self, path: &str) -> Result<http::Response<Bytes>, Failure> {
        if let Some(token) = &self.token {
            let answer = self.send(Method::GET, path, &[(TOKEN_HEADER, token)]).await?;
            match answer {
                Ok(answer) if answer.status() == StatusCode::OK || !self.v1 => return Ok(answer),
                Err(failure) if !self.v1 => return Err(self.unreachable(&failure)),
                _ => {}
            }
        }
        self.send(Method::GET, path, &[]).await?.map_err(|failure| self.unreachable(&failure))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &HeaderValue)],
    ) -> Result<Result<http::Response<Bytes>, TransportError>, Failure> {
        let mut request = http::Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.endpoint).parse().map_err(|_| {
            let message = format!("the metadata service's endpoint {:?} is no URL", self.endpoint);
            Failure::Other(Error::new(ErrorKind::Config, message))
        })?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, (*value).clone());
        }
        self.context.world.send(Peer::Metadata, request, LIMIT).await.map_err(Failure::Other)
    }

    fn unreachable(&self, failure: &TransportError) -> Failure {
        let message = format!("no metadata service: {failure}");
        Failure::NoService(Error::new(ErrorKind::Unavailable, message))
    }
}

/// Letters, digits, `.`, `-` and `_`, at most 64 of them, as RAM has it.
fn is_role_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}
