//! Small random numbers for jitter. Nonces come from the system's generator instead.

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64: one addition and a mix, good enough to spread calls.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in `0.0..1.0` made from `seed`.
pub(crate) fn fraction(seed: u64) -> f64 {
    // 53 bits are what an f64 holds exactly.
    (mix(seed) >> 11) as f64 / (1u64 << 53) as f64
}

/// A stream of fractions that threads can share.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    /// Begins with a given seed, where somebody wants the same run twice; else with the system's, or a fixed one where it has
    /// no generator.
    pub(crate) fn of(seed: Option<u64>) -> Self {
        let seed = seed.or_else(|| getrandom::u64().ok());
        Self(AtomicU64::new(seed.unwrap_or(0x5EED)))
    }

    /// The next number in `0.0..1.0`.
    pub(crate) fn next(&self) -> f64 {
        fraction(self.step())
    }

    /// A seed for somebody else, so that what follows from it repeats when this stream does.
    pub(crate) fn next_seed(&self) -> u64 {
        mix(self.step())
    }

    fn step(&self) -> u64 {
        self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }
}
