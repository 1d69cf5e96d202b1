//! Where the time went: the phases of a media from the start of the run to the moment its end was noticed.
//!
//! All four lie on this machine's clock, so a service whose clock is off bends nothing. The service tells no end of a
//! task: it lies between the last poll that showed the task unfinished and the first that showed it ended. That gap is
//! a phase of its own, so that the delay of polling is not taken for the CDN's work.

use chrono::{DateTime, Utc};

use super::super::markup::escape_start;
use super::super::report_view::{MediaView, ReportView};
use super::format::{entries, millis, rect, share};
use super::tables::number;

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
    let named = |(phase, ms): (&(_, &str, _), i64)| format!("{} {}", phase.1, millis(ms));
    let description: Vec<String> = NAMES.iter().zip(average).map(named).collect();
    format!(
        include_str!("phases.html"),
        count = entries(all.len(), view),
        average = millis(average.iter().sum()),
        slowest = escape_start(slowest.name(), 60),
        whole = millis(whole),
        description = description.join(", "),
        average_bar = bar(&average, whole, 18),
        last_bar = bar(last, whole, 68),
        rows = rows(&average, last),
    )
}

/// The phases in a row of the picture, on the scale of the last media.
fn bar(phases: &Phases, whole: i64, y: usize) -> String {
    let (mut out, mut x) = (String::new(), 0.0);
    for ((class, ..), ms) in NAMES.iter().zip(phases) {
        let width = *ms as f64 * 100.0 / whole.max(1) as f64;
        if *ms > 0 {
            out += &rect(class, (x, y as u64), (width, 22));
        }
        x += width;
    }
    out
}

/// The rows of the table.
fn rows(average: &Phases, last: &Phases) -> String {
    let all: i64 = average.iter().sum();
    let row = |(((class, name, meaning), mean), last): (((&str, &str, &str), i64), i64)| {
        let (share, mean, last) =
            (number(share(mean as u64, all as u64)), number(millis(mean)), number(millis(last)));
        format!(
            r#"<tr><th scope="row"><svg class="sample" width="14" height="12" aria-hidden="true"><rect class="{class}" x="1" y="1" width="12" height="10" rx="1"/></svg>{name} <span class="soft">{meaning}</span></th>{mean}{share}{last}</tr>
"#
        )
    };
    NAMES.into_iter().zip(*average).zip(*last).map(row).collect()
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
