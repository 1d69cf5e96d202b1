//! A server that speaks bytes: what no emulator of a whole service would do to a connection.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A whole answer with the body `fine`; the connection stays open.
pub(crate) const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// Sends these bytes and keeps the connection.
    Say(Vec<u8>),
    /// Sends these bytes and closes the connection.
    SayAndClose(Vec<u8>),
    /// Cuts the connection without a word.
    Reset,
    /// Sends these bytes, then nothing more.
    SayAndStall(Vec<u8>),
}

impl Then {
    pub(crate) fn say(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Say(bytes.into())
    }

    pub(crate) fn say_and_close(bytes: impl Into<Vec<u8>>) -> Self {
        Self::SayAndClose(bytes.into())
    }

    pub(crate) fn say_and_stall(bytes: impl Into<Vec<u8>>) -> Self {
        Self::SayAndStall(bytes.into())
    }

    /// A whole answer with this JSON.
    pub(crate) fn json(body: &str) -> Self {
        let length = body.len();
        Self::say(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }
}

/// The head and body of a request as it came, and the connection it came by, counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) connection: usize,
    pub(crate) text: String,
}

impl Request {
    pub(crate) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// Answers each request as the test says.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl RawServer {
    /// Answers the n-th request as the n-th step says, and all further ones as the last step does.
    pub(crate) fn start(steps: impl Into<Vec<Then>>) -> Self {
        let steps = steps.into();
        Self::answering(move |number, _| steps[number.min(steps.len() - 1)].clone())
    }

    /// Answers as `mind` says, which gets the request's number, counted from 0, and the request.
    pub(crate) fn answering(mind: impl Fn(usize, &Request) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, mind) = (Arc::clone(&requests), Arc::new(mind));
        // The threads end with the test's process.
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (kept, mind) = (Arc::clone(&kept), Arc::clone(&mind));
                let stream = stream.unwrap();
                std::thread::spawn(move || serve(stream, connection, &kept, &*mind));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// A port that stays taken and on which nobody listens: a connection is refused.
pub(crate) struct ClosedPort {
    pub(crate) address: SocketAddr,
    _socket: tokio::net::TcpSocket,
}

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { address: socket.local_addr().unwrap(), _socket: socket }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A server between a client and `upstream`.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
}

impl Relay {
    /// Does `greet` with each new connection, then passes bytes on both ways. Closes a connection that was silent for so long
    /// after an answer.
    pub(crate) fn start(
        upstream: SocketAddr,
        patience: Duration,
        greet: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let greet = Arc::new(greet);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, greet) = (client.unwrap(), Arc::clone(&greet));
                std::thread::spawn(move || {
                    // A client that left in the middle is no matter here.
                    let _ = greet(&mut client).and_then(|()| pass_on(&client, upstream, patience));
                });
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn pass_on(client: &TcpStream, upstream: SocketAddr, patience: Duration) -> std::io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    server.set_read_timeout(Some(patience))?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    let (mut piece, mut answered) = ([0; 16_384], false);
    loop {
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                to.write_all(&piece[..read])?;
                answered = true;
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock && !answered => {}
            Err(_) => break,
        }
    }
    client.shutdown(Shutdown::Both)?;
    server.shutdown(Shutdown::Both)
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    requests: &Mutex<Vec<Request>>,
    mind: &impl Fn(usize, &Request) -> Then,
) {
    while let Some(text) = read_request(&mut stream) {
        let request = Request { connection, text };
        let number = {
            let mut requests = requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        match mind(number, &request) {
            Then::Say(bytes) => stream.write_all(&bytes).unwrap(),
            Then::SayAndClose(bytes) => return stream.write_all(&bytes).unwrap(),
            Then::Reset => return,
            Then::SayAndStall(bytes) => {
                stream.write_all(&bytes).unwrap();
                std::thread::sleep(Duration::from_secs(60));
            }
        }
    }
}

/// One request with its body; `None` when the peer has gone.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= announced(head)
        {
            return Some(text);
        }
        match stream.read(&mut piece) {
            Ok(0) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

fn announced(head: &str) -> usize {
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    length.map_or(0, |text| text.trim().parse().unwrap())
}
