//! A verdict that nothing contradicts: worlds drawn at random, told in hostile ways, and an oracle that knows what truly
//! happened. It is written apart from the ledger, against `verdict.md` alone.
//!
//! 20,000 worlds by default; `VOD_REFRESH_WORLDS=N` runs so many, and `VOD_REFRESH_WORLDS_FIRST=SEED` begins there. A
//! failure names its seeds, and tells the first of them: the world, the calls and answers, the end, and what was allowed.

mod answers;
mod behaviour;
mod draw;
mod drive;
mod events;
mod oracle;
mod proxies;
mod server;
mod spelling;
mod world;

use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind};

const WORLDS: u64 = 20_000;
/// Seeds of worlds that once ended wrong, each for a reason of its own.
const ONCE_WRONG: [u64; 17] = [
    1_128_014, 2_854_540, 1_024_240, 1_130_502, 2_609_302, 1_650_932, 1_057_044, 1_651_922, 1_827_105,
    2_399_157, 2_748_232, 1_503_315, 4_459_369, 5_241_278, 6_332_964, 10_457_970, 13_631_421,
];
/// A ledger that is wrong everywhere need not be told of every world.
const ENOUGH: usize = 4_000;

/// What came of some worlds.
#[derive(Default)]
struct Tally {
    worlds: usize,
    calls: usize,
    wrong: Vec<u64>,
    /// The seeds of each kind of fault.
    kinds: BTreeMap<String, Vec<u64>>,
}

impl Tally {
    /// Runs the worlds of these seeds.
    fn of(seeds: impl Iterator<Item = u64>) -> Self {
        let mut tally = Self::default();
        for seed in seeds {
            let result = run(seed, false);
            tally.worlds += 1;
            tally.calls += result.calls;
            if !result.faults.is_empty() {
                tally.wrong.push(seed);
            }
            for fault in result.faults {
                // Media differ, and the kinds of faults count.
                let kind: Vec<&str> = fault.split(' ').filter(|word| !word.starts_with('m')).collect();
                tally.kinds.entry(kind.join(" ")).or_default().push(seed);
            }
            if tally.wrong.len() >= ENOUGH {
                break;
            }
        }
        tally
    }

    fn add(mut self, other: Self) -> Self {
        self.worlds += other.worlds;
        self.calls += other.calls;
        self.wrong.extend(other.wrong);
        for (kind, seeds) in other.kinds {
            self.kinds.entry(kind).or_default().extend(seeds);
        }
        self
    }
}

#[allow(clippy::print_stderr, reason = "without it nobody would know which world it was")]
fn run(seed: u64, is_logged: bool) -> drive::RunResult {
    catch_unwind(|| drive::one(seed, is_logged)).unwrap_or_else(|cause| {
        eprintln!("world {seed} panicked");
        resume_unwind(cause)
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[allow(clippy::print_stderr, reason = "a figure for who asks with `--nocapture`")]
#[test]
fn no_verdict_is_contradicted_by_what_truly_happened() {
    let first = number("VOD_REFRESH_WORLDS_FIRST").unwrap_or(0);
    let asked = number("VOD_REFRESH_WORLDS");
    let once_wrong = ONCE_WRONG.into_iter().filter(|_| asked.is_none());
    let seeds = (first..first + asked.unwrap_or(WORLDS)).chain(once_wrong);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let tally = std::thread::scope(|scope| {
        let part = |n| {
            let seeds = seeds.clone();
            scope.spawn(move || Tally::of(seeds.skip(n).step_by(threads)))
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        let ends = parts.into_iter().map(|part| part.join().unwrap_or_else(|cause| resume_unwind(cause)));
        ends.fold(Tally::default(), Tally::add)
    });
    let Tally { worlds, calls, wrong, kinds } = tally;
    eprintln!("{worlds} worlds, {calls} calls, {} ended wrong", wrong.len());
    let Some(seed) = wrong.iter().min() else { return };
    let told = run(*seed, true);
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, seeds)| format!("{:>6} {kind}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(8)]))
        .collect();
    panic!(
        "world {seed}: {:#?}\n{}{} of {worlds} worlds ended wrong\n{}",
        told.faults,
        told.log,
        wrong.len(),
        kinds.join("\n")
    );
}

#[test]
fn one_seed_gives_one_world_and_one_run() {
    for seed in 0..40 {
        let [once, again] = [run(seed, false), run(seed, false)];
        assert_eq!((once.calls, once.faults), (again.calls, again.faults), "seed {seed}");
    }
}
