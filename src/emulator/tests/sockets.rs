//! Over loopback, in real time: only what sockets add.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::env::signed;
use crate::auth::rpc::Params;
use crate::emulator::{Emulator, Fault, FaultRule, Scenario};
use crate::net::clock::{Clock as _, SystemClock, to_wire};

struct Served {
    emulator: Emulator,
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

async fn served(scenario: Scenario) -> Served {
    let emulator = Emulator::new(scenario);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let (serving, token) = (emulator.clone(), shutdown.clone());
    let server = tokio::spawn(async move { serving.serve(listener, token).await });
    Served { emulator, address, shutdown, server }
}

impl Served {
    async fn get(&self, target: &str) -> (String, std::io::Result<usize>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes).await;
        (String::from_utf8(bytes).unwrap(), end)
    }

    fn target(&self, nonce: &str) -> String {
        let now = to_wire(SystemClock.now());
        let pairs = [
            ("Action", "DescribeVodRefreshTasks"),
            ("Version", "2017-03-21"),
            ("Format", "JSON"),
            ("AccessKeyId", "testid"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", nonce),
            ("Timestamp", &now),
        ];
        let params: Params = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        format!("/?{}", signed(&http::Method::GET, &params, "testsecret"))
    }
}

#[tokio::test]
async fn calls_are_answered_and_shown_on_the_page_of_calls() {
    let cloud = served(Scenario::new()).await;
    let (text, _) = cloud.get(&cloud.target("n1")).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"TotalCount\":0"), "{text}");
    assert_eq!(text.to_lowercase().matches("\r\ndate:").count(), 1, "{text}");
    let (calls, _) = cloud.get("/_emulator/calls").await;
    assert!(calls.contains("\"nonce\":\"n1\"") && calls.contains("\"outcome\":\"ok\""), "{calls}");
    assert!(cloud.get("/_emulator/events").await.0.ends_with("[]"));
    assert!(cloud.get("/_emulator/health").await.0.starts_with("HTTP/1.1 200"));
    assert!(cloud.get("/_emulator/other").await.0.starts_with("HTTP/1.1 404"));
    assert_eq!(cloud.emulator.calls().len(), 1, "the pages are no calls");
    cloud.shutdown.cancel();
    cloud.server.await.unwrap();
}

#[tokio::test]
async fn connections_are_cut_as_the_faults_say() {
    let scenario = Scenario::new()
        .with_fault(FaultRule::on("*", Fault::ResetAfter))
        .with_fault(FaultRule::on("*", Fault::HalfBody))
        .with_fault(FaultRule::on("*", Fault::Stall { done: false }));
    let cloud = served(scenario).await;
    let (text, end) = cloud.get(&cloud.target("n1")).await;
    assert_eq!((text.as_str(), end.unwrap_err().kind()), ("", std::io::ErrorKind::ConnectionReset));
    let (text, _) = cloud.get(&cloud.target("n2")).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    assert_eq!(body.len(), length.unwrap().parse::<usize>().unwrap() / 2);
    let target = cloud.target("n3");
    let stalled = cloud.get(&target);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), stalled).await.is_err());
    assert!(cloud.emulator.unused_faults().is_empty());
    cloud.shutdown.cancel();
    cloud.server.await.unwrap();
}
