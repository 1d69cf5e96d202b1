//! Which notices become a line for people, and which don't: a run of any size stays readable.

use std::collections::HashMap;
use std::time::Duration;

use vod_refresh::run::{MediaState, Notice, ReportedError};
use vod_refresh::vod::{TaskStatus, TaskType};

use crate::carry_on::OUTCOME_UNKNOWN;
use crate::formatting::{count, count_was, escape_control, shorten};
use crate::printer::Level;
use crate::timezone;

/// Lines about batches that were submitted.
const BATCH_LINES: u64 = 10;
/// Lines of one kind; the report has them all.
const SAME_KIND: u32 = 4;
/// A retry of the same action is told once in this time.
const RETRY_QUIET: Duration = Duration::from_secs(10);

/// A line on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) text: String,
}

/// Turns notices into lines. Reads no clock.
pub(super) struct Talk {
    /// A live view shows the good news already.
    live: bool,
    batches: u64,
    submitted: u64,
    told: HashMap<&'static str, u32>,
    retries: HashMap<&'static str, Duration>,
}

impl Talk {
    pub(super) fn new(live: bool) -> Self {
        Self { live, batches: 0, submitted: 0, told: HashMap::new(), retries: HashMap::new() }
    }

    /// The lines for `notice`, which came `at` this time of the run.
    pub(super) fn hear(&mut self, notice: &Notice, at: Duration) -> Vec<Line> {
        match notice {
            Notice::Started { task_type, media, batches, jobs, .. } => {
                self.batches = *batches;
                self.good(started(*task_type, *media, *batches, *jobs))
            }
            Notice::Submitted { job_id, media, not_found, forbidden, request_id } => {
                self.submitted += 1;
                if !self.is_told(self.submitted) {
                    return Vec::new();
                }
                let job = match (job_id, request_id) {
                    (Some(id), _) => format!("as job {id}"),
                    // The one thing by which the vendor can find the call.
                    (None, Some(id)) => format!("without a job (request id {id})"),
                    (None, None) => "without a job".to_owned(),
                };
                let mut text = format!("submitted {} {job}", count(*media, "media"));
                for (n, word) in [(not_found, "not found"), (forbidden, "forbidden")] {
                    if *n > 0 {
                        text.push_str(&format!(", {n} {word}"));
                    }
                }
                if self.batches > 1 {
                    text.push_str(&format!(" (batch {} of {})", self.submitted, self.batches));
                }
                self.good(text)
            }
            Notice::NotSubmitted { media, error } => {
                self.submitted += 1;
                // Told already, as unknown.
                if error.code == OUTCOME_UNKNOWN {
                    return Vec::new();
                }
                self.bad("not submitted", format!("{} not submitted: {}", count(*media, "media"), why(error)))
            }
            Notice::OutcomeUnknown { media, error, waiting_s } => {
                let next = match waiting_s {
                    0 => String::new(),
                    s => format!("; waiting up to {s}s for an event that tells"),
                };
                let text =
                    format!("unknown whether {} submitted: {}{next}", count_was(*media, "media"), why(error));
                self.bad("unknown", text)
            }
            Notice::Resubmitting { media, task_type } => {
                let verb = task_type.as_str().to_lowercase();
                let text =
                    format!("submitting {} again; the service may {verb} them twice", count(*media, "media"));
                self.bad("again", text)
            }
            Notice::OutcomeLearned { job_id, media } => self.some(
                "learned",
                format!("an event tells that {} went out as job {job_id}", count(*media, "media")),
            ),
            Notice::NoEvent { job_id, media } => {
                let text =
                    format!("no event came for {} of job {job_id}; looking it up", count(*media, "media"));
                self.some("no event", text)
            }
            Notice::TaskEnded { task_id, url, status: TaskStatus::Failed, description } => {
                let which = url.clone().unwrap_or_else(|| format!("task {task_id}"));
                let why = description.as_deref().unwrap_or("no reason given");
                self.some("failed", format!("failed: {which}: {why}"))
            }
            // Told already, by its task or by its batch.
            Notice::MediaEnded { error: Some(error), .. } if error.code == "TaskFailed" => Vec::new(),
            Notice::MediaEnded { state: MediaState::NotSubmitted, .. } => Vec::new(),
            Notice::MediaEnded { media_id, error: Some(error), .. } => {
                self.some("failed", format!("failed: media {media_id}: {}", why(error)))
            }
            // Told already, as the clock that was corrected.
            Notice::Retrying { error, .. } if error.code.starts_with("InvalidTimeStamp") => Vec::new(),
            Notice::Retrying { action, wait_ms, error, .. } => {
                let recent = self.retries.get(action).is_some_and(|last| at < *last + RETRY_QUIET);
                if recent {
                    return Vec::new();
                }
                self.retries.insert(action, at);
                let when = match Duration::from_millis(*wait_ms).as_secs_f64() {
                    soon if soon < 0.05 => "at once".to_owned(),
                    seconds => format!("in {seconds:.1}s"),
                };
                vec![line(Level::Info, format!("retrying {when}: {}", why(error)))]
            }
            Notice::ClockCorrected { ours, theirs, behind_s } => {
                let (seconds, side) =
                    (behind_s.unsigned_abs(), if *behind_s < 0 { "ahead of" } else { "behind" });
                let form = "%Y-%m-%dT%H:%M:%SZ";
                let zone = timezone::hint(*behind_s).map(|hint| format!("; {hint}")).unwrap_or_default();
                vec![line(
                    Level::Warn,
                    format!(
                        "this machine's clock ({}) is about {seconds} s {side} the service's ({}); signatures use the \
                         service's time{zone}",
                        ours.format(form),
                        theirs.format(form)
                    ),
                )]
            }
            Notice::Warning { message } => self.limited("warning", Level::Warn, message.clone()),
            _ => Vec::new(),
        }
    }

