//! The tasks of a ledger: found by their ids, and as the planner sees them.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::named::UrlKey;
use super::rows::{JobEntry, MediaEntry, TaskEntry, Wanted};
use crate::ids::TaskId;
use crate::run::polling::{Counts, TaskView, Tasks};
use crate::vod::TaskRow;

/// Hash and number of each task. The ids stand in the rows; with the hash here, growing touches none of them.
#[derive(Debug, Default)]
pub(super) struct TaskIndex {
    table: HashTable<(u32, u32)>,
    keys: RandomState,
}

impl TaskIndex {
    pub(super) fn find(&self, tasks: &[TaskEntry], id: &TaskId) -> Option<u32> {
        let hash = self.hash_of(id);
        let is_same = |entry: &(u32, u32)| entry.0 == hash && tasks[entry.1 as usize].id == *id;
        self.table.find(spread(hash), is_same).map(|entry| entry.1)
    }

    pub(super) fn insert(&mut self, id: &TaskId, number: u32) {
        let hash = self.hash_of(id);
        self.table.insert_unique(spread(hash), (hash, number), |entry| spread(entry.0));
    }

    fn hash_of(&self, id: &TaskId) -> u32 {
        // The low half will do: the id itself is compared as well.
        self.keys.hash_one(id) as u32
    }
}

/// A table looks at both ends of a hash.
fn spread(hash: u32) -> u64 {
    crate::net::rng::mix(u64::from(hash))
}

/// The tasks as the planner sees them.
pub(super) struct TaskTable<'a> {
    pub(super) media: &'a [MediaEntry],
    pub(super) jobs: &'a [JobEntry],
    pub(super) tasks: &'a [TaskEntry],
    pub(super) index: &'a TaskIndex,
    pub(super) now: crate::model::Moment,
    pub(super) counts: Counts,
    /// Whether the time window of the run holds its tasks: jobs of others may be older.
    pub(super) is_own: bool,
}

impl Tasks for TaskTable<'_> {
    fn counts(&self) -> Counts {
        self.counts
    }

    fn task(&self, number: u32) -> TaskView {
        let entry = &self.tasks[number as usize];
        let owner = entry.owners.only().map(|owner| &self.media[owner as usize]);
        let job = owner.and_then(|owner| owner.job).filter(|_| self.counts.is_fresh);
        TaskView {
            is_open: entry.ended_at.is_none() && !entry.owners.is_empty(),
            is_listable: self.is_own && owner.is_some_and(is_listable),
            known_since: entry.known_since,
            age: job.map(|job| self.now.since(self.jobs[job as usize].known_since)),
            polls: entry.polls,
        }
    }

    /// A task id may work for others as well, whose rows may stand on another page than ours: where the URL is not the
    /// one we know, only a poll of the task alone tells.
    fn of_row(&self, row: &TaskRow) -> Option<u32> {
        let task = self.index.find(self.tasks, &row.task)?;
        let entry = &self.tasks[task as usize];
        let owner = entry.owners.only().filter(|_| entry.rows.len() <= 1 && entry.ended_at.is_none())?;
        let media = &self.media[owner as usize];
        let is_named = media.named.urls.place(UrlKey::of(&row.object_path)).is_some();
        (is_listable(media) && is_named).then_some(task)
    }
}

/// Whether one row of a listing tells all about a task of this media. Where a URL of it is missing, the other rows of its tasks
/// count as well.
fn is_listable(media: &MediaEntry) -> bool {
    media.named.has_one_url_a_task() && media.wanted != Wanted::All
}
