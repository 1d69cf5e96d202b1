//! `runs`: the runs in the journal, newest first.

use serde_json::{Value, json};
use vod_refresh::journal::RunSummary;
use vod_refresh::net::clock::to_wire;

use super::block_on;
use super::stored::{outcome, words};
use crate::args::output::Form;
use crate::args::stored::RunsArgs;
use crate::exit::{ExitCode, Failure};
use crate::kept;
use crate::output::table;
use crate::printer::Printer;
use crate::world::World;

pub(crate) fn execute(args: &RunsArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(list(args, world, printer))
}

async fn list(args: &RunsArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let (runs, path) = match kept::existing(&args.place, world).await? {
        Ok(kept) => (kept.journal.runs().await?, kept.journal.path().to_owned()),
        Err(path) => (Vec::new(), path),
    };
    if runs.is_empty() {
        printer.say(&format!("no runs in the journal {}", kept::shown(&path)));
    }
    printer.out(&match args.output {
        Form::Text => text(&runs),
        Form::Json => format!("{:#}\n", Value::from(runs.iter().map(object).collect::<Vec<_>>())),
        Form::Ndjson => runs.iter().map(|run| format!("{}\n", object(run))).collect(),
    })?;
    Ok(ExitCode::Complete)
}

fn object(run: &RunSummary) -> Value {
    json!({"run_id": run.run_id, "task_type": run.task_type, "outcome": outcome(run),
        "started_at": to_wire(run.started_at), "media": run.media})
}

fn text(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return String::new();
    }
    table::plain(["RUN", "TASK", "OUTCOME", "STARTED", "MEDIA"], runs.iter().map(words))
}
