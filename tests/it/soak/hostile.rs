//! A cloud that tells of its media in hostile ways: other spellings, rows one by one or twice, lists that nobody can read,
//! pages that hide rows, forged events. What has no certain truth is not drawn together.

use std::num::NonZeroUsize;
use std::time::Duration;

use vod_refresh::emulator::{
    ListStyle, MediaScript, OneByOne, Pages, RowSpelling, SecondEnd, SizeNamed, Telling, Total, Which,
};

use super::draw::Fate;
use crate::support::random::Rng;

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(87_600 * 3_600);
/// A page with so many rows holds all rows of one media under one id.
const ROOMY: usize = 20;

const SPELLINGS: [RowSpelling; 8] = [
    RowSpelling::Same,
    RowSpelling::Http,
    RowSpelling::NoScheme,
    RowSpelling::UpperHost,
    RowSpelling::Port,
    RowSpelling::Encoded,
    RowSpelling::Fragment,
    RowSpelling::Other,
];

const STYLES: [ListStyle; 7] = [
    ListStyle::Comma,
    ListStyle::Semicolon,
    ListStyle::Blank,
    ListStyle::Lines,
    ListStyle::Array,
    ListStyle::JsonText,
    ListStyle::Object,
];

/// The hostile ways of one cloud.
pub(super) struct Hostile {
    pub(super) pages: Pages,
    /// Media of one job share a task id.
    merges_across: bool,
    /// One process hears all events.
    hears_all: bool,
    /// Of a hundred media so many are told of in each of the ways.
    share: u64,
    /// Of a hundred media that would end well so many never end.
    stuck: u64,
}

impl Hostile {
    pub(super) fn draw(rng: &mut Rng, merges_across: bool, hears_all: bool) -> Self {
        let sizes =
            if merges_across { [None, None, Some(20), Some(20)] } else { [None, Some(1), Some(3), Some(20)] };
        let totals = [Total::None, Total::TooLow, Total::TooHigh, Total::Zero, Total::Text];
        let mut pages = Pages::default();
        if rng.percent(60) {
            pages.size = rng.one_of(&sizes).and_then(NonZeroUsize::new);
            pages.size_named = rng.one_of(&[SizeNamed::Right, SizeNamed::Asked, SizeNamed::None]);
            pages.total = if rng.percent(30) { Total::Right } else { rng.one_of(&totals) };
            pages.shift = if rng.percent(30) { 1 + rng.below(3) as usize } else { 0 };
        }
        if merges_across && hides_rows(&pages) {
            // The rows of a media that nobody names would stand for those that are hidden.
            pages = Pages::default();
        }
        let (share, stuck) = (rng.one_of(&[10, 30]), rng.one_of(&[0, 0, 4]));
        Self { pages, merges_across, hears_all, share, stuck }
    }

    /// So many media at most: with few rows on a page, a run takes many calls.
    pub(super) fn most_media(&self) -> u64 {
        if self.pages.size.is_some() { 60 } else { 150 }
    }

