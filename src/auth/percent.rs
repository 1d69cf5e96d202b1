//! The one percent-encoder. It feeds the string to sign and the wire, so that both always agree.
//!
//! Source: "Signature mechanism" of the VOD API, step 3: letters, digits and `- _ . ~` stay, every other byte of the
//! UTF-8 text becomes `%XY` with capital hex digits. So a blank is `%20`, never `+`.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Percent-encodes `text`.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Percent-encodes `text` to the end of `out`.
pub(crate) fn encode_into(text: &str, out: &mut String) {
    // A string takes all that is written to it.
    let _ = write!(out, "{}", utf8_percent_encode(text, ENCODED));
}

/// Joins `name=value` pairs with `&`, both sides encoded, in the order given.
pub(crate) fn join<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode_into(name, &mut out);
        out.push('=');
        encode_into(value, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unreserved_stay() {
        assert_eq!(encode("a~b *+/%中 文"), "a~b%20%2A%2B%2F%25%E4%B8%AD%20%E6%96%87");
        assert_eq!(encode("!'()&=\n"), "%21%27%28%29%26%3D%0A");
        assert_eq!(encode("AZaz09-_.~"), "AZaz09-_.~");
    }

    #[test]
    fn pairs_are_joined_with_both_sides_encoded() {
        assert_eq!(join([("a b", "c"), ("d", "")]), "a%20b=c&d=");
    }
}
