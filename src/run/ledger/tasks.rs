//! Tasks: attached to media, looked at until every row of ours is final.

use std::hash::BuildHasher as _;
use std::time::Duration;

use super::rows::{Owner, Row, TaskEntry, names};
use super::{Fact, Fault, GRACE, Ledger, Moment, Work};
use crate::error::ErrorKind;
use crate::ids::TaskId;
use crate::run::observer::Notice;
use crate::run::plan::Looked;
use crate::run::report::{MediaState, ReportedError};
use crate::vod::{TaskRow, TaskStatus};

/// Totals may be wrong: so many looks with the same final rows count, whatever the total says.
const SHORT_LOOKS: u8 = 3;

impl Ledger {
    /// Lets `media` wait for a task, and plans the first look if it is new.
    pub(super) fn attach(&mut self, now: Moment, media: u32, id: TaskId) {
        let task = self.task_number(&id).unwrap_or_else(|| self.new_task(now, id));
        if self.media[media as usize].tasks.contains(&task) {
            return;
        }
        let entry = &mut self.tasks[task as usize];
        let place = entry.owners.len();
        let first_owner = place == 0;
        entry.owners.push(Owner { media, ended: false });
        // Only now: rows of the other owners must not stand for those of this one.
        let ended = entry.ended_for(&self.media[media as usize].urls);
        if let Some(owner) = entry.owners.at(place) {
            owner.ended = ended;
        }
        let owner = &mut self.media[media as usize];
        owner.tasks.push(task);
        if first_owner {
            self.progress.tasks += 1;
            self.progress.tasks_ended += u64::from(entry.ended_at.is_some());
        }
        if ended {
            return;
        }
        owner.open_tasks += 1;
        let reopened = entry.ended_at.take().is_some();
        self.progress.tasks_ended -= u64::from(reopened);
        if entry.due.is_none() && (first_owner || reopened) {
            let plain = self.polling.first_look(now, self.looked(now, task), self.listing.expected());
            self.plan_look(task, self.next_stand_in(now, task).unwrap_or(plain));
        }
    }

    /// The row of a task.
    pub(super) fn task_number(&self, id: &TaskId) -> Option<u32> {
        let hash = self.hash_of(id);
        let same = |entry: &(u32, u32)| entry.0 == hash && self.tasks[entry.1 as usize].id == *id;
        self.task_index.find(spread(hash), same).map(|entry| entry.1)
    }

    fn new_task(&mut self, now: Moment, id: TaskId) -> u32 {
        let (number, hash) = (self.tasks.len() as u32, self.hash_of(&id));
        self.tasks.push(TaskEntry::new(id, now));
        self.last_known = now;
        self.task_index.insert_unique(spread(hash), (hash, number), |entry| spread(entry.0));
        number
    }

    fn hash_of(&self, id: &TaskId) -> u32 {
        // The low half will do: the id itself is compared as well.
        self.task_hash.hash_one(id) as u32
    }

    /// Takes a task from a media: it turned out not to be its own.
    pub(super) fn detach(&mut self, media: u32, task: u32) {
        let owner = &mut self.media[media as usize];
        owner.tasks.retain(|t| *t != task);
        let entry = &mut self.tasks[task as usize];
        entry.owners.remove(media);
        if entry.owners.is_empty() {
            entry.due = None;
            self.listing.forget(entry);
            self.progress.tasks -= 1;
            if entry.ended_at.is_some() {
                self.progress.tasks_ended -= 1;
            }
        }
    }

    pub(super) fn detach_all(&mut self, media: u32) {
        for task in self.media[media as usize].tasks.clone() {
            self.detach(media, task);
        }
        self.media[media as usize].open_tasks = 0;
    }

    /// Counts the open tasks of a media anew, after its tasks or URLs changed.
    pub(super) fn recount(&mut self, media: u32) {
        let mut open = 0;
        for task in self.media[media as usize].tasks.clone() {
            let ended = self.tasks[task as usize].ended_for(&self.media[media as usize].urls);
            open += u32::from(!ended);
            let owners = &mut self.tasks[task as usize].owners;
            for place in 0..owners.len() {
                if let Some(owner) = owners.at(place).filter(|owner| owner.media == media) {
                    owner.ended = ended;
                }
            }
        }
        self.media[media as usize].open_tasks = open;
    }

