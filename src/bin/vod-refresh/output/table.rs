//! The table for people: what failed first with what to do about it, a line with the sums last.

mod blocks;
mod grid;
mod row;

use comfy_table::{Color, ContentArrangement, Table, presets};
use vod_refresh::run::Summary;
use vod_refresh::{Outcome, Report};

use self::row::{Rank, Row};
use crate::formatting::{count, escape_control};

/// Beyond so many rows, those that ended well are summed up, and of those under way some are shown.
const SHOW_ALL: usize = 40;
/// The same for blocks, which take more lines.
const SHOW_BLOCKS: usize = 12;
/// Text is not made narrower than this.
const NARROWEST: u16 = 24;

/// How the table may look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Columns of the terminal; `None`: as wide as it gets, one row a line.
    pub(crate) width: Option<u16>,
    pub(crate) colour: bool,
}

/// The width of the terminal on stdout, if it is one that has a width.
pub(crate) fn terminal_width() -> Option<u16> {
    // A terminal that was never given a size has 0 columns.
    Table::new().width().filter(|&width| width > 0)
}

/// The report for people.
pub(crate) fn render(report: &Report, look: Look) -> String {
    let rows = row::all(report);
    let mut shown = Shown::of(&rows, SHOW_ALL);
    let drawn = grid::render(shown.rows, look).unwrap_or_else(|| {
        shown = Shown::of(&rows, SHOW_BLOCKS);
        blocks::render(shown.rows, look)
    });
    let mut text = drawn;
    let mut line = |line: &str| {
        for line in wrapped(line, look.width.unwrap_or(u16::MAX)) {
            text.push_str(&line);
            text.push('\n');
        }
    };
    if !shown.rows.is_empty() {
        line("");
    }
    if shown.under_way > 0 {
        line(&format!("{} more under way (not shown)", count(shown.under_way as u64, "URL")));
    }
    if shown.well > 0 {
        line(&format!("{} ended well (not shown)", count(shown.well as u64, "URL")));
    }
    line(&sums(report));
    text
}

/// The rows that are shown, and how many are not.
struct Shown<'a> {
    rows: &'a [Row],
    under_way: usize,
    well: usize,
}

impl<'a> Shown<'a> {
    /// All of a few; of many, what failed and the first of those under way.
    fn of(rows: &'a [Row], limit: usize) -> Self {
        if rows.len() <= limit {
            return Self { rows, under_way: 0, well: 0 };
        }
        // They are sorted: what ended well is last.
        let up_to = |rank| rows.partition_point(|row| row.rank <= rank);
        let (failed, open) = (up_to(Rank::Failed), up_to(Rank::Unfinished));
        let end = open.min(failed + limit / 2);
        Self { rows: &rows[..end], under_way: open - end, well: rows.len() - open }
    }
}

/// Advice below the rows that need it.
fn hint_lines(hint: &str, width: Option<u16>) -> String {
    const LEAD: &str = "  hint: ";
    let width = width.map_or(u16::MAX, |width| width.max(NARROWEST) - LEAD.len() as u16);
    let lines = wrapped(hint, width);
    format!("{LEAD}{}\n", lines.join(&format!("\n{:1$}", "", LEAD.len())))
}

/// `text` in lines that are no wider, cut at blanks.
fn wrapped(text: &str, width: u16) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(NARROWEST / 2));
    table.add_row([text]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 0));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn colour_of(rank: Rank) -> Color {
    match rank {
        Rank::Failed => Color::Red,
        Rank::Unfinished => Color::Yellow,
        Rank::Well => Color::Green,
    }
}

/// A table without colours or frames.
pub(crate) fn plain<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty().set_header(head);
    for row in rows {
        table.add_row(row.map(|cell| escape_control(&cell)));
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
    // One that was killed before it could write them down has no calls to tell of.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
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
                "  hint: The CDN could not read the file from its origin. Check the origin of the domain, then send \
                 these media again.",
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
            let text = render(&mixed(), Look { width, colour: false });
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{width:?} {text:?}");
        }
    }

    /// Advice, sums and words fit; ids and URLs stay whole.
    #[test]
    fn no_terminal_is_overrun_but_by_what_must_stay_whole() {
        for report in [mixed(), sample::mixed(45), sample::failing(20)] {
            for width in [50, 60, 80, 100, 200] {
                let text = render(&report, Look { width: Some(width), colour: false });
                let over =
                    |line: &&str| line.chars().count() > usize::from(width) && !line.contains("https://");
                assert_eq!(text.lines().find(over), None, "{width}: {text}");
            }
        }
    }

    #[test]
    fn each_advice_is_given_once_and_below_all_that_need_it() {
        for width in [None, Some(60), Some(200)] {
            let text = render(&sample::mixed(60), Look { width, colour: false });
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
        assert!(!render(&report(list.clone(), "refused"), PLAIN).contains("hint:"));
        assert!(render(&report(list, "partial"), PLAIN).contains("hint:"));
    }

    #[test]
    fn many_that_are_under_way_are_summed_up() {
        let slow = task("https://h/c.mp4", "Refreshing", json!(null));
        let list: Vec<_> =
            (0..50).map(|n| media(&format!("m{n}"), "unfinished", json!(null), json!([slow]))).collect();
        let text = render(&report(json!(list), "timeout"), PLAIN);
        assert!(text.contains("m19 ") && !text.contains("m20 "), "{text}");
        assert!(text.contains("30 URLs more under way"), "{text}");
    }

    #[test]
    fn the_table_at_every_width() {
        for width in [60, 100, 200] {
            let text = render(&sample::mixed(16), Look { width: Some(width), colour: false });
            insta::with_settings!({
                snapshot_path => "../../../../tests/it/snapshots", prepend_module_to_snapshot => false, omit_expression => true,
            }, { insta::assert_snapshot!(format!("table_{width}"), text) });
        }
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
        assert!(text.contains("Origin Timeout") && text.contains("50 URLs ended well"), "{text}");
        assert_eq!(text.lines().count(), 6, "{text}");
    }
}
