//! The command that carries on where a run stopped.

use std::collections::HashSet;
use std::time::Duration;

use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::run::{MediaReport, MediaState};
use vod_refresh::{LookupAfter, Outcome, Report, RunOptions};

use crate::args::connection::ConnectionArgs;
use crate::kept::Kept;
use crate::span;
use crate::words::{count, count_of_past, shell_line};

/// What is needed to carry on.
pub(crate) struct Way<'a> {
    pub(crate) connection: &'a ConnectionArgs,
    /// How long it waited, at most.
    pub(crate) timeout: Duration,
    /// How long `resume` waits unless it is told otherwise.
    pub(crate) own_timeout: Duration,
    pub(crate) poll_interval: Option<Duration>,
    /// Whether it was to make no lookups.
    pub(crate) no_lookups: bool,
    pub(crate) kept: Option<&'a Kept>,
    /// What `resume` must be told again.
    pub(crate) again: &'a [String],
}

impl<'a> Way<'a> {
    /// That of a run which was begun with `options`.
    pub(crate) fn of(connection: &'a ConnectionArgs, options: &RunOptions, kept: Option<&'a Kept>) -> Self {
        Self {
            connection,
            timeout: options.timeout,
            own_timeout: options.timeout,
            poll_interval: options.poll_interval,
            no_lookups: options.lookup_after == Some(LookupAfter::Never),
            kept,
            again: &[],
        }
    }
}

/// The report's code for media of a batch whose answer was lost.
pub(crate) const OUTCOME_UNKNOWN: &str = "OutcomeUnknown";

/// The command to type next.
pub(crate) struct Next {
    /// What it is for, as `to carry on:`.
    pub(crate) aim: &'static str,
    pub(crate) command: String,
    /// Whether it finds the run in the journal.
    pub(crate) is_resume: bool,
}

/// The command that carries `report`'s run on, if there is something to carry on.
pub(crate) fn next(report: &Report, way: &Way<'_>) -> Option<Next> {
    if let Some(kept) = way.kept.filter(|_| report.resumable) {
        return Some(Next { aim: "to carry on:", command: resume(report, way, kept), is_resume: true });
    }
    let jobs = unfinished_jobs(report);
    let command = (!jobs.is_empty()).then(|| wait(report, &jobs, way))?;
    Some(Next { aim: "to wait for the rest:", command, is_resume: false })
}

