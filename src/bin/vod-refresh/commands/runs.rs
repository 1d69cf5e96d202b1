//! `runs`: the runs in the journal, newest first.

use serde::Serialize;
use vod_refresh::TaskType;
use vod_refresh::ids::RunId;
use vod_refresh::journal::RunSummary;
use vod_refresh::net::clock::to_wire;

use super::block_on;
use super::stored::{outcome, words};
use crate::args::output::Form;
use crate::args::stored::RunsArgs;
use crate::exit::{ExitCode, Failure};
use crate::kept;
use crate::output::{json, table};
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
        Form::Json => json::document(&runs.iter().map(Row::from).collect::<Vec<_>>()),
        Form::Ndjson => runs.iter().map(|run| json::line(&Row::from(run))).collect(),
    })?;
    Ok(ExitCode::Complete)
}

/// A run for scripts.
#[derive(Serialize)]
struct Row<'a> {
    run_id: &'a RunId,
    task_type: Option<TaskType>,
    outcome: &'static str,
    started_at: String,
    media: u64,
}

impl<'a> From<&'a RunSummary> for Row<'a> {
    fn from(run: &'a RunSummary) -> Self {
        let RunSummary { run_id, task_type, started_at, media, .. } = run;
        Self {
            run_id,
            task_type: *task_type,
            outcome: outcome(run),
            started_at: to_wire(*started_at),
            media: *media,
        }
    }
}

fn text(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return String::new();
    }
    table::plain(["RUN", "TASK", "OUTCOME", "STARTED", "MEDIA"], runs.iter().map(words))
}
