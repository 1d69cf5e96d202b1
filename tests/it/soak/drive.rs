//! One seed, one run: of media or of jobs, with a process that lives or with one that dies again and again.

use std::time::Duration;

use serde_json::Value;
use vod_refresh::emulator::Call;
use vod_refresh::run::Notice;
use vod_refresh::{JobId, Journal, LookupAfter, Outcome, Report, Result};

use super::draw::{Drawn, Fate, draw, our_jobs};
use super::tally::Figures;
use super::truth::{self, Evidence};
use crate::crash::die;
use crate::schema::Refresher;
use crate::support::{TestEnv, answered_batches, states, submissions};

/// How it ended.
pub(super) struct RunResult {
    pub(super) report: Report,
    /// When, what, and what came of it.
    pub(super) calls: Vec<(String, String, String)>,
    took: Duration,
    /// Whether a journal was written: a file, by threads that no paused clock stops.
    pub(super) has_journal: bool,
}

impl RunResult {
    pub(super) fn figures(self) -> Figures {
        let task_queries = self.calls.iter().filter(|(_, action, _)| action == "DescribeVodRefreshTasks");
        Figures {
            calls: self.calls.len(),
            task_queries: task_queries.count(),
            virtual_time: self.took,
            outcomes: vec![self.report.outcome],
        }
    }
}

pub(super) async fn one(seed: u64) -> RunResult {
    let drawn = draw(seed);
    let env = TestEnv::seeded(seed, drawn.scenario.clone(), |client| client.with_max_rps(drawn.max_rps))
        .allow_unused_faults()
        .with_options(|options| *options = drawn.options.clone());
    let env = if drawn.has_events { env.with_events() } else { env };
    let listener = drawn.has_queue.then(|| env.consume_queue());
    let jobs = if drawn.waits { submit_only(&env, &drawn).await } else { Vec::new() };
    let (before, started) = (env.submits(), env.elapsed());
    let begin = |refresher: Refresher| begin(refresher, &drawn, &jobs);
    let report = match drawn.deaths[..] {
        [] => in_time(&drawn, begin(env.refresher())).await.unwrap(),
        _ => with_deaths(&drawn, &env, begin).await,
    };
    let took = env.elapsed();
    if let Some(listener) = listener {
        let closing = tokio::time::timeout(Duration::from_secs(120), listener.close());
        // Its faults are drawn as well; that it ends is what counts.
        let _ = closing.await.expect("the queue is still read");
    }
    truth::counts_add_up(&report);
    truth::the_outcome_follows_from_the_media(&report, took - started, drawn.options.timeout);
    let evidence = Evidence::new(&env, Some(&drawn.scenario), !drawn.deaths.is_empty());
    truth::nothing_is_made_up(&evidence, &report, |id| fate_of(&drawn, id));
    if drawn.waits {
        assert_eq!(env.submits(), before, "who waits submits nothing");
        each_job_is_told_of(&env, &drawn, &jobs, &report);
    } else {
        let ids: Vec<&str> = report.media.iter().map(|m| m.media_id.as_ref().unwrap().as_str()).collect();
        let asked: Vec<&str> = drawn.media.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, asked, "each media once, in the order given");
    }
    nothing_is_submitted_again_in_silence(&drawn, &env);
    let line = |call: Call| (call.at.to_rfc3339(), call.action, call.outcome);
    RunResult {
        report,
        calls: env.cloud.calls().into_iter().map(line).collect(),
        took,
        has_journal: !drawn.deaths.is_empty(),
    }
}

async fn begin(refresher: Refresher, drawn: &Drawn, jobs: &[JobId]) -> Result<Report> {
    match drawn.waits {
        true => refresher.wait(jobs).await,
        false => refresher.refresh(&drawn.request()).await,
    }
}

async fn in_time(drawn: &Drawn, run: impl Future<Output = Result<Report>>) -> Result<Report> {
    let limit = drawn.options.timeout + Duration::from_secs(5);
    tokio::time::timeout(limit, run).await.expect("it did not end in time")
}

