//! The files that hold credentials: `config.json` of the `aliyun` command, `credentials.ini` of the vendor's SDKs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{SECRET_MARK, block_on};
use crate::auth::credentials::{Environment, FileText, ProcessOutput};
use crate::auth::{Credential, CredentialOptions, DefaultCredentials, percent};
use crate::net::transport::{BoxFuture, Transport, TransportError};

const CONFIG: &str = "/home/u/.aliyun/config.json";
const INI: &str = "/home/u/.alibabacloud/credentials.ini";
/// What a helper program writes is as good as a secret.
const PROGRAM_MARK: &str = "PR0GRAM-MARK";
/// The fields whose values are secrets.
const SECRETS: [&str; 4] = ["access_key_secret", "sts_token", "security_token", "private_key"];

/// Looks for credentials where the bytes are each of the two files, with and without the name of a profile.
pub fn config(bytes: &[u8]) {
    // A file that is not UTF-8 is refused before it is looked into.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let document = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')).ok();
    for profile in [None, Some("prod")] {
        let found = look(CONFIG, text, profile, !is_shown(document.as_ref()));
        if let (Some(found), Some(document)) = (found, &document) {
            check_pair(&found, document, profile);
        }
        look(INI, text, profile, text.lines().filter(|line| line.contains(SECRET_MARK)).all(is_secret_line));
    }
}

/// What is found where `path` is the only file there is. `hides`: the mark stands for secrets only.
fn look(path: &'static str, text: &str, profile: Option<&str>, hides: bool) -> Option<Credential> {
    let file = text.to_owned();
    let mut world = Environment::empty().with_transport(Arc::new(Echo));
    // With a slash at its end, which Windows then takes for its own.
    world.home = Some("/home/u/".into());
    world.files = Arc::new(move |asked: &Path| match asked == Path::new(path) {
        true => Ok(FileText { text: file.clone(), mode: Some(0o600) }),
        false => Err(io::Error::from(io::ErrorKind::NotFound)),
    });
    world.processes = Arc::new(|_| {
        let output = ProcessOutput {
            success: true,
            stdout: format!("{PROGRAM_MARK} {{").into(),
            ..Default::default()
        };
        Box::pin(async move { Ok(output) })
    });
    let options = CredentialOptions::default().with_profile(profile.map(str::to_owned));
    let explanation = block_on(DefaultCredentials::in_environment(world, options).explain());
    let said = format!("{:?} {:?}", explanation.outcome, explanation.steps);
    let encoded = percent::encode(SECRET_MARK);
    let shows = said.contains(SECRET_MARK) || said.contains(&encoded) && !text.contains(&encoded);
    assert!(!hides || !shows, "{said}");
    assert!(text.contains(PROGRAM_MARK) || !said.contains(PROGRAM_MARK), "{said}");
    assert!(said.len() <= 64 * text.len() + 10_000, "{} bytes of text out of {}", said.len(), text.len());
    match explanation.outcome {
        Ok(found) => {
            assert!(!found.key_id.is_empty() && !found.secret.expose_secret().is_empty());
            assert!(found.source.contains(path), "{found:?}");
            Some(found)
        }
        Err(error) => {
            assert!(error.to_string().contains(path), "an error names its file: {error}");
            None
        }
    }
}

/// A key is that of one profile, never two halves of two.
fn check_pair(found: &Credential, document: &Value, profile: Option<&str>) {
    let current = document["current"].as_str().filter(|name| !name.is_empty()).unwrap_or("default");
    let name = profile.unwrap_or(current);
    let profiles = document["profiles"].as_array().map(Vec::as_slice).unwrap_or_default();
    let meant = profiles.iter().find(|fields| fields["name"] == name);
    let Some(meant) = meant else { panic!("{found:?} is of a profile that is not there") };
    if meant["mode"] == "AK" || meant["mode"] == "StsToken" {
        assert_eq!(meant["access_key_id"], found.key_id.as_str());
        assert_eq!(meant["access_key_secret"], found.secret.expose_secret());
        let token = found.token.as_ref().map(|token| token.expose_secret());
        assert_eq!(token, meant["sts_token"].as_str().filter(|_| meant["mode"] == "StsToken"));
    }
}

/// Whether the mark stands where no secret belongs, and so may show.
fn is_shown(document: Option<&Value>) -> bool {
    fn holds(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains(SECRET_MARK),
            Value::Array(values) => values.iter().any(holds),
            Value::Object(fields) => fields.iter().any(|(name, value)| {
                name.contains(SECRET_MARK) || !SECRETS.contains(&name.as_str()) && holds(value)
            }),
            _ => false,
        }
    }
    document.is_some_and(holds)
}

fn is_secret_line(line: &str) -> bool {
    let key = line.split_once('=').map(|(key, _)| key.trim().to_ascii_lowercase());
    key.is_some_and(|key| SECRETS.contains(&key.as_str()))
}

/// A service that refuses everything and repeats the whole request.
#[derive(Debug)]
struct Echo;

impl Transport for Echo {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let body = String::from_utf8_lossy(request.body());
        let text = format!("no: {} {:?} {body}", request.uri(), request.headers());
        let body =
            json!({"Code": format!("NoPermission.{text}"), "Message": text, "RequestId": "R-1"}).to_string();
        let mut answer = http::Response::new(Bytes::from(body));
        *answer.status_mut() = http::StatusCode::FORBIDDEN;
        Box::pin(async { Ok(answer) })
    }
}
