//! The rows of the ledger. Small: a run may have 200,000 tasks.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use smallvec::SmallVec;

use super::named::{Certainty, Named, UrlKey};
use crate::event::Source;
use crate::ids::{JobId, MediaId, TaskId};
use crate::model::{Fault, MediaState, Moment, ReportedError};
use crate::run::batch::Batch;
use crate::run::table::{JobIndex, MediaIndex};
use crate::vod::{TaskRow, TaskStatus};

/// A batch on its way to the service.
#[derive(Debug)]
pub(super) struct BatchEntry {
    pub(super) batch: Batch,
    /// Its first media; the others follow.
    pub(super) first_media: MediaIndex,
    pub(super) state: BatchState,
    /// How often its outcome stayed unknown.
    pub(super) lost: u32,
    /// When it was first sent.
    pub(super) sent_at: Option<Moment>,
    /// Of URLs: how often tasks were looked for since its answer got lost.
    pub(super) searches: usize,
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

/// A job and how it is queried.
#[derive(Debug)]
pub(super) struct JobEntry {
    pub(super) id: JobId,
    pub(super) media: Vec<MediaIndex>,
    /// When its id came back; `None` for jobs of others.
    pub(super) submitted_at: Option<Moment>,
    pub(super) known_since: Moment,
    pub(super) stage: JobStage,
    /// A query of it is out.
    pub(super) is_queried: bool,
    pub(super) lookups: u32,
    pub(super) first_lookup: Option<Moment>,
    /// When a lookup was last answered.
    pub(super) answered_at: Option<Moment>,
    /// When its rows last changed.
    pub(super) changed_at: Moment,
    pub(super) has_noticed_no_event: bool,
    /// Why no media of it is known.
    pub(super) error: Option<Box<ReportedError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobStage {
    /// Its media are known.
    Known,
    /// Of others: more media may show up.
    Open,
    /// All of its media have ended, and it is looked up a last time.
    Closing,
}

impl JobEntry {
    pub(super) fn new(id: JobId, now: Moment) -> Self {
        Self {
            id,
            media: Vec::new(),
            submitted_at: None,
            known_since: now,
            stage: JobStage::Known,
            is_queried: false,
            lookups: 0,
            first_lookup: None,
            answered_at: None,
            changed_at: now,
            has_noticed_no_event: false,
            error: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage == JobStage::Open
    }
}

/// A media in a job.
#[derive(Debug)]
pub(super) struct MediaEntry {
    pub(super) id: MediaId,
    pub(super) job: Option<JobIndex>,
    pub(super) named: Named,
    /// The service's own word that the media has ended so, without any task.
    pub(super) refused: Option<Box<(MediaState, ReportedError)>>,
    /// The last verdict; `Unfinished` until there is one.
    pub(super) state: MediaState,
    pub(super) error: Option<Box<ReportedError>>,
    /// The polls that the last verdict asked for.
    pub(super) wanted: Wanted,
    /// What it counts for.
    pub(super) share: Share,
    /// What an event said, until a lookup says better.
    pub(super) event_seen: Option<Box<EventSeen>>,
    /// Whether its tasks were accepted.
    pub(super) accepted: bool,
    pub(super) confirmed_by: Option<Source>,
    /// When anything first named its tasks.
    pub(super) named_at: Option<Moment>,
    pub(super) note: Option<Box<str>>,
    /// URLs of a run of URLs for which it stands; 0 for a media.
    pub(super) urls: u32,
    /// Of a media that is preloaded afterwards: the entry of its preload; of such a preload: the entry of its refresh.
    pub(super) preload: Option<MediaIndex>,
    pub(super) refresh: Option<MediaIndex>,
}

/// What a media counts for in the sums of its run. One that stands for URLs counts for each of them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Share {
    pub(super) complete: u32,
    pub(super) failed: u32,
    pub(super) failed_unaccepted: u32,
    pub(super) open: u32,
    pub(super) unconfirmed: u32,
}

/// What an event said of a media.
#[derive(Debug)]
pub(super) struct EventSeen {
    pub(super) source: Source,
    pub(super) signed: bool,
    /// An event named tasks; it outranks a failure, because tasks can be asked about.
    pub(super) success: bool,
    pub(super) failure: Option<ReportedError>,
    /// Something that it named can't be read.
    pub(super) is_unread: bool,
    /// Another event, of a sender no less known, contradicts it.
    pub(super) is_disputed: bool,
    /// How certain the media was before this was taken for the truth; `None` as long as it is not.
    pub(super) trusted_over: Option<Certainty>,
    /// What was taken of events of this media so far.
    pub(super) bytes: usize,
}

impl EventSeen {
    pub(super) fn new(source: Source, signed: bool) -> Self {
        Self {
            source,
            signed,
            success: false,
            failure: None,
            is_unread: false,
            is_disputed: false,
            trusted_over: None,
            bytes: 0,
        }
    }

