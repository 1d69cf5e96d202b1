//! A program that prints a credential.
//!
//! It is started without a shell and with our environment, and has a minute, since it may ask a person for a code. What it
//! prints is as good as a secret: it is read, and never shown, not even where it makes no sense. Its words on standard error are
//! shown where it fails, without what looks like a secret.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::context::{Context, config_error};
use super::process::ProcessOutput;
use super::temporary_key;
use crate::auth::credential::Credential;
use crate::error::Result;
use crate::ids::masked_address;

/// The vendor's SDKs wait as long.
const LIMIT: Duration = Duration::from_secs(60);
/// `1` or `true`: no program is started, whatever a profile says.
const DISABLED_VARIABLE: &str = "ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS";
/// Most characters of a program's words that are shown: the last ones, where its reason stands.
const MAX_WORDS_SHOWN: usize = 500;
/// A word of so many characters may be a key or a token. The vendor's secrets have 30.
const MIN_SECRET_CHARS: usize = 20;

/// Runs `command`, which stands in `setting` (`process_command of profile "x" of /home/u/.aliyun/config.json`).
pub(super) async fn credential_of(context: &Context, command: &str, setting: &str) -> Result<Credential> {
    let broken = |why: &str| config_error(format!("{setting}: {why}"));
    if context.environment.is_on(DISABLED_VARIABLE) {
        return Err(broken(&format!("not run, {DISABLED_VARIABLE} is on")));
    }
    let command = split(command, cfg!(windows)).map_err(broken)?;
    tracing::debug!("running {setting}");
    // Dropping the run kills the process.
    let output = tokio::time::timeout(LIMIT, (context.environment.processes)(command))
        .await
        .map_err(|_| broken(&format!("the process did not end within {} s and was killed", LIMIT.as_secs())))?
        .map_err(|error| broken(&format!("the process can't be run: {error}")))?;
    let read = match output.success {
        true => read(&output.stdout),
        false => Err(format!("the process failed ({})", output.status)),
    };
    read.map_err(|why| broken(&format!("{why}{}", words_of(&output))))
}

/// What the process said on standard error, as it may be shown; empty if it said nothing.
fn words_of(output: &ProcessOutput) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut lines = Vec::new();
    for line in stderr.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut is_named = false;
        let words = line.split_whitespace().map(|word| {
            let hide = is_named || looks_secret(word, &stdout);
            let name = word.to_ascii_lowercase();
            is_named = ["secret:", "token:", "password:", "key:"].iter().any(|end| name.ends_with(end));
            if hide { "<secret>".into() } else { masked_address(word) }
        });
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    let words = lines.join(" | ");
    let skipped = words.chars().count().saturating_sub(MAX_WORDS_SHOWN);
    match (words.is_empty(), skipped) {
        (true, _) => String::new(),
        (_, 0) => format!("; it says: {words}"),
        (_, skipped) => format!("; it says: …{}", words.chars().skip(skipped).collect::<String>()),
    }
}

/// Whether a word may be a key or a token: it stands in what the process printed, or is long and mixed as those are.
fn looks_secret(word: &str, printed: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let has = |kind: fn(char) -> bool| bare.contains(kind);
    let is_mixed = has(|c| c.is_ascii_digit()) && has(|c| c.is_ascii_alphabetic());
    let is_path = ["/", "./", "~/", "\"/", "'/"].iter().any(|start| word.starts_with(start));
    bare.len() >= 4 && printed.contains(bare) || bare.len() >= MIN_SECRET_CHARS && is_mixed && !is_path
}

/// Reads `{"mode": "AK" | "StsToken", "access_key_id": …, "access_key_secret": …, "sts_token": …, "expiration": …}`.
fn read(stdout: &[u8]) -> Result<Credential, String> {
    let body: Value = serde_json::from_slice(stdout).unwrap_or_default();
    if !body.is_object() {
        return Err("the process printed no JSON object".into());
    }
    let need =
        |name: &str| temporary_key::text(&body, name).ok_or_else(|| format!("the process printed no {name}"));
    let temporary = match need("mode")? {
        "AK" => false,
        "StsToken" => true,
        _ => return Err("the process printed a mode that is neither AK nor StsToken".into()),
    };
    let mut credential = Credential::new(need("access_key_id")?, need("access_key_secret")?);
    credential.renewable = true;
    if temporary {
        credential.token = Some(SecretString::from(need("sts_token")?.to_owned()));
    }
    if let Some(text) = temporary_key::text(&body, "expiration") {
        let end = temporary_key::time(text).ok_or("the process printed an expiration that is no time")?;
        credential.expires = Some(end);
    }
    Ok(credential)
}

