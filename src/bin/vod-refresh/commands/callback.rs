//! `callback`: signatures from the shell, and the account's event settings.
//!
//! Setting replaces everything and nothing guards against a second writer. So: read, change one thing, show the
//! difference, ask, write, and read again.

mod event_settings;

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
use crate::confirm::confirmed;
use crate::environment::{Environment, variable};
use crate::exit::{ExitCode, Failure};
use crate::output::json;
use crate::printer::Printer;
use crate::setup::account_client;
use crate::words::harmless;

/// A change may take a moment to show.
const READS: u32 = 3;
const BETWEEN_READS: Duration = Duration::from_secs(1);

pub(crate) fn sign(
    args: &SignArgs,
    environment: &Environment,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let keys = keys(&args.key, environment, printer)?;
    let timestamp = args.timestamp.unwrap_or_else(|| SystemClock.now().timestamp());
    // Of two keys the first one signs; the other is on its way out.
    let signature =
        keys.first().map(|key| callback::sign(&args.callback_url, timestamp, key)).unwrap_or_default();
    printer.out(&format!("X-VOD-TIMESTAMP: {timestamp}\nX-VOD-SIGNATURE: {signature}\n"))?;
    Ok(ExitCode::Complete)
}

pub(crate) fn verify(
    args: &VerifyArgs,
    environment: &Environment,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let verifier = CallbackVerifier::new(&args.callback_url, keys(&args.key, environment, printer)?);
    let check = |now| verifier.verify(Some(&args.timestamp), Some(&args.signature), now);
    let Err(why) = check(SystemClock.now()) else {
        printer.out("the signature fits\n")?;
        return Ok(ExitCode::Complete);
    };
    // At its own time, would it have fitted?
    let own_time = args.timestamp.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let text = match why {
        Refusal::TooOld(_) | Refusal::TooNew(_) if own_time.is_some_and(|time| check(time).is_ok()) => {
            format!("the signature fits URL and key, but {why}")
        }
        Refusal::TooOld(_) | Refusal::TooNew(_) => {
            format!("the signature fits neither the URL nor the key, and {why}")
        }
        why => why.to_string(),
    };
    Err(Error::new(ErrorKind::Refused, text).into())
}

fn keys(args: &KeyArgs, environment: &Environment, printer: &Printer) -> Result<Vec<SecretString>, Failure> {
    let keys = callback_keys(args, environment, printer)?;
    if keys.is_empty() {
        return Err(Failure::config(format!(
            "no key: give `--callback-auth-key-file` or set {}",
            variable::CALLBACK_KEY
        )));
    }
    Ok(keys)
}

pub(crate) async fn get(
    args: &GetArgs,
    environment: &Environment,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let client = account_client(&args.connection, environment).await?;
    let app_id = args.app.app_id.as_deref();
    let settings = client.get_message_callback(app_id).await?;
    printer.out(&match args.output.form {
        AnswerForm::Text => text(app_id, settings.as_ref()),
        AnswerForm::Json => json::document(&Shown::of(app_id, settings.as_ref())),
    })?;
    Ok(ExitCode::Complete)
}

pub(crate) async fn set(
    args: &SetArgs,
    environment: &Environment,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let target = target(args, environment, printer)?;
    let client = account_client(&args.change.connection, environment).await?;
    let app_id = args.change.app.app_id.as_deref();
    let before = client.get_message_callback(app_id).await?;
    let mut after = changed(before.as_ref(), &target);
    after.app_id = app_id.map(str::to_owned);
    if before.as_ref().is_some_and(|before| before.is_same_as(&after)) {
        printer.out("nothing to change: the settings are as they should be\n")?;
        return Ok(ExitCode::Complete);
    }
    change(&client, before.as_ref(), Some(&after), &args.change, printer).await
}

pub(crate) async fn delete(
    args: &ChangeArgs,
    environment: &Environment,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let client = account_client(&args.connection, environment).await?;
    let Some(before) = client.get_message_callback(args.app.app_id.as_deref()).await? else {
        printer.out("nothing to remove: there are no event settings\n")?;
        return Ok(ExitCode::Complete);
    };
    change(&client, Some(&before), None, args, printer).await
}

/// Where events are to go, with the key that is to sign.
fn target(args: &SetArgs, environment: &Environment, printer: &Printer) -> Result<Target, Failure> {
    if let Some(queue) = &args.queue {
        return Ok(Target::Queue(queue.clone()));
    }
    // Of two keys the first one signs; the other is on its way out.
    let key = callback_keys(&args.key, environment, printer)?.into_iter().next();
    if key.as_ref().is_some_and(|key| !is_of_documented_shape(key)) {
        printer.warn(&format!(
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
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let app_id = args.app.app_id.as_deref();
    printer.out(&difference(before, after))?;
    let (verb, done) = if after.is_some() { ("change", "changed") } else { ("remove", "removed") };
    let question = format!("{verb} the event settings of {}?", harmless(app_id.unwrap_or(DEFAULT_APP_ID)));
    if !confirmed(args.yes, &question)? {
        printer.say("nothing was changed");
        // Not exit 0, or `callback set && refresh` would go on.
        return Ok(ExitCode::Usage);
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
            printer.out(&format!("the settings are {done}\n"))?;
            return Ok(ExitCode::Complete);
        }
        if read < READS {
            tokio::time::sleep(BETWEEN_READS).await;
        }
    }
    let text =
        "the settings are not what was written: another writer changed them meanwhile; see `callback get`";
    Err(Error::new(ErrorKind::Rejected, text).into())
}