    /// Whether it can stand for a verdict. An event with a status word that nobody knows can't, nor one that can't be read or
    /// that another one contradicts.
    pub(super) fn is_conclusive(&self) -> bool {
        !self.is_unread && !self.is_disputed && (self.success || self.failure.is_some())
    }
}

impl MediaEntry {
    pub(super) fn new(id: MediaId) -> Self {
        Self {
            id,
            job: None,
            named: Named::default(),
            refused: None,
            state: MediaState::Unfinished,
            error: None,
            wanted: Wanted::Nothing,
            share: Share::default(),
            event_seen: None,
            accepted: false,
            confirmed_by: None,
            named_at: None,
            note: None,
            urls: 0,
            preload: None,
            refresh: None,
        }
    }

    /// What it counts for: as many URLs, or one media; nothing, where its refresh counts for it.
    pub(super) fn weight(&self) -> u64 {
        if self.refresh.is_some() { 0 } else { u64::from(self.urls.max(1)) }
    }

    /// Whether it is settled which tasks and URLs it has, or that it has none.
    pub(super) fn is_confirmed(&self) -> bool {
        self.refused.is_some() || self.named.certainty == Certainty::Settled
    }

    /// Whether a lookup has shown it, in any state.
    pub(super) fn is_shown(&self) -> bool {
        self.named.certainty != Certainty::Unshown
    }

    /// Whether no lookup has shown it, and nothing else has decided about it.
    pub(super) fn is_silent(&self) -> bool {
        self.refused.is_none() && !self.is_shown()
    }

    /// Whether an event of a known sender can stand for a verdict.
    pub(super) fn has_signed_event(&self) -> bool {
        self.event_seen.as_deref().is_some_and(|event_seen| event_seen.signed && event_seen.is_conclusive())
    }

    pub(super) fn ended(&self) -> bool {
        self.state != MediaState::Unfinished
    }
}

/// The polls that a media needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// None: it has ended, or what is missing is the word of a lookup.
    Nothing,
    /// At tasks that were not shown, or not shown as ended.
    Running,
    /// At all of its tasks: what they showed has ended, and not everything named was among it.
    All,
}

/// A task and its rows.
#[derive(Debug)]
pub(super) struct TaskEntry {
    pub(super) id: TaskId,
    /// The media that it works for. URLs of one domain and second are merged into one task id, so there may be several; nearly
    /// always there is one.
    pub(super) owners: SmallVec<[MediaIndex; 2]>,
    pub(super) rows: Box<[Row]>,
    pub(super) known_since: Moment,
    pub(super) first_poll: Option<Moment>,
    /// The last poll that showed it unfinished.
    pub(super) unfinished_at: Option<Moment>,
    pub(super) ended_at: Option<Moment>,
    pub(super) polls: u32,
    /// Polls that were handed out and not answered.
    pub(super) in_flight: u8,
    /// Polls in a row that showed the same, and the last of them. One that came too soon after it is not counted: each break
    /// brings another poll at once.
    pub(super) steady: u8,
    pub(super) steady_at: Moment,
    /// Rows that the service counts; 0 where it did not say.
    pub(super) total: u32,
    /// Why it will not be polled any more.
    pub(super) error: Option<Box<ReportedError>>,
}

/// One URL of a task, as last seen.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) key: UrlKey,
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

