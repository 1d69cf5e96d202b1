//! The verdict on a media: what was named, against what was shown. Pure, and nothing else ends a media.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};

use super::named::Certainty;
use super::rows::{MediaEntry, Row, TaskEntry, Wanted};
use super::settings::{GRACE, is_grace_over};
use super::task_table::Evidence;
use crate::model::{MediaState, Moment, ReportedError, code};
use crate::run::table::{MediaIndex, TaskIndex};
use crate::vod::{TaskStatus, most_urls_in};

/// So many polls in a row must have shown a task unchanged, half of the first wait between polls apart at least, before rows that
/// match no named URL stand for one: the row that has it may only not be shown yet.
pub(super) const STEADY: u8 = 3;

/// Most media that are reckoned with where rows stand for URLs spelt otherwise. Merged ids may chain all media of a run; who
/// is farther away than so many does not take the rows of this one.
const MOST_SHARERS: usize = 200;

/// The rows of tasks that match no URL: how many there are, and which media take one each.
type Spare = HashMap<TaskIndex, (usize, Vec<MediaIndex>)>;

/// What is known of a media, and what it takes to know more.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Not known yet: the task at this place of those named was not shown as ended.
    Running(usize),
    /// Not known yet, although nothing runs.
    Open(Wanted),
    /// Something named was not shown for the whole grace, although the service answered.
    Lapsed,
    /// The media has ended so.
    Ended(MediaState, Option<ReportedError>),
}

/// Gives the verdict on a media.
///
/// It is complete only if its naming is settled, every named task and URL was shown, and every row that counts for it is
/// Complete. It has failed only by a word of the service, or where something named was not shown for the whole grace.
pub(super) fn verdict(evidence: Evidence<'_>, media: MediaIndex, now: Moment) -> Verdict {
    let entry = &evidence.media[media];
    let named = &entry.named;
    if let Some((state, error)) = entry.refused.as_deref() {
        return Verdict::Ended(*state, Some(error.clone()));
    }
    if named.tasks.is_empty() && named.certainty == Certainty::Settled {
        return match named.urls.is_empty() {
            true => Verdict::Ended(MediaState::Failed, Some(no_tasks())),
            // URLs were handed to the CDN, and only their tasks are not known.
            false => Verdict::Open(Wanted::Nothing),
        };
    }
    let (mut refused, mut lack, mut counted) = (None, None, Vec::new());
    let mut matched = vec![false; named.urls.len()];
    // The one that ran last time first: mostly it still does, and nothing else needs to be read.
    let (done, rest) = named.tasks.split_at(named.running.min(named.tasks.len()));
    let places = (done.len()..named.tasks.len()).chain(0..done.len());
    for (place, index) in places.zip(rest.iter().chain(done)) {
        let task = &evidence.tasks[*index];
        if let Some(error) = task.error.as_deref() {
            refused.get_or_insert(error);
        } else if task.rows.is_empty() {
            if !named.has_lapsed && !evidence.is_grace_over(task, now) {
                return Verdict::Running(place);
            }
            lack.get_or_insert(Lack::Task(task));
        } else if named.is_stale(*index) {
            return Verdict::Running(place);
        }
        for row in &task.rows {
            match named.urls.place(row.key) {
                Some(place) => matched[place] = true,
                None if named.urls.is_empty() => {}
                None => continue,
            }
            match row.status.is_final() {
                true => counted.push(row),
                false if goes_on(task, row) => return Verdict::Running(place),
                false => {}
            }
        }
        if named.urls.is_empty() && task.is_short() {
            lack.get_or_insert(Lack::Rows(task));
        }
    }
    let unmatched = matched.iter().filter(|matched| !**matched).count();
    let mut differ = false;
    if let Some(missing) = matched.iter().position(|matched| !matched) {
        let strays = evidence.strays(media);
        if strays.iter().any(|(task, row)| goes_on(task, row)) {
            return Verdict::Open(Wanted::All);
        }
        if refused.is_none() && !strays.is_empty() && evidence.has_undecided_sibling(media) {
            // The rows may be those of a media whose task ids are not known yet, or can't be read.
            return Verdict::Open(Wanted::All);
        }
        // Where another URL is spelt as it was named, the spelling is not to blame: the row may only not be shown yet.
        let are_steady = unmatched == matched.len() && strays.iter().all(|(task, _)| task.steady >= STEADY);
        if (are_steady || named.has_lapsed) && evidence.has_row_for_each(media) {
            // They stand for the unmatched URLs if they have all ended alike.
            differ = strays.iter().any(|(_, row)| row.status != strays[0].1.status);
            counted.extend(strays.into_iter().map(|(_, row)| row).filter(|_| !differ));
        } else {
            lack.get_or_insert(Lack::Url(missing));
        }
    }
    if named.certainty != Certainty::Settled {
        return Verdict::Open(if lack.is_some() { Wanted::All } else { Wanted::Nothing });
    }
    // A task of which the service refuses to tell may be the one that a missing URL has. One that is not shown has lapsed all the same:
    // that is written down, and the polls that showed nothing are not.
    let lack = lack.filter(|lack| refused.is_none() || matches!(lack, Lack::Task(_)));
    if let Some(lack) = lack.as_ref().filter(|_| !named.has_lapsed) {
        let is_over = match lack {
            Lack::Task(task) | Lack::Rows(task) => evidence.is_grace_over(task, now),
            Lack::Url(_) => evidence.tasks_of(media).all(|task| evidence.is_grace_over(task, now)),
        };
        // What was named late has its own grace, also where its task was looked at before.
        let is_over = is_over && named.since.is_none_or(|since| now.since(since) >= GRACE);
        return if is_over { Verdict::Lapsed } else { Verdict::Open(Wanted::All) };
    }
    let error = refused.cloned();
    let error = error.or_else(|| failure_among(&counted));
    let error = error.or_else(|| differ.then(|| not_matched(unmatched)));
    match error.or_else(|| lack.map(|lack| lack.error(entry))) {
        None => Verdict::Ended(MediaState::Complete, None),
        Some(error) => Verdict::Ended(MediaState::Failed, Some(error)),
    }
}

