//! However the service tells of tasks, and whoever has read it: verdicts are those that each run would come to alone.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::task::JoinSet;
use vod_refresh::Report;
use vod_refresh::emulator::{
    Filtering, ListStyle, MediaScript, OneByOne, Pages, RowSpelling, Scenario, SizeNamed, Telling, Total,
    Which,
};
use vod_refresh::run::MediaState;

use super::{Fleet, QUERY_TASKS, ids};
use crate::support::random::Rng;
use crate::support::request;

const PROCESSES: usize = 3;
const MEDIA: usize = 25;

/// A cloud that tells of its tasks in hostile ways, in which some media fail.
fn cloud(rng: &mut Rng) -> (Scenario, Vec<Vec<bool>>) {
    let pages = Pages {
        size: NonZeroUsize::new(rng.one_of(&[0, 0, 50, 10, 7])),
        size_named: rng.one_of(&[SizeNamed::Right, SizeNamed::Asked, SizeNamed::None]),
        total: rng.one_of(&[
            Total::Right,
            Total::Right,
            Total::None,
            Total::TooLow,
            Total::TooHigh,
            Total::Zero,
            Total::Text,
        ]),
        shift: rng.one_of(&[0, 0, 0, 1, 13]),
    };
    let filters = [
        Filtering::Works,
        Filtering::Refused,
        Filtering::ShowsNothing,
        Filtering::HidesHalf,
        Filtering::Ignored,
    ];
    let mut scenario = Scenario::new()
        .with(|s| s.urls_per_media = 2 + rng.below(4) as usize)
        .with(|s| s.task_duration = Duration::from_secs(5) + rng.ms(30_000))
        .with(|s| s.rates.insert(QUERY_TASKS.into(), rng.one_of(&[0.0, 5.0, 10.0])))
        .with(|s| s.latency = rng.ms(2_000))
        .with(|scenario| {
            scenario.task_jitter = rng.ms(20_000);
            scenario.pending_for = rng.one_of(&[Duration::ZERO, Duration::from_secs(3)]);
            scenario.merge_ids_across_media = rng.below(4) == 0;
            scenario.pages = pages;
            scenario.task_filters = rng.one_of(&filters);
        });
    let mut fails = vec![vec![false; MEDIA]; PROCESSES];
    for (process, fails) in fails.iter_mut().enumerate() {
        for (id, fails) in ids(process, MEDIA).zip(fails) {
            *fails = rng.below(8) == 0;
            let telling = Telling {
                row_spelling: rng.one_of(&[
                    RowSpelling::Same,
                    RowSpelling::Same,
                    RowSpelling::Http,
                    RowSpelling::Encoded,
                    RowSpelling::Port,
                ]),
                rows_one_by_one: rng.one_of(&[
                    OneByOne::Looks(false),
                    OneByOne::Looks(false),
                    OneByOne::Looks(true),
                ]),
                list_style: rng.one_of(&[ListStyle::Comma, ListStyle::Array, ListStyle::JsonText]),
                lookup_grows: rng.one_of(&[
                    OneByOne::Looks(false),
                    OneByOne::Looks(false),
                    OneByOne::Looks(true),
                ]),
                double_rows: rng.one_of(&[0, 0, 1]).into_which(),
                ..Telling::default()
            };
            // Where all share an id, its rows take longer to come one by one than a row may take.
            let telling = match scenario.merge_ids_across_media {
                true => Telling { rows_one_by_one: OneByOne::Looks(false), ..telling },
                false => telling,
            };
            let script = MediaScript {
                failed_tasks: if *fails { Which::At(vec![rng.below(2) as usize]) } else { Which::All(false) },
                invisible_for: rng.one_of(&[Duration::ZERO, Duration::ZERO, Duration::from_secs(9)]),
                merged_tasks: rng.below(6) == 0,
                telling,
                ..MediaScript::default()
            };
            scenario = scenario.with_media(id, script);
        }
    }
    (scenario, fails)
}

trait IntoWhich {
    fn into_which(self) -> Which;
}

impl IntoWhich for usize {
    fn into_which(self) -> Which {
        if self == 0 { Which::All(false) } else { Which::At(vec![0]) }
    }
}

/// Checks the verdicts of one draw.
async fn check(seed: u64) {
    let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (scenario, fails) = cloud(&mut rng);
    let fleet = Fleet::new(scenario);
    let mut runs: JoinSet<(usize, Report)> = JoinSet::new();
    for number in 0..PROCESSES {
        let late = rng.ms(12_000);
        let (refresher, wait) = (fleet.process(number).await, rng.one_of(&[Duration::ZERO, late]));
        runs.spawn(async move {
            tokio::time::sleep(wait).await;
            (number, refresher.refresh(&request(ids(number, MEDIA))).await.unwrap())
        });
    }
    while let Some(ended) = runs.join_next().await {
        let (number, report) = ended.unwrap();
        for (media, fails) in report.media.iter().zip(&fails[number]) {
            let expected = if *fails { MediaState::Failed } else { MediaState::Complete };
            assert_eq!(media.state, expected, "seed {seed}, process {number}: {media:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn verdicts_are_right_however_tasks_are_told_of_and_whoever_reads() {
    let number = |name, usual| std::env::var(name).ok().map_or(usual, |text| text.parse::<u64>().unwrap());
    let (first, count) = (number("VOD_REFRESH_FLEETS_FIRST", 1), number("VOD_REFRESH_FLEETS", 6));
    for seed in first..first + count {
        check(seed).await;
    }
}
