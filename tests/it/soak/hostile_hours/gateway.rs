//! The address of the service. Behind it stands the emulator of the moment; before it, what gateways, proxies and servers do
//! to connections: other answers, endless ones, and connections that are closed or reset soon after each answer.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vod_refresh::emulator::{Emulator, Reply};

use crate::support::params_of;
use crate::support::random::Rng;

/// How long an answer without an end goes on, in bytes, if the client lets it.
const TWO_GB: usize = 2_000_000_000;

/// How the gateway treats connections.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GatewayFaults {
    /// Of a thousand answers so many are something else.
    pub(super) other_answers: u64,
    /// Of a thousand answers so many have no end.
    pub(super) endless: u64,
    /// A connection ends 20 to 50 ms after each answer: closed, or reset.
    pub(super) ends_soon: bool,
}

pub(super) struct FaultyGateway {
    pub(super) address: SocketAddr,
    cloud: Mutex<Option<Emulator>>,
    faults: Mutex<GatewayFaults>,
    rng: Mutex<Rng>,
    /// Media of submissions that were done and whose answer nobody could read.
    lost: Mutex<HashSet<String>>,
    pub(super) requests: AtomicU64,
    pub(super) spoiled: AtomicU64,
}

/// What to do with an answer.
enum Treatment {
    Honest,
    Other(u64),
    Dribble,
    TwoGb,
}

impl FaultyGateway {
    pub(super) async fn start(rng: Rng) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            cloud: Mutex::default(),
            faults: Mutex::default(),
            rng: Mutex::new(rng),
            lost: Mutex::default(),
            requests: AtomicU64::default(),
            spoiled: AtomicU64::default(),
        });
        let served = Arc::clone(&gateway);
        tokio::spawn(async move {
            loop {
                // Descriptors may run out for a moment.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let gateway = Arc::clone(&served);
                tokio::spawn(async move {
                    let _ = gateway.serve(stream).await;
                });
            }
        });
        gateway
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set(&self, cloud: Emulator, faults: GatewayFaults) {
        *self.cloud.lock().unwrap() = Some(cloud);
        *self.faults.lock().unwrap() = faults;
        self.lost.lock().unwrap().clear();
    }

    pub(super) fn cloud(&self) -> Option<Emulator> {
        self.cloud.lock().unwrap().clone()
    }

    pub(super) fn has_lost(&self, media: &str) -> bool {
        self.lost.lock().unwrap().contains(media)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut read = Vec::new();
        while let Some(request) = read_request(&mut stream, &mut read).await? {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let faults = *self.faults.lock().unwrap();
            match self.treatment_of_next(faults) {
                Treatment::Honest => {
                    let Some(cloud) = self.cloud() else { return Ok(()) };
                    match cloud.handle(request).await {
                        Reply::Answer(answer) => stream.write_all(&bytes_of(&answer, usize::MAX)).await?,
                        Reply::HalfBody(answer) => {
                            let half = answer.body().len() / 2;
                            return stream.write_all(&bytes_of(&answer, half)).await;
                        }
                        Reply::Stall => return wait_for_the_end(&mut stream).await,
                        Reply::Reset => return stream.set_zero_linger(),
                        _ => return Ok(()),
                    }
                }
                Treatment::Other(which) => stream.write_all(&other(which)).await?,
                treatment => {
                    self.note_as_lost(&request);
                    if let Some(cloud) = self.cloud() {
                        let _ = tokio::time::timeout(Duration::from_secs(1), cloud.handle(request)).await;
                    }
                    return endless(&mut stream, matches!(treatment, Treatment::TwoGb)).await;
                }
            }
            if faults.ends_soon {
                let (wait, resets) = {
                    let mut rng = self.rng.lock().unwrap();
                    (Duration::from_millis(20 + rng.below(31)), rng.percent(50))
                };
                tokio::time::sleep(wait).await;
                if resets {
                    stream.set_zero_linger()?;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn treatment_of_next(&self, faults: GatewayFaults) -> Treatment {
        let mut rng = self.rng.lock().unwrap();
        let (drawn, which) = (rng.below(1_000), rng.below(u64::MAX));
        let treatment = match drawn {
            _ if drawn < faults.endless && which.is_multiple_of(4) => Treatment::TwoGb,
            _ if drawn < faults.endless => Treatment::Dribble,
            _ if drawn < faults.endless + faults.other_answers => Treatment::Other(which),
            _ => return Treatment::Honest,
        };
        self.spoiled.fetch_add(1, Ordering::Relaxed);
        treatment
    }

    fn note_as_lost(&self, request: &http::Request<Bytes>) {
        let form = String::from_utf8_lossy(request.body()).into_owned();
        let params = params_of(request.uri().query().unwrap_or_default(), &form);
        let media = params.get("MediaIds").into_iter().flat_map(|ids| ids.split(','));
        self.lost.lock().unwrap().extend(media.map(str::to_owned));
    }
}

/// An answer that is not the service's, to a request of which the service never hears.
fn other(which: u64) -> Vec<u8> {
    const STATUSES: [u16; 12] = [302, 307, 400, 401, 403, 404, 407, 414, 418, 451, 502, 503];
    let status = STATUSES[(which % 12) as usize];
    let location = if status < 400 { "location: https://portal.example.test/login\r\n" } else { "" };
    let body = match (which / 12) % 3 {
        0 => String::new(),
        1 => r#"{"error":"blocked by policy"}"#.to_owned(),
        _ => format!("<html><head><title>Portal {status}</title></head><body>Sign in</body></html>"),
    };
    let length = body.len();
    format!("HTTP/1.1 {status} Other\r\n{location}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A body that never ends: byte by byte, or 2 GB as fast as they are read.
async fn endless(stream: &mut TcpStream, is_fast: bool) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    if is_fast {
        let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
        for _ in 0..TWO_GB / 0x10000 {
            stream.write_all(&chunk).await?;
        }
        return Ok(());
    }
    for _ in 0..600 {
        stream.write_all(b"1\r\n \r\n").await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// An answer that never comes; the client gives up.
async fn wait_for_the_end(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut piece = [0; 64];
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}

/// Head and so much of the body.
fn bytes_of(answer: &http::Response<Bytes>, most: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} Is\r\n", answer.status().as_u16()).into_bytes();
    let is_length = |name: &http::HeaderName| name == http::header::CONTENT_LENGTH;
    for (name, value) in answer.headers().iter().filter(|(name, _)| !is_length(name)) {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = answer.body();
    if answer.status() != 204 {
        bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(&body[..body.len().min(most)]);
    bytes
}

/// The next request with its body; `None` when the peer has gone. `read` holds what was read ahead.
async fn read_request(
    stream: &mut TcpStream,
    read: &mut Vec<u8>,
) -> std::io::Result<Option<http::Request<Bytes>>> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let mut lines = head.lines();
            let mut first = lines.next().unwrap_or_default().split(' ');
            let mut request =
                http::Request::builder().method(first.next().unwrap()).uri(first.next().unwrap());
            let mut length = 0;
            for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
                request = request.header(name, value);
            }
            while read.len() < end + 4 + length {
                if stream.read_buf(read).await? == 0 {
                    return Ok(None);
                }
            }
            let body = Bytes::copy_from_slice(&read[end + 4..end + 4 + length]);
            read.drain(..end + 4 + length);
            return Ok(Some(request.body(body).unwrap()));
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}
