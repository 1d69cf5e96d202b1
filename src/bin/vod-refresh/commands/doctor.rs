//! `doctor`: a line for each thing that a run needs, with its remedy.
//!
//! `fail` is what keeps a run from its work, `warn` what makes it go otherwise than configured, or what nobody can
//! know from here. Checks stand in the order of their roots: what a bad key breaks comes after the key.

mod events;
mod finding;
mod identity;
mod reach;
mod readings;
mod service;

use super::block_on;
use super::listener::queue_client;
use crate::args::account::{AnswerForm, DoctorArgs};
use crate::exit::{ExitCode, Failure};
use crate::keys::callback_keys;
use crate::output::json;
use crate::printer::Printer;
use crate::world::World;
use finding::{Finding, render, worst};

pub(crate) fn execute(args: &DoctorArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(async {
        let findings = examine(args, world, printer).await?;
        printer.out(&match args.output.form {
            AnswerForm::Text => render(&findings, printer.colours_stdout()),
            AnswerForm::Json => json::document(&findings),
        })?;
        Ok(worst(&findings))
    })
}

async fn examine(args: &DoctorArgs, world: &World, printer: &Printer) -> Result<Vec<Finding>, Failure> {
    // What the options themselves get wrong ends it as it would end a run.
    let connection = args.connection.settled(world);
    let client = connection.unasked_client(world)?;
    let keys = callback_keys(args.events.key.callback_auth_key_file.as_deref(), world, printer)?;
    let (who, identified) = identity::check(&client).await;
    let mut findings = vec![who];
    if identified {
        let seen = service::check(&client, args.app.app_id.as_deref()).await;
        findings.extend(seen.findings);
        if let Some(settings) = seen.settings {
            findings.extend(events::check(settings.as_ref(), &args.events, &keys));
        }
    } else {
        findings.push(Finding::warn("service", "not asked: there is nobody to ask as"));
    }
    let queue = match &args.events.queue {
        Some(url) => Some(queue_client(url, &client, &connection, world)?),
        None => None,
    };
    findings.push(reach::queue(queue.as_ref()).await);
    findings.push(reach::callback_url(args.events.callback_url.as_deref()).await);
    Ok(findings)
}