/// Splits a command as a shell would, without a shell: nothing is expanded, nothing else is run. `Err` says what is wrong.
///
/// Blanks separate; single and double quotes group; outside quotes a backslash takes the next character as it is,
/// inside double quotes only `"`, `\`, `$` and the backquote; backslash and line end vanish together. This is what the
/// vendor's command line does with `process_command`. On Windows a backslash is literal, but `\"` inside double quotes.
fn split(command: &str, windows: bool) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = command.chars().peekable();
    while let Some(next) = rest.next() {
        let literal = match (next, quote) {
            (blank, None) if blank.is_whitespace() => {
                words.extend(word.take());
                continue;
            }
            ('\'' | '"', None) => {
                quote = Some(next);
                None
            }
            (_, Some(open)) if next == open => {
                quote = None;
                None
            }
            ('\\', None) if !windows => match rest.next().ok_or("it ends in a lone backslash")? {
                '\n' => continue,
                plain => Some(plain),
            },
            ('\\', Some('"')) => {
                let escaped = if windows { "\"" } else { "\"\\$`\n" };
                Some(rest.next_if(|c| escaped.contains(*c)).unwrap_or('\\')).filter(|c| *c != '\n')
            }
            (plain, _) => Some(plain),
        };
        word.get_or_insert_default().extend(literal);
    }
    match quote {
        Some('\'') => return Err("a single quote is not closed"),
        Some(_) => return Err("a double quote is not closed"),
        None => words.extend(word),
    }
    if words.is_empty() { Err("it names no program") } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_and_a_session_are_read() {
        let pair = read(br#"{"mode":"AK","access_key_id":"a","access_key_secret":"s","extra":1}"#).unwrap();
        assert!(pair.token.is_none() && pair.expires.is_none() && pair.renewable);
        let session = read(
            br#"{"mode":"StsToken","access_key_id":"a","access_key_secret":"s","sts_token":"t",
                 "expiration":"2026-01-02T03:04:05Z"}"#,
        );
        assert!(session.unwrap().expires.is_some());
    }

    #[test]
    fn rubbish_is_not_repeated() {
        for (text, why) in [
            ("MARK", "no JSON object"),
            ("[\"MARK\"]", "no JSON object"),
            ("{\"mode\":\"MARK\"}", "neither AK nor StsToken"),
            ("{\"access_key_id\":\"MARK\"}", "no mode"),
            ("{\"mode\":\"AK\",\"access_key_id\":\"MARK\"}", "no access_key_secret"),
            (
                "{\"mode\":\"StsToken\",\"access_key_id\":\"a\",\"access_key_secret\":\"MARK\"}",
                "no sts_token",
            ),
            (
                "{\"mode\":\"AK\",\"access_key_id\":\"a\",\"access_key_secret\":\"s\",\"expiration\":\"MARK\"}",
                "no time",
            ),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.contains(why) && !error.contains("MARK"), "{error}");
        }
    }
    #[test]
    fn h26_words_are_shown_without_what_looks_like_a_secret() {
        let said = |stdout: &str, stderr: &str| {
            words_of(&ProcessOutput { stdout: stdout.into(), stderr: stderr.into(), ..Default::default() })
        };
        assert_eq!(said("{}", " \n"), "");
        for (stderr, shown) in [
            ("login first:\n  run `sso login`\n", "login first: | run `sso login`"),
            ("no file /home/me/Projects2026/conf.json", "no file /home/me/Projects2026/conf.json"),
            ("GET https://u:MARK@h/p?t=MARK failed", "GET https://<secret>@h/p?<secret> failed"),
            ("token=MARK secret: MARK", "token=<secret> secret: <secret>"),
            ("got 'a1B2c3D4e5F6g7H8i9J0k'", "got <secret>"),
            ("half of printed1 came", "half of <secret> came"),
        ] {
            assert_eq!(said("{\"s\":\"printed1\"}", stderr), format!("; it says: {shown}"));
        }
        let long = said("", &"é ".repeat(MAX_WORDS_SHOWN));
        assert_eq!(long.chars().count(), "; it says: …".chars().count() + MAX_WORDS_SHOWN);
        assert!(!said("", &"é".repeat(MAX_WORDS_SHOWN)).contains('…'), "at the limit nothing is left out");
    }

    #[test]
    fn words_are_split_as_a_shell_would() {
        let table: &[(&str, &[&str])] = &[
            ("vod-cred --role \"vod refresh\"", &["vod-cred", "--role", "vod refresh"]),
            ("  a\tb\n", &["a", "b"]),
            ("a '' \"\"", &["a", "", ""]),
            (r#"a\ b "c\"d\\e\f\$" 'g\h"i'"#, &["a b", r#"c"d\e\f$"#, r#"g\h"i"#]),
            ("a\\\nb \"c\\\nd\"", &["ab", "cd"]),
            ("a$HOME;rm|b", &["a$HOME;rm|b"]),
        ];
        for (command, words) in table {
            assert_eq!(split(command, false).unwrap(), *words, "{command}");
        }
    }

    #[test]
    fn a_backslash_is_literal_on_windows() {
        assert_eq!(split(r#"C:\a\b.exe "c \"d\" \e""#, true).unwrap(), [r"C:\a\b.exe", r#"c "d" \e"#]);
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for command in ["a 'b", "a \"b", "a\\", "", "  "] {
            assert!(split(command, false).is_err(), "{command}");
        }
    }
}