    /// Takes a newer answer about the same URL.
    fn go_on(&mut self, row: TaskRow) {
        self.status = row.status;
        self.progress = row.progress;
        self.created_at = row.created_at;
        self.description = row.description.map(Into::into);
    }
}

impl From<TaskRow> for Row {
    fn from(row: TaskRow) -> Self {
        Self {
            key: UrlKey::of(&row.object_path),
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
            owners: SmallVec::new(),
            rows: Box::default(),
            first_poll: None,
            unfinished_at: None,
            ended_at: None,
            polls: 0,
            in_flight: 0,
            steady: 0,
            steady_at: now,
            total: 0,
            error: None,
        }
    }

    /// The media that it works for, if there is just one.
    pub(super) fn only_owner(&self) -> Option<MediaIndex> {
        if let [owner] = self.owners[..] { Some(owner) } else { None }
    }

    /// Whether all that it has shown has ended.
    pub(super) fn has_ended(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.status.is_final())
    }

    /// Whether it has shown fewer rows than the service counts.
    pub(super) fn is_short(&self) -> bool {
        self.rows.len() < self.total as usize
    }

    /// Whether an answer shows what is known already.
    pub(super) fn is_same(&self, rows: &[TaskRow]) -> bool {
        self.rows.len() == rows.len() && self.rows.iter().zip(rows).all(|(old, new)| old.shows(new))
    }

    /// Takes the newest answer: its rows take the place of those with the same URLs. Of two
    /// that show the same the second counts if it comes so much later, `apart`.
    pub(super) fn merge(&mut self, now: Moment, rows: Vec<TaskRow>, apart: Duration) {
        if self.is_same(&rows) {
            if now.since(self.steady_at) >= apart {
                (self.steady, self.steady_at) = (self.steady.saturating_add(1), now);
            }
            return;
        }
        (self.steady, self.steady_at) = (0, now);
        if let ([old], [new]) = (&mut *self.rows, &rows[..])
            && *old.url == *new.object_path
        {
            // Nearly always: one row that goes on.
            for new in rows {
                old.go_on(new);
            }
            return;
        }
        let mut new: Vec<Row> = rows.into_iter().map(Row::from).collect();
        if !self.rows.is_empty() {
            let answered: HashSet<UrlKey> = new.iter().map(|row| row.key).collect();
            let kept = std::mem::take(&mut self.rows).into_iter();
            new.splice(0..0, kept.filter(|old| !answered.contains(&old.key)));
        }
        self.rows = new.into();
    }
}

/// More different words than this are a service gone mad: they are not reported.
const MOST_UNKNOWN_WORDS: usize = 20;

/// Most characters of such a word that are shown.
const MOST_WORD_SHOWN: usize = 80;

/// Status words that are not documented: each is reported once for jobs and once for tasks.
#[derive(Debug, Default)]
pub(super) struct UnknownWords(HashSet<(&'static str, Box<str>)>);

impl UnknownWords {
    /// Whether a word was not met before, and is worth telling.
    pub(super) fn is_new(&mut self, of: &'static str, word: &str) -> bool {
        self.0.len() < MOST_UNKNOWN_WORDS && self.0.insert((of, word.into()))
    }

    /// The word for people.
    pub(super) fn shown(word: &str) -> String {
        match word.chars().nth(MOST_WORD_SHOWN) {
            _ if word.is_empty() => "an empty status".to_owned(),
            None => format!("the status `{word}`"),
            Some(_) => format!("the status `{}…`", word.chars().take(MOST_WORD_SHOWN).collect::<String>()),
        }
    }
}
