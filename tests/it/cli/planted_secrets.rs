//! Planted secrets, every encoding in which they could show, and the search for them.

use std::path::Path;

use super::process::Finished;
use super::shell::Shell;
use crate::support::encodings::encodings;

/// Secrets that look different in every encoding.
pub(super) const SECRET: &str = "sk/Mark+One=77 x";
pub(super) const TOKEN: &str = "tok/Mark+Two=88~y";
pub(super) const KEY: &str = "cbk/Mark+Three=99";

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
