//! Prometheus text format, for the node exporter's text file collector or a push gateway.
//!
//! One file tells of one run. Label values come from short fixed lists, save the run's id, which stands in one series
//! only: every other value would grow a new series with each run. A status word that we do not know counts as `other`.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use chrono::{DateTime, Utc};
use vod_refresh::run::{MediaReport, MediaState, Report, TaskReport};
use vod_refresh::vod::TaskStatus;

use super::rows;

/// Upper bounds of the duration buckets, in seconds. Purges take seconds to minutes, prefetches up to an hour.
const BUCKETS: [i64; 11] = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200];

const STATES: [MediaState; 6] = [
    MediaState::Complete,
    MediaState::Failed,
    MediaState::NotFound,
    MediaState::Forbidden,
    MediaState::NotSubmitted,
    MediaState::Unfinished,
];

/// The whole file.
pub(crate) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String never fails.
    let _ = document(&mut out, report);
    out
}

fn document(out: &mut String, report: &Report) -> fmt::Result {
    head(out, "run_info", "gauge", "The last run and how it ended; always 1.")?;
    writeln!(
        out,
        r#"vod_refresh_run_info{{run_id="{}",task_type="{}",outcome="{}"}} 1"#,
        Label(report.run_id.as_str()),
        rows::task_type(report),
        report.outcome.as_str(),
    )?;
    let (start, end) = (report.started_at, report.finished_at);
    single(out, "run_start_timestamp_seconds", "gauge", "Start of the run, Unix time.", unix(start))?;
    single(out, "run_end_timestamp_seconds", "gauge", "End of the run, Unix time.", unix(end))?;
    let took = (end - start).num_milliseconds().max(0) as f64 / 1000.0;
    single(out, "run_duration_seconds", "gauge", "How long the run took.", took)?;

    head(out, "media", "gauge", "Media of the run by state.")?;
    for state in STATES {
        let count = report.media.iter().filter(|media| media.state == state).count();
        writeln!(out, r#"vod_refresh_media{{state="{}"}} {count}"#, state.as_str())?;
    }
    head(out, "tasks", "gauge", "CDN tasks of the run, a URL each, by the service's status.")?;
    for (status, count) in by_status(rows::tasks(report)) {
        writeln!(out, r#"vod_refresh_tasks{{status="{status}"}} {count}"#)?;
    }
    durations(out, report)?;

    let summary = &report.summary;
    head(out, "api_calls_total", "counter", "API requests of the run by action, retries included.")?;
    for (action, count) in &summary.api_calls {
        writeln!(out, r#"vod_refresh_api_calls_total{{action="{}"}} {count}"#, Label(action))?;
    }
    // With a zero for each action that was called, so that a series does not begin with its first trouble.
    for (name, help, counts) in [
        (
            "api_retries_total",
            "API requests of the run that repeated a failed one, by action.",
            &summary.retries_by_action,
        ),
        (
            "api_throttled_total",
            "API answers of the run that asked to slow down, by action.",
            &summary.throttled,
        ),
    ] {
        head(out, name, "counter", help)?;
        for action in summary.api_calls.keys() {
            let count = counts.get(action).copied().unwrap_or_default();
            writeln!(out, r#"vod_refresh_{name}{{action="{}"}} {count}"#, Label(action))?;
        }
    }
    head(out, "events_total", "counter", "Events that the run received, by what became of them.")?;
    for (result, count) in [
        ("accepted", summary.events_accepted),
        ("rejected", summary.events_rejected),
        ("repeated", summary.events_repeated),
        ("foreign", summary.events_foreign),
    ] {
        writeln!(out, r#"vod_refresh_events_total{{result="{result}"}} {count}"#)?;
    }
    Ok(())
}

/// All words that can come, so that a series never vanishes between two runs.
fn by_status<'a>(tasks: impl Iterator<Item = &'a TaskReport>) -> BTreeMap<&'static str, u64> {
    let words = ["Pending", "Refreshing", "Complete", "Failed", "other", "unknown"];
    let mut counts: BTreeMap<&'static str, u64> = words.into_iter().map(|word| (word, 0)).collect();
    for task in tasks {
        let word = match &task.status {
            None => "unknown",
            Some(TaskStatus::Pending) => "Pending",
            Some(TaskStatus::Refreshing) => "Refreshing",
            Some(TaskStatus::Complete) => "Complete",
            Some(TaskStatus::Failed) => "Failed",
            Some(TaskStatus::Other(_)) => "other",
        };
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn durations(out: &mut String, report: &Report) -> fmt::Result {
    let millis = |of: fn(&MediaReport) -> Option<i64>| report.media.iter().filter_map(of).collect();
    let help = "From a media's submission until its tasks were named.";
    histogram(out, "media_accept_duration_seconds", help, millis(rows::accepted_after))?;
    let help = "From there until the last of its tasks was seen ended.";
    histogram(out, "media_complete_duration_seconds", help, millis(rows::completed_after))?;
    let tasks = rows::tasks(report).filter_map(rows::task_seconds).map(|seconds| seconds * 1_000).collect();
    histogram(out, "task_duration_seconds", "From creation to end of the tasks that ended.", tasks)
}

/// A histogram in seconds of durations in milliseconds.
fn histogram(out: &mut String, name: &str, help: &str, took: Vec<i64>) -> fmt::Result {
    head(out, name, "histogram", help)?;
    for bound in BUCKETS {
        let count = took.iter().filter(|&&millis| millis <= bound * 1_000).count();
        writeln!(out, r#"vod_refresh_{name}_bucket{{le="{bound}"}} {count}"#)?;
    }
    writeln!(out, r#"vod_refresh_{name}_bucket{{le="+Inf"}} {}"#, took.len())?;
    writeln!(out, "vod_refresh_{name}_sum {}", took.iter().sum::<i64>() as f64 / 1_000.0)?;
    writeln!(out, "vod_refresh_{name}_count {}", took.len())
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP vod_refresh_{name} {help}\n# TYPE vod_refresh_{name} {kind}")
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: impl Display) -> fmt::Result {
    head(out, name, kind, help)?;
    writeln!(out, "vod_refresh_{name} {value}")
}

fn unix(time: DateTime<Utc>) -> i64 {
    time.timestamp()
}

/// A label's value. The format knows three escapes and takes everything else as it is.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::sample;
    use super::*;

    fn series(text: &str) -> Vec<&str> {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect()
    }

    #[test]
    fn no_series_stands_twice_and_the_last_line_ends() {
        for report in [sample::complete(1), sample::mixed(45), sample::hostile(), sample::refused()] {
            let text = render(&report);
            let all = series(&text);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{text}");
            assert!(text.ends_with('\n'));
        }
    }

    #[test]
    fn counters_end_with_total_and_every_metric_has_help() {
        let text = render(&sample::mixed(45));
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            let mut words = line.split(' ').skip(2);
            let (name, kind) = (words.next().unwrap(), words.next().unwrap());
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
    }

    #[test]
    fn sums_of_the_run_come_out() {
        let text = render(&sample::mixed(45));
        for line in [
            r#"vod_refresh_media{state="not_found"} 3"#,
            r#"vod_refresh_media{state="forbidden"} 0"#,
            r#"vod_refresh_tasks{status="Failed"} 6"#,
            r#"vod_refresh_api_calls_total{action="RefreshMediaPlayUrls"} 3"#,
            r#"vod_refresh_events_total{result="accepted"} 22"#,
            r#"vod_refresh_api_retries_total{action="GetMediaRefreshJobs"} 1"#,
            r#"vod_refresh_api_throttled_total{action="RefreshMediaPlayUrls"} 0"#,
            r#"vod_refresh_api_throttled_total{action="DescribeVodRefreshTasks"} 2"#,
            r#"vod_refresh_media_accept_duration_seconds_bucket{le="5"} 42"#,
            "vod_refresh_media_complete_duration_seconds_count 39",
            "vod_refresh_run_duration_seconds 242",
            r#"vod_refresh_task_duration_seconds_bucket{le="+Inf"} 101"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn labels_stay_on_their_line() {
        assert_eq!(Label("a\"b\\c\nd").to_string(), "a\\\"b\\\\c\\nd");
        let text = render(&sample::hostile());
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("vod_refresh_")), "{text}");
    }
}
