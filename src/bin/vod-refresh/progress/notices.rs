//! Which notices become a line for people, and which don't: a run of any size stays readable.

use std::collections::HashMap;
use std::time::Duration;

use vod_refresh::MediaId;
use vod_refresh::ids::RequestId;
use vod_refresh::net::clock::to_wire;
use vod_refresh::run::code::{OUTCOME_UNKNOWN, STALE_AT_EDGE, TASK_FAILED};
use vod_refresh::run::{MediaState, Notice, ReportedError};
use vod_refresh::vod::{TaskStatus, TaskType};

use super::estimate::Tally;
use crate::formatting::{count, count_was, escape_control, first_of, shorten};
use crate::printer::Level;
use crate::timezone;

/// Most lines about batches that were submitted.
const BATCH_LINES: u64 = 10;
/// Most lines of one kind; the report has them all.
const SAME_KIND: u32 = 4;
/// Most warnings: they have many reasons, and what strangers cause must not hide what the journal or the queue has to say.
const WARNINGS: u32 = 20;
const WARNING: &str = "warning";
/// Most media that a line names.
const MOST_IDS: usize = 5;
/// Longest line, in characters.
const LONGEST: usize = 600;
/// Time in which retries of one action make one line.
const RETRY_QUIET: Duration = Duration::from_secs(10);

/// A line on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) text: String,
}

/// What a notice says to people; where there may be many of its kind, also that.
struct Said {
    level: Level,
    kind: Option<&'static str>,
    text: String,
}

/// Turns notices into lines. Reads no clock.
#[derive(Default)]
pub(super) struct NoticeLines {
    /// A live view shows the good news already.
    live: bool,
    /// Lines of each kind so far.
    shown: HashMap<&'static str, u32>,
    /// When a retry of each action was shown.
    retries: HashMap<&'static str, Duration>,
}

impl NoticeLines {
    pub(super) fn new(live: bool) -> Self {
        Self { live, ..Self::default() }
    }

    /// Returns the line for `notice`, which came `at` this time of the run and is in `tally`, if it is to have one.
    pub(super) fn line(&mut self, notice: &Notice, at: Duration, tally: &Tally) -> Option<Line> {
        let is_shown = match notice {
            Notice::Started { .. } => !self.live,
            Notice::Submitted { .. } | Notice::UrlsSubmitted { .. } => !self.live && is_batch_shown(tally),
            // Shown already, as unknown.
            Notice::NotSubmitted { error, .. } => error.code != OUTCOME_UNKNOWN,
            // Shown already, by its task or by its batch.
            Notice::MediaEnded { state, error, .. } => {
                let code = error.as_ref().map_or("", |error| &error.code);
                *state != MediaState::NotSubmitted && ![TASK_FAILED, OUTCOME_UNKNOWN].contains(&code)
            }
            // Shown already, as the clock that was corrected.
            Notice::Retrying { error, .. } if error.code.starts_with("InvalidTimeStamp") => false,
            Notice::Retrying { action, .. } => {
                let is_due = self.retries.get(action).is_none_or(|last| at >= *last + RETRY_QUIET);
                if is_due {
                    self.retries.insert(action, at);
                }
                is_due
            }
            _ => true,
        };
        let mut said = said(notice, tally.noun()).filter(|_| is_shown)?;
        let is_batch = matches!(notice, Notice::Submitted { .. } | Notice::UrlsSubmitted { .. });
        let (number, all) = tally.batch();
        if is_batch && all > 1 && number <= all {
            said.text += &format!(" (batch {number} of {all})");
        }
        self.limited(said)
    }

    fn limited(&mut self, Said { mut level, kind, mut text }: Said) -> Option<Line> {
        if let Some(kind) = kind {
            let most = if kind == WARNING { WARNINGS } else { SAME_KIND };
            let shown = self.shown.entry(kind).or_insert(0);
            *shown += 1;
            match *shown {
                n if n <= most => {}
                // Only once there are more: not behind the last one of its kind.
                n if n == most + 1 => {
                    (level, text) = (Level::Info, format!("more like this ({kind}) is in the report only"));
                }
                _ => return None,
            }
        }
        Some(Line { level, text: shorten(&escape_control(&text), LONGEST) })
    }
}

