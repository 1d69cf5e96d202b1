//! A copy whose story is known, told with one wrong clock, which several may go by, and with headers missing: no verdict contradicts
//! the story.

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderName};
use proptest::prelude::*;

use super::{at, verdict};
use crate::edge::EdgeVerdict::{Absent, Fresh, Stale, Unknown};

/// What truly happened to a copy, in seconds before now, and what of it is told.
#[derive(Debug, Clone)]
struct Truth {
    submitted: i64,
    /// The content came into the CDN; the origin confirmed it; the node stored its copy.
    came: i64,
    confirmed: i64,
    stored: i64,
    /// Which clocks are wrong, by the same: the node's, that of the node which asked the origin, the origin's.
    wrong: [bool; 3],
    ahead: i64,
    /// Ages are told by the time of the origin, not counted.
    age_by_date: bool,
    /// `Date` is the node's, and of the answer.
    dates_its_answer: bool,
    is_told: [bool; 6],
    part_of_second: i64,
}

fn truth() -> impl Strategy<Value = Truth> {
    let ago = || prop_oneof![0..20_i64, 0..7_200_i64];
    let ahead = prop_oneof![Just(0_i64), 10..10_000_i64, -10_000..-10_i64];
    (
        ago(),
        [ago(), ago(), ago()],
        0..5_usize,
        ahead,
        any::<[bool; 2]>(),
        any::<[bool; 6]>(),
        0..1_000_i64,
        any::<bool>(),
    )
        .prop_map(
            |(
                submitted,
                mut times,
                wrong,
                ahead,
                [age_by_date, dates_its_answer],
                mut is_told,
                part_of_second,
                all,
            )| {
                times.sort_unstable();
                let [stored, confirmed, came] = times;
                if all {
                    is_told = [true; 6];
                }
                Truth {
                    submitted,
                    came,
                    confirmed,
                    stored,
                    // The node itself may have asked the origin, and be all that gives times.
                    wrong: [0, 1, 2].map(|clock| clock == wrong || wrong == 4 || wrong == 3 && clock < 2),
                    ahead,
                    age_by_date,
                    dates_its_answer,
                    is_told,
                    part_of_second,
                }
            },
        )
}

impl Truth {
    fn headers(&self, now: DateTime<Utc>) -> HeaderMap {
        let clock = |which: usize| now + TimeDelta::seconds(if self.wrong[which] { self.ahead } else { 0 });
        let date = |time: DateTime<Utc>| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let confirmed_at = clock(2) - TimeDelta::seconds(self.confirmed);
        let by_date = (clock(0) - confirmed_at).num_seconds().max(0);
        let age = if self.age_by_date { by_date } else { self.confirmed };
        let all = [
            ("x-swift-savetime", date(clock(0) - TimeDelta::seconds(self.stored))),
            ("ali-swift-global-savetime", (clock(1) - TimeDelta::seconds(self.came)).timestamp().to_string()),
            ("date", date(if self.dates_its_answer { clock(0) } else { confirmed_at })),
            ("age", age.to_string()),
            ("eagleid", format!("cb007107{}4175e", clock(0).timestamp_millis())),
            ("x-cache", "HIT TCP_MEM_HIT dirn:1:1".to_owned()),
        ];
        let told = all.into_iter().zip(self.is_told).filter(|(_, is_told)| *is_told);
        told.map(|((name, value), _)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    /// Nobody can tell an origin that confirms old content, with a clock that is behind, from a copy that nobody confirmed.
    fn is_beyond_telling(&self) -> bool {
        let is_confirmed = self.came > self.submitted && self.confirmed <= self.submitted;
        is_confirmed && self.age_by_date && self.wrong[0] != self.wrong[2] && self.ahead != 0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn no_copy_is_called_fresh_or_stale_that_is_not_though_one_clock_is_wrong(truth in truth()) {
        let now = at("2026-11-25T12:30:00Z") + TimeDelta::milliseconds(truth.part_of_second);
        let map = truth.headers(now);
        let (told, reason) = verdict(&map, now - TimeDelta::seconds(truth.submitted), now);
        match told {
            Fresh => {
                prop_assert!(truth.confirmed <= truth.submitted, "{reason} {map:?}");
                // What came before and was confirmed after is only taken for new where the clock that says so is ahead.
                let is_misled = truth.wrong[1] && truth.ahead > 0;
                prop_assert!(is_misled || truth.came <= truth.submitted, "{reason} {map:?}");
            }
            Stale if !truth.is_beyond_telling() => prop_assert!(truth.confirmed > truth.submitted, "{reason} {map:?}"),
            Stale => {}
            Absent => prop_assert!(false, "{reason}"),
            Unknown => {
                // With right clocks and all headers only the two seconds around the submission are open, and what was confirmed.
                let is_close = [truth.came, truth.confirmed, truth.stored].iter().any(|t| (t - truth.submitted).abs() <= 3);
                let is_confirmed = truth.came > truth.submitted && truth.confirmed <= truth.submitted;
                let must_know = truth.ahead == 0 && !truth.dates_its_answer && truth.is_told == [true; 6] && !is_close && !is_confirmed;
                prop_assert!(!must_know, "{reason} {map:?}");
            }
        }
    }
}
