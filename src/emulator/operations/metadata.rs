//! Requests that are known by their path alone and are not signed: the metadata service of an ECS instance, and a
//! credentials service.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /latest/api/token` | a metadata token, for version 2 of the service |
//! | `GET /latest/meta-data/ram/security-credentials/` | the name of the instance's role |
//! | `GET /latest/meta-data/ram/security-credentials/<role>` | its temporary key, the same for half of its life |
//! | `GET /credentials` | a new temporary key each time |

use chrono::TimeDelta;
use http::Method;
use serde_json::json;

use crate::emulator::answer::Body;
use crate::emulator::request::Received;
use crate::emulator::state::State;
use crate::net::clock::to_wire;

const ROLE_PATH: &str = "/latest/meta-data/ram/security-credentials/";
/// The life of a metadata token in seconds.
const TOKEN_LIFE: std::ops::RangeInclusive<i64> = 1..=21_600;

/// The name of a request in logs and in fault rules, if its path is one of these.
pub(crate) fn name_of(received: &Received) -> Option<&'static str> {
    match (&received.method, received.path.as_str()) {
        (&Method::PUT, "/latest/api/token") => Some("MetadataToken"),
        (&Method::GET, "/credentials") => Some("CredentialsUri"),
        (&Method::GET, ROLE_PATH) => Some("MetadataRole"),
        (&Method::GET, path) if path.starts_with(ROLE_PATH) => Some("MetadataCredentials"),
        _ => None,
    }
}

/// Answers the request of that name.
pub(crate) fn answer(state: &mut State, name: &str, received: &Received) -> Body {
    let refuse = |status: u16, text: &str| Body::Plain(status, json!(text));
    let State { scenario, keys, ids, now, .. } = state;
    let now = *now;
    match name {
        "CredentialsUri" => {
            let mut body = keys.issue(ids, scenario.credentials_uri.life, now).body();
            body["Code"] = json!("Success");
            return Body::Plain(200, body);
        }
        "MetadataToken" => {
            let life = received.header("x-aliyun-ecs-metadata-token-ttl-seconds");
            let life = life.and_then(|text| text.parse().ok()).filter(|life| TOKEN_LIFE.contains(life));
            let Some(life) = life else { return refuse(400, "Bad Request") };
            let token = format!("META{:016x}", ids.number());
            keys.add_metadata_token(token.clone(), now + TimeDelta::seconds(life));
            return Body::Plain(200, json!(token));
        }
        _ => {}
    }
    let metadata = &scenario.metadata;
    match received.header("x-aliyun-ecs-metadata-token") {
        Some(token) if !keys.has_metadata_token(token, now) => return refuse(401, "Unauthorized"),
        None if !metadata.v1 => return refuse(403, "Forbidden"),
        _ => {}
    }
    match received.path.strip_prefix(ROLE_PATH).unwrap_or_default() {
        _ if metadata.role.is_empty() => refuse(404, "Not Found"),
        "" => Body::Plain(200, json!(metadata.role)),
        role if role != metadata.role => refuse(404, "Not Found"),
        _ => {
            let session = keys.of_instance(ids, metadata.life, now);
            let mut body = session.body();
            body["LastUpdated"] = json!(to_wire(session.from));
            body["Code"] = json!("Success");
            Body::Plain(200, body)
        }
    }
}
