//! The command to type next where a run leaves work behind, and the closing lines that show it.

mod left_open;

use std::collections::BTreeSet;
use std::time::Duration;

use vod_refresh::ids::is_masked_address;
use vod_refresh::journal::{Order, StoredRun};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::run::code::FORGOTTEN;
use vod_refresh::run::{MediaReport, MediaState};
use vod_refresh::{ErrorKind, LookupAfter, Outcome, Report, RunOptions, WaitRequest};

use self::left_open::{has_unknown_tasks, is_unknown, is_unpreloaded, media_of, unfinished_jobs};
use crate::advice::hint;
use crate::duration;
use crate::formatting::{count, count_was, first_of, shell_line};
use crate::journal_handle::JournalHandle;
use crate::settings::{Settings, arguments};

/// A command that names more media than this is no line to read.
const MOST_NAMED: usize = 20;

/// Most tasks that a line names.
const MOST_TASKS: usize = 5;

/// The command to type next.
pub(crate) struct NextCommand {
    /// What it is for, as `to carry on:`.
    pub(crate) aim: &'static str,
    pub(crate) command: String,
    /// Whether it finds the run in the journal.
    pub(crate) is_resume: bool,
}

/// What must be known of a run, beside its report, to carry it on.
pub(crate) struct ResumeContext {
    pub(crate) settings: Settings,
    /// How it waits.
    pub(crate) options: RunOptions,
    /// How long `resume` waits without `--timeout`.
    pub(crate) own_timeout: Duration,
    pub(crate) journal: Option<JournalHandle>,
    /// What the run waits for, where somebody else submitted it.
    pub(crate) awaited: Option<WaitRequest>,
    /// Options that `resume` must be given again, since the journal does not know them.
    pub(crate) repeated: Vec<String>,
}

impl ResumeContext {
    /// That of a run in this journal, which is carried on or asked about with these settings.
    pub(crate) fn of_stored(run: &StoredRun, journal: JournalHandle, settings: Settings) -> Self {
        let awaited = match &run.record.order {
            Order::Wait(request) => Some(request.clone()),
            _ => None,
        };
        let options = run.record.options.clone();
        let (own_timeout, repeated) = (options.timeout, settings.not_kept());
        Self { settings, options, own_timeout, journal: Some(journal), awaited, repeated }
    }

    /// The command that carries `report`'s run on, if there is something to carry on.
    pub(crate) fn next(&self, report: &Report) -> Option<NextCommand> {
        if let Some(journal) = self.journal.as_ref().filter(|_| report.resumable) {
            let command = self.resume(report, journal);
            return Some(NextCommand { aim: "to carry on:", command, is_resume: true });
        }
        let jobs = self.open_jobs(report);
        let is_forgotten = report.error.as_ref().is_some_and(|error| error.code == FORGOTTEN);
        if jobs.is_empty() || is_forgotten {
            return None;
        }
        let command = self.wait(report, &jobs);
        Some(NextCommand { aim: "to wait for the rest:", command, is_resume: false })
    }

    /// `vod-refresh resume …`; the journal knows the rest.
    fn resume(&self, report: &Report, journal: &JournalHandle) -> String {
        let mut line = ["vod-refresh", "resume", report.run_id.as_str()].map(str::to_owned).to_vec();
        let timeout = self.next_timeout(report);
        if timeout != self.own_timeout {
            line.extend(["--timeout".to_owned(), duration::format(timeout)]);
        }
        line.extend(journal.arguments());
        line.extend_from_slice(&self.repeated);
        shell_line(line)
    }

    /// `vod-refresh wait …`, with the options that lead to the same service and what is known of the media.
    fn wait(&self, report: &Report, jobs: &[&str]) -> String {
        let mut options = match &self.awaited {
            Some(request) => {
                let media: Vec<_> = request.media.iter().map(|id| id.as_str()).collect();
                media_options(&media, request.expect)
            }
            None => media_options(&media_of(report, jobs), None),
        };
        options.extend(arguments(&self.settings.connection));
        options.extend(self.settings.edge.arguments());
        let timeout = self.next_timeout(report);
        if timeout != RunOptions::default().timeout {
            options.extend(["--timeout".to_owned(), duration::format(timeout)]);
        }
        if let Some(interval) = self.options.poll_interval {
            options.extend(["--poll-interval".to_owned(), duration::format(interval)]);
        }
        let jobs: Vec<String> = jobs.iter().map(|job| (*job).to_owned()).collect();
        let mut line = vec!["vod-refresh".to_owned(), "wait".to_owned()];
        // An id that begins with a dash would be read as an option.
        if jobs.iter().any(|job| job.starts_with('-')) {
            line.extend(options.into_iter().chain(["--".to_owned()]).chain(jobs));
        } else {
            line.extend(jobs.into_iter().chain(options));
        }
        shell_line(line)
    }

