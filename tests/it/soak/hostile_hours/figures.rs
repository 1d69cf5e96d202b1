//! What the process under test holds: memory, descriptors, the journal's files. Read from the system, second by second.

use crate::support::program::memory_kib;
use std::path::Path;

/// One look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) rss_kib: u64,
    pub(super) descriptors: u64,
    pub(super) journal_kib: u64,
}

/// What was seen in a part of the soak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Half of the looks saw less.
    pub(super) rss_kib: u64,
    /// The fewest: attackers hold connections open for seconds, a leak holds them for ever.
    pub(super) descriptors: u64,
    /// The most.
    pub(super) journal_kib: u64,
}

/// Growth that is allowed between the first and the last part.
const RSS_KIB: u64 = 24 * 1_024;
const DESCRIPTORS: u64 = 12;
const JOURNAL_KIB: u64 = 16 * 1_024;
/// What one process may hold at any time, with all that others send.
pub(super) const RSS_PEAK_KIB: u64 = 128 * 1_024;
pub(super) const JOURNAL_PEAK_KIB: u64 = 48 * 1_024;

impl Sample {
    /// Where the process has gone there is nothing to see.
    pub(super) fn of(process: u32, journal: &Path) -> Option<Self> {
        let folder = journal.parent()?;
        let sizes =
            std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        Some(Self {
            rss_kib: memory_kib(&process.to_string(), "VmRSS")?,
            descriptors: std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64,
            journal_kib: sizes.sum::<u64>() / 1_024,
        })
    }
}

impl Part {
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut memory: Vec<u64> = samples.iter().map(|sample| sample.rss_kib).collect();
        memory.sort_unstable();
        Self {
            rss_kib: memory[memory.len() / 2],
            descriptors: samples.iter().map(|sample| sample.descriptors).min().unwrap_or_default(),
            journal_kib: samples.iter().map(|sample| sample.journal_kib).max().unwrap_or_default(),
        }
    }

    /// What grew beyond its bound from this part to a later one.
    pub(super) fn grown(&self, later: &Self) -> Vec<String> {
        let all = [
            ("RSS (median, KiB)", self.rss_kib, later.rss_kib, self.rss_kib / 5 + RSS_KIB),
            ("descriptors (fewest)", self.descriptors, later.descriptors, DESCRIPTORS),
            ("journal (most, KiB)", self.journal_kib, later.journal_kib, self.journal_kib / 4 + JOURNAL_KIB),
        ];
        let grown = all.into_iter().filter(|(_, first, last, allowed)| *last > first + allowed);
        grown
            .map(|(name, first, last, allowed)| {
                format!("{name} grew from {first} to {last}, {allowed} more are allowed")
            })
            .collect()
    }
}

/// Seconds of processor time that a process has used.
pub(super) fn processor_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Fields 14 and 15 of the line, in hundredths of a second.
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

#[test]
fn what_grows_is_named_and_what_swings_is_not() {
    let part = |rss_kib, descriptors, journal_kib| Part { rss_kib, descriptors, journal_kib };
    let first = part(50_000, 20, 4_000);
    assert_eq!(first.grown(&part(50_000 + 10_000 + RSS_KIB, 32, 5_000 + JOURNAL_KIB)), [""; 0]);
    let grown = first.grown(&part(50_001 + 10_000 + RSS_KIB, 33, 5_001 + JOURNAL_KIB));
    assert_eq!(grown.len(), 3, "{grown:?}");
}
