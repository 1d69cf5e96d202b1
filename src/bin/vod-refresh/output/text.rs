//! The report as text for people: what failed first with what to do about it, a line with the sums last.
//!
//! A row a line where the lines are wide enough for the widest row; else a media a block with its URLs below it, as columns
//! cut to bits could be neither read nor copied.

use std::collections::HashMap;

use super::report_view::{MediaView, Rank, ReportView, TaskView, edge_line, error_of_run, summary_line};
use super::table::{line, line_width, widths, wrap};
use crate::formatting::{count, escape_control};

/// Beyond so many rows, those that ended well are summed up, and of those under way some are shown.
const SHOW_ALL: usize = 40;
/// The same for blocks, which take more lines.
const SHOW_BLOCKS: usize = 12;
/// Text is not made narrower than this.
const NARROWEST: u16 = 24;

/// How the text may style.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Columns of the terminal; `None`: as wide as it gets, one row a line.
    pub(crate) width: Option<u16>,
    pub(crate) colour: bool,
}

/// One URL, or a media that has none. No text holds a control character.
struct Row {
    rank: Rank,
    media: String,
    state: &'static str,
    /// The task's status; empty where there is no task.
    task: String,
    url: String,
    why: String,
    /// What to do about it; rows with the same advice stand together.
    hint: Option<&'static str>,
}

/// Returns the report for people.
pub(crate) fn render(view: &ReportView<'_>, style: Style) -> String {
    let all = rows(view);
    let mut shown = shown(&all, SHOW_ALL);
    let mut text = wide(shown, style).unwrap_or_else(|| {
        shown = self::shown(&all, SHOW_BLOCKS);
        blocks(shown, style)
    });
    if !shown.is_empty() {
        text.push('\n');
    }
    let hidden = &all[shown.len()..];
    let well = hidden.iter().filter(|row| row.rank == Rank::Complete).count();
    let mut lines = Vec::new();
    for (n, what) in [(hidden.len() - well, "more under way"), (well, "ended well")] {
        if n > 0 {
            lines.push(format!("{} {what} (not shown)", count(n as u64, "URL")));
        }
    }
    lines.extend(edge_line(view));
    lines.push(summary_line(view.report));
    for line in lines.iter().flat_map(|line| wrap(line, style.width.unwrap_or(u16::MAX))) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// All of a few rows; of many, what failed and the first of those under way.
fn shown(rows: &[Row], limit: usize) -> &[Row] {
    if rows.len() <= limit {
        return rows;
    }
    // They are sorted: what ended well is last.
    let up_to = |rank| rows.partition_point(|row| row.rank <= rank);
    &rows[..up_to(Rank::Unfinished).min(up_to(Rank::Failed) + limit / 2)]
}

/// All rows, what failed first, those with one hint next to each other.
fn rows(view: &ReportView<'_>) -> Vec<Row> {
    let of_run = error_of_run(view.report).map(|error| error.code.as_str());
    let mut rows: Vec<Row> = view.media.iter().flat_map(|media| rows_of_media(media, of_run)).collect();
    let mut places = HashMap::new();
    for row in rows.iter().filter(|row| row.rank == Rank::Failed) {
        let next = places.len();
        places.entry(row.hint).or_insert(next);
    }
    rows.sort_by_key(|row| (row.rank, places.get(&row.hint).copied().unwrap_or_default()));
    rows
}

fn rows_of_media(media: &MediaView<'_>, code_of_run: Option<&str>) -> Vec<Row> {
    let report = media.report;
    let id = match (&report.media_id, &report.url) {
        (Some(id), _) => escape_control(id.as_str()),
        // It stands in its own column.
        (None, Some(_)) => String::new(),
        (None, None) => "?".to_owned(),
    };
    let error =
        report.error.as_ref().map(|error| escape_control(&format!("{}: {}", error.code, error.message)));
    let why = error.or_else(|| report.note.as_deref().map(escape_control)).unwrap_or_default();
    // The error that ended the run stands with its hint on stderr.
    let is_the_runs = report.error.as_ref().is_some_and(|error| Some(error.code.as_str()) == code_of_run);
    let hint = (media.rank == Rank::Failed && !is_the_runs).then(|| media.advice());
    let row = |rank, task, url, why| {
        let hint = hint.filter(|_| rank == Rank::Failed);
        Row { rank, media: id.clone(), state: report.state.as_str(), task, url, why, hint }
    };
    if media.tasks.is_empty() {
        let job = report.job_id.as_ref().map(|job| format!("job {}", escape_control(job.as_str())));
        let url = report.url.as_deref().map(escape_control);
        return vec![row(media.rank, String::new(), url.or(job).unwrap_or_default(), why)];
    }
    // A reason of the media's own stands at its first row, unless a row of its tasks has a better one.
    let has_reasons = media.tasks.iter().any(|task| task.reason().is_some());
    let mut own_why = (!has_reasons).then_some(why);
    let no_task_failed = !media.tasks.iter().any(|task| task.rank == Rank::Failed);
    let mut own_rank = Some(Rank::Failed).filter(|rank| *rank == media.rank && no_task_failed);
    let mut row_of_task = |task: &TaskView<'_>| {
        let task_id = || format!("task {}", escape_control(task.report.task_id.as_str()));
        let url = task.report.url.as_deref().or(report.url.as_deref()).map_or_else(task_id, escape_control);
        let why = task.reason().map(escape_control).or_else(|| own_why.take());
        row(own_rank.take().unwrap_or(task.rank), status(task), url, why.unwrap_or_default())
    };
    media.tasks.iter().map(&mut row_of_task).collect()
}