    /// How long the next one should wait. A time that was too short would be so again: then the default, if that is
    /// longer.
    fn next_timeout(&self, report: &Report) -> Duration {
        let timeout = self.options.timeout;
        let is_over = match report.outcome {
            Outcome::Timeout => true,
            // The journal does not know why a run stopped, but since when it should have.
            Outcome::Unfinished => {
                (SystemClock.now() - report.started_at).to_std().is_ok_and(|age| age >= timeout)
            }
            _ => false,
        };
        if is_over { timeout.max(RunOptions::default().timeout) } else { timeout }
    }

    /// The jobs to wait for.
    fn open_jobs<'r>(&'r self, report: &'r Report) -> Vec<&'r str> {
        let unfinished = unfinished_jobs(report);
        let Some(request) = &self.awaited else { return unfinished };
        let is_bare = request.media.is_empty() && request.expect.is_none();
        // Even where all media that were shown have ended, others may not have been shown.
        let was_cut_short = was_cut_short(report.outcome);
        if unfinished.is_empty() && !was_cut_short || is_bare && !unfinished.is_empty() {
            return unfinished;
        }
        // What was said of the media is true of all jobs together, and of no part of them.
        request.jobs.iter().map(|id| id.as_str()).collect()
    }

    /// What to say at the end of a run that leaves work behind; nothing if it does not.
    pub(crate) fn closing_lines(&self, report: &Report, next: Option<&NextCommand>) -> Vec<String> {
        let mut lines = Vec::from_iter(unshown_tasks(report));
        lines.extend(self.how_to_carry_on(report, next));
        lines.extend(what_was_not_submitted(report));
        lines
    }

    fn how_to_carry_on(&self, report: &Report, next: Option<&NextCommand>) -> Vec<String> {
        let entries = report.entries();
        let is_open = |entry: &&MediaReport| entry.state == MediaState::Unfinished && !is_unknown(entry);
        let unfinished = entries.iter().filter(is_open).count();
        let Some(NextCommand { aim, command, is_resume }) = next else {
            let is_lost = !report.urls.is_empty() && unfinished > 0;
            let advice =
                "remote work goes on; without its journal nothing can follow it: run the same command again";
            return Vec::from_iter(is_lost.then(|| advice.to_owned()));
        };
        let early = was_cut_short(report.outcome) || report.outcome == Outcome::Submitted;
        if !early && !report.resumable && unfinished == 0 {
            return Vec::new();
        }
        let quiet = matches!(report.outcome, Outcome::Submitted | Outcome::Unfinished)
            || unfinished_jobs(report).is_empty();
        let aim = if quiet { (*aim).to_owned() } else { format!("remote work goes on; {aim}") };
        let mut lines = vec![aim, format!("  {command}")];
        if is_masked_address(command) {
            lines.push("put in what stands for `<secret>`: the journal does not keep it".to_owned());
        }
        if *is_resume && self.journal.as_ref().is_some_and(JournalHandle::lacks_password) {
            lines.push("give the password of the journal's database in PGPASSWORD".to_owned());
        }
        let no_lookups = self.options.lookup_after == Some(LookupAfter::Never);
        let silent = report.media.iter().filter(|media| has_unknown_tasks(media)).count() as u64;
        if *is_resume && no_lookups && silent > 0 {
            let media = count(silent, "media");
            lines.push(format!(
                "no event has told of {media}: with `--lookup-after 0s` it asks the service for them"
            ));
        }
        lines
    }
}

/// Tasks that were named and never shown, of a run that ran out of time: nothing else may have kept it from its end.
fn unshown_tasks(report: &Report) -> Option<String> {
    let entries = report.entries();
    let open = entries.iter().filter(|entry| entry.state == MediaState::Unfinished);
    let unshown = open.flat_map(|entry| &entry.tasks).filter(|task| task.status.is_none());
    let ids: BTreeSet<&str> = unshown.map(|task| task.task_id.as_str()).collect();
    (report.outcome == Outcome::Timeout && !ids.is_empty()).then(|| {
        let (tasks, first) = (count(ids.len() as u64, "task"), first_of(ids.iter().copied(), MOST_TASKS));
        format!("the service showed nothing of {tasks}: {first}")
    })
}

