//! The table for people: what failed first, a line with the sums last.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use vod_refresh::run::{MediaReport, MediaState, Summary, TaskReport};
use vod_refresh::vod::TaskStatus;
use vod_refresh::{Outcome, Report};

use crate::words::{count, harmless};

/// Beyond so many rows, those that ended well are summed up.
const SHOW_ALL: usize = 40;

/// How the table may look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Columns of the terminal; `None`: as wide as it gets, one row a line.
    pub(crate) width: Option<u16>,
    pub(crate) colour: bool,
}

/// The width of the terminal on stdout, if it is one.
pub(crate) fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// The report for people.
pub(crate) fn render(report: &Report, look: Look) -> String {
    let mut rows: Vec<Row> = report.media.iter().flat_map(rows_of).collect();
    rows.sort_by_key(|row| row.rank);
    let all = rows.len();
    if all > SHOW_ALL {
        rows.retain(|row| row.rank != Rank::Well);
    }
    let mut text = String::new();
    if !rows.is_empty() {
        for line in table(&rows, look).lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    if rows.len() < all {
        text.push_str(&format!(
            "{} more ended well and are not shown\n",
            count((all - rows.len()) as u64, "URL")
        ));
    }
    text.push_str(&sums(report));
    text.push('\n');
    text
}

/// A table without colours or frames.
pub(crate) fn plain<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty().set_header(head);
    for row in rows {
        table.add_row(row.map(|cell| harmless(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The whole run in one line.
pub(crate) fn sums(report: &Report) -> String {
    let Summary { media, media_complete, media_failed, media_unfinished, .. } = report.summary;
    let Summary { tasks, tasks_complete, tasks_failed, tasks_unfinished, .. } = report.summary;
    let what = match report.task_type {
        Some(task_type) => task_type.as_str().to_lowercase(),
        None => "wait".to_owned(),
    };
    let mut line = format!("{what} {}: {media_complete} of {media} media complete", report.outcome.as_str());
    let mut add = |n: u64, word: &str| {
        if n > 0 {
            line.push_str(&format!(", {n} {word}"));
        }
    };
    add(media_failed, "failed");
    add(media_unfinished, if report.outcome == Outcome::Submitted { "not waited for" } else { "unfinished" });
    if tasks > 0 {
        line.push_str(&format!("; {tasks_complete} of {} complete", count(tasks, "task")));
        let mut add = |n: u64, word: &str| {
            if n > 0 {
                line.push_str(&format!(", {n} {word}"));
            }
        };
        add(tasks_failed, "failed");
        add(tasks_unfinished, "unfinished");
    }
    let calls: u64 = report.summary.api_calls.values().sum();
    let seconds = (report.finished_at - report.started_at).num_seconds().max(0);
    line.push_str(&format!("; {seconds}s"));
    // A run that is read from the journal has no calls to tell of.
    if calls > 0 {
        line.push_str(&format!(", {}", count(calls, "call")));
    }
    let Summary { events_accepted, events_rejected, .. } = report.summary;
    if events_accepted > 0 {
        line.push_str(&format!(", {}", count(events_accepted, "event")));
    }
    if events_rejected > 0 {
        line.push_str(&format!(", {} refused", count(events_rejected, "event")));
    }
    line
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Failed,
    Unfinished,
    Well,
}

struct Row {
    rank: Rank,
    cells: [String; 5],
}

fn rows_of(media: &MediaReport) -> Vec<Row> {
    let id = media.media_id.as_ref().map_or_else(|| "?".to_owned(), |id| harmless(id.as_str()));
    let error = media.error.as_ref().map(|error| harmless(&format!("{}: {}", error.code, error.message)));
    let why = error.or_else(|| media.note.as_deref().map(harmless)).unwrap_or_default();
    let row = |rank, task: String, url: String, why: String| Row {
        rank,
        cells: [id.clone(), media.state.as_str().to_owned(), task, url, why],
    };
    let own_rank = match media.state {
        MediaState::Complete => Rank::Well,
        MediaState::Unfinished => Rank::Unfinished,
        _ => Rank::Failed,
    };
    if media.tasks.is_empty() {
        let job =
            media.job_id.as_ref().map(|job| format!("job {}", harmless(job.as_str()))).unwrap_or_default();
        return vec![row(own_rank, String::new(), job, why)];
    }
    // A reason of the media's own stands at its first row, unless a row of its tasks has a better one.
    let told = media.tasks.iter().any(|task| task.description.is_some());
    let mut own_why = (!told).then_some(why);
    let mut own_rank =
        Some(own_rank).filter(|&rank| rank == Rank::Failed && !media.tasks.iter().any(is_failed));
    media
        .tasks
        .iter()
        .map(|task| {
            let task_id = || format!("task {}", harmless(task.task_id.as_str()));
            let url = task.url.as_deref().map_or_else(task_id, harmless);
            let why = task.description.as_deref().map(harmless).or_else(|| own_why.take());
            row(own_rank.take().unwrap_or_else(|| rank_of(task)), status(task), url, why.unwrap_or_default())
        })
        .collect()
}

fn is_failed(task: &TaskReport) -> bool {
    rank_of(task) == Rank::Failed
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
        Some(status) => format!("{} {}%", harmless(status.as_str()), task.progress),
    }
}

fn table(rows: &[Row], look: Look) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(["MEDIA", "STATE", "TASK", "URL", "WHY"]);
    for Row { rank, cells } in rows {
        let colour = match rank {
            Rank::Failed => Color::Red,
            Rank::Unfinished => Color::Yellow,
            Rank::Well => Color::Green,
        };
        let [media, state, task, url, why] = cells;
        let word = |text: &str| if look.colour { Cell::new(text).fg(colour) } else { Cell::new(text) };
        table.add_row([Cell::new(media), word(state), word(task), Cell::new(url), Cell::new(why)]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Look = Look { width: None, colour: false };

    fn report(media: serde_json::Value, outcome: &str) -> Report {
        let summary = json!({"media": 3, "media_complete": 1, "media_failed": 1, "media_unfinished": 1, "tasks": 3,
            "tasks_complete": 1, "tasks_failed": 1, "tasks_unfinished": 1,
            "api_calls": {"RefreshMediaPlayUrls": 1, "DescribeVodRefreshTasks": 9}, "retries": 0,
            "events_accepted": 0, "events_rejected": 0, "events_repeated": 0, "events_foreign": 0});
        serde_json::from_value(
            json!({"schema": 1, "run_id": "r1", "task_type": "refresh", "outcome": outcome,
            "started_at": "2026-11-25T01:19:10Z", "finished_at": "2026-11-25T01:19:22Z", "extend": null,
            "summary": summary, "error": null, "media": media}),
        )
        .unwrap()
    }

    fn task(url: &str, status: &str, description: serde_json::Value) -> serde_json::Value {
        json!({"task_id": "T1", "url": url, "status": status, "progress": 40, "created_at": null, "ended_at": null,
            "description": description})
    }

    fn media(id: &str, state: &str, error: serde_json::Value, tasks: serde_json::Value) -> serde_json::Value {
        json!({"media_id": id, "job_id": "J1", "state": state, "confirmed_by": null, "error": error, "tasks": tasks})
    }

    fn mixed() -> Report {
        let ok = task("https://h/a.mp4", "Complete", json!(null));
        let bad = task("https://h/b.mp4", "Failed", json!("Origin Timeout"));
        let slow = task("https://h/c.mp4", "Refreshing", json!(null));
        let gone = json!({"code": "NonExistMediaId", "message": "no such \u{1b}[31mmedia"});
        let list = json!([
            media("m1", "complete", json!(null), json!([ok])),
            media("m2", "unfinished", json!(null), json!([slow])),
            media("m3", "failed", json!({"code": "TaskFailed", "message": "1 of 2"}), json!([ok, bad])),
            media("gone", "not_found", gone, json!([])),
        ]);
        report(list, "partial")
    }

    #[test]
    fn failures_come_first_with_their_reason_and_sums_last() {
        let text = render(&mixed(), PLAIN);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "MEDIA  STATE       TASK            URL              WHY",
                "m3     failed      Failed          https://h/b.mp4  Origin Timeout",
                r"gone   not_found                   job J1           NonExistMediaId: no such \u{1b}[31mmedia",
                "m2     unfinished  Refreshing 40%  https://h/c.mp4",
                "m1     complete    Complete        https://h/a.mp4",
                "m3     failed      Complete        https://h/a.mp4",
                "",
                "refresh partial: 1 of 3 media complete, 1 failed, 1 unfinished; 1 of 3 tasks complete, 1 failed, 1 \
                 unfinished; 12s, 10 calls",
            ]
        );
    }

    #[test]
    fn a_plain_table_has_no_control_characters_but_line_ends() {
        for width in [None, Some(1), Some(5), Some(20), Some(80), Some(400)] {
            let text = render(&mixed(), Look { width, colour: false });
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{width:?} {text:?}");
        }
    }

    #[test]
    fn a_terminal_of_80_columns_is_not_overrun() {
        let text = render(&mixed(), Look { width: Some(80), colour: false });
        assert!(
            text.lines().filter(|line| !line.contains(';')).all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn colours_are_drawn_only_when_asked_for() {
        assert!(render(&mixed(), Look { width: None, colour: true }).contains('\u{1b}'));
    }

    #[test]
    fn many_good_rows_are_summed_up() {
        let ok = task("https://h/a.mp4", "Complete", json!(null));
        let mut list: Vec<_> =
            (0..50).map(|n| media(&format!("m{n}"), "complete", json!(null), json!([ok]))).collect();
        let bad = task("https://h/b.mp4", "Failed", json!("Origin Timeout"));
        list.push(media("bad", "failed", json!(null), json!([bad])));
        let text = render(&report(json!(list), "partial"), PLAIN);
        assert!(text.contains("Origin Timeout") && text.contains("50 URLs more ended well"), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }
}
