//! Runs that the journal holds: found, or what there is instead.

use vod_refresh::ids::RunId;
use vod_refresh::journal::{RunSummary, StoredRun};
use vod_refresh::net::clock::to_wire;

use crate::args::journal::PlaceArgs;
use crate::exit::Failure;
use crate::kept::{self, Kept};
use crate::world::World;

/// So many runs are named where the one asked for is not there.
const NAMED: usize = 10;

/// Which run, where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    Newest,
    NewestUnfinished,
}

/// The run `id`, with the journal that holds it.
pub(crate) async fn find(
    args: &PlaceArgs,
    id: Option<&str>,
    default: Default,
    world: &World,
) -> Result<(Kept, StoredRun), Failure> {
    let id = id.map(RunId::new).transpose().map_err(|why| Failure::usage(format!("no run id: {why}")))?;
    let kept = match kept::existing(args, world).await? {
        Ok(kept) => kept,
        Err(path) => return Err(Failure::usage(format!("there is no journal at {}", kept::shown(&path)))),
    };
    let runs = kept.journal.runs().await?;
    let id = match (id, default) {
        (None, Default::Newest) => runs.first().map(|run| run.run_id.clone()),
        (None, Default::NewestUnfinished) => {
            let open = |run: &&RunSummary| run.outcome.is_none() && !run.lost;
            runs.iter().find(open).map(|run| run.run_id.clone())
        }
        (Some(id), _) => Some(id),
    };
    let found = match &id {
        Some(id) => kept.journal.load(Some(id.clone())).await?,
        None => None,
    };
    match found {
        Some(stored) => Ok((kept, stored)),
        None => Err(absent(id, &runs, &kept)),
    }
}

fn absent(id: Option<RunId>, runs: &[RunSummary], kept: &Kept) -> Failure {
    let path = kept::shown(kept.journal.path());
    let message = match id {
        Some(id) => format!("there is no run {id} in the journal {path}"),
        None if runs.is_empty() => format!("there is no run in the journal {path}"),
        None => format!("there is no run to carry on in the journal {path}"),
    };
    let mut details: Vec<String> = runs.iter().take(NAMED).map(line).collect();
    if runs.len() > NAMED {
        details.push(format!("and {} older ones: `vod-refresh runs` lists them", runs.len() - NAMED));
    }
    Failure::usage(message).with_details(details)
}

/// A run in a line.
pub(crate) fn line(run: &RunSummary) -> String {
    let [id, task, outcome, started, media] = words(run);
    let lost = if run.lost { ", not to be carried on: the journal failed in mid-run" } else { "" };
    format!("{id}  {task}, {outcome}, begun {started}, {media} media{lost}")
}

/// A run in words: id, task, outcome, start, media.
pub(crate) fn words(run: &RunSummary) -> [String; 5] {
    [
        run.run_id.to_string(),
        run.task_type.map_or_else(|| "wait".to_owned(), |task| task.as_str().to_lowercase()),
        outcome(run).to_owned(),
        to_wire(run.started_at),
        run.media.to_string(),
    ]
}

/// How it ended, in the journal's words.
pub(crate) fn outcome(run: &RunSummary) -> &'static str {
    run.outcome.map_or("unfinished", |outcome| outcome.as_str())
}
