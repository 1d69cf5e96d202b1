//! The key of `X-VOD-SIGNATURE`, and the one that replaces it during a rotation.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;
use vod_refresh::{Error, ErrorKind};

use crate::args::shared::KeyArgs;
use crate::environment::{Environment, variable};
use crate::exit::{Failure, Result};
use crate::files::shown;
use crate::printer::Printer;

/// A key file is a line or two; more is another file.
const MAX_FILE: u64 = 4 * 1024;

/// The keys from the file that was given, else from the environment; none if there is neither.
pub(crate) fn callback_keys(args: &KeyArgs, environment: &Environment) -> Result<Vec<SecretString>> {
    if let Some(path) = &args.callback_auth_key_file {
        return key_file(path, "callback key file", &environment.printer);
    }
    match environment.variable(variable::CALLBACK_KEY) {
        Some(text) => keys(text.split(','), variable::CALLBACK_KEY),
        None => Ok(Vec::new()),
    }
}

/// The keys in the file at `path`, which is a `what`.
pub(crate) fn key_file(path: &Path, what: &str, printer: &Printer) -> Result<Vec<SecretString>> {
    let name = shown(path);
    let text = read(path).map_err(|why| {
        Error::new(ErrorKind::Config, format!("cannot read the {what} {name}")).with_source(why)
    })?;
    warn_if_shared(path, &name, printer);
    keys(text.lines(), &format!("the {what} {name}"))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("it is too long for a key file"));
    }
    Ok(text)
}

/// One or two keys; blanks around them are slips of copying.
fn keys<'a>(parts: impl Iterator<Item = &'a str>, source: &str) -> Result<Vec<SecretString>> {
    let trim = |part: &'a str| part.trim_start_matches('\u{feff}').trim();
    let keys: Vec<&str> = parts.map(trim).filter(|key| !key.is_empty()).collect();
    match keys.len() {
        0 => Err(Failure::config(format!("{source} holds no key"))),
        1 | 2 => Ok(keys.into_iter().map(SecretString::from).collect()),
        n => {
            Err(Failure::config(format!("{source} holds {n} keys; one, or two during a rotation, are right")))
        }
    }
}

#[cfg(unix)]
fn warn_if_shared(path: &Path, name: &str, printer: &Printer) {
    use std::os::unix::fs::PermissionsExt as _;
    let shared =
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0);
    if shared {
        printer.warn(&format!("others can read the callback key file {name}: `chmod 600` it"));
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_: &Path, _: &str, _: &Printer) {}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read_keys(text: &str) -> Result<Vec<String>, Vec<String>> {
        keys(text.lines(), "the file")
            .map(|keys| keys.iter().map(|key| key.expose_secret().to_owned()).collect())
            .map_err(|failure| failure.lines().to_vec())
    }

    #[test]
    fn one_key_or_two_are_taken_without_the_blanks_around_them() {
        assert_eq!(read_keys("\u{feff}Abc123Key \r\n").unwrap(), ["Abc123Key"]);
        assert_eq!(read_keys("new\n\nold\n").unwrap(), ["new", "old"]);
    }

    #[test]
    fn none_and_three_are_refused_without_showing_any() {
        assert_eq!(read_keys("\n").unwrap_err(), ["error: the file holds no key"]);
        assert!(!read_keys("k1\nk2\nk3").unwrap_err().concat().contains("k1"));
    }
}
