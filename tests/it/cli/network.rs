//! The way to the service: proxies, names with a dead address, servers that go silent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::TcpSocket;
use vod_refresh::emulator::{Fault, FaultRule};

use super::cloud::{Cloud, SUBMIT};
use super::scenarios::quick;
use super::shell::Shell;
use crate::support::raw_server::{ClosedPort, RawServer, Relay, Then};

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

/// A SOCKS5 proxy in front of the cloud, whatever host is asked for; with `login` it wants that user name and password.
fn socks(cloud: &Cloud, login: Option<(&'static str, &'static str)>) -> Relay {
    Relay::start(cloud.address(), Duration::from_secs(10), move |client: &mut TcpStream| {
        let mut read = |count: usize| {
            let mut bytes = vec![0; count];
            client.read_exact(&mut bytes).map(|()| bytes)
        };
        let count = read(2)?[1];
        read(count.into())?;
        client.write_all(&[5, if login.is_some() { 2 } else { 0 }])?;
        if let Some((user, password)) = login {
            client.read_exact(&mut [0])?;
            let mut text = || {
                let mut bytes = vec![0; 1];
                client.read_exact(&mut bytes)?;
                bytes.resize(bytes[0].into(), 0);
                client.read_exact(&mut bytes).map(|()| bytes)
            };
            let is_right = text()? == user.as_bytes() && text()? == password.as_bytes();
            client.write_all(&[1, if is_right { 0 } else { 1 }])?;
        }
        let mut head = [0; 5];
        client.read_exact(&mut head)?;
        assert_eq!((head[1], head[3]), (1, 3), "no call by host name");
        client.read_exact(&mut vec![0; usize::from(head[4]) + 2])?;
        client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80])
    })
}

#[test]
fn h21_a_whole_run_goes_through_a_socks_proxy() {
    let cloud = Cloud::new(quick());
    for (login, user) in [(None, ""), (Some(("me", "GeheimMark")), "me:GeheimMark@")] {
        let proxy = socks(&cloud, login);
        let line = "refresh m1 --endpoint http://vod.example.test --allow-http --poll-interval 100ms";
        cloud.shell(line).env("all_proxy", format!("socks5h://{user}{}", proxy.address)).run().exits(0);
    }
    assert_eq!(cloud.count(SUBMIT), 2);
}

/// The whole word of a proxy that wants another password is there at once; it does not change by asking again.
#[test]
fn h21_a_login_that_a_proxy_refuses_ends_the_run_at_once() {
    let cloud = Cloud::new(quick());
    let refused = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let http = RawServer::start([Then::say(refused)]);
    let socks = socks(&cloud, Some(("me", "another")));
    let plain = "http://vod.example.test --allow-http";
    for (endpoint, address) in [
        (plain, format!("http://me:GeheimMark@{}", http.address)),
        ("https://vod.example.test", format!("http://me:GeheimMark@{}", http.address)),
        (plain, format!("socks5h://me:GeheimMark@{}", socks.address)),
        (plain, format!("socks5h://{}", socks.address)),
    ] {
        let started = tokio::time::Instant::now();
        let run =
            cloud.shell("refresh m1").words(&format!("--endpoint {endpoint}")).env("ALL_PROXY", address);
        run.run().exits(3).says("wants another user name or password").does_not_say("GeheimMark");
        assert!(started.elapsed() < Duration::from_secs(5), "it was asked again");
    }
    assert_eq!(http.requests().len(), 2);
}

#[test]
fn h22_a_proxy_variable_is_named_where_it_is_malformed_and_counts() {
    let cloud = Cloud::new(quick());
    let bad = "ftp://me:GeheimMark@proxy";
    // This machine is never called through a proxy.
    cloud.shell("refresh m1 --poll-interval 100ms").env("HTTP_PROXY", bad).run().exits(0);
    let run =
        cloud.shell("refresh m1 --endpoint http://vod.example.test --allow-http").env("HTTP_PROXY", bad);
    run.run().exits(3).says("HTTP_PROXY").does_not_say("GeheimMark");
    // Nothing listens at the address of documentation, but nobody is asked for it, either.
    let proxy = RawServer::start([Then::say_and_close(REFUSING)]);
    let run = cloud.shell("refresh m1 --endpoint http://192.0.2.1 --allow-http --timeout 1s");
    run.env("HTTP_PROXY", proxy.url()).env("NO_PROXY", "192.0.2.1:80").run();
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
}

#[test]
fn h05_connections_that_are_closed_after_each_answer_lose_no_media_and_send_none_twice() {
    let cloud = Cloud::new(quick());
    let closing = Relay::start(cloud.address(), Duration::from_millis(30), |_| Ok(()));
    let media: Vec<String> = (0..60).map(|n| format!("m{n}")).collect();
    let line = format!("refresh {} --poll-interval 100ms --output json", media.join(" "));
    let run = cloud.shell(&line).words(&format!("--endpoint {}", closing.url())).run().exits(0);
    assert_eq!(run.report()["summary"]["media_complete"], 60);
    assert_eq!(cloud.count(SUBMIT), 3, "a batch was sent twice");
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
async fn dead_end(port: u16) -> Option<(tokio::net::TcpListener, Vec<tokio::net::TcpStream>)> {
    let socket = TcpSocket::new_v6().ok()?;
    socket.bind((Ipv6Addr::LOCALHOST, port).into()).ok()?;
    let listener = socket.listen(1).ok()?;
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let connect = tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port));
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
    let nobody = ClosedPort::new();
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
    let nobody = ClosedPort::new();
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
