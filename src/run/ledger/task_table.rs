//! The tasks of a ledger: found by their ids, as a verdict sees them beside jobs and media, and as the planner sees them.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use hashbrown::HashTable;

use super::named::UrlKey;
use super::rows::{JobEntry, MediaEntry, TaskEntry, Wanted};
use crate::ids::TaskId;
use crate::model::Moment;
use crate::run::polling::{Counts, TaskView, Tasks};
use crate::run::table::{OfJob, OfMedia, OfTask, Table, TaskIndex};
use crate::vod::TaskRow;

/// All tasks of a run.
#[derive(Debug, Default)]
pub(super) struct TaskTable {
    rows: Table<OfTask, TaskEntry>,
    /// Hash and index of each. The ids stand in the rows; with the hash here, growing touches none of them.
    by_id: HashTable<(u32, TaskIndex)>,
    keys: RandomState,
}

impl TaskTable {
    pub(super) fn find(&self, id: &TaskId) -> Option<TaskIndex> {
        let hash = self.hash_of(id);
        let is_same = |entry: &(u32, TaskIndex)| entry.0 == hash && self.rows[entry.1].id == *id;
        self.by_id.find(spread(hash), is_same).map(|entry| entry.1)
    }

    /// Adds a task that is not there yet.
    pub(super) fn add(&mut self, now: Moment, id: TaskId) -> TaskIndex {
        let hash = self.hash_of(&id);
        let task = self.rows.push(TaskEntry::new(id, now));
        self.by_id.insert_unique(spread(hash), (hash, task), |entry| spread(entry.0));
        task
    }

    fn hash_of(&self, id: &TaskId) -> u32 {
        // The low half will do: the id itself is compared as well.
        self.keys.hash_one(id) as u32
    }
}

impl Deref for TaskTable {
    type Target = Table<OfTask, TaskEntry>;
    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl DerefMut for TaskTable {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.rows
    }
}

/// A table looks at both ends of a hash.
fn spread(hash: u32) -> u64 {
    crate::net::rng::mix(u64::from(hash))
}

/// All that a verdict rests on.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) jobs: &'a Table<OfJob, JobEntry>,
    pub(super) media: &'a Table<OfMedia, MediaEntry>,
    pub(super) tasks: &'a TaskTable,
    /// The longest wait between two polls of a task.
    pub(super) poll_cap: Duration,
}

/// The tasks as the planner sees them.
pub(super) struct PlannedTasks<'a> {
    pub(super) evidence: Evidence<'a>,
    pub(super) now: Moment,
    pub(super) counts: Counts,
    /// Whether the time window of the run holds its tasks: jobs of others may be older.
    pub(super) is_own: bool,
}

impl Tasks for PlannedTasks<'_> {
    fn now(&self) -> Moment {
        self.now
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn task(&self, task: TaskIndex) -> TaskView {
        let Evidence { jobs, media, tasks, .. } = self.evidence;
        let entry = &tasks[task];
        let owner = entry.only_owner().map(|owner| &media[owner]);
        let is_listable = owner.is_some_and(|owner| is_listable(owner, task));
        let job = owner.and_then(|owner| owner.job).filter(|_| self.counts.is_fresh);
        TaskView {
            is_open: entry.ended_at.is_none() && !entry.owners.is_empty(),
            is_listable: self.is_own && is_listable,
            known_since: entry.known_since,
            age: job.map(|job| self.now.since(jobs[job].known_since)),
            polls: entry.polls,
        }
    }

    /// A task id may work for others as well, whose rows may stand on another page than ours: where the URL is not the
    /// one we know, only a poll of the task alone tells.
    fn of_row(&self, row: &TaskRow) -> Option<TaskIndex> {
        let Evidence { media, tasks, .. } = self.evidence;
        let task = tasks.find(&row.task)?;
        let entry = &tasks[task];
        let owner = entry.only_owner().filter(|_| entry.rows.len() <= 1 && entry.ended_at.is_none())?;
        // Dated otherwise, it is another row than the one that is known.
        let dates = entry.rows.first().and_then(|known| known.created_at).zip(row.created_at);
        let is_another = dates.is_some_and(|(known, shown)| known != shown);
        let is_named = media[owner].named.urls.place(UrlKey::of(&row.object_path)).is_some();
        (is_listable(&media[owner], task) && is_named && !is_another).then_some(task)
    }
}

/// Whether one row of a listing tells all about a task of this media. Where a URL of it is missing, the other rows of its tasks
/// count as well. Of a page it is not known whether it was read before the task was named.
fn is_listable(media: &MediaEntry, task: TaskIndex) -> bool {
    media.named.has_one_url_a_task() && media.wanted != Wanted::All && !media.named.is_stale(task)
}
