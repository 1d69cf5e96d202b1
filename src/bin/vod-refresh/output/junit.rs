//! JUnit XML: a test case for each media, for the pages on which CI systems show tests.
//!
//! There is no one schema. This keeps to what Jenkins, GitLab and Azure DevOps all read: one suite, its counts, cases
//! with at most one verdict. Media that are still under way count as *skipped* only where the run was not to wait for them
//! or the suite is red anyway; after a timeout or a stop they are *errors*, or a job that reads nothing but this file
//! would be green.

use chrono::{DateTime, TimeDelta, Utc};
use vod_refresh::{Outcome, Report};

use super::markup::escape;
use super::report_view::{MediaView, Rank, ReportView, TaskView};
use crate::advice;

/// Returns the whole document.
pub(crate) fn render(view: &ReportView<'_>) -> String {
    let report = view.report;
    let mut cases: Vec<(&str, String)> = view.media.iter().map(|media| case(view, media)).collect();
    let mut trouble = String::new();
    if let Some(error) = &report.error {
        let (code, message) = (escape(&error.code), escape(&error.message));
        let advice = escape(advice::for_error(error));
        if cases.is_empty() {
            // A run that knows no media would be an empty suite, and an empty suite is green.
            let error = format!("    <error type=\"{code}\" message=\"{message}\">{advice}</error>\n");
            cases.push(("error", testcase(view, "run", TimeDelta::zero(), &error)));
        } else {
            trouble = format!("  <system-err>{code}: {message}\n{advice}</system-err>\n");
        }
    }
    let count = |wanted| cases.iter().filter(|(result, _)| *result == wanted).count();
    let counts = format!(
        r#"tests="{}" failures="{}" errors="{}" time="{}""#,
        cases.len(),
        count("failure"),
        count("error"),
        seconds(report.finished_at - report.started_at),
    );
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="vod-refresh" {counts}>
<testsuite name="vod-refresh" {counts} skipped="{skipped}" timestamp="{timestamp}">
{properties}{cases}{trouble}</testsuite>
</testsuites>
"#,
        // The schema of Jenkins knows it at the suite only.
        skipped = count("skipped"),
        // The strictest schema wants no zone; the times are UTC.
        timestamp = report.started_at.format("%Y-%m-%dT%H:%M:%S"),
        properties = properties(report),
        cases = cases.iter().map(|(_, case)| case.as_str()).collect::<String>(),
    )
}

fn properties(report: &Report) -> String {
    let time = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let properties = [
        ("run_id", Some(report.run_id.to_string())),
        ("outcome", Some(report.outcome.as_str().to_owned())),
        ("started_at", Some(time(report.started_at))),
        ("finished_at", Some(time(report.finished_at))),
        ("extend", report.extend.clone()),
    ];
    let line = |(name, value): (&str, Option<String>)| {
        Some(format!("    <property name=\"{name}\" value=\"{}\"/>\n", escape(&value?)))
    };
    let lines: String = properties.into_iter().filter_map(line).collect();
    format!("  <properties>\n{lines}  </properties>\n")
}

/// Returns the result of a media in one word, and its test case.
fn case(view: &ReportView<'_>, media: &MediaView<'_>) -> (&'static str, String) {
    let outcome = view.report.outcome.as_str();
    let (result, element) = match (media.rank, view.report.outcome) {
        (Rank::Complete, _) => ("passed", String::new()),
        (Rank::Failed, _) => ("failure", failure(media)),
        (Rank::Unfinished, Outcome::Submitted | Outcome::Failed | Outcome::Partial) => {
            ("skipped", format!("    <skipped message=\"unfinished, the run ended as {outcome}\"/>\n"))
        }
        (Rank::Unfinished, _) => {
            let urls = urls(media);
            let message = format!("unfinished, the run ended as {outcome}");
            ("error", format!("    <error type=\"{outcome}\" message=\"{message}\">{urls}</error>\n"))
        }
    };
    let note = media.report.note.as_deref().map(escape);
    let note = note.map(|note| format!("    <system-out>{note}</system-out>\n")).unwrap_or_default();
    // From submission; of a foreign job that is not known, so from the first task.
    let tasks = &media.report.tasks;
    let first = media.report.submitted_at.or_else(|| tasks.iter().filter_map(|task| task.created_at).min());
    let last = tasks.iter().filter_map(|task| task.ended_at).max();
    let took = first.zip(last).map_or(TimeDelta::zero(), |(first, last)| last - first);
    (result, testcase(view, media.name(), took, &(element + &note)))
}