/// What is to be done about media and URLs that were not submitted. Why they were not stands above, as the error of the run or as
/// a warning.
fn what_was_not_submitted(report: &Report) -> Vec<String> {
    let entries = report.entries();
    let unknown = entries.iter().filter(|media| is_unknown(media)).count() as u64;
    let unsent = entries.iter().filter(|entry| entry.state == MediaState::NotSubmitted);
    let (unpreloaded, never): (Vec<&MediaReport>, Vec<_>) =
        unsent.partition(|media| is_unpreloaded(report, media));
    let mut lines = Vec::new();
    let unpreloaded_in_all = entries.iter().filter(|media| is_unpreloaded(report, media)).count() as u64;
    if unpreloaded_in_all > 0 && !report.resumable {
        let media = count(unpreloaded_in_all, "media");
        lines.push(format!("{media} not preloaded: `vod-refresh preload` does it once they are refreshed"));
        lines.extend(hints(&unpreloaded));
    }
    if unknown > 0 {
        let media = count_was(unknown, report.noun());
        lines.push(format!("nobody knows whether {media} submitted: to be sure, run the same command again"));
    }
    if never.len() == entries.len() && !never.is_empty() {
        lines.push("nothing was submitted".to_owned());
    } else if !never.is_empty() {
        let media = count_was(never.len() as u64, report.noun());
        lines.push(format!("{media} not submitted: give these alone to the next run"));
        lines.extend(hints(&never));
    }
    lines
}

/// What can be done about the errors of these media, each hint once.
fn hints(media: &[&MediaReport]) -> Vec<String> {
    let errors = media.iter().filter_map(|media| media.error.as_ref());
    let mut hints: Vec<String> = Vec::new();
    for hint in errors.filter_map(|error| hint(ErrorKind::Rejected, &error.code)) {
        let line = format!("  hint: {hint}");
        if !hints.contains(&line) {
            hints.push(line);
        }
    }
    hints
}

/// Whether the run ended before its work did.
fn was_cut_short(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Timeout | Outcome::Interrupted | Outcome::Refused | Outcome::Unavailable)
}

