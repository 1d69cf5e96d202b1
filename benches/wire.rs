//! What each call and each event costs before and after the network: signing, checking, decoding.
//!
//! `cargo bench --bench wire`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use chrono::DateTime;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use vod_refresh::Credential;
use vod_refresh::auth::callback::{self, CallbackVerifier};
use vod_refresh::auth::request::{Attempt, Operation, SignatureVersion, fresh_nonce, signed};
use vod_refresh::event::{Source, decode};

/// A submission of 20 media, the largest request there is.
fn submission() -> Operation {
    let ids: Vec<String> = (0..20).map(|n| format!("{n:032x}")).collect();
    let user_data = r#"{"Extend":"{\"vod-refresh\":\"0197f3c2-0000-7000-8000-000000000000:3\"}"}"#;
    let params =
        [("MediaIds", ids.join(",")), ("TaskType", "Refresh".into()), ("UserData", user_data.into())];
    Operation {
        action: "RefreshMediaPlayUrls",
        version: "2017-03-21",
        method: Method::POST,
        params: params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

fn signing(c: &mut Criterion) {
    let (operation, credential) = (submission(), Credential::new("testid", "testsecret"));
    let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
    for (name, version) in [("v1", SignatureVersion::V1), ("v3", SignatureVersion::V3)] {
        c.bench_function(&format!("sign a submission of 20 media, {name}"), |b| {
            b.iter(|| {
                let attempt = Attempt { credential: &credential, nonce: fresh_nonce().unwrap(), now };
                signed(version, "https://vod.cn-shanghai.aliyuncs.com", black_box(&operation), &attempt)
                    .unwrap()
            });
        });
    }
}

fn events(c: &mut Criterion) {
    let body = include_bytes!("../tests/fixtures/events/success.json");
    c.bench_function("decode an event", |b| b.iter(|| decode(black_box(body), Source::Callback).unwrap()));
    let (url, key) = ("https://cb.example.test/vod/hook", "Abc123Key".to_owned().into());
    let signature = callback::sign(url, 1_750_000_000, &key);
    let verifier = CallbackVerifier::new(url, vec!["Old456Key".to_owned().into(), key]);
    let now = DateTime::from_timestamp(1_750_000_010, 0).unwrap();
    c.bench_function("check an event's signature, two keys", |b| {
        b.iter(|| verifier.verify(Some("1750000000"), Some(black_box(&signature)), now).unwrap());
    });
}

criterion_group!(benches, signing, events);
criterion_main!(benches);
