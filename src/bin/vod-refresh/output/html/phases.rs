//! Where the time went: the phases of a media from the start of the run to the moment its end was noticed.
//!
//! All four lie on this machine's clock, so a service whose clock is off bends nothing. The service tells no end of a
//! task: it lies between the last look that showed the task unfinished and the first that showed it ended. That gap is
//! a phase of its own, so that nobody takes our noticing for the CDN's work.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use vod_refresh::run::{MediaReport, Report};

use super::super::escape::{escaped, shortened};
use super::super::rows;
use super::{Count, share, span};

/// What the phases are called, and how their bars look.
const NAMES: [(&str, &str, &str); 4] = [
    ("bar-soft", "Submitting", "from the start of the run until the job id came back"),
    ("bar-rest", "Waiting for acceptance", "until an event or a lookup named the tasks"),
    ("bar-calm", "CDN work", "until the last look that showed a task unfinished"),
    ("bar-gap", "Noticing the end, at most", "until the look that showed the last task ended"),
];

/// Milliseconds of each phase.
type Phases = [i64; 4];

pub(super) fn section(out: &mut String, report: &Report) -> fmt::Result {
    let all: Vec<(Phases, &MediaReport)> =
        report.media.iter().filter_map(|media| Some((phases(media, report.started_at)?, media))).collect();
    let Some((last, slowest)) = all.iter().max_by_key(|(phases, _)| phases.iter().sum::<i64>()) else {
        return Ok(());
    };
    let average = mean(all.iter().map(|(phases, _)| *phases));
    let whole: i64 = last.iter().sum();
    let name = escaped(&shortened(rows::media_name(slowest), 60)).to_string();
    writeln!(
        out,
        r#"<section id="time-spent"><h2>Where the time went</h2>
<p>{} came to an end, on average {} after the start of the run; the last one, <span class="id">{name}</span>, after {}.</p>
<figure class="short"><svg width="100%" height="96" role="img" aria-labelledby="spent-title spent-desc"><title id="spent-title">Phases of a media on average, and of the last one to end</title><desc id="spent-desc">{}. The table below has the figures.</desc>"#,
        Count(all.len() as u64, "media", "media"),
        span(average.iter().sum()),
        span(whole),
        NAMES
            .iter()
            .zip(average)
            .map(|((_, name, _), ms)| format!("{name} {}", span(ms)))
            .collect::<Vec<_>>()
            .join(", "),
    )?;
    bar(out, "On average", &average, whole, 0)?;
    bar(out, "The last to end", last, whole, 50)?;
    writeln!(out, "</svg></figure>")?;
    figures(out, &average, last)?;
    writeln!(out, "</section>")
}

/// Whether there is anything to show.
pub(super) fn any(report: &Report) -> bool {
    report.media.iter().any(|media| phases(media, report.started_at).is_some())
}

