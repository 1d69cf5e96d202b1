//! A program that prints a credential.
//!
//! It is started without a shell, with our environment and no input, and has ten seconds. What it prints is as good as
//! a secret: it is read, and never shown, not even where it makes no sense.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::context::{Context, config_error};
use super::temporary_key;
use crate::auth::credential::Credential;
use crate::error::Result;

/// The vendor's SDKs wait a minute; a deploy does not want to.
const LIMIT: Duration = Duration::from_secs(10);
/// `1` or `true`: no program is started, whatever a profile says.
const DISABLED_VARIABLE: &str = "ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS";

/// Runs `command`, which stands in `setting` (`process_command of profile "x" of /home/u/.aliyun/config.json`).
pub(super) async fn credential_of(context: &Context, command: &str, setting: &str) -> Result<Credential> {
    let broken = |why: &str| config_error(format!("{setting}: {why}"));
    if context.environment.is_on(DISABLED_VARIABLE) {
        return Err(broken(&format!("not run, {DISABLED_VARIABLE} is on")));
    }
    let command = split(command, cfg!(windows)).map_err(broken)?;
    // Dropping the run kills the process.
    let output = tokio::time::timeout(LIMIT, context.environment.run(command))
        .await
        .map_err(|_| broken("the process did not end within 10 s and was killed"))?
        .map_err(|error| broken(&format!("the process can't be run: {}", error.kind())))?;
    if !output.success {
        return Err(broken("the process failed"));
    }
    read(&output.stdout).map_err(|why| broken(&why))
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