/// Whether a row may still end. One of a task of which the service refuses to tell won't: nobody asks about it any more.
fn goes_on(task: &TaskEntry, row: &Row) -> bool {
    task.error.is_none() && !row.status.is_final()
}

fn no_tasks() -> ReportedError {
    ReportedError::new(
        code::NO_PLAY_URLS,
        "the service named no task: no playback URL fits, and nothing was done",
    )
}

/// What was named and not shown.
enum Lack<'a> {
    Task(&'a TaskEntry),
    Rows(&'a TaskEntry),
    Url(usize),
}

impl Lack<'_> {
    fn error(self, media: &MediaEntry) -> ReportedError {
        let minutes = GRACE.as_secs() / 60;
        match self {
            Self::Task(task) => ReportedError::new(
                code::TASK_NOT_FOUND,
                format!("the service has shown nothing of task {} for {minutes} minutes", task.id),
            ),
            Self::Rows(task) => ReportedError::new(
                code::URL_NOT_SHOWN,
                format!(
                    "the service counts {} URLs of task {} and has shown {} for {minutes} minutes",
                    task.total,
                    task.id,
                    task.rows.len()
                ),
            ),
            Self::Url(place) => ReportedError::new(
                code::URL_NOT_SHOWN,
                format!("no task of it has shown {} for {minutes} minutes", media.named.urls.spelling(place)),
            ),
        }
    }
}

/// What the rows that count for a media say if any of them failed.
fn failure_among(rows: &[&Row]) -> Option<ReportedError> {
    let failed = || rows.iter().filter(|row| row.status == TaskStatus::Failed);
    let why = failed().next()?.description.as_deref().unwrap_or("the CDN gave no reason");
    let why = format!("{} of {} tasks failed: {why}", failed().count(), rows.len());
    Some(ReportedError::new(code::TASK_FAILED, why))
}

/// So many URLs were named that may be any of several rows, and these ended differently.
fn not_matched(urls: usize) -> ReportedError {
    let why =
        format!("{urls} of its URLs match no row, and the rows that may stand for them ended differently");
    ReportedError::new(code::URL_NOT_MATCHED, why)
}

