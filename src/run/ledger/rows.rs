//! The rows of the ledger. Small: a run may have 200,000 tasks.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::batch::Batch;
use super::super::report::{MediaState, ReportedError};
use super::{Fault, Moment};
use crate::event::Source;
use crate::ids::{JobId, MediaId, TaskId};
use crate::vod::{TaskRow, TaskStatus};

/// A task that is younger may not be listed yet: windows end with the second, and creation is asynchronous.
const FRESH: Duration = Duration::from_secs(3);

/// A batch on its way to the service.
#[derive(Debug)]
pub(super) struct BatchEntry {
    pub(super) batch: Batch,
    /// Number of its first media; the others follow.
    pub(super) first_media: u32,
    pub(super) state: BatchState,
    pub(super) due: Option<Moment>,
    /// How often its outcome stayed unknown.
    pub(super) lost: u32,
    /// Why it was given up.
    pub(super) fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchState {
    /// To be sent.
    Planned,
    /// Handed out.
    Sending,
    /// The answer got lost; an event may still tell.
    Unknown,
    /// Answered or given up.
    Done,
}

/// A job and how it is looked up.
#[derive(Debug)]
pub(super) struct JobEntry {
    pub(super) id: JobId,
    pub(super) media: Vec<u32>,
    /// When its id came back; `None` for jobs of others.
    pub(super) submitted_at: Option<Moment>,
    pub(super) known_since: Moment,
    pub(super) due: Option<Moment>,
    pub(super) looking: bool,
    pub(super) lookups: u32,
    pub(super) first_lookup: Option<Moment>,
    /// Media without an event.
    pub(super) unheard: u32,
    /// Media whose tasks are neither confirmed nor given up.
    pub(super) undecided: u32,
    /// Media without a verdict.
    pub(super) unended: u32,
    /// Of others: more media may show up.
    pub(super) open: bool,
    pub(super) told_no_event: bool,
    /// A grace has just passed: for media with an event, and for those without.
    pub(super) lapsed: Option<(bool, bool)>,
    /// Why no media of it is known.
    pub(super) error: Option<Box<ReportedError>>,
}

/// A media in a job.
#[derive(Debug)]
pub(super) struct MediaEntry {
    pub(super) id: MediaId,
    pub(super) job: Option<u32>,
    /// The verdict; `Unfinished` until there is one.
    pub(super) state: MediaState,
    /// What its events said.
    pub(super) heard: Option<Box<Heard>>,
    /// Its tasks are settled: a lookup confirmed them, or none can.
    pub(super) decided: bool,
    /// Whether anything named its tasks.
    pub(super) accepted: bool,
    pub(super) confirmed_by: Option<Source>,
    /// When anything first named its tasks.
    pub(super) named_at: Option<Moment>,
    /// Joined by commas, as the service sends them.
    pub(super) urls: Box<str>,
    /// Each task has one URL; merged ones have several, and so several rows.
    pub(super) one_url_a_task: bool,
    pub(super) tasks: Vec<u32>,
    /// Tasks that have not ended for this media.
    pub(super) open_tasks: u32,
    pub(super) error: Option<Box<ReportedError>>,
    pub(super) note: Option<Box<str>>,
}

/// What events said of a media, until a lookup says better. Order and repetition change nothing.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) source: Source,
    /// An event named tasks; it outranks a failure, because tasks can be asked about.
    pub(super) success: bool,
    pub(super) failure: Option<ReportedError>,
}

impl Heard {
    /// Whether it can stand for a verdict; an event with a status word that nobody knows can't.
    pub(super) fn tells(&self) -> bool {
        self.success || self.failure.is_some()
    }
}

impl MediaEntry {
    pub(super) fn new(id: MediaId, job: Option<u32>) -> Self {
        Self {
            id,
            job,
            state: MediaState::Unfinished,
            heard: None,
            decided: false,
            accepted: false,
            confirmed_by: None,
            named_at: None,
            urls: Box::default(),
            one_url_a_task: false,
            tasks: Vec::new(),
            open_tasks: 0,
            error: None,
            note: None,
        }
    }

    /// Whether something told what became of its submission.
    pub(super) fn is_told(&self) -> bool {
        self.decided || self.heard.as_ref().is_some_and(|heard| heard.tells())
    }

    pub(super) fn ended(&self) -> bool {
        self.state != MediaState::Unfinished
    }
}

/// A task and its rows.
#[derive(Debug)]
pub(super) struct TaskEntry {
    pub(super) id: TaskId,
    pub(super) owners: Owners,
    pub(super) rows: Box<[Row]>,
    pub(super) due: Option<Moment>,
    pub(super) known_since: Moment,
    pub(super) first_look: Option<Moment>,
    /// The last look that showed it unfinished.
    pub(super) unfinished_at: Option<Moment>,
    pub(super) ended_at: Option<Moment>,
    pub(super) looks: u32,
    /// Looks in a row that showed fewer rows than the service counts, all of them final.
    pub(super) short: u8,
    /// The last round of listings that showed it.
    pub(super) shown_in: u32,
    /// The page on which a listing showed it, from 1; 0 for none.
    pub(super) page: u16,
    /// Some row has a URL of one of its media: the service spells URLs as we know them.
    pub(super) spells_ours: bool,
    /// Nothing of it was shown for the whole grace.
    pub(super) overdue: bool,
    /// The next look is at it alone, whatever a listing might cost.
    pub(super) alone: bool,
    /// Why the look that is on, if one is, is at it alone.
    pub(super) asked: Asked,
    /// Why it will not be looked at any more.
    pub(super) error: Option<Box<ReportedError>>,
}

