//! `kill -9` at random moments: the binary is carried on until it is through, and nothing whose answer was written down
//! goes out again. `VOD_REFRESH_KILLS=50` kills more often than the six times of every day.

use std::time::Duration;

use tokio::time::Instant;
use vod_refresh::emulator::Scenario;
use vod_refresh::journal::StoredRun;
use vod_refresh::{Journal, Outcome};

use crate::program::{Cloud, Home, end};
use crate::support::answered;

pub(crate) const MEDIA: usize = 100;

pub(crate) fn cloud() -> Cloud {
    let scenario = Scenario::new()
        .with_latency(Duration::from_millis(20))
        .with_job_delay(Duration::from_millis(60))
        .with_task_duration(Duration::from_millis(150))
        .with_urls_per_media(1)
        .with(|scenario| scenario.merge_ids_across_media = true);
    Cloud::new(scenario)
}

/// The newest run as the journal has it; none if it was killed before it was written down.
fn stored(home: &Home) -> Option<StoredRun> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        if !home.journal().exists() {
            return None;
        }
        let journal = Journal::open(home.journal()).await.unwrap();
        let id = journal.runs().await.unwrap().first()?.run_id.clone();
        journal.load(Some(id)).await.unwrap()
    })
}

/// Kills one run again and again, `times` at most, and carries it on to its end. Says how often it was killed.
fn kill(times: usize, random: &mut impl FnMut(u64) -> u64, within: Duration) -> usize {
    let (cloud, home) = (cloud(), Home::new());
    let mut line = whole(&cloud);
    let mut kills = 0;
    loop {
        let known = stored(&home).map(|run| answered(&run)).unwrap_or_default();
        let before = cloud.submits();
        let mut child = home.start(&line);
        if kills < times {
            // Most happens at the beginning.
            let within = within / [1, 2, 8][random(3) as usize];
            std::thread::sleep(Duration::from_micros(random(within.as_micros() as u64)));
            let _ = child.kill();
        }
        let ended = end(child);
        let after = cloud.submits();
        for list in known {
            assert_eq!(before[&list], after[&list], "submitted again: {list}");
        }
        match ended.code {
            None => kills += 1,
            code => assert_eq!(code, Some(0), "{ended:?}"),
        }
        match stored(&home) {
            Some(run) if run.outcome.is_some() => {
                let complete = run.report().summary.media_complete;
                assert_eq!((run.outcome, complete), (Some(Outcome::Complete), MEDIA as u64));
                return kills;
            }
            Some(_) => line = vec!["resume".to_owned()],
            None => {}
        }
    }
}

pub(crate) fn whole(cloud: &Cloud) -> Vec<String> {
    let line = ["refresh", "--endpoint", &cloud.endpoint, "--poll-interval", "50ms", "--max-rps", "100"];
    line.map(str::to_owned).into_iter().chain((0..MEDIA).map(|n| format!("m{n}"))).collect()
}

#[test]
#[allow(clippy::print_stderr, reason = "figures for who asks with `--nocapture`")]
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
    assert_eq!(home.run(&whole(&cloud)).code, Some(0));
    let within = begun.elapsed();
    let (mut kills, mut runs) = (0, 0);
    while kills < wanted {
        kills += kill((wanted - kills).min(4), &mut random, within);
        runs += 1;
    }
    eprintln!("{kills} kills of {runs} runs, each within {within:?}; seed {seed}");
}
