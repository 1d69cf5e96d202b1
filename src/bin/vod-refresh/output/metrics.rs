//! Prometheus text format, for the node exporter's text file collector or a push gateway.
//!
//! One file describes one run. Label values come from short fixed lists, save the run's id, which stands in one series
//! only: every other value would grow a new series with each run. A status word that we do not know counts as `other`.

use std::collections::BTreeMap;
use std::fmt::Display;

use vod_refresh::EdgeVerdict;
use vod_refresh::run::MediaState;
use vod_refresh::vod::TaskStatus;

use super::report_view::{MediaView, ReportView};

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

/// Returns the whole file.
pub(crate) fn render(view: &ReportView<'_>) -> String {
    let (report, summary) = (view.report, &view.report.summary);
    let mut file = File::default();
    file.head("run_info", "gauge", "The last run and how it ended; always 1.");
    let (run_id, outcome) = (label(report.run_id.as_str()), report.outcome.as_str());
    let labels = format!(r#"{{run_id="{run_id}",task_type="{}",outcome="{outcome}"}}"#, view.task_type());
    file.sample("run_info", &labels, 1);
    let (start, end) = (report.started_at, report.finished_at);
    let took = (end - start).num_milliseconds().max(0) as f64 / 1000.0;
    file.gauge("run_start_timestamp_seconds", "Start of the run, Unix time.", start.timestamp());
    file.gauge("run_end_timestamp_seconds", "End of the run, Unix time.", end.timestamp());
    file.gauge("run_duration_seconds", "How long the run took.", took);

    let count = |state| view.media.iter().filter(|media| media.report.state == state).count() as u64;
    let states = STATES.map(|state| (state.as_str(), count(state)));
    let (name, help) = match report.urls.is_empty() {
        true => ("media", "Media of the run by state."),
        false => ("urls", "URLs of the run by state."),
    };
    file.series(name, help, "state", states);
    let help = "CDN tasks of the run, a URL each, by the service's status.";
    file.series("tasks", help, "status", by_status(view));
    let verdicts = [EdgeVerdict::Fresh, EdgeVerdict::Stale, EdgeVerdict::Absent, EdgeVerdict::Unknown];
    let answers = || view.tasks().flat_map(|task| &task.report.edge);
    if answers().next().is_some() {
        let count = |verdict| answers().filter(|answer| answer.verdict == verdict).count() as u64;
        let help = "Answers of CDN nodes, by what they say of their copy.";
        file.series(
            "edge_answers",
            help,
            "verdict",
            verdicts.map(|verdict| (verdict.as_str(), count(verdict))),
        );
    }
    let help = "From a media's submission until its tasks were named.";
    let millis = view.media.iter().filter_map(MediaView::accepted_after);
    file.histogram("media_accept_duration_seconds", help, millis.collect());
    let help = "From there until the last of its tasks was seen ended.";
    let millis = view.media.iter().filter_map(MediaView::completed_after);
    file.histogram("media_complete_duration_seconds", help, millis.collect());
    let millis = view.tasks().filter_map(|task| Some(task.seconds()? * 1_000));
    let help = "From creation to end of the tasks that ended.";
    file.histogram("task_duration_seconds", help, millis.collect());

    // With a zero for each action that was called, so that a series does not begin with its first trouble.
    let by_action = |counts: &BTreeMap<String, u64>| {
        let actions = summary.api_calls.keys();
        actions.map(|action| (action.as_str(), counts.get(action).copied().unwrap_or(0))).collect::<Vec<_>>()
    };
    let help = "API requests of the run by action, retries included.";
    file.series("api_calls_total", help, "action", by_action(&summary.api_calls));
    let help = "API requests of the run that repeated a failed one, by action.";
    file.series("api_retries_total", help, "action", by_action(&summary.retries_by_action));
    let help = "API answers of the run that asked to slow down, by action.";
    file.series("api_throttled_total", help, "action", by_action(&summary.throttled));
    let events = [
        ("accepted", summary.events_accepted),
        ("rejected", summary.events_rejected),
        ("repeated", summary.events_repeated),
        ("foreign", summary.events_foreign),
    ];
    let help = "Events that the run received, by what became of them.";
    file.series("events_total", help, "result", events);
    file.0
}

/// Counts tasks by all status words that can come, so that a series never vanishes between two runs.
fn by_status(view: &ReportView<'_>) -> BTreeMap<&'static str, u64> {
    let words = ["Pending", "Refreshing", "Complete", "Failed", "other", "unknown"];
    let mut counts = BTreeMap::from(words.map(|word| (word, 0)));
    for task in view.tasks() {
        let word = match &task.report.status {
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

/// The text of the file.
#[derive(Default)]
struct File(String);

impl File {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# HELP vod_refresh_{name} {help}\n# TYPE vod_refresh_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.0 += &format!("vod_refresh_{name}{labels} {value}\n");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, "", value);
    }

    /// A gauge, or a counter as its name says, with a value for each word of one label.
    fn series<'a>(
        &mut self,
        name: &str,
        help: &str,
        key: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.head(name, if name.ends_with("_total") { "counter" } else { "gauge" }, help);
        for (word, value) in values {
            self.sample(name, &format!(r#"{{{key}="{}"}}"#, label(word)), value);
        }
    }

    /// A histogram in seconds of durations in milliseconds.
    fn histogram(&mut self, name: &str, help: &str, took: Vec<i64>) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for bound in BUCKETS {
            let count = took.iter().filter(|&&millis| millis <= bound * 1_000).count();
            self.sample(&bucket, &format!(r#"{{le="{bound}"}}"#), count);
        }
        self.sample(&bucket, r#"{le="+Inf"}"#, took.len());
        self.sample(&format!("{name}_sum"), "", took.iter().sum::<i64>() as f64 / 1_000.0);
        self.sample(&format!("{name}_count"), "", took.len());
    }
}

/// A label's value. The format knows three escapes and takes everything else as it is.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use vod_refresh::Report;

    use super::super::tests::sample;
    use super::*;

    fn render(report: &Report) -> String {
        super::render(&ReportView::new(report, &report.entries()))
    }

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
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        let text = render(&sample::hostile());
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("vod_refresh_")), "{text}");
    }
}