/// Why a task is asked for alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Asked {
    #[default]
    Plainly,
    /// Listings show it as running for longer than tasks take.
    Overdue,
    /// A listing of running tasks did not show it.
    Missed,
}

/// The media that a task works for. URLs of one domain and second are merged into one task id, so there may be
/// several; nearly always there is one, which takes no allocation.
#[derive(Debug, Default)]
pub(super) struct Owners {
    first: Option<Owner>,
    #[expect(clippy::box_collection, reason = "eight bytes instead of 24 in 200,000 rows")]
    more: Option<Box<Vec<Owner>>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) media: u32,
    pub(super) ended: bool,
}

impl Owners {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.as_ref().map_or(0, |more| more.len())
    }

    /// The media it works for, if there is just one.
    pub(super) fn only(&self) -> Option<Owner> {
        self.first.filter(|_| self.more.as_ref().is_none_or(|more| more.is_empty()))
    }

    pub(super) fn push(&mut self, owner: Owner) {
        match self.first {
            None => self.first = Some(owner),
            Some(_) => self.more.get_or_insert_default().push(owner),
        }
    }

    pub(super) fn remove(&mut self, media: u32) {
        if let Some(more) = &mut self.more {
            more.retain(|owner| owner.media != media);
        }
        if self.first.is_some_and(|owner| owner.media == media) {
            self.first = self.more.as_mut().and_then(|more| more.pop());
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Owner> {
        self.first.iter().chain(self.more.iter().flat_map(|more| more.iter()))
    }

    pub(super) fn at(&mut self, place: usize) -> Option<&mut Owner> {
        match place {
            0 => self.first.as_mut(),
            n => self.more.as_mut()?.get_mut(n - 1),
        }
    }
}

/// One URL of a task, as last seen.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) url: Box<str>,
    pub(super) status: TaskStatus,
    pub(super) progress: u8,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) description: Option<Box<str>>,
}

impl Row {
    /// Whether `row` says the same as this one.
    pub(super) fn shows(&self, row: &TaskRow) -> bool {
        *self.url == *row.object_path && self.status == row.status && self.progress == row.progress
    }
}

impl From<TaskRow> for Row {
    fn from(row: TaskRow) -> Self {
        Self {
            url: row.object_path.into(),
            status: row.status,
            progress: row.progress,
            created_at: row.created_at,
            description: row.description.map(Into::into),
        }
    }
}

impl TaskEntry {
    pub(super) fn new(id: TaskId, now: Moment) -> Self {
        Self {
            id,
            known_since: now,
            shown_in: 0,
            page: 0,
            overdue: false,
            alone: false,
            asked: Asked::Plainly,
            spells_ours: false,
            owners: Owners::default(),
            rows: Box::default(),
            due: None,
            first_look: None,
            unfinished_at: None,
            ended_at: None,
            looks: 0,
            short: 0,
            error: None,
        }
    }

    /// Whether a listing that began at `began` may not show it yet.
    pub(super) fn is_fresh(&self, began: Moment) -> bool {
        self.known_since + FRESH > began
    }

    /// The rows that count for a media with these URLs: its own, or all where the spelling of none fits.
    ///
    /// Where rows of another media fit, the spelling is not to blame: its own are not shown yet.
    pub(super) fn rows_for<'a>(&'a self, urls: &'a str) -> impl Iterator<Item = &'a Row> {
        let is_shared = self.spells_ours && self.owners.only().is_none();
        let any = is_shared || self.rows.len() > 1 && self.rows.iter().any(|row| names(urls, &row.url));
        self.rows.iter().filter(move |row| !any || names(urls, &row.url))
    }

    /// Whether nothing more is expected of it for a media with these URLs.
    pub(super) fn ended_for(&self, urls: &str) -> bool {
        let mut rows = self.rows_for(urls).peekable();
        self.error.is_some() || (rows.peek().is_some() && rows.all(|row| row.status.is_final()))
    }
}

/// The domains of the entries of the comma-joined `urls`, one for each. A URL may hold commas itself: an entry begins with
/// a scheme.
pub(super) fn domains(urls: &str) -> impl Iterator<Item = &str> {
    urls.split(',').filter_map(|piece| {
        let piece = piece.trim_start();
        let rest = piece.strip_prefix("https://").or_else(|| piece.strip_prefix("http://"))?;
        rest.split(['/', ':', '?', '#']).next()
    })
}

/// Whether the comma-joined `urls` hold `url` as an entry. A URL may hold commas itself, so the list is not split: an
/// entry ends where the next one begins with a scheme.
pub(super) fn names(urls: &str, url: &str) -> bool {
    if url.is_empty() {
        return false;
    }
    let begins_entry = |rest: &str| {
        let rest = rest.trim_start();
        rest.starts_with("http://") || rest.starts_with("https://")
    };
    urls.match_indices(url).any(|(start, _)| {
        let before = urls[..start].trim_end();
        let after = urls[start + url.len()..].trim_start();
        (before.is_empty() || before.ends_with(','))
            && (after.is_empty() || after.strip_prefix(',').is_some_and(begins_entry))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_with_commas_are_found_whole() {
        let urls = "https://a/x,1.mp4,https://a/x.mp4, https://a/y.mp4";
        for url in ["https://a/x,1.mp4", "https://a/x.mp4", "https://a/y.mp4"] {
            assert!(names(urls, url), "{url}");
        }
        for url in ["https://a/x", "a/x.mp4", "https://a/x.mp", ""] {
            assert!(!names(urls, url), "{url}");
        }
    }
}