/// Whether the batch that was answered last gets a line: all of a few, some of many.
fn is_batch_shown(tally: &Tally) -> bool {
    let (number, all) = tally.batch();
    number.is_multiple_of(all.div_ceil(BATCH_LINES).max(1))
}

/// Returns what a notice says to people, if it says something.
fn said(notice: &Notice, noun: &str) -> Option<Said> {
    let info = |text| Said { level: Level::Info, kind: None, text };
    let infos = |kind, text| Said { level: Level::Info, kind: Some(kind), text };
    let warnings = |kind, text| Said { level: Level::Warn, kind: Some(kind), text };
    Some(match notice {
        Notice::Started { task_type: None, jobs, .. } => info(format!("waiting for {}", count(*jobs, "job"))),
        Notice::Started { task_type: Some(task_type), media, batches, urls, .. } => {
            let all = count(media + urls, noun);
            let verb = match task_type {
                TaskType::Refresh => "refreshing",
                TaskType::Preload => "preloading",
            };
            info(match batches {
                // All were sent before the run was carried on.
                0 => format!("{verb} {all}, all of them submitted"),
                _ => format!("{verb} {all} in {}", count(*batches, "batch")),
            })
        }
        Notice::PreloadBegun { media, batches } => {
            let (media, batches) = (count(*media, "media"), count(*batches, "batch"));
            info(format!("refreshed; now preloading {media} in {batches}"))
        }
        Notice::Submitted { job_id, media, not_found, forbidden, request_id } => {
            let media = count(*media, "media");
            let what = match job_id {
                Some(id) => format!("submitted {media} as job {id}"),
                // The request id is the one thing by which the vendor can find the call.
                None => format!("the service took none of {media}{}", in_brackets(request_id)),
            };
            let some = |n: u64, word| if n > 0 { format!(", {n} {word}") } else { String::new() };
            info(what + &some(*not_found, "not found") + &some(*forbidden, "forbidden"))
        }
        Notice::UrlsSubmitted { urls, tasks, request_id } => {
            let tasks = match tasks.as_slice() {
                [task] => format!("task {task}"),
                many => count(many.len() as u64, "task"),
            };
            info(format!("submitted {} as {tasks}{}", count(*urls, noun), in_brackets(request_id)))
        }
        Notice::NotSubmitted { media, media_ids, error } => {
            let ids = listed(": ", media_ids);
            warnings("not submitted", format!("{} not submitted: {}{ids}", count(*media, noun), why(error)))
        }
        Notice::OutcomeUnknown { media, error, waiting_s } => {
            let media = count_was(*media, noun);
            let next = match waiting_s {
                0 => String::new(),
                s => format!("; waiting up to {s}s for an event that tells"),
            };
            warnings("unknown", format!("unknown whether {media} submitted: {}{next}", why(error)))
        }
        Notice::Resubmitting { media, task_type } => {
            let (media, verb) = (count(*media, noun), task_type.as_str().to_lowercase());
            warnings("again", format!("submitting {media} again; the service may {verb} them twice"))
        }
        Notice::OutcomeLearned { job_id, media } => {
            let media = count(*media, "media");
            infos("learned", format!("an event tells that {media} went out as job {job_id}"))
        }
        Notice::NoEvent { job_id, media } => {
            let media = count(*media, "media");
            infos("no event", format!("no event came for {media} of job {job_id}; looking it up"))
        }
        Notice::TaskEnded { task_id, media_ids, url, status: TaskStatus::Failed, description } => {
            let url = url.as_ref().map(|url| format!("{url}, ")).unwrap_or_default();
            let of = listed(" of media ", media_ids);
            let why = description.as_deref().unwrap_or("no reason given");
            infos("failed", format!("failed: {url}task {task_id}{of}: {why}"))
        }
        Notice::MediaEnded { media_id, error: Some(error), .. } => {
            infos("failed", format!("failed: media {media_id}: {}", why(error)))
        }
        Notice::CheckingEdge { urls, of } => {
            let part = if urls == of { String::new() } else { format!("{urls} of ") };
            info(format!("asking the edge for {part}{}", count(*of, "URL")))
        }
        Notice::StaleAtEdge { media_id, url, node, reason } => {
            let media = media_id.as_ref().map(|id| format!(" of media {id}")).unwrap_or_default();
            let text = format!(
                "failed: {url}{media}: the node {node} serves an old copy: {reason} ({STALE_AT_EDGE})"
            );
            infos("stale at the edge", text)
        }
        Notice::EdgeChecked { fresh, stale, absent, unknown, why_unknown } => {
            let sums = [(fresh, "fresh"), (stale, "stale"), (absent, "absent"), (unknown, "unknown")];
            let sums = sums.map(|(n, word)| format!("{n} {word}")).join(", ");
            let why = why_unknown.as_ref().map(|why| format!("; first unknown: {why}")).unwrap_or_default();
            match fresh + stale + absent {
                0 => Said { level: Level::Warn, ..info(format!("the edge proves nothing: {sums}{why}")) },
                _ => info(format!("the edge: {sums}{why}")),
            }
        }
        Notice::Retrying { wait_ms, error, .. } => {
            info(match Duration::from_millis(*wait_ms).as_secs_f64() {
                soon if soon < 0.05 => format!("retrying at once: {}", why(error)),
                seconds => format!("retrying in {seconds:.1}s: {}", why(error)),
            })
        }
        Notice::ClockCorrected { ours, theirs, behind_s } => {
            let side = if *behind_s < 0 { "ahead of" } else { "behind" };
            let text = format!(
                "this machine's clock ({}) is about {} s {side} the service's ({}); signatures use the service's time{}",
                to_wire(*ours),
                behind_s.unsigned_abs(),
                to_wire(*theirs),
                timezone::hint(*behind_s).map(|hint| format!("; {hint}")).unwrap_or_default()
            );
            Said { level: Level::Warn, ..info(text) }
        }
        Notice::Warning { message } => warnings(WARNING, message.clone()),
        _ => return None,
    })
}

