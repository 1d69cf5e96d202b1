//! What is found by its path alone: the metadata service of an ECS instance, and a credentials service.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /latest/api/token` | a metadata token, for version 2 of the service |
//! | `GET /latest/meta-data/ram/security-credentials/` | the name of the instance's role |
//! | `GET /latest/meta-data/ram/security-credentials/<role>` | its temporary key, the same for half of its life |
//! | `GET /credentials` | a new temporary key each time |

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::duration;
use super::state::State;
use super::wire::Received;
use crate::net::clock::to_wire;

const TOKEN_PATH: &str = "/latest/api/token";
const ROLE_PATH: &str = "/latest/meta-data/ram/security-credentials/";
const URI_PATH: &str = "/credentials";
/// Life of a metadata token in seconds.
const TOKEN_LIFE: std::ops::RangeInclusive<i64> = 1..=21_600;
/// Metadata tokens that are remembered.
const MAX_TOKENS: usize = 1_000;

/// Names for what is asked here, in logs and in fault rules.
pub(super) const NAMES: &[&str] = &["MetadataToken", "MetadataRole", "MetadataCredentials", "CredentialsUri"];

/// How the metadata service behaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metadata {
    /// The name of the instance's role; empty: it has none.
    pub role: String,
    /// How long the role's keys live. They are replaced after half of it.
    #[serde(with = "duration")]
    pub life: Duration,
    /// Whether requests without a metadata token are answered (version 1 of the service).
    pub v1: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { role: "emulator-role".into(), life: Duration::from_secs(6 * 3600), v1: true }
    }
}

/// How the credentials service at `/credentials` behaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CredentialsUri {
    /// How long its keys live.
    #[serde(with = "duration")]
    pub life: Duration,
}

impl Default for CredentialsUri {
    fn default() -> Self {
        Self { life: Duration::from_secs(3600) }
    }
}

/// A request that is known by its path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Page<'a> {
    Token,
    RoleName,
    Role(&'a str),
    Uri,
}

impl Page<'_> {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Token => "MetadataToken",
            Self::RoleName => "MetadataRole",
            Self::Role(_) => "MetadataCredentials",
            Self::Uri => "CredentialsUri",
        }
    }
}

/// What is asked for, if the path says so.
pub(super) fn page(received: &Received) -> Option<Page<'_>> {
    match (&received.method, received.path.as_str()) {
        (&Method::PUT, TOKEN_PATH) => Some(Page::Token),
        (&Method::GET, URI_PATH) => Some(Page::Uri),
        (&Method::GET, path) => Some(match path.strip_prefix(ROLE_PATH)? {
            "" => Page::RoleName,
            name => Page::Role(name),
        }),
        _ => None,
    }
}

/// A status, and a text or JSON.
pub(super) type Turned = (u16, Value);

pub(super) fn turn(state: &mut State, page: Page<'_>, received: &Received, now: DateTime<Utc>) -> Turned {
    match page {
        Page::Uri => {
            let life = state.scenario.credentials_uri.life;
            let session = state.memory.sessions.issue(&mut state.ids, life, now);
            let mut body = session.body();
            body["Code"] = json!("Success");
            (200, body)
        }
        Page::Token => {
            let life = received.header("x-aliyun-ecs-metadata-token-ttl-seconds");
            let Some(life) = life.and_then(|text| text.parse().ok()).filter(|s| TOKEN_LIFE.contains(s))
            else {
                return nothing(400, "Bad Request");
            };
            let token = format!("META{:016x}", state.ids.number());
            state.memory.metadata_tokens.push_back((token.clone(), now + chrono::TimeDelta::seconds(life)));
            if state.memory.metadata_tokens.len() > MAX_TOKENS {
                state.memory.metadata_tokens.pop_front();
            }
            (200, json!(token))
        }
        Page::RoleName | Page::Role(_) => {
            let metadata = &state.scenario.metadata;
            match received.header("x-aliyun-ecs-metadata-token") {
                Some(given) => {
                    let mut tokens = state.memory.metadata_tokens.iter();
                    if !tokens.any(|(token, until)| token == given && now < *until) {
                        return nothing(401, "Unauthorized");
                    }
                }
                None if !metadata.v1 => return nothing(403, "Forbidden"),
                None => {}
            }
            match page {
                _ if metadata.role.is_empty() => nothing(404, "Not Found"),
                Page::Role(name) if name != metadata.role => nothing(404, "Not Found"),
                Page::Role(_) => {
                    let session = state.memory.sessions.of_instance(&mut state.ids, metadata.life, now);
                    let mut body = session.body();
                    body["LastUpdated"] = json!(to_wire(session.from));
                    body["Code"] = json!("Success");
                    (200, body)
                }
                _ => (200, json!(metadata.role)),
            }
        }
    }
}

fn nothing(status: u16, text: &str) -> Turned {
    (status, json!(text))
}