    pub(super) fn task_seen(&mut self, now: Moment, id: &TaskId, rows: Vec<TaskRow>, all: bool) {
        let Some(task) = self.task_number(id) else { return };
        let entry = &mut self.tasks[task as usize];
        entry.looks += 1;
        entry.overdue = false;
        let first_look = *entry.first_look.get_or_insert(now);
        if entry.ended_at.is_some() || entry.owners.is_empty() {
            return;
        }
        self.listing.saw(entry);
        let runs = rows.is_empty() || rows.iter().any(|row| !row.status.is_final());
        self.listing.answered(std::mem::take(&mut entry.asked), !runs);
        if rows.is_empty() && entry.rows.is_empty() {
            // Not visible yet, until the grace has passed.
            if now.since(first_look) >= GRACE {
                // A fact of its own, as with jobs.
                entry.overdue = true;
                return self.plan_look(task, now);
            }
            return self.look_again(now, task);
        }
        for row in &rows {
            let narrowing = &mut self.listing.narrowing;
            let Some(word) = row.object_type.as_deref().filter(|word| !narrowing.knows_type(word)) else {
                continue;
            };
            let mut urls = entry.owners.all().map(|owner| &*self.media[owner.media as usize].urls);
            if urls.any(|urls| names(urls, &row.object_path)) {
                narrowing.learn_type(word);
            }
        }
        if !rows.is_empty() {
            entry.merge(rows);
        }
        let urls = entry.owners.all().map(|owner| &*self.media[owner.media as usize].urls);
        entry.spells_ours = urls.into_iter().any(|urls| entry.rows.iter().any(|row| names(urls, &row.url)));
        let is_final = entry.rows.iter().all(|row| row.status.is_final());
        // Rows that look like nobody's of ours may be all that is shown yet.
        let is_strange = !entry.spells_ours && entry.rows.len() > 1;
        if (!all || is_strange) && is_final && entry.short < SHORT_LOOKS {
            entry.short += 1;
            return self.look_again(now, task);
        }
        self.settle_owners(now, task);
    }

    /// That nothing was shown of a task for the whole grace, as work to be noted.
    pub(super) fn take_overdue(&mut self, task: u32) -> Option<Work> {
        let entry = &mut self.tasks[task as usize];
        if !std::mem::take(&mut entry.overdue) {
            return None;
        }
        let (id, minutes) = (entry.id.clone(), GRACE.as_secs() / 60);
        let message = format!("the service has shown nothing of task {id} for {minutes} minutes");
        let fault = Fault::new(ErrorKind::NotFound, "TaskNotFound", message);
        Some(Work::Note(Fact::TaskRefused { task: id, fault }))
    }

    /// A task that will not be looked at any more.
    pub(super) fn task_failed(&mut self, now: Moment, id: &TaskId, error: ReportedError) {
        let Some(task) = self.task_number(id) else { return };
        if self.tasks[task as usize].ended_at.is_none() {
            self.tasks[task as usize].error = Some(Box::new(error));
            self.settle_owners(now, task);
        }
    }

    /// Ends a task for each media whose rows are final; looks again while one is open.
    fn settle_owners(&mut self, now: Moment, task: u32) {
        let (mut open, mut ended) = (false, Vec::new());
        for place in 0..self.tasks[task as usize].owners.len() {
            let entry = &mut self.tasks[task as usize];
            let Some(owner) = entry.owners.at(place).filter(|owner| !owner.ended).copied() else { continue };
            if !entry.ended_for(&self.media[owner.media as usize].urls) {
                open = true;
                continue;
            }
            if let Some(owner) = entry.owners.at(place) {
                owner.ended = true;
            }
            self.media[owner.media as usize].open_tasks -= 1;
            ended.push(owner.media);
        }
        if open {
            self.tasks[task as usize].unfinished_at = Some(now);
            self.look_again(now, task);
        } else {
            self.end_task(now, task);
        }
        for media in ended {
            self.end_if_tasks_ended(media);
        }
    }

