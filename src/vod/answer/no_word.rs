//! What an answer is that is no word of the service: of a proxy, a portal, a gateway, or broken off.

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::{text_of, without_string_to_sign};
use crate::auth::echo;
use crate::vod::lenient::{quoted, without_mark};

/// A page names itself near its beginning.
const TITLE_WITHIN: usize = 16 * 1024;

/// What an answer is that is no word of the service: its status, where it points to, and what kind of body it has. Little of
/// it is quoted, since it may hold anything.
pub(super) fn described(answer: &http::Response<Bytes>, message: &str, secrets: &[&str]) -> String {
    let quoted = |text: &str| quoted(text, |text| echo::hidden(text, secrets.iter().copied()));
    let status = answer.status().as_u16();
    let to = match text_of(answer.headers(), "location") {
        Some(location) => format!(" to {}", quoted(&place(location))),
        None => String::new(),
    };
    let body = without_mark(answer.body());
    let name = match message {
        "" => title(body).map(|title| format!(", titled \"{}\"", quoted(&title))),
        message => Some(format!(", that says \"{}\"", quoted(without_string_to_sign(message)))),
    };
    format!("HTTP {status}{to} with {}{}", kind(body), name.unwrap_or_default())
}

/// A redirect's address without user, password and query: it may repeat the query that was signed.
fn place(location: &str) -> String {
    let end = location.to_ascii_lowercase().find("%3f").unwrap_or(location.len());
    let bare = location[..end].split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("//") else { return bare.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}//{host}{path}")
}

/// The title of an HTML page.
fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(TITLE_WITHIN)]);
    let lower = text.to_ascii_lowercase();
    let from = lower.find("<title")?;
    let from = from + lower[from..].find('>')? + 1;
    let length = lower[from..].find('<')?;
    let title = text[from..from + length].split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then_some(title)
}

/// What a body is that should have been an answer of the service.
fn kind(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_ascii_lowercase();
    let what = match text.as_str() {
        "" => return "an empty body".into(),
        t if t.starts_with('<') && (t.contains("<html") || t.starts_with("<!doctype html")) => {
            "an HTML page (a proxy or gateway?)"
        }
        t if t.starts_with('<') => "XML of an unknown form",
        t if t.starts_with('{') && serde_json::from_slice::<IgnoredAny>(body).is_ok() => {
            "JSON without a code of the service (a gateway?)"
        }
        t if t.starts_with('{') => "JSON that breaks off",
        _ => "neither JSON nor XML",
    };
    format!("{what}, {} bytes", body.len())
}