/// A run that submits and goes. All jobs that the cloud made are waited for, also those it does not know of.
async fn submit_only(env: &TestEnv, drawn: &Drawn) -> Vec<JobId> {
    let mut options = drawn.options.clone();
    options.wait = false;
    let run = env.refresher().with_options(options);
    let report = in_time(drawn, run.refresh(&drawn.request())).await.unwrap();
    truth::counts_add_up(&report);
    let mut jobs: Vec<JobId> = our_jobs(&env.cloud).iter().map(|id| JobId::new(id).unwrap()).collect();
    // They come in no order, and a seed is to give one.
    jobs.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    let known = report.media.iter().filter_map(|media| media.job_id.as_ref());
    known.for_each(|job| assert!(jobs.contains(job), "{job} is made up"));
    if jobs.is_empty() { vec![JobId::new("nowhere").unwrap()] } else { jobs }
}

/// A run with a journal whose process dies, is started anew, dies again; the last one lives.
async fn with_deaths<F: Future<Output = Result<Report>>>(
    drawn: &Drawn,
    env: &TestEnv,
    begin: impl FnOnce(Refresher) -> F,
) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let open = || Journal::open(folder.path().join("journal.db"));
    let keep = |journal: &Journal| env.refresher().with_journal(journal.clone(), Value::Null);
    let mut deaths = drawn.deaths.iter().copied();
    let mut report = {
        let journal = open().await.unwrap();
        let (count, how) = deaths.next().unwrap();
        die(in_time(drawn, begin(keep(&journal))), journal.writes(), count, how).await
    };
    loop {
        let journal = open().await.unwrap();
        let id = journal.runs().await.unwrap().remove(0).run_id;
        let stored = journal.load(Some(id)).await.unwrap().unwrap();
        if stored.outcome.is_some() {
            if let Some(report) = report {
                assert_eq!(states(&stored.report()), states(&report), "another end than the journal's");
            }
            return stored.report();
        }
        let (before, answered) = (submissions(&env.cloud), answered_batches(&stored));
        let refresher = keep(&journal);
        let run = in_time(drawn, refresher.resume(stored));
        let death = deaths.next();
        report = match death {
            Some((count, how)) => die(run, journal.writes(), count, how).await,
            None => Some(run.await.unwrap()),
        };
        let after = submissions(&env.cloud);
        for batch in answered {
            assert_eq!(before[&batch], after[&batch], "{batch} was submitted again");
        }
        if death.is_none() {
            return report.unwrap();
        }
    }
}

/// Whoever waits for jobs of others hears of each of them, and of all their media.
fn each_job_is_told_of(env: &TestEnv, drawn: &Drawn, jobs: &[JobId], report: &Report) {
    // A job has as many media as two looks at it show.
    let hides = |id: &str| drawn.scenario.media[id].lookup_empty_looks > 1;
    let refused = |call: &Call| call.action == "GetMediaRefreshJobs" && call.outcome == "error";
    let sees_all = drawn.options.lookup_after != Some(LookupAfter::Never)
        && report.outcome == Outcome::Complete
        && !env.cloud.calls().iter().any(refused);
    for job in jobs {
        let told = report.media.iter().filter(|media| media.job_id.as_ref() == Some(job));
        let told: Vec<Option<&str>> =
            told.map(|media| media.media_id.as_ref().map(|id| id.as_str())).collect();
        assert!(!told.is_empty(), "{job} is not told of");
        for (id, _) in &drawn.media {
            let (is_told, is_there) =
                (told.contains(&Some(id)), env.cloud.event_for(job.as_str(), id).is_some());
            assert!(is_there || !is_told, "{id} is told to be in {job}");
            assert!(is_told || !is_there || !sees_all || hides(id), "{id} of {job} is not told of");
        }
    }
}

fn nothing_is_submitted_again_in_silence(drawn: &Drawn, env: &TestEnv) {
    let told = env.notices.all().iter().filter(|n| matches!(n, Notice::Resubmitting { .. })).count();
    let (jobs, batches) = (our_jobs(&env.cloud).len(), drawn.media.len().div_ceil(20));
    assert!(jobs <= batches + told, "{jobs} jobs for {batches} batches, {told} announced");
}

fn fate_of(drawn: &Drawn, id: &str) -> Fate {
    drawn.media.iter().find(|(media, _)| media == id).unwrap().1
}
