//! `callback sign` and `callback verify`.

use chrono::DateTime;
use secrecy::SecretString;
use vod_refresh::auth::callback::{CallbackVerifier, Refusal, sign};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::{Error, ErrorKind};

use super::callback_settings;
use crate::args::callback::{CallbackCommand, SignArgs, VerifyArgs};
use crate::args::events::KeyArgs;
use crate::exit::{ExitCode, Failure};
use crate::keys::callback_keys;
use crate::printer::Printer;
use crate::world::{World, variable};

pub(crate) fn execute(
    command: &CallbackCommand,
    world: &World,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    match command {
        CallbackCommand::Sign(args) => print_signature(args, world, printer),
        CallbackCommand::Verify(args) => verify(args, world, printer),
        CallbackCommand::Get(args) => callback_settings::get(args, world, printer),
        CallbackCommand::Set(args) => callback_settings::set(args, world, printer),
        CallbackCommand::Delete(args) => callback_settings::delete(args, world, printer),
    }
}

fn print_signature(args: &SignArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let keys = keys(&args.key, world, printer)?;
    let timestamp = args.timestamp.unwrap_or_else(|| SystemClock.now().timestamp());
    // Of two keys the first one signs; the other is on its way out.
    let signature = keys.first().map(|key| sign(&args.callback_url, timestamp, key)).unwrap_or_default();
    printer.out(&format!("X-VOD-TIMESTAMP: {timestamp}\nX-VOD-SIGNATURE: {signature}\n"))?;
    Ok(ExitCode::Complete)
}

fn verify(args: &VerifyArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let verifier = CallbackVerifier::new(&args.callback_url, keys(&args.key, world, printer)?);
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

fn keys(args: &KeyArgs, world: &World, printer: &Printer) -> Result<Vec<SecretString>, Failure> {
    let keys = callback_keys(args.callback_auth_key_file.as_deref(), world, printer)?;
    if keys.is_empty() {
        return Err(Failure::config(format!(
            "no key: give `--callback-auth-key-file` or set {}",
            variable::CALLBACK_KEY
        )));
    }
    Ok(keys)
}
