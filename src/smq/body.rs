//! Message bodies: JSON as it is, or in Base64. The service keeps the text unchanged and never says which it is.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The JSON object in a body, in either dress; `None` for anything else, which is no fault of the message's.
///
/// `{` is not in the Base64 alphabet, so there is no doubt. Source: "Message body encoding" of Simple Message Queue, and
/// the defaults of the vendor's SDKs, which differ.
pub(crate) fn json_of(body: &str) -> Option<Cow<'_, str>> {
    let text = trimmed(body);
    if text.starts_with('{') {
        return Some(Cow::Borrowed(text));
    }
    let decoded = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let text = trimmed(&decoded);
    text.starts_with('{').then(|| Cow::Owned(text.to_owned()))
}

/// Without blanks and byte order marks around it, which no JSON reader takes.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_base64_are_told_apart() {
        let json = r#"{"EventType":"x","Note":"中"}"#;
        let base64 = STANDARD.encode(json);
        let marked = format!("\u{feff}{json}\n");
        for body in [
            json,
            &format!(" \n{json}\n"),
            &marked,
            &base64,
            &format!("\n{base64} "),
            &STANDARD.encode(&marked),
        ] {
            assert_eq!(json_of(body).as_deref(), Some(json), "{body:?}");
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        let unpadded = STANDARD.encode(r#"{"a":1}"#);
        let unpadded = unpadded.trim_end_matches('=');
        let twice = STANDARD.encode(STANDARD.encode("{}"));
        let binary = STANDARD.encode([0xff, 0xfe, 0x00]);
        for body in ["", " ", "hello", "[1]", "null", unpadded, &twice, &binary, "e30=x", "\u{0}"] {
            assert_eq!(json_of(body), None, "{body:?}");
        }
    }
}