/// A row of the picture: a caption, and below it the phases on the scale of the last media.
fn bar(out: &mut String, caption: &str, phases: &Phases, whole: i64, y: usize) -> fmt::Result {
    writeln!(out, r#"<text class="soft" x="0" y="{}">{caption}</text>"#, y + 11)?;
    let mut x = 0.0;
    for ((class, ..), ms) in NAMES.iter().zip(phases) {
        let width = *ms as f64 * 100.0 / whole.max(1) as f64;
        if *ms > 0 {
            writeln!(
                out,
                r#"<rect class="{class}" x="{x:.2}%" y="{}" width="{width:.2}%" height="22" rx="2"/>"#,
                y + 18
            )?;
        }
        x += width;
    }
    Ok(())
}

fn figures(out: &mut String, average: &Phases, last: &Phases) -> fmt::Result {
    writeln!(
        out,
        r#"<div class="scroll" role="region" aria-label="Table of phases" tabindex="0"><table class="small"><caption>Phases on average and of the last media to end</caption>
<thead><tr><th scope="col">Phase</th><th scope="col" class="number">Average</th><th scope="col" class="number">Share</th><th scope="col" class="number">Last</th></tr></thead><tbody>"#
    )?;
    let all: i64 = average.iter().sum();
    for (((class, name, words), mean), last) in NAMES.iter().zip(average).zip(last) {
        writeln!(
            out,
            r#"<tr><th scope="row"><svg class="sample" width="14" height="12" aria-hidden="true"><rect class="{class}" x="1" y="1" width="12" height="10" rx="1"/></svg>{name} <span class="soft">{words}</span></th><td class="number">{}</td><td class="number">{}</td><td class="number">{}</td></tr>"#,
            span(*mean),
            share(*mean as u64, all as u64),
            span(*last)
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

/// The phases of a media whose tasks have all ended.
fn phases(media: &MediaReport, start: DateTime<Utc>) -> Option<Phases> {
    if media.tasks.is_empty() || !media.tasks.iter().all(rows::has_ended) {
        return None;
    }
    let since = |time: DateTime<Utc>| (time - start).num_milliseconds().max(0);
    let ended = since(rows::ended_at(media)?);
    let accepted = since(media.accepted_at?).min(ended);
    let submitted = media.submitted_at.map_or(0, since).min(accepted);
    let unfinished = media.tasks.iter().filter_map(|task| task.unfinished_at).max();
    let seen = unfinished.map_or(accepted, since).clamp(accepted, ended);
    Some([submitted, accepted - submitted, seen - accepted, ended - seen])
}

fn mean(all: impl ExactSizeIterator<Item = Phases>) -> Phases {
    let count = all.len().max(1) as i64;
    let sums = all.fold([0; 4], |sums: Phases, phases| std::array::from_fn(|at| sums[at] + phases[at]));
    sums.map(|sum| sum / count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn media(times: [Option<i64>; 2], tasks: &[[Option<i64>; 2]]) -> MediaReport {
        let at = |seconds: Option<i64>| {
            seconds.map(|s| (DateTime::UNIX_EPOCH + chrono::Duration::seconds(s)).to_rfc3339())
        };
        let tasks: Vec<_> = tasks
            .iter()
            .map(|[unfinished, ended]| {
                json!({"task_id": "t", "status": if ended.is_some() { "Complete" } else { "Refreshing" }, "progress": 0,
                       "unfinished_at": at(*unfinished), "ended_at": at(*ended)})
            })
            .collect();
        serde_json::from_value(json!({"media_id": "m", "state": "complete", "submitted_at": at(times[0]),
            "accepted_at": at(times[1]), "tasks": tasks}))
        .unwrap()
    }

    #[test]
    fn the_phases_of_a_media_add_up_to_its_end() {
        let start = DateTime::UNIX_EPOCH;
        let cases = [
            (media([Some(2), Some(5)], &[[Some(20), Some(22)], [Some(24), Some(25)]]), [2, 3, 19, 1]),
            // Never seen unfinished: all that is known is that it ended in between.
            (media([Some(2), Some(5)], &[[None, Some(9)]]), [2, 3, 0, 4]),
            // A job of others was submitted at a time that we do not know.
            (media([None, Some(5)], &[[Some(6), Some(7)]]), [0, 5, 1, 1]),
            // A task that another media named first was seen running before this one was accepted.
            (media([Some(2), Some(5)], &[[Some(3), Some(4)]]), [2, 2, 0, 0]),
        ];
        for (media, seconds) in cases {
            assert_eq!(phases(&media, start), Some(seconds.map(|s| s * 1_000)), "{media:?}");
        }
    }

    #[test]
    fn a_media_that_has_not_ended_has_no_phases() {
        let start = DateTime::UNIX_EPOCH;
        assert_eq!(
            phases(&media([Some(2), Some(5)], &[[Some(20), Some(22)], [Some(24), None]]), start),
            None
        );
        assert_eq!(phases(&media([Some(2), None], &[]), start), None);
    }
}
