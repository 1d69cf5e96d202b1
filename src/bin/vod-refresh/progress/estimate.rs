//! What a run has done, how fast it goes, and how long it will take. Pure: times are those since the start of the run.

use std::collections::VecDeque;
use std::time::Duration;

use vod_refresh::event::Source;
use vod_refresh::run::{Notice, Progress};
use vod_refresh::vod::{TaskStatus, TaskType};

/// Rates are averages over this time.
const WINDOW: Duration = Duration::from_secs(15);
/// Time between two samples of the counts.
const STEP: Duration = Duration::from_millis(500);
/// Samples that span less time make no rate.
const MIN_SPAN: Duration = Duration::from_secs(2);
/// Fewer ended tasks make no rate.
const MIN_ENDED: u64 = 3;
/// Until one task in so many has ended, their age says more than their rate.
const EARLY_SHARE: u64 = 10;

/// Counts that `Progress` does not have: batches, and how media became known.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// `None` when waiting for jobs of others.
    pub(super) task_type: Option<TaskType>,
    pub(super) is_of_urls: bool,
    pub(super) batches: u64,
    /// Those of them that refreshed what is preloaded now.
    pub(super) refresh_batches: u64,
    /// Jobs of others that are waited for.
    pub(super) jobs: u64,
    /// Batches that the service has answered, and those of them that it refused.
    pub(super) answered: u64,
    pub(super) refused: u64,
    /// When the last batch was answered.
    pub(super) last_answer: Duration,
    /// Media whose tasks an event named first, and those whose tasks a lookup did.
    pub(super) by_event: u64,
    pub(super) by_lookup: u64,
    pub(super) tasks_failed: u64,
}

impl Tally {
    /// What the run is of.
    pub(super) fn noun(&self) -> &'static str {
        if self.is_of_urls { "URL" } else { "media" }
    }

    /// The same, many of them.
    pub(super) fn nouns(&self) -> &'static str {
        if self.is_of_urls { "URLs" } else { "media" }
    }

    /// The number of the batch that was answered last, and of all batches of its stage.
    pub(super) fn batch(&self) -> (u64, u64) {
        (self.answered.saturating_sub(self.refresh_batches), self.batches - self.refresh_batches)
    }

    pub(super) fn count(&mut self, notice: &Notice, at: Duration) {
        match notice {
            Notice::Started { task_type, batches, jobs, urls, .. } => {
                (self.task_type, self.batches, self.jobs) = (*task_type, *batches, *jobs);
                self.is_of_urls = *urls > 0;
            }
            Notice::PreloadBegun { batches, .. } => {
                self.task_type = Some(TaskType::Preload);
                (self.refresh_batches, self.batches) = (self.batches, self.batches + batches);
                (self.by_event, self.by_lookup) = (0, 0);
            }
            // What an event tells of a lost answer is told as submitted as well.
            Notice::Submitted { .. } | Notice::UrlsSubmitted { .. } | Notice::NotSubmitted { .. } => {
                self.answered += 1;
                self.refused += u64::from(matches!(notice, Notice::NotSubmitted { .. }));
                self.last_answer = at;
            }
            Notice::Accepted { confirmed_by: Source::Lookup, .. } => self.by_lookup += 1,
            Notice::Accepted { .. } => self.by_event += 1,
            Notice::TaskEnded { status: TaskStatus::Failed, .. } => self.tasks_failed += 1,
            _ => {}
        }
    }
}

/// Counts per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) batches: f64,
    pub(super) accepted: f64,
    pub(super) tasks: f64,
}

/// Samples of the counts of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    samples: VecDeque<(Duration, [u64; 3])>,
}

impl Throughput {
    /// Takes a sample, unless the last one is recent.
    pub(super) fn sample(&mut self, at: Duration, progress: &Progress, tally: &Tally) {
        if self.samples.back().is_some_and(|(last, _)| at < *last + STEP) {
            return;
        }
        self.samples.push_back((at, [tally.answered, progress.accepted, progress.tasks_ended]));
        while self.samples.get(1).is_some_and(|(second, _)| *second + WINDOW < at) {
            self.samples.pop_front();
        }
    }

    /// Returns the rates of the last seconds; zero where there are too few samples.
    pub(super) fn rates(&self) -> Rates {
        let (Some((from, old)), Some((to, new))) = (self.samples.front(), self.samples.back()) else {
            return Rates::default();
        };
        let time = to.saturating_sub(*from);
        if time < MIN_SPAN {
            return Rates::default();
        }
        let [batches, accepted, tasks] =
            [0, 1, 2].map(|n| new[n].saturating_sub(old[n]) as f64 / time.as_secs_f64());
        Rates { batches, accepted, tasks }
    }
}

/// The time that a run will still take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TimeLeft {
    /// Nothing is known yet.
    Unknown,
    About(Duration),
    /// Its tasks should have ended by now.
    Overdue,
}

