//! A world at random. The same seed draws the same world.

use std::time::Duration;

use super::behaviour::{Behaviour, Lookups, Source};
use super::events::draw_events;
use super::spelling::{Names, foreign_url};
use super::world::{BATCH, Fate, Kind, Media, Row, Step, Task, Word, World};
use crate::support::random::Rng;

/// So late may a task or a row be where foreign rows are shown already: within the first looks. One that comes later can't be
/// told from a URL that its row spells otherwise, and then rule 3 lets the foreign rows decide.
const LATE_BESIDE_FOREIGN_ROWS: Duration = Duration::from_secs(60);

/// What is odd about the rows of a world. Where a row never comes there are no foreign rows: nobody could tell their rows from
/// one that is spelt so that it matches nothing (rule 3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Odd {
    Nothing,
    ForeignRows,
    Unmatched,
    /// Rows match nothing, and some of these never come; there are no foreign rows, so fewer rows than URLs stay to choose from.
    Fewer,
    Hidden,
}

impl Odd {
    fn beside_foreign_rows(self, late: Duration) -> Duration {
        if matches!(self, Self::ForeignRows | Self::Unmatched) {
            late.min(LATE_BESIDE_FOREIGN_ROWS)
        } else {
            late
        }
    }
}

impl World {
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let kind = match rng.below(200) {
            0 => Kind::Deaths,
            1..=12 => Kind::Wait,
            _ => Kind::Refresh,
        };
        let is_big = kind == Kind::Refresh && rng.below(200) == 0;
        let count = if is_big { 16 + rng.below(20) } else { few(&mut rng, 4) } as usize;
        let mut behaviour = Behaviour::draw(&mut rng, kind, is_big);
        let odd = match rng.below(100) {
            _ if behaviour.is_unnamed => Odd::Nothing,
            0..=24 => Odd::ForeignRows,
            25..=28 => Odd::Unmatched,
            29..=30 if behaviour.lookups == Lookups::Work => Odd::Fewer,
            31..=32 if behaviour.lookups == Lookups::Work => Odd::Hidden,
            _ => Odd::Nothing,
        };
        let mut world =
            Self { seed, kind, media: Vec::new(), tasks: Vec::new(), behaviour: behaviour.clone() };
        let mut names = Names::new(behaviour.is_schemeless);
        for place in 0..count {
            let media = world.draw_media(&mut rng, place, &mut names);
            world.media.push(media);
        }
        let never = rng.percent(3);
        for batch in 0..count.div_ceil(BATCH) {
            world.draw_tasks(&mut rng, batch, is_big, odd, never);
            world.draw_steps(&mut rng, batch);
        }
        for place in 0..count {
            let media = &world.media[place];
            let is_missing = world.rows_of(media).any(|row| row.of.is_some() && row.shown.is_none());
            world.media[place].events = draw_events(&mut rng, &behaviour, media, is_missing);
        }
        // A world that is stuck is to cost few calls.
        if world
            .media
            .iter()
            .any(|media| matches!(media.fate, Fate::Pending | Fate::Unseen | Fate::Unreadable))
            || matches!(odd, Odd::Hidden | Odd::Fewer)
            || never
        {
            behaviour.poll = Duration::from_secs(100 + rng.below(21));
        }
        world.behaviour = behaviour;
        world
    }

    fn draw_media(&self, rng: &mut Rng, place: usize, names: &mut Names) -> Media {
        let behaviour = &self.behaviour;
        let fate = match rng.below(200) {
            0..=3 if self.kind != Kind::Wait => Fate::Missing,
            4..=6 if self.kind != Kind::Wait => Fate::Forbidden,
            8 if self.kind == Kind::Refresh && behaviour.lookups == Lookups::Work => Fate::Unseen,
            10..=11 if behaviour.lookups == Lookups::Work => Fate::Pending,
            13..=20 => Fate::Fails,
            21..=24 => Fate::Empty,
            26..=27 if behaviour.lookups == Lookups::Work => Fate::Unreadable,
            _ => Fate::Named,
        };
        // A signed event may stand where lookups stay empty for a minute: none of them lies there.
        let longest = match (self.kind, behaviour.source) {
            (Kind::Wait, _) => 7,
            (_, Source::Signed) => 25,
            _ => 150,
        };
        let shown = behaviour.silence
            + match rng.below(10) {
                0..=6 => Duration::ZERO,
                7..=8 => rng.ms(6_000),
                _ => rng.ms(longest * 1_000),
            };
        let urls = (0..few(rng, 5)).map(|_| names.draw(rng, place)).collect();
        Media {
            id: format!("m{place}"),
            fate,
            shown,
            steps: Vec::new(),
            urls,
            tasks: Vec::new(),
            events: Vec::new(),
        }
    }

    fn draw_tasks(&mut self, rng: &mut Rng, batch: usize, is_big: bool, odd: Odd, never: bool) {
        let first = self.tasks.len();
        let of_batch = if is_big { 0 } else { rng.below(10) };
        let (mut shared, most) = (Vec::new(), 1 + rng.below(2));
        for place in (0..self.media.len()).skip(batch * BATCH).take(BATCH) {
            let at_media = self.tasks.len();
            // The rows of a media that nobody names would be foreign to the others.
            let shares = self.behaviour.lookups == Lookups::Work
                && matches!(self.media[place].fate, Fate::Named | Fate::Unreadable);
            let merging = if shares { of_batch } else { of_batch.min(6) };
            for url in 0..self.media[place].urls.len() {
                let new = self.tasks.len();
                let task = match merging {
                    0..=4 => new,
                    5..=6 => new.min(at_media + rng.below(2) as usize),
                    _ => {
                        let at = usize::min(rng.below(most) as usize, shared.len());
                        if at == shared.len() {
                            shared.push(new);
                        }
                        shared[at]
                    }
                };
                if task == new {
                    let task = draw_task(rng, task, batch, odd);
                    self.tasks.push(task);
                }
                let row = self.draw_row(rng, (place, url), task, odd, never);
                let rows = &mut self.tasks[task].rows;
                // Twice, with an end of its own; rows that match nothing are counted.
                if rng.percent(4) && odd != Odd::Fewer {
                    let (end, path) = (draw_end(rng, never), row.path.clone());
                    rows.push(Row { end, path, ..row.clone() });
                }
                rows.push(row);
                if !self.media[place].tasks.contains(&task) {
                    self.media[place].tasks.push(task);
                }
            }
        }
        if odd == Odd::ForeignRows || (odd == Odd::Unmatched && rng.percent(50)) {
            for n in first..self.tasks.len() {
                for _ in 0..rng.below(3) {
                    let stays = rng.percent(12);
                    let (shown, end) = (self.tasks[n].created, draw_end(rng, stays));
                    let row =
                        Row { path: foreign_url(rng), of: None, is_matched: false, shown: Some(shown), end };
                    let at = if rng.percent(50) { 0 } else { self.tasks[n].rows.len() };
                    self.tasks[n].rows.insert(at, row);
                }
            }
        }
    }

    fn draw_row(&self, rng: &mut Rng, of: (usize, usize), task: usize, odd: Odd, never: bool) -> Row {
        let name = &self.media[of.0].urls[of.1];
        let is_matched = !matches!(odd, Odd::Unmatched | Odd::Fewer) || rng.percent(50);
        let path = if is_matched { name.respell(rng) } else { foreign_url(rng) };
        let later = match rng.below(10) {
            _ if self.behaviour.is_unnamed && rng.percent(25) => rng.ms(120_000),
            0..=5 => Duration::ZERO,
            6..=8 => rng.ms(15_000),
            _ => rng.ms(120_000),
        };
        // Long silences are the task's; its rows count from there.
        // Where the first URL's row is spelt as named, foreign rows stand for no other one.
        let later = if odd == Odd::ForeignRows && of.1 > 0 { later } else { odd.beside_foreign_rows(later) };
        let shown = self.tasks[task].created + later;
        let is_hidden = odd == Odd::Hidden && rng.percent(30)
            || odd == Odd::Fewer && !is_matched && rng.percent(30)
            || matches!(self.tasks[task].word, Word::Malformed | Word::Unknown);
        Row {
            path,
            of: Some(of),
            is_matched,
            shown: (!is_hidden).then_some(shown),
            end: draw_end(rng, never),
        }
    }

    /// The naming grows for 2.5 s from a media's first success on, or as long as another media of the job is pending.
    fn draw_steps(&mut self, rng: &mut Rng, batch: usize) {
        let is_wait = self.kind == Kind::Wait;
        let places: Vec<usize> = (0..self.media.len()).skip(batch * BATCH).take(BATCH).collect();
        let named: Vec<Duration> = places
            .iter()
            .map(|place| {
                self.media[*place].shown + if rng.percent(72) { Duration::ZERO } else { rng.ms(15_000) }
            })
            .collect();
        let waited_for = |place: &usize| {
            let fate = self.media[*place].fate;
            matches!(fate, Fate::Fails | Fate::Empty | Fate::Unreadable | Fate::Named)
        };
        let last = places.iter().zip(&named).filter(|(place, _)| waited_for(place)).map(|(_, at)| *at).max();
        let last = last.unwrap_or_default().saturating_sub(Duration::from_millis(100));
        for (place, named) in places.into_iter().zip(named) {
            let media = &mut self.media[place];
            let (tasks, urls) = (media.tasks.len(), media.urls.len());
            let grows = media.fate == Fate::Named && rng.percent(20);
            if grows {
                let (mut at, mut some) = (named, (0, 0));
                let least = usize::from(rng.percent(80));
                let end =
                    (named + Duration::from_millis(2_500)).max(if is_wait { Duration::ZERO } else { last });
                for _ in 0..1 + rng.below(2) {
                    let part = |rng: &mut Rng, from: usize, all: usize| {
                        let least = from.max(least).min(all);
                        least + rng.below((all - least) as u64 + 1) as usize
                    };
                    some = (part(rng, some.0, tasks), part(rng, some.1, urls));
                    media.steps.push(Step { at, tasks: some.0, urls: some.1 });
                    at = (at + Duration::from_millis(200) + rng.ms(1_200)).min(end);
                }
                let at = if rng.percent(50) { at } else { at + (end - at).mul_f64(0.9) };
                media.steps.push(Step { at, tasks, urls });
            } else {
                media.steps.push(Step { at: named, tasks, urls });
            }
        }
    }
}

