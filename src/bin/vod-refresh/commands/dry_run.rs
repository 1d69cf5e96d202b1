//! `--dry-run`: the requests that would be sent, batch by batch. No call is made and nothing is written down.

use serde::Serialize;
use vod_refresh::auth::percent;
use vod_refresh::auth::preview::{Preview, Signer, preview};
use vod_refresh::auth::request::Operation;
use vod_refresh::ids::{RunId, masked_address};
use vod_refresh::{CredentialProvider as _, EnvironmentCredentials, Error, ErrorKind};

use super::task::Task;
use crate::args::shared::{ConnectionArgs, Form};
use crate::environment::Environment;
use crate::exit::{ExitCode, Result};
use crate::formatting::{count, escape_control};
use crate::output::json;
use crate::setup;

/// Stands for the id that a run would get: as long as one, and the same each time.
const NO_RUN: &str = "00000000-0000-0000-0000-000000000000";

/// One request that is not sent.
#[derive(Debug, Serialize)]
struct Planned {
    batch: usize,
    media: usize,
    method: String,
    endpoint: String,
    action: &'static str,
    parameters: vod_refresh::auth::rpc::Params,
    headers: vod_refresh::auth::rpc::Params,
}

/// The calls that `task` would begin with.
pub(super) async fn show(
    task: &Task,
    connection: &ConnectionArgs,
    form: Form,
    environment: &Environment,
) -> Result<ExitCode> {
    let client = setup::client_without_credentials(connection, environment)?;
    match task {
        Task::Media(request) => {
            let run = RunId::new(NO_RUN).map_err(|why| Error::new(ErrorKind::Internal, why.to_string()))?;
            let calls = request.submissions(&run)?.into_iter();
            let calls = calls.map(|call| (call.media.len(), call.operation())).collect();
            let mut requests = planned(calls, client.endpoint(), connection, environment).await?;
            for Planned { parameters, .. } in &mut requests {
                if let (Some(data), Some(url)) = (parameters.get_mut("UserData"), &request.callback_url) {
                    *data = data.replace(url, &masked_address(url));
                }
            }
            let media = count(request.media.len() as u64, "media");
            let of = format!("{media}; the run id {NO_RUN} stands for the one that a run gets");
            print(&requests, "media", &of, form, environment)?;
            if request.then_preload {
                let (first, last) = (requests.len() + 1, requests.len() * 2);
                environment.printer.say(&format!(
                    "calls that preload what ended complete follow: with all {media} these are batches {first} to {last}"
                ));
            }
        }
        Task::Urls(request) => {
            let calls = request.submissions()?;
            let requests = planned(calls, client.task_endpoint(), connection, environment).await?;
            print(&requests, "URL", &count(request.urls.len() as u64, "URL"), form, environment)?;
        }
        // Nothing else submits.
        Task::Jobs(_) | Task::Resume(_) | Task::Check(_) => {}
    }
    Ok(ExitCode::COMPLETE)
}

async fn planned(
    calls: Vec<(usize, Operation)>,
    endpoint: &str,
    connection: &ConnectionArgs,
    environment: &Environment,
) -> Result<Vec<Planned>> {
    let signer = signer(connection, environment).await?;
    let version = setup::signature_version(connection);
    let planned = |(n, (media, operation)): (usize, (usize, Operation))| {
        let Preview { params, headers, .. } = preview(version, endpoint, &operation, &signer)?;
        Ok(Planned {
            batch: n + 1,
            media,
            method: operation.method.to_string(),
            endpoint: endpoint.to_owned(),
            action: operation.action,
            parameters: params,
            headers,
        })
    };
    calls.into_iter().enumerate().map(planned).collect()
}

fn print(requests: &[Planned], noun: &str, of: &str, form: Form, environment: &Environment) -> Result<()> {
    let printer = &environment.printer;
    printer.out(&match form {
        Form::Text => requests.iter().map(|planned| paragraph(planned, requests.len(), noun)).collect(),
        Form::Json => json::document(&requests),
        Form::Ndjson => requests.iter().map(json::line).collect::<String>(),
    })?;
    printer.say(&format!("nothing was sent: {} for {of}", count(requests.len() as u64, "request")));
    Ok(())
}

/// Finds the credential that would sign. Only the environment is searched: other sources may need calls.
async fn signer(connection: &ConnectionArgs, environment: &Environment) -> Result<Signer> {
    let found = match &connection.profile {
        Some(_) => None,
        None => EnvironmentCredentials::from_lookup(|name| environment.variable(name)).credential().await?,
    };
    let printer = &environment.printer;
    let Some(credential) = &found else {
        printer.say("no key in the environment; where else one may come from is not looked at in a dry run");
        return Ok(Signer::default());
    };
    let signer = Signer::from(credential);
    let key_id = escape_control(signer.key_id.as_deref().unwrap_or_default());
    printer.say(&format!("key {key_id} of the {} would sign", credential.source));
    Ok(signer)
}

/// Parameters as the canonical query has them, one a line; placeholders stay readable.
fn paragraph(planned: &Planned, of: usize, noun: &str) -> String {
    let Planned { batch, media, method, endpoint, action, .. } = planned;
    let media = count(*media as u64, noun);
    let mut text = format!("batch {batch} of {of}: {method} {endpoint}/ {action}, {media}\n");
    for (name, value) in &planned.headers {
        text.push_str(&format!("  {name}: {}\n", escape_control(value)));
    }
    for (name, value) in &planned.parameters {
        let placeholder = value.starts_with('<') && value.ends_with('>');
        let value =
            if placeholder || name == "AccessKeyId" { escape_control(value) } else { percent::encode(value) };
        text.push_str(&format!("  {}={value}\n", percent::encode(name)));
    }
    text
}
