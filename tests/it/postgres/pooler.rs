//! A pooler in transaction mode lends a session of the server for one transaction at a time, and its locks with it: such a journal
//! is refused before anything is submitted.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::fencing::open_cloud;
use super::inputs::refused;
use super::server::{Database, Server};

/// Sessions of the server, in turn for whoever begins a transaction.
struct Pooler {
    sessions: Vec<Mutex<TcpStream>>,
    next: AtomicUsize,
    /// What the server says at the beginning of a session.
    greeting: Vec<u8>,
}

/// One message: its type, where it has one, its length and the rest.
fn message(from: &mut TcpStream, has_type: bool) -> Option<Vec<u8>> {
    let mut head = vec![0; if has_type { 5 } else { 4 }];
    from.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes(*head.last_chunk().unwrap()) as usize - 4;
    let begin = head.len();
    head.resize(begin + length, 0);
    from.read_exact(&mut head[begin..]).ok()?;
    Some(head)
}

/// All that the server answers, and whether a transaction is open then.
fn answer(from: &mut TcpStream) -> Option<(Vec<u8>, bool)> {
    let mut all = Vec::new();
    loop {
        let next = message(from, true)?;
        all.extend(&next);
        if next[0] == b'Z' {
            return Some((all, next[5] != b'I'));
        }
    }
}

impl Pooler {
    /// Starts one with so many sessions, and gives its port.
    fn start(database: &Database<'_>, sessions: usize) -> u16 {
        let words = format!("user\0postgres\0database\0{}\0\0", database.name);
        let length = u32::try_from(words.len() + 8).unwrap().to_be_bytes();
        let hello = [&length[..], &196_608_u32.to_be_bytes(), words.as_bytes()].concat();
        let (mut greeting, port) = (Vec::new(), database.server.port);
        let sessions = Vec::from_iter((0..sessions).map(|_| {
            let mut session = TcpStream::connect(("127.0.0.1", port)).unwrap();
            session.write_all(&hello).unwrap();
            greeting = answer(&mut session).unwrap().0;
            Mutex::new(session)
        }));
        let pooler = Arc::new(Self { sessions, next: AtomicUsize::new(0), greeting });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let pooler = pooler.clone();
                std::thread::spawn(move || pooler.serve(client));
            }
        });
        port
    }

    fn serve(&self, mut client: TcpStream) -> Option<()> {
        message(&mut client, false)?;
        client.write_all(&self.greeting).ok()?;
        loop {
            let place = self.next.fetch_add(1, Ordering::SeqCst) % self.sessions.len();
            let mut request = Vec::from_iter(message(&mut client, true)?);
            let mut session = self.sessions[place].lock().unwrap();
            let mut is_open = true;
            while is_open {
                let mut last = request[0];
                while !b"QSX".contains(&last) {
                    let next = message(&mut client, true)?;
                    last = next[0];
                    request.extend(next);
                }
                if last == b'X' {
                    return None;
                }
                session.write_all(&request).ok()?;
                let answered = answer(&mut session)?;
                client.write_all(&answered.0).ok()?;
                is_open = answered.1;
                request = if is_open { message(&mut client, true)? } else { Vec::new() };
            }
        }
    }
}

#[test]
fn a_pooler_that_lends_sessions_for_a_transaction_is_refused() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    // Where several are free, it shows within one session; else by another one, which gets the same.
    for sessions in [2, 1] {
        let port = Pooler::start(&database, sessions);
        let url = format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", database.name);
        let said = refused(&open_cloud(), &url);
        assert!(said.contains("is a pooler that lends a session for one transaction"), "{sessions}: {said}");
        assert!(said.contains("`pool_mode = session`"), "{sessions}: {said}");
    }
}