/// From 1 to `most`, small numbers more often: the calls of a world grow with them.
fn few(rng: &mut Rng, most: u64) -> u64 {
    1 + rng.below(most).min(rng.below(most)).min(rng.below(2 * most))
}

fn draw_task(rng: &mut Rng, n: usize, batch: usize, odd: Odd) -> Task {
    let digits = if rng.percent(5) { 30 + rng.below(226) as usize } else { 6 };
    let created = odd.beside_foreign_rows(match rng.below(100) {
        0..=64 => rng.ms(500),
        65..=94 => rng.ms(20_000),
        95..=98 => rng.ms(150_000),
        _ => rng.ms(350_000),
    });
    let word = match rng.below(100) {
        0..=14 => Word::NotFound,
        15..=24 if odd == Odd::Hidden => Word::Malformed,
        25..=27 if odd == Odd::Hidden => Word::Unknown,
        _ => Word::Rows,
    };
    Task { id: format!("7{n:0digits$}"), batch, created, word, rows: Vec::new() }
}

fn draw_end(rng: &mut Rng, never: bool) -> Option<(Duration, bool)> {
    let at = match rng.below(100) {
        0..=49 => rng.ms(8_000),
        50..=89 => rng.ms(50_000),
        90..=97 => rng.ms(180_000),
        _ => rng.ms(420_000),
    };
    let well = !rng.percent(12);
    (!never || !rng.percent(25)).then_some((at, well))
}
