//! Where the time went: the phases of a media from the start of the run to the moment its end was noticed.
//!
//! All four lie on this machine's clock, so a service whose clock is off bends nothing. The service tells no end of a
//! task: it lies between the last poll that showed the task unfinished and the first that showed it ended. That gap is
//! a phase of its own, so that nobody takes our noticing for the CDN's work.

use chrono::{DateTime, Utc};

use super::super::markup::escape_start;
use super::super::report_view::{MediaView, ReportView};
use super::format::{media, millis, share};
use super::tables::Column::{Number, Text};
use super::tables::{number, table, tr};

/// How the bar of a phase looks, its name, and what it means.
const NAMES: [(&str, &str, &str); 4] = [
    ("bar-soft", "Submitting", "from the start of the run until the job id came back"),
    ("bar-rest", "Waiting for acceptance", "until an event or a lookup named the tasks"),
    ("bar-calm", "CDN work", "until the last look that showed a task unfinished"),
    ("bar-gap", "Noticing the end, at most", "until the look that showed the last task ended"),
];

/// Milliseconds of each phase.
type Phases = [i64; 4];

pub(super) fn section(view: &ReportView<'_>) -> String {
    let start = view.report.started_at;
    let all: Vec<(Phases, &MediaView<'_>)> =
        view.media.iter().filter_map(|media| Some((phases(media, start)?, media))).collect();
    let Some((last, slowest)) = all.iter().max_by_key(|(phases, _)| phases.iter().sum::<i64>()) else {
        return String::new();
    };
    let average: Phases =
        std::array::from_fn(|at| all.iter().map(|(phases, _)| phases[at]).sum::<i64>() / all.len() as i64);
    let whole: i64 = last.iter().sum();
    let description: Vec<String> =
        NAMES.iter().zip(average).map(|((_, name, _), ms)| format!("{name} {}", millis(ms))).collect();
    format!(
        r#"<h2>Where the time went</h2>
<p>{} came to an end, on average {} after the start of the run; the last one, <span class="id">{}</span>, after {}.</p>
<figure class="short"><svg width="100%" height="96" role="img" aria-labelledby="spent-title spent-desc"><title id="spent-title">Phases of a media on average, and of the last one to end</title><desc id="spent-desc">{}. The table below has the figures.</desc>
{}{}</svg></figure>
{}"#,
        media(all.len()),
        millis(average.iter().sum()),
        escape_start(slowest.name(), 60),
        millis(whole),
        description.join(", "),
        bar("On average", &average, whole, 0),
        bar("The last to end", last, whole, 50),
        figures(&average, last),
    )
}

/// A row of the picture: a caption, and below it the phases on the scale of the last media.
fn bar(caption: &str, phases: &Phases, whole: i64, y: usize) -> String {
    let mut out = format!("<text class=\"soft\" x=\"0\" y=\"{}\">{caption}</text>\n", y + 11);
    let (mut x, y) = (0.0, y + 18);
    for ((class, ..), ms) in NAMES.iter().zip(phases) {
        let width = *ms as f64 * 100.0 / whole.max(1) as f64;
        if *ms > 0 {
            out += &format!(
                "<rect class=\"{class}\" x=\"{x:.2}%\" y=\"{y}\" width=\"{width:.2}%\" height=\"22\" rx=\"2\"/>\n"
            );
        }
        x += width;
    }
    out
}

fn figures(average: &Phases, last: &Phases) -> String {
    let all: i64 = average.iter().sum();
    let rows = NAMES.iter().zip(average).zip(last).map(|(((class, name, meaning), mean), last)| {
        let name = format!(
            r#"<th scope="row"><svg class="sample" width="14" height="12" aria-hidden="true"><rect class="{class}" x="1" y="1" width="12" height="10" rx="1"/></svg>{name} <span class="soft">{meaning}</span></th>"#
        );
        tr(&[name, number(millis(*mean)), number(share(*mean as u64, all as u64)), number(millis(*last))])
    });
    let columns = [Text("Phase"), Number("Average"), Number("Share"), Number("Last")];
    let caption = "Phases on average and of the last media to end";
    table("phases", r#" class="small""#, caption, &columns, &rows.collect::<String>())
}

/// Returns the phases of a media whose tasks have all ended.
fn phases(media: &MediaView<'_>, start: DateTime<Utc>) -> Option<Phases> {
    let since = |time: DateTime<Utc>| (time - start).num_milliseconds().max(0);
    let ended = since(media.ended_at?);
    let accepted = since(media.report.accepted_at?).min(ended);
    let submitted = media.report.submitted_at.map_or(0, since).min(accepted);
    let unfinished = media.report.tasks.iter().filter_map(|task| task.unfinished_at).max();
    let seen = unfinished.map_or(accepted, since).clamp(accepted, ended);
    Some([submitted, accepted - submitted, seen - accepted, ended - seen])
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vod_refresh::run::MediaReport;

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
            assert_eq!(phases(&MediaView::new(&media), start), Some(seconds.map(|s| s * 1_000)), "{media:?}");
        }
    }

    #[test]
    fn a_media_that_has_not_ended_has_no_phases() {
        let start = DateTime::UNIX_EPOCH;
        assert_eq!(
            phases(
                &MediaView::new(&media([Some(2), Some(5)], &[[Some(20), Some(22)], [Some(24), None]])),
                start
            ),
            None
        );
        assert_eq!(phases(&MediaView::new(&media([Some(2), None], &[])), start), None);
    }
}
