//! Planted secrets, every encoding in which they could show, and the search for them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::process::Finished;
use super::shell::Shell;

/// Secrets that look different in every encoding.
pub(super) const SECRET: &str = "sk/Mark+One=77 x";
pub(super) const TOKEN: &str = "tok/Mark+Two=88~y";
pub(super) const KEY: &str = "cbk/Mark+Three=99";

/// Every form in which a secret could show.
fn encodings(secret: &str) -> Vec<String> {
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

/// Fails if `text`, found at `place`, holds a secret in any encoding.
#[track_caller]
pub(super) fn holds_no_secret(place: &str, text: &str) {
    for encoded in [SECRET, TOKEN, KEY].iter().flat_map(|secret| encodings(secret)) {
        assert!(!text.contains(&encoded), "{encoded:?} is in {place}:\n{text}");
    }
}

/// Fails if a file in `HOME` holds a secret, but for those named; gives back how many were searched.
#[track_caller]
pub(super) fn files_hold_no_secret(shell: &Shell, but: &[&str]) -> usize {
    let files = shell.files();
    let searched = files.iter().filter(|(path, _)| !but.iter().any(|name| path.ends_with(Path::new(name))));
    searched
        .map(|(path, bytes)| holds_no_secret(&path.display().to_string(), &String::from_utf8_lossy(bytes)))
        .count()
}

impl Finished {
    /// Fails if it showed a secret.
    #[track_caller]
    pub(super) fn shows_no_secret(self) -> Self {
        holds_no_secret("stdout", &self.stdout);
        holds_no_secret("stderr", &self.stderr);
        self
    }
}

#[test]
fn a_secret_is_found_wherever_it_stands_in_base64() {
    for before in 0..7 {
        let text = STANDARD.encode(format!("{}{SECRET}&more", "x".repeat(before)));
        assert!(encodings(SECRET).iter().any(|encoded| text.contains(encoded)), "{before}: {text}");
    }
}
