//! A report as rows for people: what failed first, those with one remedy next to each other.

use std::collections::HashMap;

use vod_refresh::Report;
use vod_refresh::run::{MediaReport, MediaState, TaskReport};
use vod_refresh::vod::TaskStatus;

use super::super::{remedy, rows};
use crate::formatting::escape_control;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Failed,
    Unfinished,
    Well,
}

/// One URL, or a media that has none. Every text is harmless and one line.
pub(super) struct Row {
    pub(super) rank: Rank,
    pub(super) media: String,
    pub(super) state: &'static str,
    /// The task's status; empty where there is no task.
    pub(super) task: String,
    pub(super) url: String,
    pub(super) why: String,
    /// What to do about it; rows with the same advice stand together.
    pub(super) hint: Option<&'static str>,
}

/// All rows, in the order in which they are shown.
pub(super) fn all(report: &Report) -> Vec<Row> {
    let mut rows: Vec<Row> = report.media.iter().flat_map(|media| of_media(media, report)).collect();
    let mut groups = HashMap::new();
    for row in rows.iter().filter(|row| row.rank == Rank::Failed) {
        let next = groups.len();
        groups.entry(row.hint).or_insert(next);
    }
    rows.sort_by_key(|row| (row.rank, groups.get(&row.hint).copied().unwrap_or_default()));
    rows
}

/// The advice that stands below the `n`th row: once for all rows that need it, below the last of them.
pub(super) fn hint_below(rows: &[Row], n: usize) -> Option<&'static str> {
    let next = rows.get(n + 1).and_then(|row| row.hint);
    rows[n].hint.filter(|hint| next != Some(*hint))
}

fn of_media(media: &MediaReport, report: &Report) -> Vec<Row> {
    let id = media.media_id.as_ref().map_or_else(|| "?".to_owned(), |id| escape_control(id.as_str()));
    let error =
        media.error.as_ref().map(|error| escape_control(&format!("{}: {}", error.code, error.message)));
    let why = error.or_else(|| media.note.as_deref().map(escape_control)).unwrap_or_default();
    let hint = hint(media, report);
    let row = |rank, task: String, url: String, why: String| Row {
        rank,
        media: id.clone(),
        state: media.state.as_str(),
        task,
        url,
        why,
        hint: hint.filter(|_| rank == Rank::Failed),
    };
    let own_rank = match media.state {
        MediaState::Complete => Rank::Well,
        MediaState::Unfinished => Rank::Unfinished,
        _ => Rank::Failed,
    };
    if media.tasks.is_empty() {
        let job = media
            .job_id
            .as_ref()
            .map(|job| format!("job {}", escape_control(job.as_str())))
            .unwrap_or_default();
        return vec![row(own_rank, String::new(), job, why)];
    }
    // A reason of the media's own stands at its first row, unless a row of its tasks has a better one.
    let told = media.tasks.iter().any(|task| task.description.is_some());
    let mut own_why = (!told).then_some(why);
    let mut own_rank =
        Some(own_rank).filter(|&rank| rank == Rank::Failed && !media.tasks.iter().any(rows::has_failed));
    media
        .tasks
        .iter()
        .map(|task| {
            let task_id = || format!("task {}", escape_control(task.task_id.as_str()));
            let url = task.url.as_deref().map_or_else(task_id, escape_control);
            let why = task.description.as_deref().map(escape_control).or_else(|| own_why.take());
            row(own_rank.take().unwrap_or_else(|| rank_of(task)), status(task), url, why.unwrap_or_default())
        })
        .collect()
}

/// Advice, unless the error is what ended the run: that one is told with its advice on stderr.
fn hint(media: &MediaReport, report: &Report) -> Option<&'static str> {
    let is_the_runs = media
        .error
        .as_ref()
        .zip(rows::error_of_run(report))
        .is_some_and(|(error, of_run)| error.code == of_run.code);
    (media.state.is_failure() && !is_the_runs).then(|| remedy::for_media(media))
}

fn rank_of(task: &TaskReport) -> Rank {
    match &task.status {
        Some(TaskStatus::Complete) => Rank::Well,
        Some(TaskStatus::Failed) => Rank::Failed,
        _ => Rank::Unfinished,
    }
}

fn status(task: &TaskReport) -> String {
    match &task.status {
        None => "not shown yet".to_owned(),
        Some(status) if status.is_final() => status.as_str().to_owned(),
        Some(status) => format!("{} {}%", escape_control(status.as_str()), task.progress),
    }
}