    /// Lets the cloud tell of a media with so many URLs in some of the ways, and says what becomes of it then.
    pub(super) fn tell(
        &self,
        rng: &mut Rng,
        (n, urls): (u64, usize),
        script: &mut MediaScript,
        fate: Fate,
    ) -> Fate {
        let share = self.share;
        let hides_rows = hides_rows(&self.pages);
        if hides_rows {
            // Rows of others would stand for those that are hidden.
            script.foreign_rows = 0;
        }
        let is_roomy = self.pages.size.is_none_or(|size| size.get() >= ROOMY);
        let mut telling = Telling::default();
        if rng.percent(share) {
            telling.row_spelling = rng.one_of(&SPELLINGS);
        }
        if self.merges_across && telling.row_spelling == RowSpelling::Other {
            telling.row_spelling = RowSpelling::Encoded;
        }
        if script.foreign_rows > 0 && rng.percent(2 * share) {
            script.foreign_status = Some(rng.one_of(&["Failed", "Refreshing"]).to_owned());
        }
        if telling.row_spelling == RowSpelling::Other && !(is_roomy && self.pages.shift == 0) {
            script.foreign_rows = 0;
        }
        match rng.below(2) {
            0 if rng.percent(share) && script.foreign_rows == 0 && !self.merges_across => {
                script.merged_tasks = rng.percent(80);
                telling.rows_one_by_one = one_by_one(rng, 10_000);
            }
            1 if rng.percent(share) && is_roomy && !hides_rows && !self.merges_across => {
                telling.double_rows = rng.one_of(&[Which::All(true), Which::First(1)]);
                telling.second_ends = match rng.below(8) {
                    0 => Some(SecondEnd::Failed),
                    1 if self.stuck > 0 => Some(SecondEnd::Never),
                    2..=4 => Some(SecondEnd::Complete),
                    _ => None,
                };
            }
            _ => {}
        }
        if rng.percent(share) {
            telling.status_word = Some(rng.one_of(&["Queued", "Processing", "Init"]).to_owned());
        }
        if rng.percent(2 * share) {
            telling.list_style = rng.one_of(&STYLES);
        }
        // A row that nobody has named would stand for one that is hidden.
        if rng.percent(share) && !hides_rows {
            telling.lookup_grows = one_by_one(rng, 2_000);
        }
        telling.lookup_split = rng.percent(share);
        if rng.percent(share) {
            telling.lookup_pending_for = rng.ms(90_000);
            let words = [None, Some("processing"), Some("Init"), Some("")];
            telling.pending_word = rng.one_of(&words).map(str::to_owned);
        }
        script.merged_tasks |= hides_rows && rng.percent(share);
        let fails = fate == Fate::Well && rng.percent(share / 5);
        let fate = if fails { Fate::Fails } else { fate };
        if fails {
            script.failed_tasks = Which::First(1);
        }
        script.event.unsigned_fail_first = rng.percent(share);
        script.event.partial = rng.percent(share) && !hides_rows;
        if self.hears_all && rng.percent(share) {
            script.event.replayed_with = vec![format!("666{n}")];
        }
        script.telling = telling;
        if names_all(script) {
            // Where the rest of the names may never come, the first URL decides.
            for which in [&mut script.failed_tasks, &mut script.never_complete] {
                if *which != Which::All(false) {
                    *which = Which::At(vec![rng.below(urls as u64) as usize]);
                }
            }
        }
        let fate = fate_of_rows(script, fate);
        if fate != Fate::Well || !rng.percent(self.stuck) {
            return fate;
        }
        if rng.percent(50) {
            script.telling.lookup_pending_for = FOR_EVER;
            return Fate::Pending;
        }
        script.telling.garbage_in_lists = true;
        // A signed event may stand where lookups are refused, and it has the same list.
        script.event.lost = true;
        Fate::Unreadable
    }
}

/// Whether rows may stay unread on a later page: it is moved away, or the first one looks like the last.
pub(super) fn hides_rows(pages: &Pages) -> bool {
    let looks_whole = pages.size_named == SizeNamed::Asked
        && matches!(pages.total, Total::None | Total::TooLow | Total::Zero);
    pages.shift > 0 || pages.size.is_some() && looks_whole
}

fn one_by_one(rng: &mut Rng, longest: u64) -> OneByOne {
    if rng.percent(50) { OneByOne::Looks(true) } else { OneByOne::Every(rng.ms(longest)) }
}

/// What becomes of a media whose rows are as the script has them.
fn fate_of_rows(script: &MediaScript, fate: Fate) -> Fate {
    let telling = &script.telling;
    let is_doubled = telling.double_rows.holds(0);
    let is_other = telling.row_spelling == RowSpelling::Other && script.foreign_rows > 0;
    let foreign = script.foreign_status.as_deref().filter(|_| is_other);
    let is_first_stuck = script.never_complete != Which::All(false);
    let is_second_stuck = is_doubled && telling.second_ends == Some(SecondEnd::Never);
    match fate {
        Fate::Missing | Fate::Forbidden => fate,
        Fate::Fails if script.submit_fail.is_some() => fate,
        _ if is_first_stuck || is_second_stuck || foreign == Some("Refreshing") => Fate::Stuck,
        Fate::Fails => fate,
        _ if is_doubled && telling.second_ends == Some(SecondEnd::Failed) => Fate::Fails,
        // Rule 3: nobody can tell which of the rows are its own.
        _ if foreign == Some("Failed") => Fate::Unmatched,
        _ => fate,
    }
}

/// Whether events and lookups name all URLs of a media at once.
pub(super) fn names_all(script: &MediaScript) -> bool {
    !script.event.partial && script.telling.lookup_grows == OneByOne::default()
}

/// Whether the rows of a media match none of its URLs, and do not all end alike.
pub(super) fn rows_differ(script: &MediaScript) -> bool {
    let telling = &script.telling;
    let one_fails = script.failed_tasks != Which::All(false);
    let second_fails = telling.second_ends == Some(SecondEnd::Failed);
    let strangers_fail = script.foreign_rows > 0 && script.foreign_status.as_deref() == Some("Failed");
    telling.row_spelling == RowSpelling::Other && (one_fails || second_fails || strangers_fail)
}

/// Whether pages may hide a row of a media for ever.
pub(super) fn may_lose_a_row(pages: &Pages, script: &MediaScript) -> bool {
    hides_rows(pages) && script.merged_tasks
}
