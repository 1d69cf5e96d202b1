//! Which notices become a line for people, and which don't: a run of any size stays readable.

use std::collections::HashMap;
use std::time::Duration;

use vod_refresh::MediaId;
use vod_refresh::ids::RequestId;
use vod_refresh::run::code::{OUTCOME_UNKNOWN, STALE_AT_EDGE};
use vod_refresh::run::{MediaState, Notice, ReportedError};
use vod_refresh::vod::{TaskStatus, TaskType};

use crate::formatting::{count, count_was, escape_control, shorten};

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

impl Line {
    fn new(level: Level, text: &str) -> Self {
        Self { level, text: shorten(&escape_control(text), LONGEST) }
    }
}

/// Turns notices into lines. Reads no clock.
pub(super) struct NoticeLines {
    /// A live view shows the good news already.
    live: bool,
    batches: u64,
    answered: u64,
    /// What the run is of.
    noun: &'static str,
    /// Lines of each kind so far.
    shown: HashMap<&'static str, u32>,
    /// When a retry of each action was shown.
    retries: HashMap<&'static str, Duration>,
}

impl NoticeLines {
    pub(super) fn new(live: bool) -> Self {
        Self { live, batches: 0, answered: 0, noun: "media", shown: HashMap::new(), retries: HashMap::new() }
    }

