//! One world, one run, and what the oracle says of its end.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::error::ErrorKind;
use vod_refresh::net::clock::TimerClock;
use vod_refresh::run::MediaState;
use vod_refresh::{
    EventReceiver, Inbox, JobId, Journal, LookupAfter, MediaId, Outcome, RefreshRequest, Refresher, Report,
    Result, RunOptions, TaskType,
};

use super::behaviour::{Lookups, Source};
use super::oracle::{COMPLETE, FAILED, FORBIDDEN, NOT_FOUND, UNFINISHED, Verdicts, verdicts};
use super::server::{JOB_OF_OTHERS, Server, Wire};
use super::world::{BATCH, Kind, World};
use crate::crash::{Death, die};
use crate::support::random::Rng;
use crate::support::{CALLBACK_KEY, CALLBACK_URL, client_over, static_key};

/// How a world was told and judged.
pub(super) struct RunResult {
    pub(super) faults: Vec<String>,
    pub(super) calls: usize,
    /// The whole log, where it was asked for.
    pub(super) log: String,
}

/// Runs the world of this seed.
pub(super) fn one(seed: u64, is_logged: bool) -> RunResult {
    let world = Arc::new(World::draw(seed));
    let has_files = world.kind == Kind::Deaths;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let builder = if has_files { builder.enable_all() } else { builder.enable_time() };
    let runtime = builder.start_paused(true).build().unwrap();
    runtime.block_on(told(world, is_logged || has_files))
}

async fn told(world: Arc<World>, is_logged: bool) -> RunResult {
    let clock = TimerClock::starting_at("2026-11-25T01:19:10Z".parse().unwrap());
    let start = Instant::now();
    let inbox = Inbox::new();
    let receiver = (world.behaviour.source != Source::None).then(|| {
        let keys = match world.behaviour.source {
            Source::Signed => vec![CALLBACK_KEY.to_owned().into()],
            _ => Vec::new(),
        };
        EventReceiver::new(inbox.clone(), CallbackVerifier::new(CALLBACK_URL, keys)).with_clock(clock)
    });
    let server = Server::new(Arc::clone(&world), clock, receiver, is_logged);
    let client = client_over(Wire(Arc::clone(&server)), static_key())
        .with_clock(clock)
        .with_jitter_seed(world.seed)
        .build()
        .unwrap();
    let mut refresher = Refresher::new(client).with_options(options(&world));
    if world.behaviour.source != Source::None {
        refresher = refresher.with_inbox(inbox);
    }
    let run = match world.kind {
        Kind::Deaths => with_deaths(&world, start, &refresher).await,
        _ => {
            let limit = world.behaviour.deadline + Duration::from_secs(60);
            let report = tokio::time::timeout(limit, begin(&world, &refresher)).await;
            report.ok().map(|report| (report.unwrap(), world.behaviour.deadline))
        }
    };
    let took = start.elapsed();
    // All of them would take as long as the runs themselves.
    if let Some((report, _)) = run.as_ref().filter(|_| world.seed.is_multiple_of(20)) {
        crate::schema::checked(report.clone());
    }
    let (made, calls, told) = server.told();
    let (faults, states) = match &run {
        Some((report, deadline)) => (judge(&world, report, &made, took, *deadline), states(report)),
        None => (vec!["the run goes on after its deadline".into()], String::new()),
    };
    let mut log = String::new();
    if is_logged {
        let _ = writeln!(log, "{world}{}\nended after {took:?}:\n{states}", told.join("\n"));
    }
    RunResult { faults, calls, log }
}

fn options(world: &World) -> RunOptions {
    let mut options = RunOptions::default();
    options.poll_interval = Some(world.behaviour.poll);
    options.timeout = world.behaviour.deadline;
    if world.behaviour.lookups == Lookups::Off {
        options.lookup_after = Some(LookupAfter::Never);
    }
    options
}

async fn begin(world: &World, refresher: &Refresher) -> Result<Report> {
    if world.kind == Kind::Wait {
        return refresher.wait(&[JobId::new(JOB_OF_OTHERS).unwrap()]).await;
    }
    let ids = world.media.iter().map(|media| MediaId::new(&media.id).unwrap());
    refresher.refresh(&RefreshRequest::new(TaskType::Refresh, ids)).await
}