    fn end_task(&mut self, now: Moment, task: u32) {
        let entry = &mut self.tasks[task as usize];
        entry.ended_at = Some(now);
        entry.due = None;
        self.listing.forget(entry);
        self.progress.tasks_ended += 1;
        if let Some(took) = self.age(now, task) {
            self.learn(now, took);
        }
        let entry = &self.tasks[task as usize];
        let failed = entry.rows.iter().find(|row| row.status == TaskStatus::Failed);
        let shown = failed.or(entry.rows.first());
        self.notices.push(Notice::TaskEnded {
            task_id: entry.id.clone(),
            url: shown.map(|row| row.url.to_string()),
            status: shown.map_or(TaskStatus::Failed, |row| row.status.clone()),
            description: match &entry.error {
                Some(error) => Some(error.message.clone()),
                None => shown.and_then(|row| row.description.as_deref().map(str::to_owned)),
            },
        });
    }

    fn look_again(&mut self, now: Moment, task: u32) {
        let (looked, expected) = (self.looked(now, task), self.listing.expected());
        let plain = self.polling.next_look(now, looked, expected);
        if let Some(at) = self.next_stand_in(now, task).or(plain) {
            self.plan_look(task, at);
        }
    }

    fn looked(&self, now: Moment, task: u32) -> Looked {
        let looks = self.tasks[task as usize].looks;
        Looked { age: self.age(now, task), looks, who: u64::from(task) << 1 }
    }

    /// How long ago a task was submitted; `None` where the run did not do it, or was away since.
    pub(super) fn age(&self, now: Moment, task: u32) -> Option<Duration> {
        let owner = self.tasks[task as usize].owners.only().filter(|_| self.is_fresh)?;
        let job = self.media[owner.media as usize].job?;
        Some(now.since(self.jobs[job as usize].known_since))
    }

    /// Gives a media its verdict when its tasks are settled and have all ended.
    pub(super) fn end_if_tasks_ended(&mut self, media: u32) {
        let entry = &self.media[media as usize];
        if !entry.accepted || entry.open_tasks > 0 || entry.ended() {
            return;
        }
        let (mut failed, mut all, mut first) = (0, 0, None);
        for task in &entry.tasks {
            let task = &self.tasks[*task as usize];
            if let Some(error) = &task.error {
                failed += 1;
                all += 1;
                first = first.or(Some((error.code.clone(), error.message.clone())));
                continue;
            }
            for row in task.rows_for(&entry.urls) {
                all += 1;
                if row.status == TaskStatus::Failed {
                    failed += 1;
                    let why = row.description.as_deref().unwrap_or("the CDN gave no reason");
                    first = first.or_else(|| Some(("TaskFailed".to_owned(), why.to_owned())));
                }
            }
        }
        match first {
            None => self.end_media(media, MediaState::Complete, None),
            Some((code, why)) => {
                let error = ReportedError::new(code, format!("{failed} of {all} tasks failed: {why}"));
                self.end_media(media, MediaState::Failed, Some(error));
            }
        }
    }
}

/// A table looks at both ends of a hash.
fn spread(hash: u32) -> u64 {
    crate::net::rng::mix(u64::from(hash))
}

impl TaskEntry {
    /// Takes the newest answer for each URL; a URL that an answer does not show keeps its last one.
    fn merge(&mut self, rows: Vec<TaskRow>) {
        if self.rows.len() <= 1
            && rows.len() == 1
            && self.rows.first().is_none_or(|old| *old.url == *rows[0].object_path)
        {
            self.rows = rows.into_iter().map(Row::from).collect();
            return;
        }
        let mut merged = std::mem::take(&mut self.rows).into_vec();
        let mut at: std::collections::HashMap<Box<str>, usize> =
            merged.iter().enumerate().map(|(n, row)| (row.url.clone(), n)).collect();
        for row in rows.into_iter().map(Row::from) {
            match at.get(&row.url) {
                Some(&n) => merged[n] = row,
                None => {
                    at.insert(row.url.clone(), merged.len());
                    merged.push(row);
                }
            }
        }
        self.rows = merged.into_boxed_slice();
    }
}
