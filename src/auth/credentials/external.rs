//! A program that prints a credential.
//!
//! It is started without a shell, with our environment and no input, and has ten seconds. What it prints is as good as
//! a secret: it is read, and never shown, not even where it makes no sense.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::chain::Context;
use super::world::ProcessOutput;
use super::{Credential, session, split};
use crate::error::{Error, ErrorKind, Result};

/// The vendor's SDKs wait a minute; a deploy does not want to.
const LIMIT: Duration = Duration::from_secs(10);
const MAX_OUTPUT: u64 = 64 << 10;
/// `1` or `true`: no program is started, whatever a profile says.
const DISABLED_VARIABLE: &str = "ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS";

/// Runs `command`, which stands in `setting` (`process_command of profile "x" of /home/u/.aliyun/config.json`).
pub(super) async fn fetch(context: &Context, command: &str, setting: &str) -> Result<Credential> {
    let broken = |why: &str| Error::new(ErrorKind::Config, format!("{setting}: {why}"));
    if context.world.is_on(DISABLED_VARIABLE) {
        return Err(broken(&format!("not run, {DISABLED_VARIABLE} is on")));
    }
    let words = split::split(command, cfg!(windows)).map_err(broken)?;
    // Dropping the run kills the process.
    let run = tokio::time::timeout(LIMIT, context.world.run(words)).await;
    let output = run
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
        |name: &str| session::text(&body, name).ok_or_else(|| format!("the process printed no {name}"));
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
    if let Some(text) = session::text(&body, "expiration") {
        let end = session::time(text).ok_or("the process printed an expiration that is no time")?;
        credential.expires = Some(end);
    }
    Ok(credential)
}

/// Runs a program of this machine. The future kills it when dropped.
pub(super) async fn run(words: Vec<String>) -> io::Result<ProcessOutput> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdout = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        // A program that prints on for ever gets a closed pipe and ends.
        pipe.take(MAX_OUTPUT).read_to_end(&mut stdout).await?;
    }
    Ok(ProcessOutput { success: child.wait().await?.success(), stdout })
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

    #[cfg(unix)]
    #[tokio::test]
    async fn a_real_process_is_run_without_a_shell() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let output = run(words(&["/bin/echo", "$HOME"])).await.unwrap();
        assert!(output.success);
        assert_eq!(output.stdout, b"$HOME\n");
        assert!(!run(words(&["/bin/sh", "-c", "exit 3"])).await.unwrap().success);
        assert!(run(words(&["/no/such/program"])).await.is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_process_that_prints_for_ever_is_cut_off() {
        let words = ["/bin/sh", "-c", "while :; do echo yyyyyyyyyyyyyyyy; done"];
        let output = run(words.iter().map(|word| (*word).to_owned()).collect()).await.unwrap();
        assert_eq!(output.stdout.len() as u64, MAX_OUTPUT);
    }
}
