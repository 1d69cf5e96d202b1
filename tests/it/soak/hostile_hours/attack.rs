//! Who sends what nobody asked for: to both addresses for events, into the queue, and to the journal's file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;
use vod_refresh::auth::callback::sign;
use vod_refresh::net::clock::{Clock as _, SystemClock};

use super::{KEY, Soak};
use crate::support::random::Rng;

const MB: usize = 1_000_000;

/// One attack after another, with a pause that keeps the machine free for other work.
pub(super) async fn go_on(soak: Arc<Soak>, mut rng: Rng) {
    loop {
        let which = rng.below(16);
        soak.attacks.lock().unwrap()[which as usize] += 1;
        one(&soak, &mut rng, which).await;
        sleep(soak.attack_pause / 2 + rng.ms(soak.attack_pause.as_millis() as u64)).await;
    }
}

async fn one(soak: &Arc<Soak>, rng: &mut Rng, which: u64) {
    let address = rng.one_of(&[soak.with_key, soak.without_key]);
    match which {
        // Signatures that are missing or wrong, under events of jobs that are there.
        0 => {
            for _ in 0..1 + rng.below(20) {
                let Some(event) = real_event(soak, rng) else { return };
                let event = forged(rng, event);
                let headers = rng.one_of(&[
                    String::new(),
                    signature(soak.with_key, "another key", 0),
                    signature(soak.with_key, KEY, 900),
                    signature(soak.without_key, KEY, 0),
                    "x-vod-timestamp: 1\r\nx-vod-signature: \r\n".to_owned(),
                ]);
                send(soak, address, &headers, &event.to_string()).await;
            }
        }
        // Headers of an event that was heard, around another body.
        1 => {
            let Some(event) = heard_event(soak, rng) else { return };
            let event = forged(rng, event);
            send(soak, soak.with_key, &signature(soak.with_key, KEY, 0), &event.to_string()).await;
        }
        2 => {
            let Some(mut event) = real_event(soak, rng).or(Some(unknown_event(rng))) else { return };
            let first = rng.below(1_000_000);
            event["TaskIds"] =
                (first..first + 120_000).map(|id| id.to_string()).collect::<Vec<_>>().join(",").into();
            for _ in 0..1 + rng.below(4) {
                send(soak, soak.without_key, "", &event.to_string()).await;
            }
        }
        3 => {
            for _ in 0..1 + rng.below(25) {
                let mut event = unknown_event(rng);
                event["Status"] = "fail".into();
                event["ErrorMessage"] = "e".repeat(MB).into();
                event["ErrorCode"] = "e".repeat(rng.below(2) as usize * MB).into();
                send(soak, soak.without_key, "", &event.to_string()).await;
            }
        }
        4 => {
            let Some(mut event) = real_event(soak, rng) else { return };
            event["ErrorMessage"] = "e".repeat(rng.one_of(&[0, 0, 1_000, 30_000])).into();
            let text = event.to_string();
            for _ in 0..300 {
                send(soak, soak.without_key, "", &text).await;
            }
        }
        // Each a little different.
        5 => {
            let Some(mut event) = real_event(soak, rng) else { return };
            for n in 0..100 {
                event["EventTime"] = format!("2026-11-25T01:{:02}:{:02}Z", n / 60, n % 60).into();
                event["TaskIds"] = format!("{}", 7_000 + n).into();
                send(soak, soak.without_key, "", &event.to_string()).await;
            }
        }
        6 => {
            let unclosed = "[".repeat(200_000);
            let deep = format!("{{\"EventType\":{}", "{\"a\":".repeat(100_000));
            for body in
                ["not json", "", "null", "7", &unclosed, &deep, "{\"EventType\":\"FileUploadComplete\"}"]
            {
                send(soak, address, &signature(soak.with_key, KEY, 0), body).await;
            }
        }
        // Connections on which half of a request stands.
        7 => {
            let many = 20 + rng.below(100);
            let wait = Duration::from_secs(1 + rng.below(15));
            soak.hostile.fetch_add(many, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut open = Vec::new();
                for n in 0..many {
                    let Ok(mut stream) = TcpStream::connect(address).await else { continue };
                    let half = ["", "POST / HTTP/1.1\r\nho", "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"];
                    let _ = stream.write_all(half[(n % 3) as usize].as_bytes()).await;
                    open.push(stream);
                }
                sleep(wait).await;
            });
        }
        // A body that comes byte by byte.
        8 => {
            soak.hostile.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let Ok(mut stream) = TcpStream::connect(address).await else { return };
                let _ =
                    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000\r\n\r\n").await;
                for _ in 0..60 {
                    if stream.write_all(b"x").await.is_err() {
                        return;
                    }
                    sleep(Duration::from_millis(500)).await;
                }
            });
        }
        9 => {
            for method in ["GET", "HEAD", "OPTIONS", "PUT", "BREW"] {
                let request = format!("{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
                say(soak, address, request.as_bytes()).await;
            }
        }
        10 => {
            let many = 200 + rng.below(1_800);
            soak.hostile.fetch_add(many, Ordering::Relaxed);
            for _ in 0..many / 50 {
                let burst = (0..50).map(|_| TcpStream::connect(address));
                drop(futures_util::future::join_all(burst).await);
                sleep(Duration::from_millis(20)).await;
            }
        }
        11 => queue(soak, rng),
        // A body longer than any event, and one whose length is a lie.
        12 => {
            send(soak, address, "", &"x".repeat(5 * MB)).await;
            say(soak, address, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n{}").await;
            say(
                soak,
                address,
                b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\n",
            )
            .await;
            say(soak, address, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0xff]).await;
            say(soak, address, format!("POST / HTTP/1.1\r\nx: {}\r\n\r\n", "h".repeat(MB)).as_bytes()).await;
        }
        // Many events of unknown jobs, all small.
        13 => {
            for _ in 0..400 {
                let event = unknown_event(rng).to_string();
                send(soak, soak.without_key, "", &event).await;
            }
        }
        14 => {
            let pause = soak.attack_pause.as_millis() as u64;
            let longest = if rng.percent(15) { 4 * pause } else { pause };
            let (path, long) = (soak.journal.clone(), rng.ms(longest));
            soak.hostile.fetch_add(1, Ordering::Relaxed);
            let held = tokio::task::spawn_blocking(move || {
                let other = rusqlite::Connection::open(path).unwrap();
                other.busy_timeout(Duration::from_secs(5)).unwrap();
                // Whoever comes too late holds nothing.
                if other.execute_batch("BEGIN IMMEDIATE").is_ok() {
                    std::thread::sleep(long);
                    other.execute_batch("ROLLBACK").unwrap();
                }
            });
            held.await.unwrap();
        }
        // What is right, again and again.
        _ => {
            let Some(event) = heard_event(soak, rng) else { return };
            for _ in 0..1 + rng.below(30) {
                send(soak, soak.with_key, &signature(soak.with_key, KEY, 0), &event.to_string()).await;
            }
        }
    }
}