    /// Returns the line for `notice`, which came `at` this time of the run, if it is to have one.
    pub(super) fn line(&mut self, notice: &Notice, at: Duration) -> Option<Line> {
        match notice {
            Notice::Started { batches, urls, .. } => {
                self.batches = *batches;
                self.noun = if *urls > 0 { "URL" } else { "media" };
            }
            Notice::PreloadBegun { batches, .. } => (self.batches, self.answered) = (*batches, 0),
            Notice::Submitted { .. } | Notice::UrlsSubmitted { .. } | Notice::NotSubmitted { .. } => {
                self.answered += 1
            }
            _ => {}
        }
        let is_shown = match notice {
            Notice::Started { .. } => !self.live,
            Notice::Submitted { .. } | Notice::UrlsSubmitted { .. } => !self.live && self.is_batch_shown(),
            // Shown already, as unknown.
            Notice::NotSubmitted { error, .. } => error.code != OUTCOME_UNKNOWN,
            // Shown already, by its task or by its batch.
            Notice::MediaEnded { error: Some(error), .. } if error.code == "TaskFailed" => false,
            Notice::MediaEnded { state, .. } => *state != MediaState::NotSubmitted,
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
        if !is_shown {
            return None;
        }
        let mut text = text(notice, self.noun)?;
        let is_batch = matches!(notice, Notice::Submitted { .. } | Notice::UrlsSubmitted { .. });
        if is_batch && self.batches > 1 && self.answered <= self.batches {
            text += &format!(" (batch {} of {})", self.answered, self.batches);
        }
        match kind(notice) {
            (level, None) => Some(Line::new(level, &text)),
            (level, Some(kind)) => self.limited(kind, level, &text),
        }
    }

    /// Whether the batch that was answered last gets a line: all of a few, some of many.
    fn is_batch_shown(&self) -> bool {
        let step = self.batches.div_ceil(BATCH_LINES).max(1);
        self.answered.is_multiple_of(step)
    }

    fn limited(&mut self, kind: &'static str, level: Level, text: &str) -> Option<Line> {
        let most = if kind == WARNING { WARNINGS } else { SAME_KIND };
        let shown = self.shown.entry(kind).or_insert(0);
        *shown += 1;
        match *shown {
            n if n <= most => Some(Line::new(level, text)),
            // Only once there are more: not behind the last one of its kind.
            n if n == most + 1 => {
                Some(Line::new(Level::Info, &format!("more like this ({kind}) is in the report only")))
            }
            _ => None,
        }
    }
}

/// Returns how serious a notice is; where there may be many of them, also their kind.
fn kind(notice: &Notice) -> (Level, Option<&'static str>) {
    match notice {
        Notice::NotSubmitted { .. } => (Level::Warn, Some("not submitted")),
        Notice::OutcomeUnknown { .. } => (Level::Warn, Some("unknown")),
        Notice::Resubmitting { .. } => (Level::Warn, Some("again")),
        Notice::Warning { .. } => (Level::Warn, Some(WARNING)),
        Notice::ClockCorrected { .. } => (Level::Warn, None),
        Notice::OutcomeLearned { .. } => (Level::Info, Some("learned")),
        Notice::NoEvent { .. } => (Level::Info, Some("no event")),
        Notice::TaskEnded { .. } | Notice::MediaEnded { .. } => (Level::Info, Some("failed")),
        Notice::StaleAtEdge { .. } => (Level::Info, Some("stale at the edge")),
        Notice::EdgeChecked { fresh: 0, stale: 0, absent: 0, .. } => (Level::Warn, None),
        _ => (Level::Info, None),
    }
}

/// Returns what a notice says to people, if it says something.
fn text(notice: &Notice, noun: &str) -> Option<String> {
    Some(match notice {
        Notice::Started { task_type: None, jobs, .. } => format!("waiting for {}", count(*jobs, "job")),
        Notice::Started { task_type: Some(task_type), media, batches, urls, .. } => {
            let all = count(media + urls, noun);
            let verb = match task_type {
                TaskType::Refresh => "refreshing",
                TaskType::Preload => "preloading",
            };
            match batches {
                // All were sent before the run was carried on.
                0 => format!("{verb} {all}, all of them submitted"),
                _ => format!("{verb} {all} in {}", count(*batches, "batch")),
            }
        }
        Notice::PreloadBegun { media, batches } => {
            format!("refreshed; now preloading {} in {}", count(*media, "media"), count(*batches, "batch"))
        }
        Notice::Submitted { job_id, media, not_found, forbidden, request_id } => {
            let what = match job_id {
                Some(id) => format!("submitted {} as job {id}", count(*media, "media")),
                // The request id is the one thing by which the vendor can find the call.
                None => {
                    format!("the service took none of {}{}", count(*media, "media"), in_brackets(request_id))
                }
            };
            let some = |n: u64, word| if n > 0 { format!(", {n} {word}") } else { String::new() };
            what + &some(*not_found, "not found") + &some(*forbidden, "forbidden")
        }
        Notice::UrlsSubmitted { urls, tasks, request_id } => {
            let tasks = match tasks.as_slice() {
                [task] => format!("task {task}"),
                many => count(many.len() as u64, "task"),
            };
            format!("submitted {} as {tasks}{}", count(*urls, noun), in_brackets(request_id))
        }
        Notice::NotSubmitted { media, media_ids, error } => {
            let ids = if media_ids.is_empty() { String::new() } else { format!(": {}", joined(media_ids)) };
            format!("{} not submitted: {}{ids}", count(*media, noun), why(error))
        }
        Notice::OutcomeUnknown { media, error, waiting_s } => {
            let media = count_was(*media, noun);
            let next = match waiting_s {
                0 => String::new(),
                s => format!("; waiting up to {s}s for an event that tells"),
            };
            format!("unknown whether {media} submitted: {}{next}", why(error))
        }
        Notice::Resubmitting { media, task_type } => {
            let verb = task_type.as_str().to_lowercase();
            format!("submitting {} again; the service may {verb} them twice", count(*media, noun))
        }
        Notice::OutcomeLearned { job_id, media } => {
            format!("an event tells that {} went out as job {job_id}", count(*media, "media"))
        }
        Notice::CheckingEdge { urls, of } if urls == of => {
            format!("asking the edge for {}", count(*urls, "URL"))
        }
        Notice::CheckingEdge { urls, of } => format!("asking the edge for {urls} of {}", count(*of, "URL")),
        Notice::NoEvent { job_id, media } => {
            format!("no event came for {} of job {job_id}; looking it up", count(*media, "media"))
        }
        Notice::TaskEnded { task_id, media_ids, url, status: TaskStatus::Failed, description } => {
            let url = url.as_ref().map(|url| format!("{url}, ")).unwrap_or_default();
            let of =
                if media_ids.is_empty() { String::new() } else { format!(" of media {}", joined(media_ids)) };
            format!(
                "failed: {url}task {task_id}{of}: {}",
                description.as_deref().unwrap_or("no reason given")
            )
        }
        Notice::StaleAtEdge { media_id, url, node, reason } => {
            let media = media_id.as_ref().map(|id| format!(" of media {id}")).unwrap_or_default();
            format!("failed: {url}{media}: the node {node} serves an old copy: {reason} ({STALE_AT_EDGE})")
        }
        Notice::EdgeChecked { fresh, stale, absent, unknown, why_unknown } => {
            let proved = if fresh + stale + absent == 0 { "the edge proves nothing" } else { "the edge" };
            let sums = [(fresh, "fresh"), (stale, "stale"), (absent, "absent"), (unknown, "unknown")];
            let sums = sums.map(|(n, word)| format!("{n} {word}")).join(", ");
            let why = why_unknown.as_ref().map(|why| format!("; first unknown: {why}")).unwrap_or_default();
            format!("{proved}: {sums}{why}")
        }
        Notice::MediaEnded { media_id, error: Some(error), .. } => {
            format!("failed: media {media_id}: {}", why(error))
        }
        Notice::Retrying { wait_ms, error, .. } => match Duration::from_millis(*wait_ms).as_secs_f64() {
            soon if soon < 0.05 => format!("retrying at once: {}", why(error)),
            seconds => format!("retrying in {seconds:.1}s: {}", why(error)),
        },
        Notice::ClockCorrected { ours, theirs, behind_s } => {
            let side = if *behind_s < 0 { "ahead of" } else { "behind" };
            let form = "%Y-%m-%dT%H:%M:%SZ";
            format!(
                "this machine's clock ({}) is about {} s {side} the service's ({}); signatures use the service's time{}",
                ours.format(form),
                behind_s.unsigned_abs(),
                theirs.format(form),
                timezone::hint(*behind_s).map(|hint| format!("; {hint}")).unwrap_or_default()
            )
        }
        Notice::Warning { message } => message.clone(),
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

/// The first of these media, and how many more there are.
fn joined(ids: &[MediaId]) -> String {
    let shown = ids.iter().take(MOST_IDS).map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(MOST_IDS) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vod_refresh::JobId;
    use vod_refresh::ids::RunId;

    use super::*;

    fn texts(lines: &mut NoticeLines, notice: &Notice, at_s: u64) -> Vec<String> {
        lines.line(notice, Duration::from_secs(at_s)).into_iter().map(|line| line.text).collect()
    }

    fn start(lines: &mut NoticeLines, batches: u64) -> Vec<String> {
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
            let mut notices = NoticeLines::new(false);
            start(&mut notices, batches);
            let lines: usize = (0..batches).map(|_| texts(&mut notices, &submitted(), 1).len()).sum();
            assert!((1..=10).contains(&lines), "{batches}: {lines}");
        }
    }

    #[test]
    fn a_batch_is_told_with_its_job_and_what_was_refused() {
        let mut notices = NoticeLines::new(false);
        assert_eq!(start(&mut notices, 3), ["refreshing 60 media in 3 batches"]);
        assert_eq!(
            texts(&mut notices, &submitted(), 1),
            ["submitted 20 media as job J1, 1 not found (batch 1 of 3)"]
        );
    }

    #[test]
    fn a_retry_is_told_once_in_ten_seconds_for_each_action() {
        let mut notices = NoticeLines::new(true);
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
        NoticeLines::new(true).line(&notice, Duration::ZERO).unwrap()
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
        let mut notices = NoticeLines::new(false);
        let warning = |n| Notice::Warning { message: format!("warning {n}") };
        let lines: Vec<_> = (0..1_000).flat_map(|n| texts(&mut notices, &warning(n), 1)).collect();
        assert_eq!((lines.len(), lines[19].as_str()), (21, "warning 19"));
        assert!(lines[20].contains("in the report only"), "{}", lines[20]);
    }

    #[test]
    fn a_thousand_failures_make_a_few_lines_and_four_make_four() {
        let lines_of = |failures: u32| -> usize {
            let mut notices = NoticeLines::new(false);
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
