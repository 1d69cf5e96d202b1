//! JUnit XML: a test case for each media, for the pages on which CI systems show tests.
//!
//! There is no one schema. This keeps to what Jenkins, GitLab and Azure DevOps all read: one suite, its counts, cases
//! with at most one verdict. Media that are still under way count as *skipped* only where nobody meant to wait for them
//! or the suite is red anyway; after a timeout or a stop they are *errors*, or a job that reads nothing but this file
//! would be green.

use std::fmt::{self, Write};

use chrono::TimeDelta;
use vod_refresh::run::{MediaReport, MediaState, Outcome, Report, TaskReport};

use super::escape::escaped;
use super::{remedy, rows};

/// The whole document.
pub(crate) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String never fails.
    let _ = document(&mut out, report);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failure,
    Error,
    Skipped,
}

fn verdict(media: &MediaReport, outcome: Outcome) -> Verdict {
    match (media.state, outcome) {
        (MediaState::Complete, _) => Verdict::Passed,
        (MediaState::Unfinished, Outcome::Submitted | Outcome::Failed | Outcome::Partial) => Verdict::Skipped,
        (MediaState::Unfinished, _) => Verdict::Error,
        _ => Verdict::Failure,
    }
}

fn document(out: &mut String, report: &Report) -> fmt::Result {
    let verdicts: Vec<Verdict> = report.media.iter().map(|media| verdict(media, report.outcome)).collect();
    let count = |wanted| verdicts.iter().filter(|&&v| v == wanted).count();
    // A run that knows no media would be an empty suite, and an empty suite is green.
    let alone = report.media.is_empty() && report.error.is_some();
    let counts = format!(
        r#"tests="{}" failures="{}" errors="{}" time="{}""#,
        verdicts.len() + usize::from(alone),
        count(Verdict::Failure),
        count(Verdict::Error) + usize::from(alone),
        seconds(report.finished_at - report.started_at),
    );
    // The schema of Jenkins knows it at the suite only.
    let skipped = count(Verdict::Skipped);
    // The strictest schema wants no zone; the times are UTC.
    let timestamp = report.started_at.format("%Y-%m-%dT%H:%M:%S");
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="vod-refresh" {counts}>"#)?;
    writeln!(out, r#"<testsuite name="vod-refresh" {counts} skipped="{skipped}" timestamp="{timestamp}">"#)?;
    writeln!(out, "  <properties>")?;
    property(out, "run_id", report.run_id.as_str())?;
    property(out, "outcome", report.outcome.as_str())?;
    property(out, "started_at", &report.started_at.format("%Y-%m-%dT%H:%M:%SZ").to_string())?;
    property(out, "finished_at", &report.finished_at.format("%Y-%m-%dT%H:%M:%SZ").to_string())?;
    if let Some(extend) = &report.extend {
        property(out, "extend", extend)?;
    }
    writeln!(out, "  </properties>")?;
    for (media, verdict) in report.media.iter().zip(verdicts) {
        case(out, report, media, verdict)?;
    }
    if let Some(error) = &report.error {
        let (code, message) = (escaped(&error.code), escaped(&error.message));
        let advice = escaped(remedy::for_error(error));
        if alone {
            writeln!(out, r#"  <testcase classname="{}" name="run" time="0.000">"#, rows::task_type(report))?;
            writeln!(out, r#"    <error type="{code}" message="{message}">{advice}</error>"#)?;
            writeln!(out, "  </testcase>")?;
        } else {
            writeln!(out, "  <system-err>{code}: {message}\n{advice}</system-err>")?;
        }
    }
    writeln!(out, "</testsuite>\n</testsuites>")
}

fn property(out: &mut String, name: &str, value: &str) -> fmt::Result {
    writeln!(out, r#"    <property name="{name}" value="{}"/>"#, escaped(value))
}

fn case(out: &mut String, report: &Report, media: &MediaReport, verdict: Verdict) -> fmt::Result {
    let name = rows::media_name(media);
    // From its submission; of jobs of others nobody told us when that was.
    let first = media.submitted_at.or_else(|| media.tasks.iter().filter_map(|task| task.created_at).min());
    let last = media.tasks.iter().filter_map(|task| task.ended_at).max();
    let took = first.zip(last).map_or(TimeDelta::zero(), |(first, last)| last - first);
    write!(
        out,
        r#"  <testcase classname="{}" name="{}" time="{}""#,
        rows::task_type(report),
        escaped(name),
        seconds(took)
    )?;
    if verdict == Verdict::Passed && media.note.is_none() {
        return writeln!(out, "/>");
    }
    writeln!(out, ">")?;
    match verdict {
        Verdict::Passed => {}
        Verdict::Failure => failure(out, media)?,
        Verdict::Skipped => {
            writeln!(
                out,
                r#"    <skipped message="unfinished, the run ended as {}"/>"#,
                report.outcome.as_str()
            )?;
        }
        Verdict::Error => {
            let outcome = report.outcome.as_str();
            write!(out, r#"    <error type="{outcome}" message="unfinished, the run ended as {outcome}">"#)?;
            urls(out, media, |task| !rows::has_ended(task))?;
            writeln!(out, "</error>")?;
        }
    }
    if let Some(note) = &media.note {
        writeln!(out, "    <system-out>{}</system-out>", escaped(note))?;
    }
    writeln!(out, "  </testcase>")
}

fn failure(out: &mut String, media: &MediaReport) -> fmt::Result {
    let (code, message) = match &media.error {
        Some(error) => (error.code.as_str(), error.message.as_str()),
        None => (media.state.as_str(), "no reason was given"),
    };
    write!(out, r#"    <failure type="{}" message="{}">"#, escaped(code), escaped(message))?;
    writeln!(out, "{}: {}", media.state.as_str(), escaped(remedy::for_media(media)))?;
    if let Some(id) = media.error.as_ref().and_then(|error| error.request_id.as_ref()) {
        writeln!(out, "request id {}", escaped(id.as_str()))?;
    }
    urls(out, media, rows::has_failed)?;
    writeln!(out, "</failure>")
}

/// A line for each URL that is meant, with the CDN's word on it.
fn urls(out: &mut String, media: &MediaReport, is_meant: impl Fn(&TaskReport) -> bool) -> fmt::Result {
    for task in media.tasks.iter().filter(|task| is_meant(task)) {
        let status = task.status.as_ref().map_or("not seen yet", |status| status.as_str());
        let url = task.url.as_deref().unwrap_or("(URL not known)");
        let task_id = escaped(task.task_id.as_str());
        write!(out, "{} {}% {} (task {task_id})", escaped(status), task.progress, escaped(url))?;
        match &task.description {
            Some(description) => writeln!(out, ": {}", escaped(description))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// Never negative: the two ends may come from clocks that differ.
fn seconds(span: TimeDelta) -> String {
    format!("{:.3}", span.num_milliseconds().max(0) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::super::sample;
    use super::*;

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
