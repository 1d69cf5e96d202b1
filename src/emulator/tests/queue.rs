//! The queue from outside: raw requests in, replies out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request};
use tokio::time::Instant;

use super::env::answer;
use crate::auth::queue::{ToSign, authorization, date, sign};
use crate::emulator::{Emulator, Fault, FaultRule, QueueScript, Scenario};
use crate::net::clock::TimerClock;
use crate::net::xml::{self, Element};

const MESSAGES: &str = "/queues/q/messages";

fn start() -> DateTime<Utc> {
    DateTime::parse_from_rfc2822("Thu, 15 Jan 2026 08:30:00 GMT").unwrap().to_utc()
}

fn cloud(queue: QueueScript) -> Emulator {
    Emulator::new(Scenario::new().with(|s| s.queue = Some(queue)))
        .with_clock(Arc::new(TimerClock::starting_at(start())))
}

fn q() -> QueueScript {
    QueueScript::named("q")
}

/// A request that is signed as it stands, with `change` made to its headers afterwards.
fn request(method: Method, target: &str, change: &[(&'static str, &str)]) -> Request<Bytes> {
    let date = date(start());
    let headers = BTreeMap::from([("x-mns-version".to_owned(), "2015-06-06".to_owned())]);
    let text =
        ToSign { method: &method, content_md5: "", content_type: "", date: &date, headers: &headers, target }
            .text();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://vod.test{target}"))
        .header("date", date)
        .header("x-mns-version", "2015-06-06")
        .header("authorization", authorization("testid", &sign(&text, "testsecret")))
        .body(Bytes::new())
        .unwrap();
    for (name, value) in change {
        match *value {
            "-" => drop(request.headers_mut().remove(*name)),
            value => drop(request.headers_mut().insert(*name, value.parse().unwrap())),
        }
    }
    request
}

/// Status and root of the answer; every answer must name its request.
async fn ask(cloud: &Emulator, request: Request<Bytes>) -> (u16, Element) {
    let answer = answer(cloud.handle(request).await);
    assert!(answer.headers().contains_key("x-mns-request-id"));
    (answer.status().as_u16(), xml::read(answer.body()).unwrap_or_default())
}

async fn code(cloud: &Emulator, request: Request<Bytes>) -> (u16, String) {
    let (status, root) = ask(cloud, request).await;
    (status, root.field("Code").unwrap_or("-").to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_the_vendors_sdk_put_on_the_wire_is_taken() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/smq-signature.json")).unwrap();
    for vector in file["vectors"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let mut scenario = Scenario::new().with(|s| s.queue = Some(QueueScript::named("vod-refresh-events")));
        if let Some(token) = vector["security_token"].as_str() {
            scenario = scenario.with(|s| s.tokens.insert(text("access_key_id").into(), token.into()));
        }
        // Other keys than ours, some of them.
        scenario =
            scenario.with(|s| s.keys.insert(text("access_key_id").into(), text("access_key_secret").into()));
        let cloud = Emulator::new(scenario).with_clock(Arc::new(TimerClock::starting_at(start())));
        let mut builder = Request::builder()
            .method(text("method"))
            .uri(format!("http://{}{}", text("host"), text("path_and_query")))
            .header("authorization", text("expected_authorization"));
        for (name, value) in vector["headers"].as_object().unwrap() {
            builder = builder.header(name, value.as_str().unwrap());
        }
        let request = builder.body(Bytes::from(text("body").to_owned())).unwrap();
        let (_, found) = code(&cloud, request).await;
        let refused =
            ["Signature", "Authorization", "InvalidAccessKeyId", "Token", "Date", "Time", "QueryString"];
        assert!(!refused.iter().any(|word| found.contains(word)), "{}: {found}", text("name"));
        let operation = text("operation");
        if operation != "CreateQueue" {
            assert_eq!(cloud.count(operation), 1, "{}", text("name"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_signed_rightly_is_refused_with_the_reason() {
    let cloud = cloud(q());
    let late = date(start() - chrono::TimeDelta::minutes(16));
    for (change, status, word) in [
        (("authorization", "-"), 400, "MissingAuthorizationHeader"),
        (("authorization", "acs x:y"), 400, "InvalidAuthorizationHeader"),
        (("authorization", "MNS nobody:y"), 403, "InvalidAccessKeyId"),
        (("authorization", "MNS testid:AAAA"), 403, "SignatureDoesNotMatch"),
        (("x-mns-version", "-"), 400, "MissingVersionHeader"),
        (("x-mns-other", "1"), 403, "SignatureDoesNotMatch"),
        (("content-type", "text/xml"), 403, "SignatureDoesNotMatch"),
        (("date", "-"), 400, "MissingDateHeader"),
        (("date", "Thu, 15 Jan 2026 08:30:00 +0000"), 400, "InvalidDateHeader"),
        (("date", "yesterday"), 400, "InvalidDateHeader"),
        (("date", late.as_str()), 408, "TimeExpired"),
        (("security-token", "tok"), 403, "InvalidSecurityToken.MismatchWithAccessKey"),
    ] {
        let request = request(Method::GET, MESSAGES, &[change]);
        assert_eq!(code(&cloud, request).await, (status, word.to_owned()), "{change:?}");
    }
    // Signed for one target, sent to another.
    let mut moved = request(Method::GET, "/queues/q/messages?waitseconds=1", &[]);
    *moved.uri_mut() = "http://vod.test/queues/q/messages?waitseconds=2".parse().unwrap();
    assert_eq!(code(&cloud, moved).await.1, "SignatureDoesNotMatch");
    assert!(cloud.calls().iter().all(|call| call.outcome != "ok"));
}

#[tokio::test(start_paused = true)]
async fn numbers_and_names_outside_their_range_are_refused() {
    let cloud = cloud(q());
    for (method, query, status, word) in [
        (Method::GET, "?numOfMessages=0", 400, "InvalidArgument"),
        (Method::GET, "?numOfMessages=17", 400, "InvalidArgument"),
        (Method::GET, "?waitseconds=31", 400, "InvalidArgument"),
        (Method::GET, "?waitseconds=x", 400, "InvalidArgument"),
        (Method::GET, "?WaitSeconds=1", 400, "InvalidQueryString"),
        (Method::PUT, "?ReceiptHandle=1-x&VisibilityTimeout=0", 400, "InvalidArgument"),
        (Method::PUT, "?ReceiptHandle=1-x&VisibilityTimeout=43201", 400, "InvalidArgument"),
        (Method::PUT, "?ReceiptHandle=1-x", 400, "MissingVisibilityTimeout"),
        (Method::PUT, "?VisibilityTimeout=1", 400, "MissingReceiptHandle"),
        (Method::DELETE, "?ReceiptHandle=nonsense", 400, "ReceiptHandleError"),
        (Method::DELETE, "?ReceiptHandle=1-x", 404, "MessageNotExist"),
        (Method::DELETE, "", 400, "MalformedXML"),
        (Method::POST, "", 400, "MalformedXML"),
        (Method::GET, "", 404, "MessageNotExist"),
        (Method::GET, "?peekonly=true", 404, "MessageNotExist"),
        (Method::GET, "/more", 400, "InvalidRequestURL"),
    ] {
        let target = format!("{MESSAGES}{query}");
        let found = code(&cloud, request(method.clone(), &target, &[])).await;
        assert_eq!(found, (status, word.to_owned()), "{method} {query}");
    }
    let other = request(Method::GET, "/queues/other/messages", &[]);
    assert_eq!(code(&cloud, other).await, (404, "QueueNotExist".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_and_is_woken_by_what_comes_or_turns_visible() {
    let cloud = cloud(QueueScript { visibility_timeout: Duration::from_secs(5), ..q() });
    let poll = || request(Method::GET, "/queues/q/messages?numOfMessages=16&waitseconds=20", &[]);
    let begin = Instant::now();
    assert_eq!(code(&cloud, poll()).await.1, "MessageNotExist");
    assert_eq!(begin.elapsed().as_secs(), 20);
    let send = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cloud.put_message("<hello>");
    };
    let begin = Instant::now();
    let ((status, root), ()) = tokio::join!(ask(&cloud, poll()), send);
    assert_eq!((status, begin.elapsed().as_secs()), (200, 3));
    let first = root.all("Message").next().unwrap();
    assert_eq!(first.field("MessageBody"), Some("<hello>"));
    let (_, root) = ask(&cloud, poll()).await;
    assert_eq!(begin.elapsed().as_secs(), 8, "as soon as it turned visible again");
    let again = root.all("Message").next().unwrap();
    assert_eq!((again.field("MessageId"), again.number("DequeueCount")), (first.field("MessageId"), Some(2)));
    assert_ne!(again.field("ReceiptHandle"), first.field("ReceiptHandle"));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_dropped_takes_nothing_with_it() {
    let cloud = cloud(QueueScript { poll_cap: Some(1), ..q() });
    let poll = || request(Method::GET, "/queues/q/messages?waitseconds=20", &[]);
    let cut = tokio::time::timeout(Duration::from_secs(1), cloud.handle(poll())).await;
    assert!(cut.is_err());
    cloud.put_message("m");
    let (status, root) = ask(&cloud, poll()).await;
    assert_eq!((status, root.name.as_str(), root.number("DequeueCount")), (200, "Message", Some(1)));
    // Its seat is free again, and only one poll has one.
    let (waited, at_once) = tokio::join!(timed(&cloud, poll()), timed(&cloud, poll()));
    assert_eq!((waited.as_secs(), at_once.as_secs()), (20, 0));
}

async fn timed(cloud: &Emulator, request: Request<Bytes>) -> Duration {
    let begin = Instant::now();
    cloud.handle(request).await;
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn rates_denials_and_faults_take_the_operations_names() {
    let scenario = Scenario::from_json(
        r#"{"queue": {"name": "q", "encoding": "base64", "visibility_timeout": "5s", "foreign": 2, "undecodable": 1},
            "rates": {"PeekMessage": 1}, "deny": ["ReceiveMessage"],
            "faults": [{"action": "GetQueueAttributes", "fault": {"throttle": {}}},
                       {"action": "GetQueueAttributes", "fault": {"html": {}}}]}"#,
    )
    .unwrap();
    let cloud = Emulator::new(scenario).with_clock(Arc::new(TimerClock::starting_at(start())));
    let get = |target: &str| request(Method::GET, target, &[]);
    assert_eq!(code(&cloud, get("/queues/q")).await, (429, "TooManyRequests".to_owned()));
    assert_eq!(code(&cloud, get("/queues/q")).await.0, 502);
    assert_eq!(ask(&cloud, get("/queues/q")).await.1.number("VisibilityTimeout"), Some(5));
    assert_eq!(code(&cloud, get(MESSAGES)).await, (403, "AccessDenied".to_owned()));
    let peek = "/queues/q/messages?peekonly=true";
    assert_eq!(ask(&cloud, get(peek)).await.1.field("ReceiptHandle"), None);
    assert_eq!(code(&cloud, get(peek)).await, (429, "TooManyRequests".to_owned()));
    assert!(cloud.unused_faults().is_empty());
    assert_eq!(cloud.queue_messages().len(), 3);
    let outcomes: Vec<String> = cloud.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["throttle", "html", "ok", "AccessDenied", "ok", "TooManyRequests"]);
    cloud.add_fault(FaultRule::on("GetQueueAttributes", Fault::Garbage));
    assert_eq!(ask(&cloud, get("/queues/q")).await.1, Element::default());
}
