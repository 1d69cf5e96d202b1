//! `callback`: signatures from the shell, and the account's event settings.
//!
//! Setting replaces everything and nothing guards against a second writer. So: read, change one thing, show the
//! difference, ask, write, and read again.

mod event_settings;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use chrono::DateTime;
use secrecy::SecretString;
use vod_refresh::auth::callback::{self, CallbackVerifier, Refusal};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::vod::{DEFAULT_APP_ID, MAX_AUTH_KEY_CHARS, MessageCallback};
use vod_refresh::{Error, ErrorKind, VodClient};

use self::event_settings::{Shown, Target, changed, difference, is_of_documented_shape, text};
use crate::args::account::{AnswerForm, ChangeArgs, GetArgs, SetArgs, SignArgs, VerifyArgs};
use crate::args::shared::KeyArgs;
use crate::callback_keys::callback_keys;
use crate::environment::{Environment, variable};
use crate::exit::{ExitCode, Failure, Result};
use crate::formatting::escape_control;
use crate::output::json;
use crate::setup::account_client;

/// A change may take a moment to show.
const READS: u32 = 3;
const BETWEEN_READS: Duration = Duration::from_secs(1);

pub(crate) fn sign(args: &SignArgs, environment: &Environment) -> Result<ExitCode> {
    let keys = keys(&args.key, environment)?;
    let timestamp = args.timestamp.unwrap_or_else(|| SystemClock.now().timestamp());
    // Of two keys the first one signs; the other is on its way out.
    let signature =
        keys.first().map(|key| callback::sign(&args.callback_url, timestamp, key)).unwrap_or_default();
    environment.printer.out(&format!("X-VOD-TIMESTAMP: {timestamp}\nX-VOD-SIGNATURE: {signature}\n"))?;
    Ok(ExitCode::COMPLETE)
}

pub(crate) fn verify(args: &VerifyArgs, environment: &Environment) -> Result<ExitCode> {
    let verifier = CallbackVerifier::new(&args.callback_url, keys(&args.key, environment)?);
    let check = |now| verifier.verify(Some(&args.timestamp), Some(&args.signature), now);
    let own_time = args.timestamp.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    match check(SystemClock.now()) {
        Ok(()) => {}
        // The signature is what is asked about: it may stand in a log of last week.
        Err(why @ (Refusal::TooOld(_) | Refusal::TooNew(_))) => {
            if own_time.is_none_or(|time| check(time).is_err()) {
                let text = format!("the signature fits neither the URL nor the key, and {why}");
                return Err(Error::new(ErrorKind::Refused, text).into());
            }
            environment.printer.warn(&format!("{why}: whoever receives it now refuses it"));
        }
        Err(why) => return Err(Error::new(ErrorKind::Refused, why.to_string()).into()),
    }
    environment.printer.out("the signature fits\n")?;
    Ok(ExitCode::COMPLETE)
}

fn keys(args: &KeyArgs, environment: &Environment) -> Result<Vec<SecretString>> {
    let keys = callback_keys(args, environment)?;
    if keys.is_empty() {
        return Err(Failure::config(format!(
            "no key: give `--callback-auth-key-file` or set {}",
            variable::CALLBACK_KEY
        )));
    }
    Ok(keys)
}

pub(crate) async fn get(args: &GetArgs, environment: &Environment) -> Result<ExitCode> {
    let client = account_client(&args.connection, environment).await?;
    let app_id = args.app.app_id.as_deref();
    let settings = client.get_message_callback(app_id).await?;
    environment.printer.out(&match args.output.form {
        AnswerForm::Text => text(app_id, settings.as_ref()),
        AnswerForm::Json => json::document(&Shown::of(app_id, settings.as_ref())),
    })?;
    Ok(ExitCode::COMPLETE)
}