impl<'a> Evidence<'a> {
    pub(super) fn tasks_of(self, media: MediaIndex) -> impl Iterator<Item = &'a TaskEntry> {
        let Self { media: table, tasks, .. } = self;
        table[media].named.tasks.iter().map(move |task| &tasks[*task])
    }

    /// Whether what polls of a task did not show counts as not there.
    fn is_grace_over(self, task: &TaskEntry, now: Moment) -> bool {
        task.first_poll.is_some_and(|first| is_grace_over(now, first, task.polls, self.poll_cap))
    }

    /// Tells whether another media of the same job was shown, and it is not settled which tasks and URLs it has.
    fn has_undecided_sibling(self, media: MediaIndex) -> bool {
        let is_undecided = |sibling: &MediaEntry| {
            let is_unread = sibling.event_seen.as_deref().is_some_and(|event| event.is_unread);
            !sibling.is_confirmed() && (sibling.is_shown() || is_unread)
        };
        let job = self.media[media].job;
        let mut siblings = job.into_iter().flat_map(|job| &self.jobs[job].media);
        siblings.any(|sibling| *sibling != media && is_undecided(&self.media[*sibling]))
    }

    /// The rows under tasks of a media that match no URL of any media which shares the task.
    pub(super) fn strays(self, media: MediaIndex) -> Vec<(&'a TaskEntry, &'a Row)> {
        let rows = self.tasks_of(media).flat_map(|task| task.rows.iter().map(move |row| (task, row)));
        rows.filter(|(task, row)| self.is_stray(task, row)).collect()
    }

    pub(super) fn is_stray(self, task: &TaskEntry, row: &Row) -> bool {
        !task.owners.iter().any(|owner| self.media[*owner].named.urls.place(row.key).is_some())
    }

    /// Tells whether a row counts for a media: it has one of its URLs, or may stand for one that no row has.
    pub(super) fn counting(self, media: MediaIndex) -> impl Fn(&TaskEntry, &Row) -> bool {
        let urls = &self.media[media].named.urls;
        let has_unmatched = LazyCell::new(move || self.unmatched(media).next().is_some());
        move |task, row| {
            urls.is_empty() || urls.place(row.key).is_some() || *has_unmatched && self.is_stray(task, row)
        }
    }

    /// The URLs of a media that no row has, as they were named.
    fn unmatched(self, media: MediaIndex) -> impl Iterator<Item = &'a str> {
        let urls = &self.media[media].named.urls;
        let mut matched = vec![false; urls.len()];
        let rows = self.tasks_of(media).flat_map(|task| &task.rows);
        rows.filter_map(|row| urls.place(row.key)).for_each(|place| matched[place] = true);
        (0..matched.len()).filter(move |place| !matched[*place]).map(|place| urls.spelling(place))
    }

    /// Counts the rows that a media needs for those of its URLs which no row has.
    fn missing_rows(self, media: MediaIndex) -> usize {
        let mut unmatched = self.unmatched(media).peekable();
        let strays = unmatched.peek().map(|_| self.strays(media)).unwrap_or_default();
        let rows: Vec<&str> = strays.iter().map(|(_, row)| &*row.url).collect();
        unmatched.map(|name| most_urls_in(name, &rows)).sum()
    }

    /// Tells whether the rows that match no URL are enough for a media: each unmatched URL of it has one, however the
    /// unmatched URLs of media which share tasks with it, or with those, take theirs.
    fn has_row_for_each(self, media: MediaIndex) -> bool {
        let (mut group, mut spare) = (vec![(media, self.missing_rows(media))], Spare::default());
        let mut place = 0;
        while let Some((member, _)) = group.get(place) {
            place += 1;
            for task in &self.media[*member].named.tasks {
                let entry = &self.tasks[*task];
                if spare.contains_key(task) {
                    continue;
                }
                let rows = entry.rows.iter().filter(|row| self.is_stray(entry, row)).count();
                spare.insert(*task, (rows, Vec::new()));
                for owner in entry.owners.iter().copied().filter(|_| rows > 0) {
                    let is_new = group.iter().all(|(known, _)| *known != owner);
                    if is_new && group.len() < MOST_SHARERS && self.media[owner].refused.is_none() {
                        group.push((owner, self.missing_rows(owner)));
                    }
                }
            }
        }
        // The media itself comes last: what it gets then, nobody else can need.
        group.iter().rev().all(|(member, urls)| {
            (0..*urls).all(|_| self.take_row(*member, &mut spare, &mut HashSet::new())) || *member != media
        })
    }

    /// Gives one more URL of a media a row of one of its tasks, if need be by moving others to other rows.
    fn take_row(self, media: MediaIndex, spare: &mut Spare, asked: &mut HashSet<TaskIndex>) -> bool {
        self.media[media].named.tasks.iter().any(|task| {
            let Some((rows, takers)) = spare.get_mut(task).filter(|_| asked.insert(*task)) else {
                return false;
            };
            if takers.len() < *rows {
                takers.push(media);
                return true;
            }
            let takers = takers.clone();
            let place = takers.iter().position(|taker| self.take_row(*taker, spare, asked));
            if let (Some(place), Some((_, takers))) = (place, spare.get_mut(task)) {
                takers[place] = media;
            }
            place.is_some()
        })
    }
}
