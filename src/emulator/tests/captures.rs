//! What the vendor's SDKs, and our own client, put on the wire.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request};
use serde_json::Value;

use super::env::{TestEnv, json, start};
use super::gateway::code;
use crate::auth::credentials::Credential;
use crate::auth::request::{self, Attempt, Operation, SignatureVersion};
use crate::auth::rpc::Params;
use crate::emulator::{Emulator, Scenario};
use crate::net::clock::Clock;

/// Headers to change; none: to leave out.
type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

#[derive(Debug)]
struct FixedClock(DateTime<Utc>);

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

fn at_the_captures_time(scenario: Scenario) -> Emulator {
    let clock = FixedClock("2024-05-06T07:08:09Z".parse().unwrap());
    Emulator::new(scenario).with_clock(Arc::new(clock))
}

#[tokio::test]
async fn the_vendors_python_core_is_accepted() {
    let fixture: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/rpc-v1-signature.json")).unwrap();
    let captures = fixture["wire_captures"].as_array().unwrap();
    assert!(!captures.is_empty());
    for capture in captures {
        let request = Request::post(capture["url"].as_str().unwrap()).body(Bytes::new()).unwrap();
        let (status, body) = json(at_the_captures_time(Scenario::new()).handle(request).await);
        // The capture has no TaskType: so far behind the gate it can only come with a right signature.
        assert_eq!((status, body["Code"].as_str()), (400, Some("MissingParameter")), "{body}");
        assert!(body["Message"].as_str().unwrap().contains("TaskType"), "{body}");
    }
}

/// The ACS3 captures: without a token, and with one.
fn captures() -> Vec<(Scenario, Value)> {
    let fixture: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/acs3-signature.json")).unwrap();
    let captures = fixture["wire_captures"].as_array().unwrap().clone();
    assert_eq!(captures.len(), 2);
    let scenario = |c: &Value| match c["headers"]["x-acs-security-token"].as_str() {
        Some(token) => Scenario::new().with(|s| s.tokens.insert("testid".into(), token.into())),
        None => Scenario::new(),
    };
    captures.into_iter().map(|c| (scenario(&c), c)).collect()
}

fn v3_request(capture: &Value, change: Changes<'_>, body: &'static str) -> Request<Bytes> {
    let query: Params = serde_json::from_value(capture["query"].clone()).unwrap();
    let mut builder = Request::post(format!("/?{}", crate::auth::rpc::canonical_query(&query)));
    let changed = |name: &str| change.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v);
    for (name, value) in capture["headers"].as_object().unwrap() {
        match changed(name) {
            None => builder = builder.header(name, value.as_str().unwrap()),
            Some(Some(other)) => builder = builder.header(name, other),
            Some(None) => {}
        }
    }
    for (name, value) in change {
        if capture["headers"].get(*name).is_none()
            && let Some(value) = value
        {
            builder = builder.header(*name, *value);
        }
    }
    builder.body(Bytes::from_static(body.as_bytes())).unwrap()
}

#[tokio::test]
async fn the_vendors_v3_sdk_is_accepted() {
    for (scenario, capture) in captures() {
        let emulator = at_the_captures_time(scenario);
        let (status, body) = json(emulator.handle(v3_request(&capture, &[], "")).await);
        assert_eq!((status, body["Code"].as_str()), (400, Some("MissingParameter")), "{body}");
        assert!(body["Message"].as_str().unwrap().contains("TaskType"), "{body}");
        assert_eq!(emulator.calls()[0].signature_version, "ACS3");
        assert_eq!(emulator.calls()[0].key_id, "testid");
        assert_eq!(code(emulator.handle(v3_request(&capture, &[], "")).await), "400 SignatureNonceUsed");
    }
}

#[tokio::test]
async fn a_v3_request_that_was_touched_is_refused() {
    let (_, capture) = captures().remove(0);
    let table: &[(Changes<'_>, &str, &str)] = &[
        (&[("accept", Some("text/xml"))], "", "400 SignatureDoesNotMatch"),
        (&[("user-agent", None)], "", "400 IncompleteSignature"),
        (&[("host", Some("evil.test"))], "", "400 SignatureDoesNotMatch"),
        (&[("x-acs-extra", Some("1"))], "", "400 IncompleteSignature"),
        (&[("content-type", Some("text/plain"))], "", "400 IncompleteSignature"),
        (&[], "body", "400 InvalidParameter"),
        (&[("x-acs-action", None)], "", "400 MissingParameter"),
        (&[("x-acs-date", Some("2024-05-06T06:08:09Z"))], "", "400 InvalidTimeStamp.Expired"),
        (&[("Authorization", Some("ACS3-HMAC-SHA256 nonsense"))], "", "400 IncompleteSignature"),
        (
            &[("Authorization", Some("ACS3-HMAC-SHA256 Credential=nobody,SignedHeaders=host,Signature=0"))],
            "",
            "404 InvalidAccessKeyId.NotFound",
        ),
        (
            &[("Authorization", Some("ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host,Signature=0"))],
            "",
            "400 IncompleteSignature",
        ),
    ];
    for (change, body, expected) in table {
        let emulator = at_the_captures_time(Scenario::new());
        let reply = emulator.handle(v3_request(&capture, change, body)).await;
        assert_eq!(code(reply), *expected, "{change:?} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_client_is_accepted_with_either_signature() {
    let env = TestEnv::new(
        Scenario::new()
            .with(|s| s.tokens.insert("sts".into(), "T+/=".into()))
            .with(|s| s.keys.insert("sts".into(), "s".into())),
    );
    let keys = [Credential::new("testid", "testsecret"), Credential::new("sts", "s").with_token("T+/=")];
    for (n, credential) in keys.iter().enumerate() {
        for (version, method) in [
            (SignatureVersion::V1, Method::GET),
            (SignatureVersion::V1, Method::POST),
            (SignatureVersion::V3, Method::GET),
            (SignatureVersion::V3, Method::POST),
        ] {
            let operation = Operation {
                action: "RefreshMediaPlayUrls",
                version: "2017-03-21",
                method: method.clone(),
                params: Params::from([
                    ("MediaIds".into(), "m1,m2".into()),
                    ("TaskType".into(), "Preload".into()),
                    ("UserData".into(), "{\"Extend\":{\"note\":\"~a*b c+d'中\"}}".into()),
                ]),
            };
            let nonce = format!("{n}{version:?}{method}");
            let attempt = Attempt { credential, nonce, now: start() };
            let request =
                request::signed(version, "http://vod.test:81", &operation, &attempt).unwrap().request;
            assert_eq!(code(env.emulator.handle(request).await), "200 ok", "{version:?} {method}");
        }
    }
}
