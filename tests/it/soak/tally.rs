//! The figures of a soak.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::program::memory_kib;
use vod_refresh::Outcome;

/// What one seed came to.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) calls: usize,
    /// Calls of the action whose rate is the scarcest.
    pub(super) task_queries: usize,
    pub(super) virtual_time: Duration,
    pub(super) outcomes: Vec<Outcome>,
}

/// What all of them came to.
pub(super) struct Tally {
    title: &'static str,
    began: tokio::time::Instant,
    seeds: u64,
    runs: usize,
    calls: usize,
    task_queries: usize,
    virtual_time: Duration,
    outcomes: BTreeMap<&'static str, u64>,
    failed: Vec<u64>,
    /// What was in use after the first hundred seeds, in KiB.
    at_first: Option<u64>,
}

/// So many seeds in, everything that is kept for good is there.
const WARM: u64 = 100;

#[allow(clippy::print_stderr, reason = "figures for who asks with `--nocapture`")]
impl Tally {
    pub(super) fn new(title: &'static str) -> Self {
        Self {
            title,
            began: tokio::time::Instant::now(),
            seeds: 0,
            runs: 0,
            calls: 0,
            task_queries: 0,
            virtual_time: Duration::ZERO,
            outcomes: BTreeMap::new(),
            failed: Vec::new(),
            at_first: None,
        }
    }

    pub(super) fn take(&mut self, seed: u64, end: std::thread::Result<Figures>) {
        self.seeds += 1;
        match end {
            Ok(figures) => {
                self.runs += figures.outcomes.len();
                self.calls += figures.calls;
                self.task_queries += figures.task_queries;
                self.virtual_time += figures.virtual_time;
                for outcome in figures.outcomes {
                    *self.outcomes.entry(outcome.as_str()).or_default() += 1;
                }
            }
            Err(_) => {
                eprintln!("soak: seed {seed} failed");
                self.failed.push(seed);
            }
        }
        if self.seeds.is_multiple_of(WARM) {
            self.at_first = self.at_first.or(in_use());
            self.say();
        }
    }

    /// Says what it came to, and fails if a seed did, or if memory grew from hundred to hundred.
    pub(super) fn end(self) {
        self.say();
        assert_eq!(self.failed, [0; 0], "seeds whose run failed, each above with its reason");
        if let (Some(first), Some(last)) = (self.at_first, in_use()) {
            assert!(last <= first + first / 2 + 32 * 1_024, "memory grew from {first} to {last} KiB");
        }
    }

    fn say(&self) {
        eprintln!(
            "soak, {}: {} seeds, {} runs, {} calls ({} task queries), {:.1} virtual hours in {:.1} s, {:?}{}",
            self.title,
            self.seeds,
            self.runs,
            self.calls,
            self.task_queries,
            self.virtual_time.as_secs_f64() / 3_600.0,
            self.began.elapsed().as_secs_f64(),
            self.outcomes,
            ["VmRSS", "VmHWM"]
                .map(|name| memory_kib("self", name)
                    .map_or(String::new(), |kib| format!(", {name} {kib} KiB")))
                .concat()
        );
    }
}

fn in_use() -> Option<u64> {
    memory_kib("self", "VmRSS")
}
