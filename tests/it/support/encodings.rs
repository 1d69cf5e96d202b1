//! Every encoding in which a secret could show.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Every form in which a secret could show.
pub(crate) fn encodings(secret: &str) -> Vec<String> {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let percent: String = secret.bytes().map(escape).collect();
    let twice: String = percent.bytes().map(escape).collect();
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let json = serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    let mut all = vec![secret.to_owned(), percent.to_lowercase(), percent, twice, hex, json];
    all.extend((0..3).flat_map(|before| base64_behind(before, secret)));
    all
}

/// Base64 of the secret where so many bytes stand in front of it, without the letters that what stands around it changes.
fn base64_behind(before: usize, secret: &str) -> [String; 2] {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.bytes()).collect();
    let whole = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
    [STANDARD.encode(&bytes)[whole.clone()].to_owned(), URL_SAFE_NO_PAD.encode(&bytes)[whole].to_owned()]
}

#[test]
fn a_secret_is_found_wherever_it_stands_in_base64() {
    let secret = "sk/Mark+One=77 x";
    for before in 0..7 {
        let text = STANDARD.encode(format!("{}{secret}&more", "x".repeat(before)));
        assert!(encodings(secret).iter().any(|encoded| text.contains(encoded)), "{before}: {text}");
    }
}