    /// Whether this batch gets a line: all of a few, some of many.
    fn is_told(&self, number: u64) -> bool {
        let step = self.batches.div_ceil(BATCH_LINES).max(1);
        number.is_multiple_of(step) || (number == 1 && step < 2)
    }

    /// Something that a live view shows as well.
    fn good(&self, text: String) -> Vec<Line> {
        if self.live { Vec::new() } else { vec![line(Level::Info, text)] }
    }

    fn some(&mut self, kind: &'static str, text: String) -> Vec<Line> {
        self.limited(kind, Level::Info, text)
    }

    fn bad(&mut self, kind: &'static str, text: String) -> Vec<Line> {
        self.limited(kind, Level::Warn, text)
    }

    fn limited(&mut self, kind: &'static str, level: Level, text: String) -> Vec<Line> {
        let told = self.told.entry(kind).or_insert(0);
        *told += 1;
        match *told {
            ..=SAME_KIND => vec![line(level, text)],
            // Said where there is more: not behind the last one of its kind.
            n if n == SAME_KIND + 1 => {
                vec![line(Level::Info, format!("more like this ({kind}) is in the report only"))]
            }
            _ => Vec::new(),
        }
    }
}

fn line(level: Level, text: String) -> Line {
    Line { level, text: shorten(&escape_control(&text), 400) }
}

fn started(task_type: Option<TaskType>, media: u64, batches: u64, jobs: u64) -> String {
    match task_type {
        Some(task_type) => {
            let verb = match task_type {
                TaskType::Refresh => "refreshing",
                TaskType::Preload => "preloading",
            };
            match batches {
                // All were sent before the run was carried on.
                0 => format!("{verb} {}, all of them submitted", count(media, "media")),
                _ => format!("{verb} {} in {}", count(media, "media"), count(batches, "batch")),
            }
        }
        None => format!("waiting for {}", count(jobs, "job")),
    }
}

fn why(error: &ReportedError) -> String {
    format!("{} ({})", error.message, error.code)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vod_refresh::ids::RunId;
    use vod_refresh::{JobId, MediaId};

    use super::*;

    fn texts(talk: &mut Talk, notice: &Notice, at_s: u64) -> Vec<String> {
        talk.hear(notice, Duration::from_secs(at_s)).into_iter().map(|line| line.text).collect()
    }

    fn start(talk: &mut Talk, batches: u64) -> Vec<String> {
        let run_id = RunId::new("r1").unwrap();
        let task_type = Some(TaskType::Refresh);
        texts(talk, &Notice::Started { run_id, task_type, media: batches * 20, batches, jobs: 0 }, 0)
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
            let mut talk = Talk::new(false);
            start(&mut talk, batches);
            let lines: usize = (0..batches).map(|_| texts(&mut talk, &submitted(), 1).len()).sum();
            assert!((1..=10).contains(&lines), "{batches}: {lines}");
        }
    }

    #[test]
    fn a_batch_is_told_with_its_job_and_what_was_refused() {
        let mut talk = Talk::new(false);
        assert_eq!(start(&mut talk, 3), ["refreshing 60 media in 3 batches"]);
        assert_eq!(
            texts(&mut talk, &submitted(), 1),
            ["submitted 20 media as job J1, 1 not found (batch 1 of 3)"]
        );
    }

    #[test]
    fn a_retry_is_told_once_in_ten_seconds_for_each_action() {
        let mut talk = Talk::new(true);
        let retry = |action| Notice::Retrying { action, attempt: 1, wait_ms: 1_234, error: error() };
        assert_eq!(
            texts(&mut talk, &retry("A"), 0),
            [r"retrying in 1.2s: Act: slow\u{1b} down (Throttling)"]
        );
        assert!(texts(&mut talk, &retry("A"), 9).is_empty());
        assert_eq!(texts(&mut talk, &retry("B"), 9).len(), 1);
        assert_eq!(texts(&mut talk, &retry("A"), 10).len(), 1);
        let soon = Notice::Retrying { action: "C", attempt: 1, wait_ms: 30, error: error() };
        assert!(texts(&mut talk, &soon, 10)[0].starts_with("retrying at once: "));
    }

    fn clock(theirs: &str, behind_s: i64) -> Line {
        let ours = "2026-11-25T01:00:00Z".parse().unwrap();
        let notice = Notice::ClockCorrected { ours, theirs: theirs.parse().unwrap(), behind_s };
        Talk::new(true).hear(&notice, Duration::ZERO).remove(0)
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
    fn a_thousand_failures_make_a_few_lines_and_four_make_four() {
        let lines_of = |failures: u32| -> usize {
            let mut talk = Talk::new(false);
            (0..failures)
                .map(|n| {
                    let media_id = MediaId::new(format!("m{n}")).unwrap();
                    let notice = Notice::MediaEnded {
                        media_id,
                        job_id: None,
                        state: MediaState::Failed,
                        error: Some(error()),
                    };
                    texts(&mut talk, &notice, 1).len()
                })
                .sum()
        };
        assert_eq!((lines_of(1_000), lines_of(4)), (5, 4));
    }
}