fn testcase(view: &ReportView<'_>, name: &str, took: TimeDelta, content: &str) -> String {
    let (class, name, took) = (view.task_type(), escape(name), seconds(took));
    let head = format!(r#"  <testcase classname="{class}" name="{name}" time="{took}""#);
    match content {
        "" => format!("{head}/>\n"),
        content => format!("{head}>\n{content}  </testcase>\n"),
    }
}

fn failure(media: &MediaView<'_>) -> String {
    let (state, error) = (media.report.state.as_str(), media.report.error.as_ref());
    let (code, message) =
        error.map_or((state, "no reason was given"), |error| (error.code.as_str(), error.message.as_str()));
    let id = error.and_then(|error| error.request_id.as_ref()).map(|id| escape(id.as_str()));
    format!(
        "    <failure type=\"{}\" message=\"{}\">{state}: {}\n{}{}</failure>\n",
        escape(code),
        escape(message),
        escape(media.advice()),
        id.map(|id| format!("request id {id}\n")).unwrap_or_default(),
        urls(media)
    )
}

/// A line for each URL that failed or is unfinished, with the CDN's word on it.
fn urls(media: &MediaView<'_>) -> String {
    let line = |task: &TaskView<'_>| {
        let description = task.report.description.as_deref();
        format!(
            "{} {}% {} (task {}){}\n",
            escape(&task.status()),
            task.report.progress,
            escape(task.report.url.as_deref().unwrap_or("(URL not known)")),
            escape(task.report.task_id.as_str()),
            description.map(|text| format!(": {}", escape(text))).unwrap_or_default()
        )
    };
    media.decisive_tasks().map(line).collect()
}

/// Never negative: the two ends may come from clocks that differ.
fn seconds(span: TimeDelta) -> String {
    format!("{:.3}", span.num_milliseconds().max(0) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::super::tests::sample;
    use super::*;

    fn render(report: &Report) -> String {
        super::render(&ReportView::new(report, &report.entries()))
    }

    /// How often each element begins; a real parser checks that all of them end.
    fn elements(xml: &str, name: &str) -> usize {
        let mut reader = Reader::from_str(xml);
        let mut count = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => return count,
                Event::Start(e) | Event::Empty(e) => {
                    assert!(e.attributes().all(|a| a.is_ok()));
                    count += usize::from(e.name().as_ref() == name);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_media_is_a_case_and_the_counts_agree() {
        let xml = render(&sample::mixed(45));
        assert_eq!(elements(&xml, "testcase"), 45);
        assert_eq!(elements(&xml, "failure"), 9);
        assert_eq!(elements(&xml, "error"), 3);
        assert!(xml.contains(
            r#"<testsuite name="vod-refresh" tests="45" failures="9" errors="3" time="242.000" skipped="0""#
        ));
    }

    #[test]
    fn failing_urls_stand_in_the_text() {
        let xml = render(&sample::mixed(15));
        assert!(xml.contains("Failed 40% https://vod.example.com/"), "{xml}");
        assert!(xml.contains(": Origin Timeout"));
        assert!(xml.contains(r#"type="NonExistMediaId""#));
    }

    #[test]
    fn unfinished_is_skipped_only_where_nobody_meant_to_wait() {
        let mut report = sample::mixed(15);
        report.outcome = Outcome::Submitted;
        assert_eq!(elements(&render(&report), "skipped"), 1);
        for outcome in [Outcome::Timeout, Outcome::Interrupted, Outcome::Unavailable] {
            report.outcome = outcome;
            assert_eq!(elements(&render(&report), "error"), 1, "{outcome:?}");
        }
    }

    #[test]
    fn a_run_without_media_is_not_green() {
        let xml = render(&sample::refused());
        assert!(xml.contains(r#"tests="1" failures="0" errors="1""#), "{xml}");
        assert_eq!(elements(&xml, "error"), 1);
    }

    #[test]
    fn markup_in_texts_adds_no_element() {
        let xml = render(&sample::hostile());
        for name in ["script", "b", "i", "t"] {
            assert_eq!(elements(&xml, name), 0, "{name}");
        }
        assert_eq!(elements(&xml, "testcase"), 1);
        assert!(!xml.contains('\0') && !xml.contains('\u{1b}'));
    }
}