/// Messages of others in the queue.
fn queue(soak: &Soak, rng: &mut Rng) {
    let Some(cloud) = soak.gateway.cloud() else { return };
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    for _ in 0..1 + rng.below(8) {
        let message = match rng.below(7) {
            0 => base64(&[0xff, 0xfe, 0x80, 0x00, 0xc3]),
            1 => base64(&vec![b'x'; 48_000]),
            2 => "x".repeat(65_536),
            3 => json!({ "orderId": 17, "EventType": "OrderPaid", "MediaId": ["m"] }).to_string(),
            4 => "<Message><Broken>".to_owned(),
            5 => "[".repeat(60_000),
            _ => {
                let mut event = unknown_event(rng);
                event["ErrorMessage"] = "e".repeat(60_000).into();
                event.to_string()
            }
        };
        cloud.put_message(message);
        soak.hostile.fetch_add(1, Ordering::Relaxed);
    }
}

/// The event of a media that is asked for at this moment; `None` if its job is not there yet.
fn real_event(soak: &Soak, rng: &mut Rng) -> Option<Value> {
    let media = soak.live.lock().unwrap().iter().cloned().collect::<Vec<_>>();
    if media.is_empty() {
        return None;
    }
    let media = rng.one_of(&media);
    let cloud = soak.gateway.cloud()?;
    cloud.job_ids().iter().find_map(|job| cloud.event_for(job, &media))
}

/// An event that went out and was taken, so that no forged one can stand alone.
fn heard_event(soak: &Soak, rng: &mut Rng) -> Option<Value> {
    let log = soak.gateway.cloud()?.event_log();
    let heard: Vec<_> = log.iter().filter(|sent| sent.kind == "event" && sent.status == Some(200)).collect();
    if heard.is_empty() {
        return None;
    }
    serde_json::from_str(&rng.one_of(&heard).body).ok()
}

fn unknown_event(rng: &mut Rng) -> Value {
    let [job, media, task] = [0; 3].map(|_| rng.below(u64::MAX));
    json!({
        "EventType": "SubmitMediaRefreshComplete", "EventTime": "2026-11-25T01:19:10Z", "Status": "success",
        "MediaRefreshJobId": format!("{job:032x}"), "MediaId": format!("{media:x}"), "TaskType": "refresh",
        "TaskIds": task.to_string(), "SuccessPlayUrls": "https://others.example.test/a.mp4",
    })
}

/// The same event with a lie in it.
fn forged(rng: &mut Rng, mut event: Value) -> Value {
    match rng.below(4) {
        0 => event["Status"] = "fail".into(),
        1 => event["TaskIds"] = "666".into(),
        2 => event["SuccessPlayUrls"] = "https://cdn.example.test/forged.mp4".into(),
        _ => {
            event["Status"] = "success".into();
            event["TaskIds"] = "".into();
            event["SuccessPlayUrls"] = "".into();
        }
    }
    event
}

/// The headers of the signature over this address, so many seconds old.
fn signature(of: SocketAddr, key: &str, age: i64) -> String {
    let at = SystemClock.now().timestamp() - age;
    let digest = sign(&format!("http://{of}/"), at, &key.to_owned().into());
    format!("x-vod-timestamp: {at}\r\nx-vod-signature: {digest}\r\n")
}

async fn send(soak: &Soak, address: SocketAddr, headers: &str, body: &str) {
    let length = body.len();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    );
    let begun = tokio::time::Instant::now();
    say(soak, address, request.as_bytes()).await;
    soak.slowest_answer.fetch_max(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
}

/// Says something and hears what comes back, for ten seconds at most.
async fn say(soak: &Soak, address: SocketAddr, bytes: &[u8]) {
    soak.hostile.fetch_add(1, Ordering::Relaxed);
    let talk = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let _ = stream.write_all(bytes).await;
        let mut answer = vec![0; 4_096];
        stream.read(&mut answer).await.ok()
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), talk).await;
}
