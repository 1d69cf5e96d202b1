//! One run with one fault.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use vod_refresh::emulator::{FaultRule, MediaScript, QueueScript, Scenario};
use vod_refresh::run::Notice;
use vod_refresh::{Outcome, Report};

use super::Stage;
use crate::support::TestEnv;

pub(super) const TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// How a run ended, in the words of the table.
pub(super) struct Cell {
    outcome: Outcome,
    more: Vec<String>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.outcome.as_str(), exit_code(self.outcome))?;
        self.more.iter().try_for_each(|word| write!(f, ", {word}"))
    }
}

impl Cell {
    /// The end of a run in this environment, and what is true of every run.
    pub(super) fn of(name: &str, env: &TestEnv, report: &Report, asked: usize) -> Self {
        let summary = &report.summary;
        assert_eq!((report.media.len(), summary.media), (asked, asked as u64), "{name}: media got lost");
        let sum = summary.media_complete + summary.media_failed + summary.media_unfinished;
        assert_eq!(sum, summary.media, "{name}: a media stands in two places");
        assert!(env.elapsed() <= TIMEOUT + Duration::from_secs(60), "{name}: took {:?}", env.elapsed());
        // Scripts submit again where they read these.
        let nothing_done = matches!(report.outcome, Outcome::Config | Outcome::Quota);
        assert!(!nothing_done || env.cloud.job_ids().is_empty(), "{name}: claims that nothing was submitted");
        let all_failed = summary.media_failed == summary.media;
        assert!(report.outcome != Outcome::Failed || all_failed, "{name}: not everything failed");
        if report.outcome != Outcome::Complete {
            let says_why = report.error.is_some() || report.media.iter().any(|media| media.error.is_some());
            assert!(says_why || report.outcome == Outcome::Timeout, "{name}: ended without a word");
        }

        let batches = asked.div_ceil(20);
        let again = env.notices.all().iter().filter(|n| matches!(n, Notice::Resubmitting { .. })).count();
        let jobs = env.cloud.job_ids().len();
        assert!(jobs <= batches + again, "{name}: {jobs} jobs made, {again} announced");
        let mut more = Vec::new();
        if again > 0 {
            more.push("sent again".to_owned());
        }
        if jobs != batches {
            more.push(format!("{jobs} jobs"));
        }
        Self { outcome: report.outcome, more }
    }

    pub(super) fn with(mut self, word: impl Into<String>) -> Self {
        self.more.push(word.into());
        self
    }
}

/// The number that the contract gives an outcome.
fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Complete | Outcome::Submitted => 0,
        Outcome::Config => 3,
        Outcome::Refused => 4,
        Outcome::Quota => 5,
        Outcome::Failed => 6,
        Outcome::Partial => 7,
        Outcome::Timeout => 8,
        Outcome::Unavailable => 9,
        _ => 1,
    }
}

/// Runs one cell on a clock of its own.
pub(super) fn run(name: &str, stage: Stage, rule: FaultRule) -> Cell {
    in_paused_time(async {
        let scenario = Scenario::new().with(|s| s.task_duration = Duration::from_secs(20)).with_fault(rule);
        let (scenario, media) = match stage {
            // Listings begin once a task has shown how long tasks take.
            Stage::List => {
                let quick =
                    MediaScript { task_duration: Some(Duration::from_secs(3)), ..MediaScript::default() };
                (scenario.with_media("m0", quick).with(|s| s.task_duration = Duration::from_secs(60)), 40)
            }
            Stage::Receive | Stage::Delete => {
                (scenario.with(|s| s.queue = Some(QueueScript::named("events"))), 2)
            }
            _ => (scenario, 2),
        };
        let env = TestEnv::new(scenario).with_options(|options| options.timeout = TIMEOUT);
        let env = if matches!(stage, Stage::Submit | Stage::Confirm) { env } else { env.with_events() };
        let listener = matches!(stage, Stage::Receive | Stage::Delete).then(|| env.consume_queue());
        let report = refresh(name, &env, media).await;
        if let Some(listener) = listener {
            // What it could not do was told during the run.
            let closed = tokio::time::timeout(Duration::from_secs(120), listener.close()).await;
            assert!(closed.is_ok(), "{name}: the queue is still read");
        }
        Cell::of(name, &env, &report, media)
    })
}

pub(super) async fn refresh(name: &str, env: &TestEnv, media: usize) -> Report {
    let run = env.refresh((0..media).map(|n| format!("m{n}")));
    tokio::time::timeout(TIMEOUT * 2, run).await.unwrap_or_else(|_| panic!("{name}: hangs"))
}

/// A runtime of its own: what a fault leaves waiting goes with it.
pub(crate) fn in_paused_time<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(what)
}