fn why(error: &ReportedError) -> String {
    let id = error.request_id.as_ref().map(|id| format!(", request id {id}")).unwrap_or_default();
    format!("{} ({}{id})", error.message, error.code)
}

fn in_brackets(request_id: &Option<RequestId>) -> String {
    request_id.as_ref().map(|id| format!(" (request id {id})")).unwrap_or_default()
}

/// The first of these media behind `lead`, if there are any.
fn listed(lead: &str, ids: &[MediaId]) -> String {
    if ids.is_empty() {
        String::new()
    } else {
        lead.to_owned() + &first_of(ids.iter().map(MediaId::as_str), MOST_IDS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vod_refresh::JobId;
    use vod_refresh::ids::RunId;

    use super::*;

    /// Lines and what they count by, as a run has them.
    struct Lines(NoticeLines, Tally);

    impl Lines {
        fn new(live: bool) -> Self {
            Self(NoticeLines::new(live), Tally::default())
        }
    }

    fn texts(Lines(lines, tally): &mut Lines, notice: &Notice, at_s: u64) -> Vec<String> {
        let at = Duration::from_secs(at_s);
        tally.count(notice, at);
        lines.line(notice, at, tally).into_iter().map(|line| line.text).collect()
    }

    fn start(lines: &mut Lines, batches: u64) -> Vec<String> {
        let run_id = RunId::new("r1").unwrap();
        let task_type = Some(TaskType::Refresh);
        texts(
            lines,
            &Notice::Started { run_id, task_type, media: batches * 20, batches, jobs: 0, urls: 0 },
            0,
        )
    }

    fn submitted() -> Notice {
        let job_id = Some(JobId::new("J1").unwrap());
        Notice::Submitted { job_id, media: 20, not_found: 1, forbidden: 0, request_id: None }
    }

    fn error() -> ReportedError {
        serde_json::from_value(json!({"code": "Throttling", "message": "Act: slow\u{1b} down"})).unwrap()
    }

    #[test]
    fn any_number_of_batches_makes_at_most_ten_lines() {
        for batches in [1, 2, 3, 10, 11, 19, 50, 500] {
            let mut notices = Lines::new(false);
            start(&mut notices, batches);
            let lines: usize = (0..batches).map(|_| texts(&mut notices, &submitted(), 1).len()).sum();
            assert!((1..=10).contains(&lines), "{batches}: {lines}");
        }
    }

    #[test]
    fn a_batch_is_told_with_its_job_and_what_was_refused() {
        let mut notices = Lines::new(false);
        assert_eq!(start(&mut notices, 3), ["refreshing 60 media in 3 batches"]);
        assert_eq!(
            texts(&mut notices, &submitted(), 1),
            ["submitted 20 media as job J1, 1 not found (batch 1 of 3)"]
        );
    }

    #[test]
    fn a_retry_is_told_once_in_ten_seconds_for_each_action() {
        let mut notices = Lines::new(true);
        let retry = |action| Notice::Retrying { action, attempt: 1, wait_ms: 1_234, error: error() };
        assert_eq!(
            texts(&mut notices, &retry("A"), 0),
            [r"retrying in 1.2s: Act: slow\u{1b} down (Throttling)"]
        );
        assert!(texts(&mut notices, &retry("A"), 9).is_empty());
        assert_eq!(texts(&mut notices, &retry("B"), 9).len(), 1);
        assert_eq!(texts(&mut notices, &retry("A"), 10).len(), 1);
        let soon = Notice::Retrying { action: "C", attempt: 1, wait_ms: 30, error: error() };
        assert!(texts(&mut notices, &soon, 10)[0].starts_with("retrying at once: "));
    }

    fn clock(theirs: &str, behind_s: i64) -> Line {
        let ours = "2026-11-25T01:00:00Z".parse().unwrap();
        let notice = Notice::ClockCorrected { ours, theirs: theirs.parse().unwrap(), behind_s };
        NoticeLines::new(true).line(&notice, Duration::ZERO, &Tally::default()).unwrap()
    }

    #[test]
    fn a_clock_that_is_off_is_told_with_both_times() {
        let line = clock("2026-11-25T01:20:00Z", 1_200);
        assert_eq!(line.level, Level::Warn);
        for part in ["2026-11-25T01:00:00Z", "2026-11-25T01:20:00Z", "about 1200 s behind"] {
            assert!(line.text.contains(part), "{}", line.text);
        }
        assert!(!line.text.contains("zone"), "{}", line.text);
    }

    #[test]
    fn a_clock_that_is_off_by_hours_is_told_with_a_word_on_time_zones() {
        let line = clock("2026-11-24T17:00:04Z", -28_796);
        for part in ["2026-11-24T17:00:04Z", "ahead of", "close to 8 hours: is a time zone set wrong?"] {
            assert!(line.text.contains(part), "{}", line.text);
        }
    }

    #[test]
    fn a_thousand_warnings_make_twenty_lines_and_one() {
        let mut notices = Lines::new(false);
        let warning = |n| Notice::Warning { message: format!("warning {n}") };
        let lines: Vec<_> = (0..1_000).flat_map(|n| texts(&mut notices, &warning(n), 1)).collect();
        assert_eq!((lines.len(), lines[19].as_str()), (21, "warning 19"));
        assert!(lines[20].contains("in the report only"), "{}", lines[20]);
    }

    #[test]
    fn a_thousand_failures_make_a_few_lines_and_four_make_four() {
        let lines_of = |failures: u32| -> usize {
            let mut notices = Lines::new(false);
            (0..failures)
                .map(|n| {
                    let media_id = MediaId::new(format!("m{n}")).unwrap();
                    let notice = Notice::MediaEnded {
                        media_id,
                        job_id: None,
                        state: MediaState::Failed,
                        error: Some(error()),
                    };
                    texts(&mut notices, &notice, 1).len()
                })
                .sum()
        };
        assert_eq!((lines_of(1_000), lines_of(4)), (5, 4));
    }
}
