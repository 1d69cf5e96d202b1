//! `doctor`: a line for each thing that a run needs, with its remedy.
//!
//! `fail` is what keeps a run from its work, `warn` what makes it go otherwise than configured, or what nobody can
//! know from here. Checks stand in the order of their roots: what a bad key breaks comes after the key.

mod account;
mod events;
mod finding;

use self::finding::{Finding, exit_code, render};
use crate::args::account::{AnswerForm, DoctorArgs};
use crate::callback_keys::callback_keys;
use crate::environment::Environment;
use crate::exit::{ExitCode, Result};
use crate::output::json;
use crate::settings::settled;
use crate::setup::{client_without_credentials, queue_client};

pub(crate) async fn examine(args: &DoctorArgs, environment: &Environment) -> Result<ExitCode> {
    // What the options themselves get wrong ends it as it would end a run.
    let connection = settled(&args.connection, environment);
    let client = client_without_credentials(&connection, environment)?;
    let keys = callback_keys(&args.events.key, environment)?;
    let (credentials, are_good) = account::credentials(&client).await;
    let mut findings = vec![credentials];
    if are_good {
        if let Ok(settings) = account::service(&client, args.app.app_id.as_deref(), &mut findings).await {
            findings.extend(events::settings(settings.as_ref(), &args.events, &keys));
        }
    } else {
        findings.push(Finding::warn("service", "not asked: there is nobody to ask as"));
    }
    let queue = match &args.events.queue {
        Some(url) => Some(queue_client(url, &client, &connection, environment)?),
        None => None,
    };
    findings.push(events::queue_answers(queue.as_ref()).await);
    findings.push(events::callback_url_answers(args.events.callback_url.as_deref()).await);
    environment.printer.out(&match args.output.form {
        AnswerForm::Text => render(&findings, environment.printer.colours_stdout()),
        AnswerForm::Json => json::document(&findings),
    })?;
    Ok(exit_code(&findings))
}