fn status(task: &TaskView<'_>) -> String {
    let stage = task.stage();
    match &task.report.status {
        None => format!("{stage}not shown yet"),
        Some(status) if task.has_ended() => format!("{stage}{}", status.as_str()),
        Some(status) => format!("{stage}{} {}%", escape_control(status.as_str()), task.report.progress),
    }
}

/// The rows as a table; `None` if one of them does not fit into a line.
fn wide(rows: &[Row], style: Style) -> Option<String> {
    if rows.is_empty() {
        return Some(String::new());
    }
    // In a run of URLs no row has a media.
    let first = usize::from(rows.iter().all(|row| row.media.is_empty()));
    let head = ["MEDIA", "STATE", "TASK", "URL", "WHY"];
    let cells = rows.iter().map(|row| [&row.media, row.state, &row.task, &row.url, &row.why]);
    let cells: Vec<[&str; 5]> = [head].into_iter().chain(cells).collect();
    let widths = widths(cells.iter().map(|cells| &cells[first..]), head.len() - first);
    if style.width.is_some_and(|width| line_width(&widths) > usize::from(width)) {
        return None;
    }
    let mut text = format!("{}\n", line(&head[first..], &widths, |_, text| text.to_owned()));
    for (n, (row, cells)) in rows.iter().zip(&cells[1..]).enumerate() {
        let paint = |column, text: &str| match column + first {
            1 | 2 => painted(text, row.rank, style),
            _ => text.to_owned(),
        };
        text.push_str(&line(&cells[first..], &widths, paint));
        text.push('\n');
        text.push_str(&hint_below(rows, n, style.width));
    }
    Some(text)
}

/// The rows below the media they belong to. A URL has a line of its own and stays whole, however long it is.
fn blocks(rows: &[Row], style: Style) -> String {
    let width = style.width.unwrap_or(u16::MAX).max(NARROWEST);
    let mut text = String::new();
    let mut above: Option<&Row> = None;
    for (n, row) in rows.iter().enumerate() {
        let same_rank = above.is_none_or(|above| above.rank == row.rank);
        if !same_rank && !text.ends_with("\n\n") {
            text.push('\n');
        }
        if !above.is_some_and(|above| same_rank && above.media == row.media && above.state == row.state) {
            text.push_str(&format!("{}  {}\n", row.media, painted(row.state, row.rank, style)));
        }
        above = Some(row);
        if !row.url.is_empty() {
            text.push_str(&format!("  {}\n", row.url));
        }
        text.push_str(&status_lines(row, style, width));
        let hint = hint_below(rows, n, Some(width));
        text.push_str(&hint);
        if !hint.is_empty() && n + 1 < rows.len() {
            text.push('\n');
        }
    }
    text
}

/// The status of the task and the reason, where they say more than the line of the media.
fn status_lines(row: &Row, style: Style, width: u16) -> String {
    let task = Some(row.task.as_str()).filter(|task| !task.eq_ignore_ascii_case(row.state)).unwrap_or("");
    let between = if task.is_empty() || row.why.is_empty() { "" } else { ": " };
    let indent = if row.url.is_empty() { 2 } else { 4 };
    let lines = wrap(&format!("{task}{between}{}", row.why), width.saturating_sub(indent));
    let mut text = String::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let line = match line.strip_prefix(task).filter(|_| text.is_empty() && !task.is_empty()) {
            Some(rest) => format!("{}{rest}", painted(task, row.rank, style)),
            None => line.clone(),
        };
        text.push_str(&format!("{:1$}{line}\n", "", usize::from(indent)));
    }
    text
}

