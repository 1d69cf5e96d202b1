//! What the page promises, read from its text. Its looks are judged by eye.

use vod_refresh::Report;

use super::super::tests::sample;
use super::format::{axis_step, millis, seconds, share};
use super::*;

/// The page without its policy and style.
fn body(report: &Report) -> String {
    let page = render(report);
    page[page.find("<body>").unwrap()..].to_owned()
}

fn render(report: &Report) -> String {
    super::render(&ReportView::new(report, &report.entries()), None)
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let page = render(&sample::complete(3));
    for part in ["<script", "src=", "@import", "url(", "<link rel=\"stylesheet", " style="] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">"));
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
}

#[test]
fn markup_from_outside_stays_text() {
    let page = render(&sample::hostile());
    assert!(
        !page.contains("<script")
            && !page.contains("<b>\"")
            && !page.contains("<i>")
            && !page.contains("<run>")
    );
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("</title></style>").count(), 0);
    assert!(!page.contains(['\0', '\u{1b}', '\u{202e}']));
}

#[test]
fn every_tag_that_opens_closes() {
    for report in
        [sample::complete(1), sample::mixed(45), sample::mixed(500), sample::hostile(), sample::refused()]
    {
        let page = body(&report);
        for tag in
            ["section", "details", "table", "tbody", "ul", "li", "svg", "figure", "dl", "p", "h2", "h3", "g"]
        {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

#[test]
fn links_lead_somewhere_and_ids_are_unique() {
    for report in [sample::complete(1), sample::mixed(45), sample::refused()] {
        let page = body(&report);
        let ids: Vec<&str> =
            page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        for id in &ids {
            assert_eq!(ids.iter().filter(|other| other == &id).count(), 1, "{id}");
        }
        for target in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(ids.contains(&target), "{target}");
        }
    }
}

#[test]
fn failures_come_before_everything_else_with_what_to_do() {
    let page = body(&sample::mixed(45));
    let failed = page.find("id=\"failed\"").unwrap();
    assert!(failed < page.find("id=\"timeline\"").unwrap());
    assert!(page[failed..].contains("NonExistMediaId (3 media)"));
    assert!(page[failed..].contains("TaskFailed, Origin Timeout (6 media)"));
    assert!(page[failed..].contains("Check the origin of the domain"));
}

#[test]
fn pages_of_large_runs_stay_small_and_say_what_they_leave_out() {
    for report in [sample::mixed(5000), sample::failing(2500)] {
        let page = render(&report);
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        assert!(page.contains("more are not"));
        assert!(page.contains("There are too many to draw each"));
        let timeline = &page[page.find("id=\"timeline\"").unwrap()..page.find("id=\"time-spent\"").unwrap()];
        assert!(timeline.matches("<g><title>").count() <= 200);
    }
}

#[test]
fn lengths_and_numbers_read_well() {
    for (duration, text) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (3900, "1h05m"),
        (3661, "1h01m01s"),
        (-3, "0s"),
    ] {
        assert_eq!(seconds(duration), text);
    }
    assert_eq!(
        (grouped(7), grouped(1234), grouped(1_234_567)),
        ("7".into(), "1,234".into(), "1,234,567".into())
    );
}

#[test]
fn shares_are_rounded_and_never_hide_what_is_there() {
    for (part, all, text) in
        [(2, 3, "67%"), (1, 1000, "under 1%"), (0, 5, "0%"), (0, 0, "0%"), (5, 5, "100%")]
    {
        assert_eq!(share(part, all), text);
    }
}

#[test]
fn axis_steps_are_round_and_few() {
    for (span, parts, step) in
        [(1, 5, 1), (60, 5, 15), (331, 5, 120), (3600, 5, 900), (400_000, 5, 86_400), (600_000, 5, 172_800)]
    {
        assert_eq!(axis_step(span, parts), step, "{span}");
    }
}

#[test]
fn a_run_that_is_not_over_is_not_called_a_fault_and_says_how_to_go_on() {
    let mut report = sample::mixed(45);
    report.outcome = Outcome::Unfinished;
    let page = render(&report);
    assert!(page.contains("Unfinished: the run is still going on") && !page.contains("Internal"));
    assert!(!page.contains("class=\"next\""));
    let with = |command: String| {
        super::render(
            &ReportView::new(&report, &report.entries()),
            Some(&NextCommand { aim: "to carry on:", command, is_resume: true }),
        )
    };
    let page = with("vod-refresh resume r1 --journal '/a & b'".to_owned());
    assert!(
        page.contains("To carry on: <code>vod-refresh resume r1 --journal &#39;/a &amp; b&#39;</code>"),
        "{page}"
    );
    // Nobody copies hundreds of jobs out of a page.
    assert!(!with("J1 ".repeat(1_000)).contains("class=\"next\""));
}

#[test]
fn calls_that_nobody_counted_are_not_shown_as_none() {
    let mut report = sample::complete(1);
    assert!(render(&report).contains("2 throttled"));
    report.summary.api_calls.clear();
    assert!(render(&report).contains("None were counted"));
}

#[test]
fn the_time_is_shown_by_phase_on_average_and_for_the_last_media() {
    let page = render(&sample::complete(45));
    let spent = &page[page.find("id=\"time-spent\"").unwrap()..];
    for words in ["Submitting", "Waiting for acceptance", "CDN work", "Noticing the end, at most"] {
        assert!(spent.contains(words), "{words}");
    }
    // A report without the times has no such section.
    let mut report = sample::complete(3);
    report.media.iter_mut().for_each(|media| media.accepted_at = None);
    assert!(!render(&report).contains("time-spent"));
}

#[test]
fn each_media_has_one_label_on_the_timeline_where_something_is_amiss() {
    let page = render(&sample::mixed(15));
    let timeline = &page[page.find("id=\"timeline\"").unwrap()..page.find("id=\"time-spent\"").unwrap()];
    let count = |class: &str| timeline.matches(&format!("<text class=\"{class}\"")).count();
    // One media was not found: it has no task to draw.
    assert_eq!((count("bad"), count("open"), count("")), (2, 1, 11));
}

#[test]
fn short_spans_have_a_decimal() {
    for (duration, text) in [
        (0, "0s"),
        (4, "0.1s"),
        (420, "0.4s"),
        (2_000, "2s"),
        (9_940, "9.9s"),
        (9_960, "10s"),
        (61_400, "1m01s"),
        (-5, "0s"),
    ] {
        assert_eq!(millis(duration), text);
    }
}