/// A run whose process dies once or twice; each next one carries it on from the journal. Gives the report, and when its
/// last process would have stopped waiting.
async fn with_deaths(world: &World, start: Instant, refresher: &Refresher) -> Option<(Report, Duration)> {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng(world.seed ^ 0xdead);
    let open = || Journal::open(folder.path().join("journal.db"));
    let keep = |journal: &Journal| refresher.clone().with_journal(journal.clone(), Value::Null);
    let deaths = 1 + rng.below(2);
    for death in 0.. {
        let (journal, began) = (open().await.unwrap(), start.elapsed());
        let stored = if death == 0 { None } else { journal.load(None).await.unwrap() };
        let kept = keep(&journal);
        let ended = async || {
            let id = journal.runs().await.unwrap().remove(0).run_id;
            Ok(journal.load(Some(id)).await.unwrap().unwrap().report())
        };
        let run = async {
            match stored {
                Some(stored) => match kept.resume(stored).await {
                    // The last write of the one before was still on its way.
                    Err(error) if error.kind() == ErrorKind::Usage => ended().await,
                    report => report,
                },
                None if death == 0 => begin(world, &kept).await,
                None => ended().await,
            }
        };
        let limited = limit(world, run);
        let report = if death < deaths {
            let how = if rng.percent(40) { Death::AtOnce } else { Death::After(rng.ms(5_000)) };
            die(limited, journal.writes(), 1 + rng.below(12), how).await
        } else {
            limited.await.ok()
        };
        if let Some(report) = report {
            return Some((report, began + world.behaviour.deadline));
        }
    }
    None
}

async fn limit(world: &World, run: impl Future<Output = Result<Report>>) -> Result<Report> {
    tokio::time::timeout(world.behaviour.deadline + Duration::from_secs(60), run)
        .await
        .expect("it did not end in time")
}

/// What is wrong about the end of a run, in words.
fn judge(
    world: &World,
    report: &Report,
    made: &[Option<Duration>],
    took: Duration,
    deadline: Duration,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must_end = true;
    // What happens so near the deadline may not be noticed any more.
    let slack = world.behaviour.poll * 3 + Duration::from_secs(90);
    for (place, media) in world.media.iter().enumerate() {
        let Some(made) = made[place / BATCH] else {
            faults.push(format!("{} was never submitted", media.id));
            continue;
        };
        let allowed = verdicts(world, media, deadline.saturating_sub(made + slack));
        must_end &= allowed & UNFINISHED == 0;
        let of = |one: &&vod_refresh::run::MediaReport| {
            one.media_id.as_ref().is_some_and(|id| id.as_str() == media.id)
        };
        match report.media.iter().find(of) {
            // A job of others never tells of those whom it refused; here there are none.
            None => faults.push(format!("{} is not told of", media.id)),
            Some(told) if verdict(told.state) & allowed == 0 => faults.push(format!(
                "a false {}: {} may be {}, {}",
                told.state.as_str(),
                media.id,
                words(allowed),
                told.error.as_ref().map_or("no error", |error| error.code.as_str()),
            )),
            Some(_) => {}
        }
    }
    let is_cut_off = world.behaviour.lookups == Lookups::Refused;
    if must_end && took >= deadline {
        faults.push("a wait without end: everything was shown".into());
    }
    let unfinished = report.media.iter().filter(|media| media.state == MediaState::Unfinished).count();
    if unfinished > 0 && took < deadline && !is_cut_off {
        faults.push(format!("gave up before the deadline: {}", report.outcome.as_str()));
    }
    let is_all = report.media.iter().all(|media| media.state == MediaState::Complete);
    if (report.outcome == Outcome::Complete) != is_all {
        faults.push(format!("the outcome is {}", report.outcome.as_str()));
    }
    faults
}

fn verdict(state: MediaState) -> Verdicts {
    match state {
        MediaState::Complete => COMPLETE,
        MediaState::Failed => FAILED,
        MediaState::Unfinished => UNFINISHED,
        MediaState::NotFound => NOT_FOUND,
        MediaState::Forbidden => FORBIDDEN,
        _ => 0,
    }
}

fn words(verdicts: Verdicts) -> String {
    let all = [
        (COMPLETE, "complete"),
        (FAILED, "failed"),
        (UNFINISHED, "unfinished"),
        (NOT_FOUND, "not found"),
        (FORBIDDEN, "forbidden"),
    ];
    let words: Vec<&str> = all.iter().filter(|(bit, _)| verdicts & bit != 0).map(|(_, word)| *word).collect();
    words.join(" or ")
}

fn states(report: &Report) -> String {
    let mut text = format!("  {}, {:?} {:?}\n", report.outcome.as_str(), report.error, report.notes);
    for media in &report.media {
        let id = media.media_id.as_ref().map_or("?", |id| id.as_str());
        let _ = writeln!(text, "  {id} {} {:?} {:?}", media.state.as_str(), media.error, media.note);
        for task in &media.tasks {
            let _ = writeln!(text, "    {} {:?} {:?}", task.task_id, task.url, task.status);
        }
    }
    text
}