/// Estimates the time left from what the run has learned: the batches that are still to be sent, then the time that its
/// tasks take; where that has passed, the rate at which they end.
pub(super) fn time_left(at: Duration, progress: &Progress, tally: &Tally, rates: Rates) -> TimeLeft {
    let Progress { media, accepted, complete, failed, tasks, tasks_ended, task_time_ms, .. } = *progress;
    if accepted == 0 || complete + failed >= media {
        return TimeLeft::Unknown;
    }
    let unsent = tally.batches.saturating_sub(tally.answered);
    let sending = match unsent {
        0 => Duration::ZERO,
        _ if rates.batches <= 0.0 => return TimeLeft::Unknown,
        unsent => seconds(unsent as f64 / rates.batches),
    };
    let last_sent = if unsent > 0 { at + sending } else { tally.last_answer };
    let by_age = task_time_ms.map(|ms| (last_sent + Duration::from_millis(ms)).saturating_sub(at));
    let all = expected_tasks(progress).max(tasks);
    let open = all.saturating_sub(tasks_ended);
    let by_rate = (rates.tasks > 0.0 && tasks_ended >= MIN_ENDED).then(|| seconds(open as f64 / rates.tasks));
    match (by_age, by_rate) {
        // The first ends of many tasks make a rate that says nothing of the others.
        (Some(by_age), _) if by_age > Duration::ZERO && tasks_ended < all / EARLY_SHARE => {
            TimeLeft::About(by_age)
        }
        (by_age, Some(by_rate)) => TimeLeft::About(by_age.unwrap_or_default().max(by_rate)),
        (Some(Duration::ZERO), None) => TimeLeft::Overdue,
        (Some(by_age), None) => TimeLeft::About(by_age),
        (None, None) => TimeLeft::Unknown,
    }
}

/// Returns how many tasks there will be, once those of every media are known.
pub(super) fn expected_tasks(progress: &Progress) -> u64 {
    let Progress { media, accepted, failed_unaccepted, tasks, .. } = *progress;
    let with_tasks = media.saturating_sub(failed_unaccepted).max(accepted);
    match accepted {
        0 => tasks,
        accepted => (tasks as f64 * with_tasks as f64 / accepted as f64).round() as u64,
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(media: u64, accepted: u64, tasks: u64, tasks_ended: u64) -> Progress {
        let mut progress = Progress::default();
        (progress.media, progress.accepted) = (media, accepted);
        (progress.tasks, progress.tasks_ended) = (tasks, tasks_ended);
        progress
    }

    fn sent(batches: u64, answered: u64, last_answer: u64) -> Tally {
        let last_answer = Duration::from_secs(last_answer);
        Tally { batches, answered, last_answer, ..Tally::default() }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let (mut throughput, tally) = (Throughput::default(), sent(1, 1, 0));
        assert_eq!(throughput.rates(), Rates::default());
        for second in 0..60 {
            throughput.sample(at(second), &progress(100, 0, 400, second.saturating_sub(29) * 10), &tally);
        }
        assert_eq!(throughput.rates().tasks, 10.0);
        for second in 60..80 {
            throughput.sample(at(second), &progress(100, 0, 400, 300), &tally);
        }
        assert_eq!(throughput.rates().tasks, 0.0);
        assert!(throughput.samples.len() < 35, "what is old is forgotten");
    }

    #[test]
    fn nothing_is_guessed_before_tasks_have_ended() {
        assert_eq!(
            time_left(at(9), &progress(45, 45, 90, 0), &sent(3, 3, 1), Rates::default()),
            TimeLeft::Unknown
        );
    }

    #[test]
    fn the_time_of_tasks_counts_from_the_last_submission() {
        let mut progress = progress(45, 40, 80, 5);
        progress.task_time_ms = Some(60_000);
        let all_sent = time_left(at(25), &progress, &sent(3, 3, 5), Rates::default());
        assert_eq!(all_sent, TimeLeft::About(at(40)));
        let rates = Rates { batches: 0.1, ..Rates::default() };
        assert_eq!(time_left(at(25), &progress, &sent(3, 2, 5), rates), TimeLeft::About(at(70)));
        assert_eq!(time_left(at(25), &progress, &sent(3, 2, 5), Rates::default()), TimeLeft::Unknown);
    }

    #[test]
    fn the_rate_tells_too_when_tasks_end_or_their_time_has_passed() {
        let of = |now: u64, ended, rate| {
            let mut progress = progress(50, 25, 100, ended);
            progress.task_time_ms = Some(10_000);
            time_left(at(now), &progress, &sent(3, 3, 5), Rates { tasks: rate, ..Rates::default() })
        };
        assert_eq!(of(9, 5, 0.1), TimeLeft::About(at(6)), "the first ends tell little");
        assert_eq!(of(9, 40, 4.0), TimeLeft::About(at(40)), "more slowly than they can end");
        assert_eq!(of(9, 40, 100.0), TimeLeft::About(at(6)), "those that run need their time");
        assert_eq!(of(60, 5, 1.0), TimeLeft::About(at(195)));
        assert_eq!(of(60, 40, 0.0), TimeLeft::Overdue);
    }

    #[test]
    fn without_the_age_of_tasks_the_rate_tells() {
        let rates = Rates { tasks: 2.0, ..Rates::default() };
        let of = |ended| time_left(at(9), &progress(20, 20, 40, ended), &sent(0, 0, 0), rates);
        assert_eq!((of(2), of(20)), (TimeLeft::Unknown, TimeLeft::About(at(10))));
    }

    #[test]
    fn media_that_were_not_taken_have_no_tasks_to_come() {
        let expected = |mut progress: Progress| {
            progress.failed_unaccepted = 5;
            expected_tasks(&progress)
        };
        assert_eq!(expected(progress(10, 5, 20, 0)), 20);
        assert_eq!(expected(progress(20, 5, 20, 0)), 60);
    }
}
