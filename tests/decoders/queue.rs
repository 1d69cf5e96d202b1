//! An answer of the queue service: XML or an error, and the bodies of the messages in it.

use std::time::Duration;

use chrono::DateTime;

use super::answer::check_text;
use super::recorded;
use crate::auth::{Credential, redact};
use crate::client::{self, Sent};
use crate::error::{Error, ErrorKind, Fate};
use crate::net::clock::date_of;
use crate::net::retry;
use crate::net::xml::{self, Element, escaped};
use crate::smq::{Message, Queue, QueueAttributes, ReceiptHandle, messages_in, read_failures};

/// Reads an answer as each operation would.
pub fn queue(bytes: &[u8]) {
    let recorded = recorded::answer(bytes);
    let length = recorded.body().len();
    if let Some(root) = xml::read(recorded.body()) {
        check_tree(&root, length);
    }
    let _ = date_of(recorded.headers());
    let credential = Credential::new("testid", super::SECRET_MARK).with_token(super::TOKEN_MARK);
    let secrets = redact::secrets_of(&credential, None);
    let now = DateTime::UNIX_EPOCH;
    let sent = Sent { is_read: true, secrets: &secrets, credential: &credential, string_to_sign: "", now };
    let answer = match client::read::<Queue>(&recorded, sent) {
        Ok(answer) => answer,
        Err(error) => return check_error(error, recorded.body()),
    };
    match messages_in(&answer) {
        Ok(messages) => messages.iter().for_each(|message| check_message(message, length)),
        Err(error) => {
            assert_eq!((error.kind(), error.fate()), (ErrorKind::Garbled, Fate::Unknown));
            check_text(&error, length);
        }
    }
    let Some(root) = &answer.body else { return };
    let _ = QueueAttributes::read(root);
    let handles = ["1-a+/==", "2-<&>"].map(ReceiptHandle::new);
    match read_failures(&handles, &root.all("Error").collect::<Vec<_>>()) {
        Ok(outcomes) => assert_eq!(outcomes.len(), handles.len(), "one answer for each handle"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Rejected);
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
}

fn check_tree(root: &Element, length: usize) {
    fn deepest(element: &Element) -> usize {
        1 + element.children.iter().map(deepest).max().unwrap_or_default()
    }
    fn size(element: &Element) -> usize {
        let own = element.name.len() + element.text.len();
        own + element.children.iter().map(size).sum::<usize>()
    }
    assert!(deepest(root) <= 17, "a tree is no deeper than what it is dropped with");
    assert!(size(root) <= 2 * length, "{} bytes out of {length}", size(root));
    // The reader takes names that no XML has; those can't be written.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if has_names(root, &|name| !name.is_empty() && name.chars().all(is_plain)) {
        let written = written(root);
        assert_eq!(xml::read(written.as_bytes()).as_ref(), Some(root), "{written}");
    }
}

fn has_names(element: &Element, good: &dyn Fn(&str) -> bool) -> bool {
    good(&element.name) && element.children.iter().all(|child| has_names(child, good))
}

fn written(Element { name, text, children }: &Element) -> String {
    let text = escaped(text).replace('\r', "&#13;");
    let children: String = children.iter().map(written).collect();
    format!("<{name}>{text}{children}</{name}>")
}

fn check_message(message: &Message, length: usize) {
    assert!(!message.id.is_empty() && message.id.trim() == message.id);
    assert!(message.body.len() <= 2 * length);
    let handle = message.handle.as_str();
    assert!(!handle.is_empty() && handle.trim() == handle);
    let query = message.handle.in_query();
    assert!(query.bytes().all(|byte| byte.is_ascii_graphic() && !b"&#?\"<>".contains(&byte)), "{query}");
    assert_eq!(decoded(&query).as_deref(), Some(handle));
    assert_eq!(format!("{:?}", message.handle), "ReceiptHandle(..)");
    if let Some(json) = message.json() {
        assert!(json.starts_with('{') && json.len() <= message.body.len(), "{json:?}");
        super::event(json.as_bytes());
    }
}

fn check_error(error: Error, body: &[u8]) {
    for attempt in [1, 2, 40, u32::MAX] {
        let wait = retry::delay(&error, attempt, 0.99);
        // A clock is corrected at once, and only once.
        let may_hurry = !error.kind().is_retryable() || error.kind() == ErrorKind::Clock;
        assert!(may_hurry || wait >= Duration::from_millis(200), "{wait:?} before the next attempt");
    }
    if [ErrorKind::Garbled, ErrorKind::Unavailable].contains(&error.kind()) {
        assert_eq!(error.fate(), Fate::Unknown, "{error}");
    }
    if xml::read(body).is_none() {
        assert!(error.message().len() < 1_000, "what can't be read is not quoted at length: {error}");
    }
    check_text(&error, body.len());
}

/// What a server makes of a query.
fn decoded(query: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = query.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        match first {
            b'%' => {
                let digits = std::str::from_utf8(more.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &more[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}