/// What to say at the end of a run that leaves work behind; nothing if it does not.
pub(crate) fn lines(report: &Report, next: Option<&Next>, way: &Way<'_>) -> Vec<String> {
    let early = matches!(
        report.outcome,
        Outcome::Timeout
            | Outcome::Interrupted
            | Outcome::Refused
            | Outcome::Unavailable
            | Outcome::Submitted
    );
    if !early && !report.resumable && report.summary.media_unfinished == 0 {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if let Some(Next { aim, command, is_resume }) = next {
        let quiet = matches!(report.outcome, Outcome::Submitted | Outcome::Unfinished)
            || unfinished_jobs(report).is_empty();
        lines.push(if quiet { (*aim).to_owned() } else { format!("remote work goes on; {aim}") });
        lines.push(format!("  {command}"));
        let silent = report.media.iter().filter(|media| is_silent(media)).count() as u64;
        if *is_resume && way.no_lookups && silent > 0 {
            let media = count(silent, "media");
            lines.push(format!(
                "no event has told of {media}: with `--lookup-after 0s` it asks the service for them"
            ));
        }
    }
    let (unknown, never): (Vec<_>, Vec<_>) = report
        .media
        .iter()
        .filter(|media| media.state == MediaState::NotSubmitted)
        .partition(|media| is_unknown(media));
    if !unknown.is_empty() {
        let media = count_of_past(unknown.len() as u64, "media");
        lines.push(format!("nobody knows whether {media} submitted: to be sure, run the same command again"));
    }
    match never.len() {
        0 => {}
        n if n == report.media.len() => lines.push("nothing was submitted".to_owned()),
        n => {
            let media = count_of_past(n as u64, "media");
            lines.push(format!("{media} not submitted: run the same command again for the rest"));
        }
    }
    lines
}

fn is_unknown(media: &MediaReport) -> bool {
    media.error.as_ref().is_some_and(|error| error.code == OUTCOME_UNKNOWN)
}

/// Whether nothing told which tasks it has.
fn is_silent(media: &MediaReport) -> bool {
    media.state == MediaState::Unfinished && media.job_id.is_some() && media.tasks.is_empty()
}

fn unfinished_jobs(report: &Report) -> Vec<&str> {
    let mut seen = HashSet::new();
    report
        .media
        .iter()
        .filter(|media| media.state == MediaState::Unfinished)
        .filter_map(|media| media.job_id.as_ref().map(|job| job.as_str()))
        .filter(|job| seen.insert(*job))
        .collect()
}

/// How long the next one should wait. A time that was too short would be so again: then the default, if that is longer.
fn next_timeout(report: &Report, way: &Way<'_>) -> Duration {
    let is_over = match report.outcome {
        Outcome::Timeout => true,
        // The journal does not know why a run stopped, but since when it should have.
        Outcome::Unfinished => {
            (SystemClock.now() - report.started_at).to_std().is_ok_and(|age| age >= way.timeout)
        }
        _ => false,
    };
    if is_over { way.timeout.max(RunOptions::default().timeout) } else { way.timeout }
}

/// `vod-refresh resume …`; the journal knows the rest.
fn resume(report: &Report, way: &Way<'_>, kept: &Kept) -> String {
    let mut words = ["vod-refresh", "resume", report.run_id.as_str()].map(str::to_owned).to_vec();
    let timeout = next_timeout(report, way);
    if timeout != way.own_timeout {
        words.extend(["--timeout".to_owned(), span::written(timeout)]);
    }
    words.extend(kept.words());
    words.extend(way.again.iter().cloned());
    shell_line(words)
}

/// `vod-refresh wait …`, with the options that lead to the same service.
fn wait(report: &Report, jobs: &[&str], way: &Way<'_>) -> String {
    let mut words = vec!["vod-refresh".to_owned(), "wait".to_owned()];
    // An id that begins with a dash would be read as an option.
    let dashed = jobs.iter().any(|job| job.starts_with('-'));
    let options = {
        let mut options = way.connection.words();
        let mut put = |name: &str, value: Option<Duration>| {
            if let Some(value) = value {
                options.extend([name.to_owned(), span::written(value)]);
            }
        };
        let timeout = next_timeout(report, way);
        put("--timeout", Some(timeout).filter(|timeout| *timeout != RunOptions::default().timeout));
        put("--poll-interval", way.poll_interval);
        options
    };
    let jobs = jobs.iter().map(|job| (*job).to_owned());
    if dashed {
        words.extend(options);
        words.push("--".to_owned());
        words.extend(jobs);
    } else {
        words.extend(jobs);
        words.extend(options);
    }
    shell_line(words)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::args::{Cli, Command};

    fn lines_for(arguments: &[&str], media: serde_json::Value, outcome: &str) -> Vec<String> {
        let Command::Refresh(args) = Cli::try_parse_from(arguments).unwrap().command else { panic!() };
        let summary = json!({"media": 0, "media_complete": 0, "media_failed": 0, "media_unfinished": 0, "tasks": 0,
            "tasks_complete": 0, "tasks_failed": 0, "tasks_unfinished": 0, "api_calls": {}, "retries": 0,
            "events_accepted": 0, "events_rejected": 0, "events_repeated": 0, "events_foreign": 0});
        let report = serde_json::from_value(json!({"schema": 1, "run_id": "r1", "task_type": null,
            "outcome": outcome, "started_at": "2026-11-25T01:19:10Z", "finished_at": "2026-11-25T01:19:22Z",
            "extend": null, "summary": summary, "error": null, "media": media}))
        .unwrap();
        let run = args.run.waiting.over(RunOptions::default());
        let way = Way::of(&args.run.connection, &run, None);
        lines(&report, next(&report, &way).as_ref(), &way)
    }

    fn media(id: &str, job: Option<&str>, state: &str) -> serde_json::Value {
        json!({"media_id": id, "job_id": job, "state": state, "confirmed_by": null, "error": null, "tasks": []})
    }

    #[test]
    fn the_command_names_each_open_job_once_and_the_given_options() {
        let arguments = [
            "vod-refresh",
            "refresh",
            "m1",
            "--endpoint",
            "http://127.0.0.1:80",
            "--timeout",
            "90m",
            "--allow-http",
            "--ca-file",
            "/etc/my ca.pem",
            "--signature-version",
            "v3",
            "--max-rps",
            "5",
            "--extend",
            "not this",
        ];
        let list = json!([
            media("m1", Some("J1"), "complete"),
            media("m2", Some("J2"), "unfinished"),
            media("m3", Some("J2"), "unfinished"),
            media("m4", Some("J3"), "unfinished"),
            media("m5", None, "not_submitted"),
        ]);
        assert_eq!(
            lines_for(&arguments, list, "timeout"),
            [
                "remote work goes on; to wait for the rest:",
                "  vod-refresh wait J2 J3 --endpoint http://127.0.0.1:80 --signature-version v3 --max-rps 5 \
                 --ca-file '/etc/my ca.pem' --allow-http --timeout 1h30m",
                "1 media was not submitted: run the same command again for the rest",
            ]
        );
    }

    #[test]
    fn the_command_can_be_run() {
        let list = json!([media("m2", Some("-J2"), "unfinished")]);
        let lines =
            lines_for(&["vod-refresh", "refresh", "m1", "--region", "cn-beijing"], list, "interrupted");
        assert_eq!(lines[1], "  vod-refresh wait --region cn-beijing -- -J2");
        assert!(Cli::try_parse_from(lines[1].split_whitespace()).is_ok());
    }

    #[test]
    fn a_time_that_was_too_short_is_not_offered_again() {
        let command = |timeout, outcome| {
            let list = json!([media("m1", Some("J1"), "unfinished")]);
            lines_for(&["vod-refresh", "refresh", "m1", "--timeout", timeout], list, outcome).remove(1)
        };
        assert_eq!(command("90s", "timeout"), "  vod-refresh wait J1");
        assert_eq!(command("90s", "interrupted"), "  vod-refresh wait J1 --timeout 1m30s");
        assert_eq!(command("2h", "timeout"), "  vod-refresh wait J1 --timeout 2h");
    }

    #[test]
    fn a_lost_answer_is_not_called_nothing() {
        let mut lost = media("m1", None, "not_submitted");
        lost["error"] = json!({"code": OUTCOME_UNKNOWN, "message": "lost"});
        let lines = lines_for(&["vod-refresh", "refresh", "m1"], json!([lost]), "interrupted");
        assert_eq!(
            lines,
            ["nobody knows whether 1 media was submitted: to be sure, run the same command again"]
        );
    }

    #[test]
    fn a_finished_run_has_nothing_to_resume() {
        assert!(lines_for(&["vod-refresh", "refresh", "m1"], json!([]), "complete").is_empty());
    }
}
