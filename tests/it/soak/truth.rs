//! What is true of every run, whatever went wrong.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use vod_refresh::emulator::{Emulator, MediaScript, Scenario};
use vod_refresh::run::{MediaReport, MediaState};
use vod_refresh::vod::TaskStatus;
use vod_refresh::{LookupAfter, Outcome, Report, RunOptions};

use super::draw::Fate;
use super::hostile::{may_lose_a_row, names_all, rows_differ};
use crate::support::TestEnv;
use crate::support::action::{QUERY_JOBS, QUERY_TASKS, SUBMIT};

/// Faults under which the cloud does as it is told, and nobody hears of it, or not of all.
const LOST: [&str; 7] =
    ["reset_after", "stall", "garbage", "half_body", "delay", "empty_object", "wrong_shape"];

/// An object without fields where a list belongs is read as an empty one.
const EMPTY: &str = "wrong_shape";

/// What the cloud has seen, read where a verdict needs a reason.
pub(super) struct Evidence<'a> {
    cloud: &'a Emulator,
    options: &'a RunOptions,
    /// How the cloud tells of media, where it was drawn.
    scenario: Option<&'a Scenario>,
    /// Answers got lost with the process.
    has_died: bool,
    log: OnceCell<Log>,
}

/// How calls ended, by action and by each id that stands in them.
type Log = HashMap<(String, String), BTreeSet<String>>;

impl<'a> Evidence<'a> {
    pub(super) fn new(env: &'a TestEnv, scenario: Option<&'a Scenario>, has_died: bool) -> Self {
        Self::of_cloud(&env.cloud, &env.options, scenario, has_died)
    }

    pub(super) fn of_cloud(
        cloud: &'a Emulator,
        options: &'a RunOptions,
        scenario: Option<&'a Scenario>,
        has_died: bool,
    ) -> Self {
        Self { cloud, options, scenario, has_died, log: OnceCell::new() }
    }

    fn script(&self, media: &MediaReport) -> Option<(&'a Scenario, &'a MediaScript)> {
        let (scenario, id) = (self.scenario?, media.media_id.as_ref()?);
        Some((scenario, scenario.media.get(id.as_str())?))
    }

    /// Its rows are spelt so that none matches, and do not end alike.
    fn has_rows_that_differ(&self, media: &MediaReport) -> bool {
        self.script(media).is_some_and(|(_, script)| rows_differ(script))
    }

    /// The pages of the cloud may hide a row of it for ever.
    fn may_lack_a_row(&self, media: &MediaReport) -> bool {
        self.script(media).is_some_and(|(scenario, script)| may_lose_a_row(&scenario.pages, script))
    }

    /// All that is named of it was shown, as far as that is certain. Whoever saw a signed event can add names to it, and
    /// without lookups nothing contradicts these.
    fn was_shown_whole(&self, media: &MediaReport) -> bool {
        let Some((scenario, script)) = self.script(media) else { return true };
        let urls = script.url_count.unwrap_or(scenario.urls_per_media);
        let shown: BTreeSet<&str> = media.tasks.iter().filter_map(|task| task.url.as_deref()).collect();
        let (forged, own): (Vec<&str>, Vec<&str>) = shown.into_iter().partition(|url| url.contains("forged"));
        (forged.is_empty() || self.stands_on_events(media)) && (!names_all(script) || own.len() >= urls)
    }

    /// No lookup tells what becomes of this media, and its event may.
    fn stands_on_events(&self, media: &MediaReport) -> bool {
        !self.looks_up() || self.denies_lookups() || !self.shows_only(QUERY_JOBS, media, "ok")
    }

    fn looks_up(&self) -> bool {
        self.options.lookup_after != Some(LookupAfter::Never)
    }

    /// One denial and lookups are over for the whole run; a job that is unknown for minutes ends too.
    fn denies_lookups(&self) -> bool {
        self.log().iter().any(|((action, _), ends)| action == QUERY_JOBS && ends.contains("error"))
    }

    /// The cloud took it, and nobody heard of it.
    fn lost_the_answer(&self, media: &MediaReport) -> bool {
        self.shows(SUBMIT, media, &LOST) || (self.has_died && self.shows(SUBMIT, media, &["ok"]))
    }

    /// The cloud took it and said so, and it was heard.
    fn was_answered(&self, media: &MediaReport) -> bool {
        !self.has_died && self.shows(SUBMIT, media, &["ok"])
    }

    /// Whether a call of this action that concerned this media ended in one of these ways.
    fn shows(&self, action: &str, media: &MediaReport, wanted: &[&str]) -> bool {
        self.ends(action, media).any(|end| wanted.contains(&end))
    }

    fn shows_only(&self, action: &str, media: &MediaReport, wanted: &str) -> bool {
        self.ends(action, media).all(|end| end == wanted)
    }

    /// How the calls of this action ended that concerned this media.
    fn ends(&self, action: &str, media: &MediaReport) -> impl Iterator<Item = &str> {
        let ids: Vec<&str> = match action {
            SUBMIT => media.media_id.iter().map(|id| id.as_str()).collect(),
            QUERY_JOBS => media.job_id.iter().map(|job| job.as_str()).collect(),
            _ => media.tasks.iter().map(|task| task.task_id.as_str()).collect(),
        };
        let ends = ids.into_iter().filter_map(|id| self.log().get(&(action.to_owned(), id.to_owned())));
        ends.flatten().map(String::as_str).collect::<Vec<_>>().into_iter()
    }

    fn log(&self) -> &Log {
        self.log.get_or_init(|| {
            let mut log = Log::new();
            for call in self.cloud.calls() {
                for name in ["MediaIds", "MediaRefreshJobId", "TaskId"] {
                    for id in call.params.get(name).iter().flat_map(|ids| ids.split(',')) {
                        let key = (call.action.clone(), id.to_owned());
                        log.entry(key).or_default().insert(call.outcome.clone());
                    }
                }
            }
            log
        })
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
            // Of jobs of others nobody knows whether these are all of their media.
            let are_all = report.media.iter().all(|media| media.submitted_at.is_some());
            assert!(sum.media_complete < sum.media || !are_all);
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
            (MediaState::Complete, _) if !evidence.was_shown_whole(media) => false,
            (MediaState::Complete, Fate::Pending) => evidence.stands_on_events(media),
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
        "InvalidParameter" | "SomethingNew" => {
            evidence.shows(QUERY_JOBS, media, &["error"]) || evidence.shows(QUERY_TASKS, media, &["error"])
        }
        "JobNotFound" => {
            let is_hidden = evidence.shows(QUERY_JOBS, media, &[EMPTY]);
            never_there || !evidence.looks_up() || evidence.denies_lookups() || is_hidden
        }
        "TaskNotFound" => evidence.shows(QUERY_TASKS, media, &["error", EMPTY]),
        "UrlNotShown" => evidence.may_lack_a_row(media),
        "UrlNotMatched" => evidence.has_rows_that_differ(media),
        _ => fate == Fate::Fails,
    }
}
