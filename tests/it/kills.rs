//! `kill -9` at random moments: the binary is carried on until it is through, and nothing whose answer was written down
//! goes out again. `VOD_REFRESH_KILLS=50` kills more often than the six times of every day.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use vod_refresh::emulator::Scenario;
use vod_refresh::journal::{Order, StoredRun};
use vod_refresh::run::ledger::Fact;
use vod_refresh::{Journal, Outcome};

use crate::program::{Cloud, Home, end};

const MEDIA: usize = 100;

fn cloud() -> Cloud {
    let scenario = Scenario::new()
        .with_latency(Duration::from_millis(20))
        .with_job_delay(Duration::from_millis(60))
        .with_task_duration(Duration::from_millis(150))
        .with_urls_per_media(1)
        .with_ids_merged_across_media();
    Cloud::new(scenario)
}

/// The newest run as the journal has it; none if it was killed before it was written down.
fn stored(home: &Home) -> Option<StoredRun> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        if !home.journal().exists() {
            return None;
        }
        let journal = Journal::open(home.journal()).await.unwrap();
        let id = journal.runs().await.unwrap().first()?.run_id.clone();
        journal.load(Some(id)).await.unwrap()
    })
}

/// The media lists whose answers are in the journal.
fn answered(stored: &StoredRun) -> BTreeSet<String> {
    let Order::Refresh(request) = &stored.record.order else { return BTreeSet::new() };
    let list = |batch: u32| {
        let ids = request.media.chunks(20).nth(batch as usize).unwrap().iter().map(|id| id.as_str());
        ids.collect::<Vec<_>>().join(",")
    };
    let known = |fact: &Fact| match fact {
        Fact::Submitted { batch, .. } => Some(list(*batch)),
        _ => None,
    };
    stored.facts.iter().filter_map(|(_, fact)| known(fact)).collect()
}

/// Kills one run again and again, `times` at most, then lets it come to its end. Says how often it was killed.
fn kill(times: usize, random: &mut impl FnMut(u64) -> u64, within: Duration) -> usize {
    let (cloud, home) = (cloud(), Home::new());
    let fresh: Vec<String> =
        ["refresh", "--endpoint", &cloud.endpoint, "--poll-interval", "50ms", "-o", "json"]
            .map(str::to_owned)
            .into_iter()
            .chain((0..MEDIA).map(|n| format!("m{n}")))
            .collect();
    let mut line = fresh.clone();
    let mut kills = 0;
    while kills < times {
        let mut child = home.start(&line);
        std::thread::sleep(Duration::from_micros(random(within.as_micros() as u64)));
        child.kill().unwrap();
        end(child);
        kills += 1;
        let Some(run) = stored(&home) else { continue };
        if run.outcome.is_some() {
            break;
        }
        line = ["resume", "-o", "json"].map(str::to_owned).to_vec();
        let (answered, before) = (answered(&run), cloud.submits());
        let mut child = home.start(&line);
        std::thread::sleep(Duration::from_micros(random(within.as_micros() as u64)));
        let _ = child.kill();
        end(child);
        kills += 1;
        let after = cloud.submits();
        for list in answered {
            assert_eq!(before[&list], after[&list], "submitted again: {list}");
        }
    }
    let over = stored(&home).is_some_and(|run| run.outcome.is_some());
    if !over {
        let ended = home.run(&line);
        assert_eq!(
            (ended.code, &ended.json()["summary"]["media_complete"]),
            (Some(0), &json!(MEDIA)),
            "{ended:?}"
        );
    }
    let run = stored(&home).unwrap();
    assert_eq!((run.outcome, run.report().summary.media_complete), (Some(Outcome::Complete), MEDIA as u64));
    kills
}

#[test]
fn kills_at_random_moments_cost_nothing_that_was_answered() {
    let wanted = std::env::var("VOD_REFRESH_KILLS").ok().map_or(6, |text| text.parse().unwrap());
    let mut state = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    let seed = state;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    // How long a run takes here and now.
    let (begun, cloud, home) = (Instant::now(), cloud(), Home::new());
    let media: Vec<String> = (0..MEDIA).map(|n| format!("m{n}")).collect();
    let whole = [vec!["refresh".into(), "--endpoint".into(), cloud.endpoint.clone()], media].concat();
    assert_eq!(home.run(&whole).code, Some(0));
    let within = begun.elapsed();
    let (mut kills, mut runs) = (0, 0);
    while kills < wanted {
        kills += kill((wanted - kills).min(4), &mut random, within);
        runs += 1;
    }
    writeln!(std::io::stderr(), "{kills} kills of {runs} runs, each within {within:?}; seed {seed}").unwrap();
}
