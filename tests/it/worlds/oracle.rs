//! The oracle: which states a media may end in, given what the world truly did. It knows of the telling only what the rules
//! of `verdict.md` need: whether a lookup names a media, and whether a row is spelt so that it can match.

use std::time::Duration;

use super::behaviour::{Lookups, Source};
use super::events::{Claim, Event};
use super::world::{BATCH, Fate, Kind, Media, Row, Word, World};

/// A set of verdicts.
pub(super) type Verdicts = u8;
pub(super) const COMPLETE: Verdicts = 1;
pub(super) const FAILED: Verdicts = 2;
pub(super) const UNFINISHED: Verdicts = 4;
pub(super) const NOT_FOUND: Verdicts = 8;
pub(super) const FORBIDDEN: Verdicts = 16;

const GRACE: Duration = Duration::from_secs(600);

/// What a media may be said to be by one who looks until `left` after its job was made. Where `UNFINISHED` is not in the set
/// of any media, the run must have ended by then.
pub(super) fn verdicts(world: &World, media: &Media, left: Duration) -> Verdicts {
    let told = |event: &&Event| event.claim == Claim::Truth;
    let event = media.events.iter().find(told).map(|event| event.at);
    let named = match world.behaviour.lookups {
        Lookups::Work => media.steps.last().map(|step| step.at),
        Lookups::Refused | Lookups::Off => event,
    };
    let of_urls = || of_urls(world, media, named.unwrap_or_default(), left);
    // Where the process died before the answer came and an event told of the job, nothing tells whom the answer refused.
    let is_lost = world.kind == Kind::Deaths && world.behaviour.source != Source::None;
    let lost = if is_lost { FAILED } else { 0 };
    let verdicts = match media.fate {
        Fate::Missing => return NOT_FOUND | lost,
        Fate::Forbidden => return FORBIDDEN | lost,
        _ if named.is_none() => UNFINISHED,
        // A signed event may stand where lookups stay empty (rule 11), and whom no lookup shows may lapse (rule 10).
        Fate::Unseen if world.behaviour.source == Source::Signed && event.is_some() => {
            FAILED | UNFINISHED | of_urls()
        }
        Fate::Unseen => FAILED | UNFINISHED,
        Fate::Pending => UNFINISHED,
        Fate::Fails | Fate::Empty => FAILED,
        Fate::Unreadable => UNFINISHED | (of_urls() & FAILED),
        Fate::Named => of_urls(),
    };
    let batch = world.place(&media.id) / BATCH;
    // As long as a media of the job is pending, what is named of the others may grow: it is not settled.
    let may_grow = world.batch(batch).any(|one| matches!(one.fate, Fate::Pending | Fate::Unseen))
        && matches!(media.fate, Fate::Named | Fate::Empty);
    let is_late = named.is_some_and(|named| named > left) || may_grow;
    if is_late { verdicts | UNFINISHED } else { verdicts }
}

fn of_urls(world: &World, media: &Media, named: Duration, left: Duration) -> Verdicts {
    let place = world.place(&media.id);
    let each: Vec<Verdicts> = if world.behaviour.is_unnamed {
        world.rows_of(media).map(|row| of_rows(&[row], named, left)).collect()
    } else {
        (0..media.urls.len()).map(|url| of_url(world, media, (place, url), named, left)).collect()
    };
    let all_may = each.iter().fold(COMPLETE, |all, one| all & one);
    let one_may = each.iter().fold(0, |all, one| all | one);
    all_may | (one_may & !COMPLETE)
}

fn of_url(world: &World, media: &Media, of: (usize, usize), named: Duration, left: Duration) -> Verdicts {
    let own: Vec<&Row> = world.rows_of(media).filter(|row| row.of == Some(of)).collect();
    let itself = of_rows(&own, named, left);
    let has_unknown_code = media.tasks.iter().any(|task| world.tasks[*task].word == Word::Unknown);
    let is_unread = world.batch(of.0 / BATCH).any(|one| one.fate == Fate::Unreadable);
    match &own[..] {
        [row, ..] if row.shown.is_none() && has_unknown_code => FAILED | UNFINISHED,
        // Rows that match nothing may be those of a media whose ids nobody can read.
        [row, ..] if is_unread && !(row.is_matched && own.iter().all(|row| row.shown.is_some())) => {
            itself | UNFINISHED
        }
        [row, ..] if row.is_matched => itself,
        _ => {
            // Rule 3: the rows that match nothing are all candidates.
            let any = |all, row: &Row| all | of_rows(&[row], named, left);
            let each = world.rows_of(media).filter(|row| !row.is_matched).fold(0, any);
            // Any URL of those who share tasks may be the one without a row.
            let sharing = world.sharing(media).into_iter().flat_map(|one| world.rows_of(one));
            let missing = sharing.filter(|row| !row.is_matched && row.shown.is_none()).fold(0, any);
            itself | missing | if each & UNFINISHED != 0 { UNFINISHED } else { each & FAILED }
        }
    }
}

/// Rule 5: unfinished while one of the rows is, else failed if one of them failed.
fn of_rows(rows: &[&Row], named: Duration, left: Duration) -> Verdicts {
    let Some(shown) = rows.iter().map(|row| row.shown).min().flatten() else {
        return if named + GRACE > left { FAILED | UNFINISHED } else { FAILED };
    };
    let Some(ends) = rows.iter().map(|row| row.end).collect::<Option<Vec<_>>>() else { return UNFINISHED };
    let end = if ends.iter().all(|(_, well)| *well) { COMPLETE } else { FAILED };
    let last = ends.iter().map(|(at, _)| *at).max().unwrap_or_default().max(shown).max(named);
    if last > left { end | UNFINISHED } else { end }
}
