//! A request to the receiver of events, whose address is public.

use http::HeaderMap;

use super::{FixedClock, block_on, recorded};
use crate::auth::callback::{CallbackVerifier, SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE, sign};
use crate::event::{Decoded, EventReceiver, Inbox, Source, decode};
use crate::net::clock::Clock as _;
use crate::net::transport::{ServiceTransport, Transport as _};

const URL: &str = "https://cb.example.test/vod/hook";
const KEY: &str = "Abc123Key";

/// Sends a request to a receiver that wants signatures.
pub fn callback(bytes: &[u8]) {
    let request = recorded::request(bytes);
    let (headers, body) = (request.headers().clone(), request.body().clone());
    let method = request.method().clone();
    let inbox = Inbox::new();
    let receiver = EventReceiver::new(inbox.clone(), CallbackVerifier::new(URL, vec![KEY.into()]));
    let receiver = receiver.with_clock(FixedClock);
    let answered = block_on(ServiceTransport(receiver).send(request));
    let Ok(answer) = answered else { panic!("no answer") };
    assert!(answer.body().is_empty(), "an answer is bare: others learn nothing");
    let (status, counts) = (answer.status().as_u16(), (inbox.received(), inbox.rejected()));
    if method != http::Method::POST {
        let is_question = [http::Method::GET, http::Method::HEAD].contains(&method);
        assert_eq!((status, counts.0, counts.1), (if is_question { 200 } else { 405 }, 0, 0));
        return;
    }
    if !is_genuine(&headers) {
        assert_eq!((status, counts.0, counts.1), (401, 0, 1));
        return;
    }
    let wanted = match decode(&body, Source::Callback) {
        Ok(Decoded::Refresh(_)) => (200, 1, 0),
        Ok(Decoded::Other(_)) => (200, 0, 0),
        Err(_) => (400, 0, 1),
    };
    // A length that does not fit its body is only met here; the server loop stands before.
    let is_announced = headers.contains_key(http::header::CONTENT_LENGTH);
    assert!((status, counts.0, counts.1) == wanted || is_announced && status == 413, "{status}");
}

/// Whether VOD can have sent it, by the book.
fn is_genuine(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let timestamp = text(TIMESTAMP_HEADER);
    let Ok(sent) = timestamp.parse::<i64>() else { return false };
    let fresh = (FixedClock.now().timestamp() - TOLERANCE.as_secs() as i64..).contains(&sent)
        && sent <= FixedClock.now().timestamp() + TOLERANCE.as_secs() as i64;
    fresh
        && timestamp == sent.to_string()
        && text(SIGNATURE_HEADER).eq_ignore_ascii_case(&sign(URL, sent, &KEY.into()))
}
