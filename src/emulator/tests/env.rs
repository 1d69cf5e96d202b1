//! What the tests share: a cloud on a clock that moves with tokio's timers, and a caller that signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Request;
use serde_json::Value;

use crate::auth::rpc::{self, Params};
use crate::emulator::{Emulator, Reply, Scenario};
use crate::net::clock::{TimerClock, to_wire};

pub(super) struct TestEnv {
    pub(super) emulator: Emulator,
    clock: TimerClock,
    nonces: AtomicU32,
}

pub(super) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 0).unwrap()
}

impl TestEnv {
    pub(super) fn new(scenario: Scenario) -> Self {
        let clock = TimerClock::starting_at(start());
        let emulator = Emulator::new(scenario).with_clock(Arc::new(clock));
        Self { emulator, clock, nonces: AtomicU32::new(0) }
    }

    /// Common and given parameters; a parameter given as `-` is left out.
    pub(super) fn params(&self, action: &str, given: &[(&str, &str)]) -> Params {
        use crate::net::clock::Clock as _;
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed).to_string();
        let now = to_wire(self.clock.now());
        let common = [
            ("Action", action),
            ("Version", "2017-03-21"),
            ("Format", "JSON"),
            ("AccessKeyId", "testid"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", &nonce),
            ("Timestamp", &now),
        ];
        let mut params: Params =
            common.iter().chain(given).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        params.retain(|_, value| value != "-");
        params
    }

    /// A signed GET.
    pub(super) fn request(&self, action: &str, given: &[(&str, &str)]) -> Request<Bytes> {
        get(&self.params(action, given), "testsecret")
    }

    pub(super) async fn reply(&self, action: &str, given: &[(&str, &str)]) -> Reply {
        self.emulator.handle(self.request(action, given)).await
    }

    /// Status and JSON of a signed call.
    pub(super) async fn call(&self, action: &str, given: &[(&str, &str)]) -> (u16, Value) {
        json(self.reply(action, given).await)
    }

    pub(super) async fn submit(&self, ids: &str) -> String {
        let (status, body) =
            self.call("RefreshMediaPlayUrls", &[("MediaIds", ids), ("TaskType", "Refresh")]).await;
        assert_eq!(status, 200, "{body}");
        body["MediaRefreshJobId"].as_str().unwrap().to_owned()
    }

    pub(super) async fn lookup(&self, job: &str) -> Vec<Value> {
        let (status, body) = self.call("GetMediaRefreshJobs", &[("MediaRefreshJobId", job)]).await;
        assert_eq!(status, 200, "{body}");
        body["MediaRefreshJobs"].as_array().unwrap().clone()
    }

    /// `TaskId Status` of each row, and the total.
    pub(super) async fn tasks(&self, given: &[(&str, &str)]) -> (Vec<String>, u64) {
        let (status, body) = self.call("DescribeVodRefreshTasks", given).await;
        assert_eq!(status, 200, "{body}");
        let rows = body["Tasks"]["Task"].as_array().unwrap();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let rows = rows.iter().map(|row| text(row, "TaskId") + " " + &text(row, "Status")).collect();
        (rows, body["TotalCount"].as_u64().unwrap())
    }
}

pub(super) fn get(params: &Params, secret: &str) -> Request<Bytes> {
    let query = signed(&http::Method::GET, params, secret);
    Request::get(format!("http://vod.test/?{query}")).body(Bytes::new()).unwrap()
}

pub(super) fn signed(method: &http::Method, params: &Params, secret: &str) -> String {
    let query = rpc::canonical_query(params);
    let signature = rpc::sign(&rpc::string_to_sign(method, &query), secret);
    format!("{query}&Signature={}", crate::auth::percent::encode(&signature))
}

pub(super) fn answer(reply: Reply) -> http::Response<Bytes> {
    match reply {
        Reply::Answer(answer) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

pub(super) fn json(reply: Reply) -> (u16, Value) {
    let answer = answer(reply);
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

/// So many milliseconds go by.
pub(super) async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
