//! The hint that a time zone may be set wrong: a clock that is off by whole hours is mostly right otherwise.

/// Clocks that agree but for the zone are seldom further apart.
const NEAR_S: u64 = 120;
const HALF_HOUR_S: u64 = 1_800;
/// No zone is further from UTC, and two machines can lie on both sides of it.
const FURTHEST_S: u64 = 26 * 3_600;

/// Returns a hint on time zones, where the difference between two clocks, in seconds, looks like one.
pub(crate) fn hint(seconds: i64) -> Option<String> {
    let seconds = seconds.unsigned_abs();
    let halves = (seconds + NEAR_S) / HALF_HOUR_S;
    let is_near = seconds.abs_diff(halves * HALF_HOUR_S) <= NEAR_S;
    (halves > 0 && is_near && seconds <= FURTHEST_S + NEAR_S)
        .then(|| format!("that is close to {}: is a time zone set wrong?", hours(halves)))
}

fn hours(halves: u64) -> String {
    match (halves / 2, halves % 2) {
        (0, _) => "half an hour".to_owned(),
        (1, 0) => "an hour".to_owned(),
        (n, 0) => format!("{n} hours"),
        (n, _) => format!("{n}.5 hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_and_half_hours_are_a_zones_and_the_rest_is_a_slow_clock() {
        for (seconds, part) in [
            (28_800, Some("8 hours")),
            (28_703, Some("8 hours")),
            (-28_920, Some("8 hours")),
            (3_590, Some("an hour")),
            (19_800, Some("5.5 hours")),
            (-1_805, Some("half an hour")),
            (0, None),
            (90, None),
            (1_200, None),
            (3_000, None),
            (28_921, None),
            (200 * 3_600, None),
            (i64::MIN, None),
        ] {
            let hint = hint(seconds);
            assert_eq!(hint.is_some(), part.is_some(), "{seconds}: {hint:?}");
            assert!(hint.unwrap_or_default().contains(part.unwrap_or_default()), "{seconds}");
        }
    }
}
