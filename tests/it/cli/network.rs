//! The way to the service: proxies, names with a dead address, servers that go silent.

use std::net::Ipv6Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use vod_refresh::emulator::{Fault, FaultRule};

use super::cloud::{Cloud, SUBMIT};
use super::scenes::quick;
use super::shell::Shell;
use crate::raw::{Nobody, RawServer, Then};

const REFUSING: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";

/// C34 (a)
#[test]
fn with_https_proxy_set_every_call_goes_by_the_proxy() {
    let proxy = RawServer::start([Then::say_and_close(REFUSING)]);
    // The names resolve nowhere: a call that went directly would fail without the proxy hearing of it.
    let run = Shell::new("refresh m1 --timeout 2s")
        .words("--endpoint https://vod.example.test --task-endpoint https://tasks.example.test")
        .with_keys()
        .env("HTTPS_PROXY", proxy.url())
        .run();
    let asked = proxy.requests();
    assert!(!asked.is_empty(), "{}", run.stderr);
    assert!(asked.iter().all(|one| one.first_line() == "CONNECT vod.example.test:443 HTTP/1.1"), "{asked:?}");
}

/// C34 (a), with a proxy that passes on: the whole job.
#[test]
fn a_whole_run_goes_through_a_proxy() {
    let cloud = Cloud::new(quick());
    let line = "refresh m1 --endpoint http://vod.example.test --allow-http --poll-interval 100ms";
    cloud.shell(line).env("HTTP_PROXY", cloud.url()).run().exits(0);
    assert!(cloud.count(SUBMIT) == 1);
}

/// C34 (b)
#[test]
fn what_no_proxy_names_is_called_directly() {
    let cloud = Cloud::new(quick());
    let proxy = RawServer::start([Then::say_and_close(REFUSING)]);
    let mut shell = cloud.shell("refresh m1 --poll-interval 100ms");
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        shell = shell.env(name, proxy.url());
    }
    shell.env("NO_PROXY", ".example.test,127.0.0.1").run().exits(0);
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
}

/// C34 (d)
#[test]
fn a_name_with_a_dead_ipv6_address_is_reached_by_its_ipv4_address() {
    let cloud = Cloud::new(quick());
    let port = cloud.address().port();
    let Some(_dead) = cloud.block_on(dead_end(port)) else {
        return eprintln!("skipped: no IPv6 on this loopback, or its port {port} is taken");
    };
    // A file of names of its own, seen by this one process only.
    let unshared = "mount --bind hosts /etc/hosts && exec \"$0\" \"$@\"";
    let namespace = ["unshare", "--mount", "sh", "-c", unshared];
    let path = std::env::var("PATH").unwrap();
    let names = "::1 dual.example.test\n127.0.0.1 dual.example.test\n";
    let allowed = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: `unshare --mount`, which makes the name, is not permitted here");
    }
    let run = cloud
        .shell(&format!("refresh m1 --endpoint http://dual.example.test:{port} --allow-http"))
        .words("--poll-interval 100ms --timeout 20s --output json")
        .file("hosts", names)
        .env("PATH", path)
        .through(&namespace)
        .run()
        .exits(0);
    assert_eq!(run.report()["summary"]["retries"], 0, "the dead address cost an attempt: {}", run.stderr);
}

/// Holds `[::1]:port` in a state in which a new connection gets no answer at all: nobody accepts, the queue is full.
async fn dead_end(port: u16) -> Option<(tokio::net::TcpListener, Vec<TcpStream>)> {
    let socket = TcpSocket::new_v6().ok()?;
    socket.bind((Ipv6Addr::LOCALHOST, port).into()).ok()?;
    let listener = socket.listen(1).ok()?;
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let connect = TcpStream::connect((Ipv6Addr::LOCALHOST, port));
        match tokio::time::timeout(Duration::from_millis(300), connect).await {
            Ok(Ok(stream)) => waiting.push(stream),
            Ok(Err(_)) => return None,
            Err(_) => return Some((listener, waiting)),
        }
    }
    None
}

/// C34 (e)
#[test]
fn a_server_that_never_answers_is_given_up_by_the_read_timeout() {
    let stall = Fault::Stall { done: false };
    let cloud = Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, stall)));
    let run = cloud.shell("refresh m1 --timeout 10m --no-resubmit").run().exits(9);
    let host = cloud.address();
    run.says(&format!("{host} took the request and did not answer in time"));
}

#[test]
fn a_service_that_nobody_reaches_is_named_with_what_went_wrong() {
    let nobody = Nobody::new();
    // A short deadline is enough to see what is said.
    let run = Shell::new("refresh m1 --timeout 2s --output json")
        .with_keys()
        .env("VOD_REFRESH_ENDPOINT", nobody.url())
        .run();
    run.exits(9).says(&format!("cannot connect to {}", nobody.address)).does_not_say("Signature");
}

/// Nobody connects to the service itself then, and must not be sent to look there.
#[test]
fn a_proxy_that_nobody_reaches_is_named_without_its_password() {
    let nobody = Nobody::new();
    let proxy = format!("http://me:GeheimMark@{}", nobody.address);
    for (variable, endpoint) in
        [("HTTPS_PROXY", "https://vod.example.test"), ("HTTP_PROXY", "http://vod.example.test --allow-http")]
    {
        let run = Shell::new("refresh m1 --timeout 1s")
            .words(&format!("--endpoint {endpoint}"))
            .with_keys()
            .env(variable, &proxy)
            .run();
        run.exits(9).says(&format!("through the proxy {}: ", nobody.address)).does_not_say("GeheimMark");
    }
}

#[test]
fn https_where_plain_http_is_spoken_is_told_as_that() {
    let cloud = Cloud::new(quick());
    let endpoint = format!("https://{}", cloud.address());
    let run = cloud.shell("refresh m1 --timeout 1s").words(&format!("--endpoint {endpoint}")).run();
    run.exits(9).says("it does not speak TLS; is it `http://`?");
}
