//! Runs drawn at random: whatever goes wrong, each ends, and its report is true.
//!
//! A handful by default; `VOD_REFRESH_SOAK_SEEDS=500` runs so many, best with `--release` and `--nocapture`. A failure
//! names its seed, and `VOD_REFRESH_SOAK_FIRST=N` begins there. A seed fixes everything that is left to chance. The hours
//! are whole where seeds are asked for, and minutes by default.

mod draw;
mod drive;
mod hostile;
#[cfg(target_os = "linux")]
mod hostile_hours;
mod hour;
mod tally;
mod truth;

use serde_json::Value;

use crate::matrix::in_paused_time;
use tally::Tally;

#[test]
fn whatever_goes_wrong_each_run_ends_with_a_true_report() {
    let mut tally = Tally::new("runs at random");
    for seed in seeds(12) {
        tally.take(seed, std::panic::catch_unwind(|| in_paused_time(drive::one(seed)).figures()));
    }
    tally.end();
}

#[test]
fn in_an_hour_at_full_rate_with_faults_at_random_each_run_settles_and_nothing_stays_behind() {
    let mut tally = Tally::new("hours at full rate");
    // Some minutes of it, unless asked for more.
    let long = if std::env::var("VOD_REFRESH_SOAK_SEEDS").is_ok() { hour::HOUR } else { hour::HOUR / 20 };
    for seed in seeds(2) {
        tally.take(seed, std::panic::catch_unwind(|| in_paused_time(hour::one(seed, long))));
    }
    tally.end();
}

#[test]
fn one_seed_gives_one_run() {
    for seed in seeds(12) {
        let [once, again] = [0, 1].map(|_| in_paused_time(drive::one(seed)));
        // Its threads are the system's to time. It goes the same way nearly always, which is no promise.
        if once.has_journal {
            continue;
        }
        let calls = once.calls.iter().zip(&again.calls).position(|(once, again)| once != again);
        if let Some(at) = calls {
            panic!("seed {seed}: call {at} is {:?}, then {:?}", once.calls[at], again.calls[at]);
        }
        assert_eq!(once.calls.len(), again.calls.len(), "seed {seed}");
        assert_eq!(nameless(&once.report), nameless(&again.report), "seed {seed}");
    }
}

/// What a run may choose anew each time: its own name.
fn nameless(report: &vod_refresh::Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap();
    value["run_id"].take();
    value
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("VOD_REFRESH_SOAK_FIRST").unwrap_or(0);
    first..first + number("VOD_REFRESH_SOAK_SEEDS").unwrap_or(default)
}
