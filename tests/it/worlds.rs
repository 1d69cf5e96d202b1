//! A verdict that nothing contradicts: worlds drawn by lot, told in hostile ways, and an oracle that knows what truly
//! happened. It is written apart from the ledger, against `verdict.md` alone.
//!
//! 20,000 worlds by default; `VOD_REFRESH_WORLDS=N` runs so many, and `VOD_REFRESH_WORLDS_FIRST=SEED` begins there. A
//! failure names its seeds, and tells the first of them: the world, the calls and answers, the end, and what was allowed.

mod answers;
mod draw;
mod drive;
mod events;
mod oracle;
mod proxies;
mod spelling;
mod telling;
mod ways;
mod world;

use std::collections::BTreeMap;

/// Worlds of a test run. The tests share them, so that each core has its part.
const WORLDS: u64 = 20_000;
const PARTS: u64 = 4;
/// A test that fails everywhere need not find every fault.
const ENOUGH: usize = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[allow(clippy::print_stderr, reason = "a figure for who asks with `--nocapture`")]
fn part(part: u64) {
    let first = number("VOD_REFRESH_WORLDS_FIRST").unwrap_or(0);
    let count = number("VOD_REFRESH_WORLDS").unwrap_or(WORLDS);
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let (mut worlds, mut calls, mut wrong, mut story) = (0, 0, 0, None);
    for seed in (first..first + count).filter(|seed| seed % PARTS == part) {
        let went = drive::one(seed, false);
        worlds += 1;
        calls += went.calls;
        if went.faults.is_empty() {
            continue;
        }
        wrong += 1;
        for fault in &went.faults {
            // Names of media differ, and kinds count.
            let kind = fault.split(' ').filter(|word| !word.starts_with('m')).collect::<Vec<_>>().join(" ");
            kinds.entry(kind).or_default().push(seed);
        }
        story.get_or_insert_with(|| {
            format!("world {seed}: {:#?}\n{}", went.faults, drive::one(seed, true).story)
        });
        if wrong >= ENOUGH {
            break;
        }
    }
    eprintln!("{worlds} worlds, {calls} calls, {wrong} wrong");
    if let Some(story) = story {
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, seeds)| {
                format!("{:>6} {kind}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(8)])
            })
            .collect();
        panic!("{story}\n{wrong} of {worlds} worlds ended wrong\n{}", kinds.join("\n"));
    }
}

#[test]
fn no_verdict_is_contradicted_by_what_truly_happened_1() {
    part(0);
}

#[test]
fn no_verdict_is_contradicted_by_what_truly_happened_2() {
    part(1);
}

#[test]
fn no_verdict_is_contradicted_by_what_truly_happened_3() {
    part(2);
}

#[test]
fn no_verdict_is_contradicted_by_what_truly_happened_4() {
    part(3);
}