/// Names the media, or says how many there are where they are many.
fn media_options(media: &[&str], expect: Option<u32>) -> Vec<String> {
    let (named, expect) = match media.len() {
        0..=MOST_NAMED => (media, expect),
        count => (&[][..], expect.or(u32::try_from(count).ok())),
    };
    // As one word: an id may begin with a dash.
    let named = named.iter().flat_map(|id| match id.starts_with('-') {
        true => vec![format!("--media={id}")],
        false => vec!["--media".to_owned(), (*id).to_owned()],
    });
    named.chain(expect.into_iter().flat_map(|count| ["--expect".to_owned(), count.to_string()])).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use vod_refresh::run::code::OUTCOME_UNKNOWN;

    use super::*;
    use crate::args::shared::RunArgs;
    use crate::args::{Cli, Command};

    fn lines_for(arguments: &[&str], media: serde_json::Value, outcome: &str) -> Vec<String> {
        let Command::Refresh(args) = Cli::try_parse_from(arguments).unwrap().command else { panic!() };
        lines_of(&args.media.run, None, media, outcome)
    }

    fn lines_of(
        run: &RunArgs,
        awaited: Option<&WaitRequest>,
        media: serde_json::Value,
        outcome: &str,
    ) -> Vec<String> {
        let summary = json!({"media": 0, "media_complete": 0, "media_failed": 0, "media_unfinished": 0, "tasks": 0,
            "tasks_complete": 0, "tasks_failed": 0, "tasks_unfinished": 0, "api_calls": {}, "retries": 0,
            "events_accepted": 0, "events_rejected": 0, "events_repeated": 0, "events_foreign": 0});
        let report = serde_json::from_value(json!({"schema": 1, "run_id": "r1", "task_type": null,
            "outcome": outcome, "started_at": "2026-11-25T01:19:10Z", "finished_at": "2026-11-25T01:19:22Z",
            "extend": null, "summary": summary, "error": null, "media": media}))
        .unwrap();
        let options = run.waiting.over(RunOptions::default());
        let context = ResumeContext {
            settings: Settings {
                connection: run.connection.clone(),
                edge: run.edge.clone(),
                ..Settings::default()
            },
            own_timeout: options.timeout,
            options,
            journal: None,
            awaited: awaited.cloned(),
            repeated: Vec::new(),
        };
        context.closing_lines(&report, context.next(&report).as_ref())
    }

    fn media(id: &str, job: Option<&str>, state: &str) -> serde_json::Value {
        json!({"media_id": id, "job_id": job, "state": state, "confirmed_by": null, "error": null, "tasks": []})
    }

    #[test]
    fn the_command_names_each_open_job_once_with_its_media_and_the_given_options() {
        let ca_file = if cfg!(windows) { r"C:\my ca.pem" } else { "/etc/my ca.pem" };
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
            ca_file,
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
            media("ended", Some("J2"), "failed"),
            media("gone", Some("J2"), "not_found"),
            media("kept", Some("J2"), "forbidden"),
            media("-m4", Some("J3"), "unfinished"),
            media("m5", None, "not_submitted"),
        ]);
        assert_eq!(
            lines_for(&arguments, list, "timeout"),
            [
                "remote work goes on; to wait for the rest:",
                &format!(
                    "  vod-refresh wait J2 J3 --media m2 --media m3 --media ended --media=-m4 \
                     --endpoint http://127.0.0.1:80 --signature-version v3 --max-rps 5 \
                     --ca-file '{ca_file}' --allow-http --timeout 1h30m"
                ),
                "1 media was not submitted: give these alone to the next run",
            ]
        );
    }

    #[test]
    fn the_command_can_be_run() {
        let list = json!([media("m2", Some("-J2"), "unfinished")]);
        let lines =
            lines_for(&["vod-refresh", "refresh", "m1", "--region", "cn-beijing"], list, "interrupted");
        assert_eq!(lines[1], "  vod-refresh wait --media m2 --region cn-beijing -- -J2");
        assert!(Cli::try_parse_from(lines[1].split_whitespace()).is_ok());
    }

    #[test]
    fn a_time_that_was_too_short_is_not_offered_again() {
        let command = |timeout, outcome| {
            let list = json!([media("m1", Some("J1"), "unfinished")]);
            lines_for(&["vod-refresh", "refresh", "m1", "--timeout", timeout], list, outcome).remove(1)
        };
        assert_eq!(command("90s", "timeout"), "  vod-refresh wait J1 --media m1");
        assert_eq!(command("90s", "interrupted"), "  vod-refresh wait J1 --media m1 --timeout 1m30s");
        assert_eq!(command("2h", "timeout"), "  vod-refresh wait J1 --media m1 --timeout 2h");
    }

    #[test]
    fn many_media_are_counted_instead_of_named() {
        let list: Vec<_> =
            (0..25).map(|n| media(&format!("m{n}"), Some(["J1", "J2"][n / 20]), "unfinished")).collect();
        let lines = lines_for(&["vod-refresh", "refresh", "m1"], json!(list), "timeout");
        assert_eq!(lines[1], "  vod-refresh wait J1 J2 --expect 25");
        let lines = lines_for(&["vod-refresh", "refresh", "m1"], json!(list[20..]), "timeout");
        assert_eq!(
            lines[1],
            "  vod-refresh wait J2 --media m20 --media m21 --media m22 --media m23 --media m24"
        );
    }

    /// The media of a job of somebody else that were shown need not be all.
    #[test]
    fn a_wait_says_again_what_it_was_told_of_the_media_and_nothing_that_it_saw() {
        let command = |line: &str| {
            let Command::Wait(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else { panic!() };
            let request = crate::commands::refresh::wait_request(&args).unwrap();
            let list = json!([media("m1", Some("J1"), "complete"), media("m2", Some("J2"), "unfinished")]);
            lines_of(&args.run, Some(&request), list, "interrupted").remove(1)
        };
        assert_eq!(command("vod-refresh wait J1 J2"), "  vod-refresh wait J2");
        for told in ["--expect 3", "--media m1 --media m2 --media m3", "--media m1 --media m2 --expect 9"] {
            let line = format!("vod-refresh wait J1 J2 {told}");
            assert_eq!(command(&line), format!("  {line}"));
        }
        let many: Vec<String> = (0..25).map(|n| format!("m{n}")).collect();
        let line = format!("vod-refresh wait J1 J2 --media {}", many.join(","));
        assert_eq!(command(&line), "  vod-refresh wait J1 J2 --expect 25");
    }

    #[test]
    fn a_lost_answer_is_not_called_nothing() {
        let mut lost = media("m1", None, "unfinished");
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
