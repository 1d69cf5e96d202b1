//! `callback get`, `set` and `delete`: the account's event settings.
//!
//! Setting replaces everything and nothing guards against a second writer. So: read, change one thing, show the
//! difference, ask, write, and read again.

mod change;
mod show;

use std::time::Duration;

use vod_refresh::vod::{DEFAULT_APP_ID, MAX_AUTH_KEY_CHARS, MessageCallback};
use vod_refresh::{Error, ErrorKind, VodClient};

use super::{account_client, block_on};
use crate::args::account::{AnswerForm, DeleteArgs, GetArgs, SetArgs};
use crate::consent;
use crate::exit::{ExitCode, Failure};
use crate::formatting::escape_control;
use crate::keys::callback_keys;
use crate::output::json;
use crate::printer::Printer;
use crate::world::World;
use change::{Target, changed, difference};

/// A change may take a moment to show.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

pub(crate) fn get(args: &GetArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(async {
        let client = account_client(&args.connection, world).await?;
        let app_id = args.app.app_id.as_deref();
        let settings = client.get_message_callback(app_id).await?;
        printer.out(&match args.output.form {
            AnswerForm::Text => show::text(app_id, settings.as_ref()),
            AnswerForm::Json => json::document(&show::Shown::of(app_id, settings.as_ref())),
        })?;
        Ok(ExitCode::Complete)
    })
}

pub(crate) fn set(args: &SetArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(async {
        let target = target(args, world, printer)?;
        let client = account_client(&args.connection, world).await?;
        let app_id = args.app.app_id.as_deref();
        let before = client.get_message_callback(app_id).await?;
        let mut after = changed(before.as_ref(), &target);
        after.app_id = app_id.map(str::to_owned);
        if before.as_ref().is_some_and(|before| before.is_same_as(&after)) {
            printer.out("nothing to change: the settings are as they should be\n")?;
            return Ok(ExitCode::Complete);
        }
        printer.out(&difference(before.as_ref(), Some(&after)))?;
        if !consent::given(args.consent.yes, &question("change", app_id))? {
            return unchanged(printer);
        }
        client.set_message_callback(&after).await?;
        confirm(&client, app_id, |found| found.is_some_and(|found| found.is_same_as(&after))).await?;
        printer.out("the settings are changed\n")?;
        Ok(ExitCode::Complete)
    })
}

pub(crate) fn delete(args: &DeleteArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(async {
        let client = account_client(&args.connection, world).await?;
        let app_id = args.app.app_id.as_deref();
        let Some(before) = client.get_message_callback(app_id).await? else {
            printer.out("nothing to remove: there are no event settings\n")?;
            return Ok(ExitCode::Complete);
        };
        printer.out(&difference(Some(&before), None))?;
        if !consent::given(args.consent.yes, &question("remove", app_id))? {
            return unchanged(printer);
        }
        client.delete_message_callback(app_id).await?;
        confirm(&client, app_id, |found| found.is_none()).await?;
        printer.out("the settings are removed\n")?;
        Ok(ExitCode::Complete)
    })
}

/// Where events are to go, with the key that is to sign.
fn target(args: &SetArgs, world: &World, printer: &Printer) -> Result<Target, Failure> {
    if let Some(queue) = &args.queue {
        return Ok(Target::Queue(queue.clone()));
    }
    let keys = callback_keys(args.key.callback_auth_key_file.as_deref(), world, printer)?;
    // Of two keys the first one signs; the other is on its way out.
    let key = keys.into_iter().next();
    if key.as_ref().is_some_and(|key| !change::is_of_documented_shape(key)) {
        printer.warn(&format!(
            "VOD's pages want a key of at most {MAX_AUTH_KEY_CHARS} characters with capital and small letters and digits"
        ));
    }
    // The parser wants one of the two.
    Ok(Target::Url { url: args.callback_url.clone().unwrap_or_default(), key })
}

fn question(what: &str, app_id: Option<&str>) -> String {
    format!("{what} the event settings of {}?", escape_control(app_id.unwrap_or(DEFAULT_APP_ID)))
}

/// Somebody said no. Not exit 0, or `callback set && refresh` would go on.
fn unchanged(printer: &Printer) -> Result<ExitCode, Failure> {
    printer.say("nothing was changed");
    Ok(ExitCode::Usage)
}

/// Reads what was written; another writer may have been there at the same time.
async fn confirm(
    client: &VodClient,
    app_id: Option<&str>,
    fits: impl Fn(Option<&MessageCallback>) -> bool + Send + Sync,
) -> Result<(), Failure> {
    for look in 1..=LOOKS {
        if fits(client.get_message_callback(app_id).await?.as_ref()) {
            return Ok(());
        }
        if look < LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
    let text =
        "the settings are not what was written: another writer changed them meanwhile; see `callback get`";
    Err(Error::new(ErrorKind::Rejected, text).into())
}
