//! The transport over real sockets, against servers that misbehave: each failure has its phase, and no text holds a URL.

use std::time::Duration;

use bytes::Bytes;
use vod_refresh::error::Fate;
use vod_refresh::net::transport::{NewConnection, Phase, Transport, TransportError};
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::vod::RefreshMediaPlayUrls;
use vod_refresh::{Credential, JobId, MediaId, StaticCredentials, TaskType, VodClient};

use crate::support::raw_server::{ClosedPort, FINE, RawServer, Then};

fn options() -> HttpOptions {
    let mut options = HttpOptions::default();
    options.proxy_from_environment = false;
    options.read_timeout = Duration::from_millis(400);
    options
}

fn transport() -> HttpTransport {
    HttpTransport::new(&options()).unwrap()
}

/// Asks with a query that must not show anywhere.
async fn ask(transport: &HttpTransport, url: &str) -> Result<http::Response<Bytes>, TransportError> {
    let request = http::Request::get(format!("{url}/?Signature=SignedAndSecret&AccessKeyId=KeyMark"));
    transport.send(request.body(Bytes::new()).unwrap()).await
}

/// The failure against a server that does `step`.
async fn failure(step: Then) -> (TransportError, RawServer) {
    let server = RawServer::start([step]);
    let failure = ask(&transport(), &server.url()).await.unwrap_err();
    holds_no_url(&failure);
    assert_eq!(failure.host, server.address.to_string());
    (failure, server)
}

fn holds_no_url(failure: &TransportError) {
    for text in [failure.to_string(), format!("{failure:?}")] {
        for part in ["Signature", "SignedAndSecret", "AccessKeyId", "KeyMark", "http://", "/?"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_told_as_no_connection() {
    let nobody = ClosedPort::new();
    let failure = ask(&transport(), &nobody.url()).await.unwrap_err();
    holds_no_url(&failure);
    assert_eq!((failure.phase, failure.timed_out, failure.fate()), (Phase::Connect, false, Fate::NotActed));
    assert!(failure.to_string().starts_with(&format!("cannot connect to {}", nobody.address)), "{failure}");
}

#[tokio::test]
async fn a_connection_cut_before_the_answer_leaves_the_outcome_unknown() {
    let (failure, server) = failure(Then::Reset).await;
    assert_eq!((failure.phase, failure.timed_out, failure.fate()), (Phase::Answer, false, Fate::Unknown));
    assert_eq!(server.requests().len(), 1, "a signed request was sent again below us");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_by_the_read_timeout() {
    let (failure, _server) = failure(Then::say_and_stall("")).await;
    assert_eq!((failure.phase, failure.timed_out, failure.fate()), (Phase::Answer, true, Fate::Unknown));
}

#[tokio::test]
async fn an_answer_that_stops_half_way_is_told_as_such() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\nfine";
    let (broken, _server) = failure(Then::say_and_close(half)).await;
    assert_eq!((broken.phase, broken.timed_out), (Phase::Body, false));
    let (silent, _server) = failure(Then::say_and_stall(half)).await;
    assert_eq!((silent.phase, silent.timed_out), (Phase::Body, true));
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    let (failure, _server) = failure(Then::say_and_close("220 mail.example.test ESMTP\r\n")).await;
    assert_eq!((failure.phase, failure.fate()), (Phase::Answer, Fate::Unknown));
}

#[tokio::test]
async fn an_answer_that_is_compressed_unasked_is_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 24\r\n\r\n";
    let fine = [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 203, 204, 75, 5, 0, 146, 84, 169, 190, 4, 0, 0, 0];
    let server = RawServer::start([Then::say([head.as_bytes(), &fine].concat())]);
    assert_eq!(ask(&transport(), &server.url()).await.unwrap().body(), "fine");
    let (failure, _server) = failure(Then::say([head.as_bytes(), &[b'x'; 24]].concat())).await;
    assert_eq!((failure.phase, failure.fate()), (Phase::Body, Fate::Unknown));
}

#[tokio::test]
async fn an_answer_that_is_longer_than_any_that_makes_sense_is_not_read_to_its_end() {
    let mut options = options();
    options.max_answer_bytes = 4;
    let transport = HttpTransport::new(&options).unwrap();
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 4000000000\r\n\r\nfine!";
    let server = RawServer::start([Then::say(FINE), Then::say_and_stall(endless)]);
    assert_eq!(ask(&transport, &server.url()).await.unwrap().body(), "fine");
    let failure = ask(&transport, &server.url()).await.unwrap_err();
    holds_no_url(&failure);
    assert_eq!((failure.phase, failure.timed_out, failure.fate()), (Phase::TooLong, false, Fate::Unknown));
    assert_eq!(vod_refresh::Error::from(failure).kind(), vod_refresh::ErrorKind::Garbled);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = RawServer::start([Then::say(FINE)]);
    let transport = transport();
    for _ in 0..5 {
        assert_eq!(ask(&transport, &server.url()).await.unwrap().body(), "fine");
    }
    assert!(server.requests().iter().all(|request| request.connection == 0), "{:?}", server.requests());
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_costs_no_failure() {
    let server = RawServer::start([Then::say_and_close(FINE)]);
    let transport = transport();
    for _ in 0..5 {
        assert_eq!(ask(&transport, &server.url()).await.unwrap().body(), "fine");
        // Time for the end of the connection to arrive.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let connections: Vec<_> = server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn redirects_are_answers_like_any_other() {
    let elsewhere = RawServer::start([Then::say(FINE)]);
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let server = RawServer::start([Then::say(location)]);
    let answer = ask(&transport(), &server.url()).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert!(elsewhere.requests().is_empty(), "a signature went to another host");
}

#[tokio::test]
async fn h05_a_request_that_must_not_be_lost_goes_out_on_a_connection_of_its_own() {
    let server = RawServer::start([Then::say(FINE)]);
    let transport = transport();
    for _ in 0..3 {
        let request = http::Request::get(server.url()).extension(NewConnection).body(Bytes::new()).unwrap();
        assert_eq!(transport.send(request).await.unwrap().body(), "fine");
        assert_eq!(ask(&transport, &server.url()).await.unwrap().body(), "fine");
    }
    let connections: Vec<_> = server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2, 1, 3, 1]);
}

#[tokio::test]
async fn h05_submissions_do_so_and_reads_share_connections() {
    let job = r#"{"RequestId":"R","MediaRefreshJobId":"J","MediaRefreshJobs":[]}"#;
    let server = RawServer::start([Then::json(job)]);
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint(server.url())
        .build()
        .unwrap();
    let request = RefreshMediaPlayUrls::new(TaskType::Refresh, vec![MediaId::new("m1").unwrap()]);
    for _ in 0..3 {
        client.refresh_media_play_urls(&request).await.unwrap();
        client.get_media_refresh_jobs(&JobId::new("J").unwrap()).await.unwrap();
    }
    let connections_of = |action: &str| {
        let mine = server.requests().into_iter().filter(|request| request.text.contains(action));
        mine.map(|request| request.connection).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((connections_of("RefreshMediaPlayUrls"), connections_of("GetMediaRefreshJobs")), (3, 1));
}
