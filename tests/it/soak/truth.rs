//! What is true of every run, whatever went wrong.

use std::cell::OnceCell;
use std::time::Duration;

use vod_refresh::emulator::Call;
use vod_refresh::run::{MediaReport, MediaState};
use vod_refresh::vod::TaskStatus;
use vod_refresh::{LookupAfter, Outcome, Report};

use super::draw::Fate;
use crate::support::Bed;

const SUBMIT: &str = "RefreshMediaPlayUrls";
const LOOK_UP: &str = "GetMediaRefreshJobs";
const LOOK: &str = "DescribeVodRefreshTasks";

/// Faults under which the cloud does as it is told, and nobody hears of it.
const LOST: [&str; 5] = ["reset_after", "stall", "garbage", "half_body", "delay"];

/// What the cloud has seen, read where a verdict needs a reason.
pub(super) struct Evidence<'a> {
    bed: &'a Bed,
    /// Answers got lost with the process.
    has_died: bool,
    calls: OnceCell<Vec<Call>>,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(bed: &'a Bed, has_died: bool) -> Self {
        Self { bed, has_died, calls: OnceCell::new() }
    }

    fn looks_up(&self) -> bool {
        self.bed.options.lookup_after != Some(LookupAfter::Never)
    }

    /// One denial and lookups are over for the whole run; a job that is unknown for minutes ends too.
    fn denies_lookups(&self) -> bool {
        self.calls().iter().any(|call| call.action == LOOK_UP && call.outcome == "error")
    }

    /// The cloud took it, and nobody heard of it.
    fn lost_the_answer(&self, media: &MediaReport) -> bool {
        self.shows(SUBMIT, media, &LOST) || (self.has_died && self.shows(SUBMIT, media, &["ok"]))
    }

    /// The cloud took it and said so, and it was heard.
    fn was_answered(&self, media: &MediaReport) -> bool {
        !self.has_died && self.shows(SUBMIT, media, &["ok"])
    }

    fn calls(&self) -> &[Call] {
        self.calls.get_or_init(|| self.bed.cloud.calls())
    }

    /// Whether a call of this action that concerned this media ended in one of these ways.
    fn shows(&self, action: &str, media: &MediaReport, outcomes: &[&str]) -> bool {
        let concerns = |call: &Call| {
            let is = |name: &str, id: &str| call.params.get(name).is_some_and(|given| given == id);
            let id = media.media_id.as_ref().map_or("", |id| id.as_str());
            match action {
                SUBMIT => call.params.get("MediaIds").is_some_and(|ids| ids.split(',').any(|one| one == id)),
                LOOK_UP => media.job_id.as_ref().is_some_and(|job| is("MediaRefreshJobId", job.as_str())),
                _ => media.tasks.iter().any(|task| is("TaskId", task.task_id.as_str())),
            }
        };
        self.calls()
            .iter()
            .any(|call| call.action == action && outcomes.contains(&call.outcome.as_str()) && concerns(call))
    }
}

pub(super) fn counts_add_up(report: &Report) {
    let in_state =
        |is: fn(&MediaReport) -> bool| report.media.iter().filter(|media| is(media)).count() as u64;
    let sum = &report.summary;
    assert_eq!(sum.media, report.media.len() as u64);
    assert_eq!(sum.media_complete, in_state(|m| m.state == MediaState::Complete));
    assert_eq!(sum.media_unfinished, in_state(|m| m.state == MediaState::Unfinished));
    assert_eq!(sum.media_failed, in_state(|m| m.state.is_failure()));
    assert_eq!(sum.media, sum.media_complete + sum.media_failed + sum.media_unfinished);
    assert_eq!(sum.tasks, report.media.iter().map(|media| media.tasks.len() as u64).sum::<u64>());
    assert_eq!(sum.tasks, sum.tasks_complete + sum.tasks_failed + sum.tasks_unfinished);
    assert_eq!(sum.retries, sum.retries_by_action.values().sum::<u64>());
}

pub(super) fn the_outcome_follows_from_the_media(report: &Report, took: Duration, timeout: Duration) {
    let sum = &report.summary;
    match report.outcome {
        Outcome::Complete => assert_eq!(sum.media_complete, sum.media),
        Outcome::Failed => assert_eq!(sum.media_failed, sum.media),
        Outcome::Partial => {
            assert_eq!(sum.media_unfinished, 0);
            assert!(sum.media_failed > 0);
            assert!(sum.media_complete > 0 || sum.tasks_complete > 0, "that is failed");
        }
        Outcome::Timeout => assert!(took >= timeout && sum.media_complete < sum.media, "{took:?}"),
        Outcome::Quota => {
            assert!(report.media.iter().all(|media| media.state == MediaState::NotSubmitted));
        }
        Outcome::Refused | Outcome::Unavailable => {
            assert!(sum.media_complete < sum.media);
            assert!(report.error.is_some(), "it does not say why");
        }
        other => panic!("{other:?} has no cause here"),
    }
}

/// What the cloud will never finish isn't told to be done, and what it can do isn't told to have failed.
pub(super) fn nothing_is_made_up(evidence: &Evidence<'_>, report: &Report, fate: impl Fn(&str) -> Fate) {
    for media in report.media.iter().filter(|media| media.media_id.is_some()) {
        let id = media.media_id.as_ref().unwrap().as_str();
        let fits = match (media.state, fate(id)) {
            (MediaState::Unfinished, _) => is_cut_short(report.outcome),
            (MediaState::NotSubmitted, _) => !evidence.was_answered(media),
            (MediaState::Complete, fate) => fate == Fate::Well,
            (MediaState::NotFound, fate) => fate == Fate::Missing,
            (MediaState::Forbidden, fate) => fate == Fate::Forbidden,
            (MediaState::Failed, fate) => failed_for_a_reason(evidence, media, fate),
            _ => false,
        };
        assert!(fits, "{id} is {:?} and told to be {:?}, {:?}", fate(id), media.state, media.error);
        let all_done = media.tasks.iter().all(|task| task.status == Some(TaskStatus::Complete));
        let is_done = !media.tasks.is_empty() && all_done;
        assert!(media.state != MediaState::Complete || is_done, "{id} is complete, its tasks are not");
        assert!(!media.state.is_failure() || media.error.is_some(), "{id} failed without a word");
    }
}

fn is_cut_short(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Timeout | Outcome::Unavailable | Outcome::Refused)
}

fn failed_for_a_reason(evidence: &Evidence<'_>, media: &MediaReport, fate: Fate) -> bool {
    let code = media.error.as_ref().map_or("", |error| error.code.as_str());
    let never_there = matches!(fate, Fate::Missing | Fate::Forbidden);
    // Where the answer to a submission got lost and an event told of its job, so did the word on those not taken.
    if never_there && !evidence.lost_the_answer(media) {
        return false;
    }
    match code {
        "InvalidParameter" => {
            evidence.shows(LOOK_UP, media, &["error"]) || evidence.shows(LOOK, media, &["error"])
        }
        "JobNotFound" => never_there || !evidence.looks_up() || evidence.denies_lookups(),
        "TaskNotFound" => evidence.shows(LOOK, media, &["error"]),
        _ => fate == Fate::Fails,
    }
}