pub(crate) async fn set(args: &SetArgs, environment: &Environment) -> Result<ExitCode> {
    let target = target(args, environment)?;
    let client = account_client(&args.change.connection, environment).await?;
    let app_id = args.change.app.app_id.as_deref();
    let before = client.get_message_callback(app_id).await?;
    let mut after = changed(before.as_ref(), &target);
    after.app_id = app_id.map(str::to_owned);
    if before.as_ref().is_some_and(|before| before.is_same_as(&after)) {
        environment.printer.out("nothing to change: the settings are as they should be\n")?;
        return Ok(ExitCode::COMPLETE);
    }
    change(&client, before.as_ref(), Some(&after), &args.change, environment).await
}

pub(crate) async fn delete(args: &ChangeArgs, environment: &Environment) -> Result<ExitCode> {
    let client = account_client(&args.connection, environment).await?;
    let Some(before) = client.get_message_callback(args.app.app_id.as_deref()).await? else {
        environment.printer.out("nothing to remove: there are no event settings\n")?;
        return Ok(ExitCode::COMPLETE);
    };
    change(&client, Some(&before), None, args, environment).await
}

/// Where events are to go, with the key that is to sign.
fn target(args: &SetArgs, environment: &Environment) -> Result<Target> {
    if let Some(queue) = &args.queue {
        return Ok(Target::Queue(queue.clone()));
    }
    // Of two keys the first one signs; the other is on its way out.
    let key = callback_keys(&args.key, environment)?.into_iter().next();
    if key.as_ref().is_some_and(|key| !is_of_documented_shape(key)) {
        environment.printer.warn(&format!(
            "VOD's pages want a key of at most {MAX_AUTH_KEY_CHARS} characters with capital and small letters and digits"
        ));
    }
    // The parser wants one of the two.
    Ok(Target::Url { url: args.callback_url.clone().unwrap_or_default(), key })
}

/// Makes the settings `after`, or removes them where that is `None`, once the user has seen the difference and agreed.
async fn change(
    client: &VodClient,
    before: Option<&MessageCallback>,
    after: Option<&MessageCallback>,
    args: &ChangeArgs,
    environment: &Environment,
) -> Result<ExitCode> {
    let app_id = args.app.app_id.as_deref();
    environment.printer.out(&difference(before, after))?;
    let (verb, done) = if after.is_some() { ("change", "changed") } else { ("remove", "removed") };
    let question =
        format!("{verb} the event settings of {}?", escape_control(app_id.unwrap_or(DEFAULT_APP_ID)));
    if !confirmed(args.yes, &question)? {
        environment.printer.say("nothing was changed");
        // Not exit 0, or `callback set && refresh` would go on.
        return Ok(ExitCode::USAGE);
    }
    match after {
        Some(after) => client.set_message_callback(after).await?,
        None => client.delete_message_callback(app_id).await?,
    };
    // Another writer may have been there at the same time.
    for read in 1..=READS {
        let is_there = match (client.get_message_callback(app_id).await?, after) {
            (Some(found), Some(after)) => found.is_same_as(after),
            (None, None) => true,
            _ => false,
        };
        if is_there {
            environment.printer.out(&format!("the settings are {done}\n"))?;
            return Ok(ExitCode::COMPLETE);
        }
        if read < READS {
            tokio::time::sleep(BETWEEN_READS).await;
        }
    }
    let text =
        "the settings are not what was written: another writer changed them meanwhile; see `callback get`";
    Err(Error::new(ErrorKind::Rejected, text).into())
}

/// Whether `question` is answered with yes, by `--yes` or at the terminal.
///
/// Fails where nobody can be asked: a script must say what it wants. The prompt is no result, so it goes to stderr;
/// it is shown even when quiet.
fn confirmed(yes: bool, question: &str) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage("nothing was changed: there is no terminal to ask at, so give `--yes`"));
    }
    let _ = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
    let mut line = String::new();
    // An end of the input is a no.
    let _ = io::stdin().lock().read_line(&mut line);
    Ok(is_yes(&line))
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (line, yes) in [("y\n", true), ("YES\r\n", true), ("\n", false), ("no", false), ("yep", false)] {
            assert_eq!(is_yes(line), yes, "{line:?}");
        }
    }
}
