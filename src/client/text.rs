//! Texts of services and of whoever answers in their place, as they may stand in our messages.

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::json;
use crate::auth::redact;
use crate::ids::masked_address;

/// Most characters of a foreign text that are quoted.
const MAX_QUOTED_CHARS: usize = 80;
/// A page names itself near its beginning; only so many bytes are searched for its title.
const TITLE_WITHIN: usize = 16 * 1024;

/// Some editors and frameworks put a byte order mark before a text.
pub(crate) fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// Quotes the beginning of a foreign text: control characters are escaped, and so are those that turn the direction of
/// writing. `hidden` returns what to show instead of a text that holds a secret; it gets the whole text, since a secret that
/// was cut is not found any more.
pub(crate) fn quoted(text: &str, hidden: impl Fn(&str) -> Option<String>) -> String {
    let hidden = hidden(text);
    let mut shown = String::new();
    for letter in hidden.as_deref().unwrap_or(text).trim().chars().take(MAX_QUOTED_CHARS + 1) {
        let turns = matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    if shown.chars().nth(MAX_QUOTED_CHARS).is_some() {
        shown = shown.chars().take(MAX_QUOTED_CHARS - 1).chain(['…']).collect();
    }
    shown
}

/// Describes an answer that does not come from the service: its status, where it points to, and what kind of body it has.
/// Little of it is quoted, since it may hold anything. `message` is what its JSON says, if it is JSON that says something.
pub(super) fn describe_foreign(response: &Response<Bytes>, message: &str, secrets: &[&str]) -> String {
    let quoted = |text: &str| quoted(text, |text| redact::hidden(text, secrets.iter().copied()));
    let status = response.status().as_u16();
    let to = match header(response.headers(), "location") {
        Some(location) => format!(" to {}", quoted(&masked_address(location))),
        None => String::new(),
    };
    let body = without_byte_order_mark(response.body());
    let name = match message {
        "" => title(body).map(|title| format!(", titled \"{}\"", quoted(&title))),
        message => Some(format!(", that says \"{}\"", quoted(redact::split_at_string_to_sign(message).0))),
    };
    let why = match status {
        407 => "; a proxy asks for a user name and a password",
        414 => "; something on the way takes no URL of this length",
        _ => "",
    };
    format!("HTTP {status}{to} with {}{}{why}", kind_of_body(body), name.unwrap_or_default())
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
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

fn kind_of_body(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_ascii_lowercase();
    let what = match text.as_str() {
        "" => return "an empty body".into(),
        t if t.starts_with('<') && (t.contains("<html") || t.starts_with("<!doctype html")) => {
            "an HTML page (a proxy or gateway?)"
        }
        t if t.starts_with('<') => "XML of an unknown form",
        t if t.starts_with('{') => match json::read(body, usize::MAX) {
            Ok((_, tree)) if tree.has_repeats => "JSON that has one name twice in an object",
            Ok(_) => "JSON without a code of the service (a gateway?)",
            Err(why) if why.is_eof() => "JSON that breaks off",
            Err(why) => return format!("broken JSON ({why}), {} bytes", body.len()),
        },
        _ => "neither JSON nor XML",
    };
    format!("{what}, {} bytes", body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_short_and_moves_no_cursor() {
        let quoted = |text: &str| quoted(text, |_| None);
        assert_eq!(quoted(" a\u{1b}[2Jb\u{202e} "), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(quoted(&"é".repeat(80)), "é".repeat(80));
        for long in ["é".repeat(81), "\u{7}".repeat(1_000)] {
            let shown = quoted(&long);
            assert!(shown.chars().count() == 80 && shown.ends_with('…'), "{shown}");
        }
    }
}