/// The hint that stands below the `n`th row: once for all rows that need it, below the last of them.
fn hint_below(rows: &[Row], n: usize, width: Option<u16>) -> String {
    const LEAD: &str = "  hint: ";
    let next = rows.get(n + 1).and_then(|row| row.hint);
    let Some(hint) = rows[n].hint.filter(|hint| next != Some(*hint)) else { return String::new() };
    let width = width.map_or(u16::MAX, |width| width.max(NARROWEST) - LEAD.len() as u16);
    format!("{LEAD}{}\n", wrap(hint, width).join(&format!("\n{:1$}", "", LEAD.len())))
}

fn painted(word: &str, rank: Rank, style: Style) -> String {
    let code = match rank {
        _ if !style.colour || word.is_empty() => return word.to_owned(),
        Rank::Failed => 31,
        Rank::Unfinished => 33,
        Rank::Complete => 32,
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vod_refresh::Report;

    use super::super::tests::sample;
    use super::*;

    fn text(report: &Report, style: Style) -> String {
        render(&ReportView::new(report, &report.entries()), style)
    }

    const PLAIN: Style = Style { width: None, colour: false };

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
        let text = text(&mixed(), PLAIN);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "MEDIA  STATE       TASK            URL              WHY",
                "m3     failed      Failed          https://h/b.mp4  Origin Timeout",
                "  hint: The CDN could not read the file from its origin. Check the origin of the domain, then send \
                 them again.",
                r"gone   not_found                   job J1           NonExistMediaId: no such \u{1b}[31mmedia",
                "  hint: Check the id and the region: a media is visible in its own region only.",
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
            let text = text(&mixed(), Style { width, colour: false });
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{width:?} {text:?}");
        }
    }

    /// Advice, sums and words fit; ids and URLs stay whole.
    #[test]
    fn no_terminal_is_overrun_but_by_what_must_stay_whole() {
        for report in [mixed(), sample::mixed(45), sample::failing(20)] {
            for width in [50, 60, 80, 100, 200] {
                let text = text(&report, Style { width: Some(width), colour: false });
                let over =
                    |line: &&str| line.chars().count() > usize::from(width) && !line.contains("https://");
                assert_eq!(text.lines().find(over), None, "{width}: {text}");
            }
        }
    }

    #[test]
    fn each_advice_is_given_once_and_below_all_that_need_it() {
        for width in [None, Some(60), Some(200)] {
            let text = text(&sample::mixed(60), Style { width, colour: false });
            assert_eq!(text.matches("hint:").count(), 2, "{text}");
            let last = |what: &str| text.rfind(what).unwrap();
            assert!(last("  not_found") < last("hint: Check the id"), "{text}");
            assert!(last("Origin Timeout") < last("hint: The CDN"), "{text}");
        }
    }

    #[test]
    fn what_ended_the_run_has_its_advice_on_stderr_alone() {
        let error = json!({"code": "Forbidden.RAM", "message": "no permission"});
        let list = json!([media("m1", "not_submitted", error, json!([]))]);
        assert!(!text(&report(list.clone(), "refused"), PLAIN).contains("hint:"));
        assert!(text(&report(list, "partial"), PLAIN).contains("hint:"));
    }

    #[test]
    fn many_that_are_under_way_are_summed_up() {
        let slow = task("https://h/c.mp4", "Refreshing", json!(null));
        let list: Vec<_> =
            (0..50).map(|n| media(&format!("m{n}"), "unfinished", json!(null), json!([slow]))).collect();
        let text = text(&report(json!(list), "timeout"), PLAIN);
        assert!(text.contains("m19 ") && !text.contains("m20 "), "{text}");
        assert!(text.contains("30 URLs more under way"), "{text}");
    }

    #[test]
    fn the_table_at_every_width() {
        for width in [60, 100, 200] {
            let text = text(&sample::mixed(16), Style { width: Some(width), colour: false });
            insta::with_settings!({
                snapshot_path => "../../../../tests/it/snapshots", prepend_module_to_snapshot => false, omit_expression => true,
            }, { insta::assert_snapshot!(format!("table_{width}"), text) });
        }
    }

    #[test]
    fn colours_are_drawn_only_when_asked_for() {
        assert!(text(&mixed(), Style { width: None, colour: true }).contains('\u{1b}'));
    }

    #[test]
    fn many_good_rows_are_summed_up() {
        let ok = task("https://h/a.mp4", "Complete", json!(null));
        let mut list: Vec<_> =
            (0..50).map(|n| media(&format!("m{n}"), "complete", json!(null), json!([ok]))).collect();
        let bad = task("https://h/b.mp4", "Failed", json!("Origin Timeout"));
        list.push(media("bad", "failed", json!(null), json!([bad])));
        let text = text(&report(json!(list), "partial"), PLAIN);
        assert!(text.contains("Origin Timeout") && text.contains("50 URLs ended well"), "{text}");
        assert_eq!(text.lines().count(), 6, "{text}");
    }
}
