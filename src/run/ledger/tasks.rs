//! Tasks: attached to media, polled as long as a media needs it.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::named::UrlKey;
use super::rows::{Owners, TaskEntry, Unclear, UnknownWords, Wanted};
use super::state::Ledger;
use super::verdict::{Evidence, Verdict, verdict};
use crate::ids::TaskId;
use crate::model::{Fact, Fault, MediaState, Moment};
use crate::run::observer::Notice;
use crate::run::polling::Tasks as _;
use crate::vod::{TaskRow, TaskStatus};

/// So many answers with a code that nobody knows, over so long, are the service's word about an id.
const MOST_UNCLEAR: u32 = 3;
const UNCLEAR_FOR: Duration = Duration::from_secs(120);

impl Ledger {
    /// Lets `media` wait for a task, and plans the first poll if it is new.
    pub(super) fn attach(&mut self, now: Moment, media: u32, id: TaskId) -> bool {
        let task = self.task_number(&id).unwrap_or_else(|| self.new_task(now, id));
        let entry = &mut self.tasks[task as usize];
        let is_first = entry.owners.is_empty();
        if !entry.owners.add(media) {
            return false;
        }
        self.media[media as usize].named.tasks.push(task);
        if is_first {
            self.progress.tasks += 1;
            self.progress.tasks_ended += u64::from(self.tasks[task as usize].ended_at.is_some());
            if self.tasks[task as usize].ended_at.is_none() {
                self.plan_first_poll(now, task);
            }
        }
        true
    }

    /// The row of a task.
    pub(super) fn task_number(&self, id: &TaskId) -> Option<u32> {
        self.task_index.find(&self.tasks, id)
    }

    fn new_task(&mut self, now: Moment, id: TaskId) -> u32 {
        let number = self.tasks.len() as u32;
        self.task_index.insert(&id, number);
        self.tasks.push(TaskEntry::new(id, now));
        self.planner.add_task();
        self.last_known = now;
        number
    }

    /// Takes tasks from a media: they turned out not to be its own.
    pub(super) fn detach(&mut self, media: u32, is_foreign: impl Fn(&TaskId) -> bool) {
        let mut tasks = std::mem::take(&mut self.media[media as usize].named.tasks);
        tasks.retain(|task| {
            let entry = &mut self.tasks[*task as usize];
            if !is_foreign(&entry.id) {
                return true;
            }
            entry.owners.remove(media);
            if entry.owners.is_empty() {
                self.planner.drop_task(*task);
                self.progress.tasks -= 1;
                self.progress.tasks_ended -= u64::from(entry.ended_at.is_some());
            }
            false
        });
        self.media[media as usize].named.tasks = tasks;
    }

    pub(super) fn task_seen(&mut self, now: Moment, id: &TaskId, rows: Vec<TaskRow>, total: Option<u64>) {
        let Some(task) = self.task_number(id) else { return };
        if !self.unclear.is_empty() {
            self.unclear.remove(id.as_str());
        }
        self.learn_words(task, &rows);
        let entry = &mut self.tasks[task as usize];
        entry.polls += 1;
        entry.first_poll.get_or_insert(now);
        if let Some(total) = total {
            entry.total = u32::try_from(total).unwrap_or(u32::MAX);
        }
        let runs = rows.is_empty() || rows.iter().any(|row| !row.status.is_final());
        self.planner.answered(task, !runs);
        if !rows.is_empty() {
            entry.merge(rows);
        }
        self.task_changed(now, task);
        if self.tasks[task as usize].ended_at.is_none() {
            self.plan_next_poll(now, task);
        }
    }

    /// What rows tell beside their ends: words for listings, and words that nobody knows.
    fn learn_words(&mut self, task: u32, rows: &[TaskRow]) {
        for row in rows {
            if let TaskStatus::Other(word) = &row.status
                && self.unknown_words.is_new("task", word)
            {
                let (id, url, word) = (&row.task, &row.object_path, UnknownWords::shown(word));
                self.warn(format!(
                    "task {id} shows {word} for {url}, which is not documented: waiting for another"
                ));
            }
            let filters = self.planner.filters();
            let Some(word) = row.object_type.as_deref().filter(|word| !filters.knows_type(word)) else {
                continue;
            };
            let key = UrlKey::of(&row.object_path);
            let mut owners = self.tasks[task as usize].owners.all();
            if owners.any(|owner| self.media[owner as usize].named.urls.place(key).is_some()) {
                filters.learn_type(word);
            }
        }
    }

    /// A task that the service refuses to tell of.
    pub(super) fn task_refused(&mut self, now: Moment, id: &TaskId, fault: Fault) {
        let Some(task) = self.task_number(id) else { return };
        if self.tasks[task as usize].ended_at.is_none() {
            self.tasks[task as usize].error = Some(Box::new(fault.error));
            self.task_changed(now, task);
        }
    }

    /// A task was answered with a code that nobody knows: three times over two minutes are the service's word.
    pub(super) fn task_unclear(&mut self, now: Moment, id: &TaskId, fault: Fault) {
        let Some(task) = self.task_number(id) else { return };
        if self.is_clear_by_now(now, id.as_str(), &fault) {
            self.follow_ups.push(Fact::TaskRefused { task: id.clone(), fault });
        }
        if self.tasks[task as usize].ended_at.is_none() {
            self.tasks[task as usize].polls += 1;
            self.plan_next_poll(now, task);
        }
    }

    /// Whether answers about an id have had codes that nobody knows so often that they count.
    pub(super) fn is_clear_by_now(&mut self, now: Moment, id: &str, fault: &Fault) -> bool {
        if !self.unclear.contains_key(id) {
            let (code, message) = (&fault.error.code, &fault.error.message);
            self.warn(format!("{id}: the service answers {code} ({message}); asking again"));
        }
        let unclear = self.unclear.entry(id.to_owned()).or_insert(Unclear { first: now, count: 0 });
        unclear.count += 1;
        let is_clear = unclear.count >= MOST_UNCLEAR && now.since(unclear.first) >= UNCLEAR_FOR;
        is_clear && !self.settings.may_be_foreign
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        Evidence { jobs: &self.jobs, media: &self.media, tasks: &self.tasks }
    }

    /// Gives the media that a task works for their verdicts, after something about it changed.
    pub(super) fn task_changed(&mut self, now: Moment, task: u32) {
        if let Some(media) = self.tasks[task as usize].owners.only() {
            self.judge_media(now, media);
        } else {
            let owners: Vec<u32> = self.tasks[task as usize].owners.all().collect();
            owners.into_iter().for_each(|media| self.judge_media(now, media));
        }
        self.refresh_task(now, task);
    }

    /// Gives a media its verdict after its naming changed; those that share tasks with it get theirs anew.
    pub(super) fn naming_changed(&mut self, now: Moment, media: u32) {
        self.judge_media(now, media);
        let tasks = self.media[media as usize].named.tasks.clone();
        let shared = tasks.iter().map(|task| &self.tasks[*task as usize].owners);
        let shared = shared.filter(|owners| owners.only().is_none());
        let others: BTreeSet<u32> = shared.flat_map(Owners::all).filter(|owner| *owner != media).collect();
        // Each once, however many tasks they share.
        others.into_iter().for_each(|other| self.judge_media(now, other));
        tasks.into_iter().for_each(|task| self.refresh_task(now, task));
    }

    fn judge_media(&mut self, now: Moment, media: u32) {
        let before = self.media[media as usize].wanted;
        let (wanted, state, error) = match verdict(self.evidence(), media, now) {
            Verdict::Running(place) => {
                self.media[media as usize].named.running = place;
                (Wanted::Running, MediaState::Unfinished, None)
            }
            Verdict::Open(wanted) => (wanted, MediaState::Unfinished, None),
            Verdict::Lapsed => {
                self.note_lapse(media);
                (Wanted::All, MediaState::Unfinished, None)
            }
            Verdict::Ended(state, error) => (Wanted::Nothing, state, error),
        };
        self.media[media as usize].wanted = wanted;
        self.set_state(now, media, state, error);
        self.count_urls(media);
        if wanted != before && (wanted == Wanted::All || state != MediaState::Unfinished) {
            for task in self.media[media as usize].named.tasks.clone() {
                self.refresh_task(now, task);
            }
        }
    }

    /// Ends a task that no media needs polled, and takes one up again that a media does.
    fn refresh_task(&mut self, now: Moment, task: u32) {
        let is_wanted = self.is_wanted(task);
        let entry = &mut self.tasks[task as usize];
        match (is_wanted, entry.ended_at) {
            (true, None) => entry.unfinished_at = entry.first_poll.and(Some(now)),
            (true, Some(_)) => {
                entry.ended_at = None;
                self.progress.tasks_ended -= 1;
                self.plan_first_poll(now, task);
            }
            (false, None) if !entry.owners.is_empty() => self.end_task(now, task),
            (false, _) => {}
        }
    }

    /// Tells when so many rows of a task were read that no page more is needed: all URLs are there of the media that it works
    /// for, or one of them where each task has one.
    pub(crate) fn needs_no_more_pages(&self, task: &TaskId) -> impl Fn(&[TaskRow]) -> bool + Send + use<> {
        let owners = self.task_number(task).map(|task| &self.tasks[task as usize].owners);
        let named = |owner: u32| &self.media[owner as usize].named;
        // Where a URL of the media is missing, it may stand on a later page of any of its tasks.
        let has_one = owners.and_then(Owners::only).is_some_and(|owner| {
            named(owner).has_one_url_a_task() && self.media[owner as usize].wanted != Wanted::All
        });
        let all_named = owners.is_some_and(|owners| owners.all().all(|owner| !named(owner).urls.is_empty()));
        let urls: HashSet<UrlKey> =
            owners.into_iter().flat_map(Owners::all).flat_map(|owner| named(owner).urls.keys()).collect();
        move |rows| {
            let shown: HashSet<UrlKey> = rows
                .iter()
                .map(|row| UrlKey::of(&row.object_path))
                .filter(|key| urls.contains(key))
                .collect();
            all_named && (shown.len() == urls.len() || has_one && !shown.is_empty())
        }
    }

    /// Whether a poll of a task could bring a media nearer to its verdict.
    fn is_wanted(&self, task: u32) -> bool {
        let entry = &self.tasks[task as usize];
        entry.error.is_none()
            && entry.owners.all().any(|owner| {
                let media = &self.media[owner as usize];
                let runs = || {
                    let counts = self.evidence().counting(owner);
                    entry.rows.iter().any(|row| !row.status.is_final() && counts(entry, row))
                };
                let is_short = || media.named.urls.is_empty() && entry.is_short();
                match media.wanted {
                    Wanted::Nothing => false,
                    Wanted::All => true,
                    Wanted::Running => entry.rows.is_empty() || is_short() || runs(),
                }
            })
    }

    fn end_task(&mut self, now: Moment, task: u32) {
        let entry = &mut self.tasks[task as usize];
        entry.ended_at = Some(now);
        self.planner.drop_task(task);
        self.progress.tasks_ended += 1;
        let entry = &self.tasks[task as usize];
        let has_ended = !entry.rows.is_empty() && entry.rows.iter().all(|row| row.status.is_final());
        let (planner, tasks) = self.planner(now);
        if has_ended && let Some(took) = tasks.task(task).age {
            planner.ended_after(now, &tasks, took);
        }
        let entry = &self.tasks[task as usize];
        if !has_ended && entry.error.is_none() {
            // Its media ended without it.
            return;
        }
        let failed = entry.rows.iter().find(|row| row.status == TaskStatus::Failed);
        let shown = failed.or(entry.rows.first());
        self.notices.push(Notice::TaskEnded {
            task_id: entry.id.clone(),
            media_ids: self.media_ids(entry.owners.all()),
            url: shown.map(|row| row.url.to_string()),
            status: shown.map_or(TaskStatus::Failed, |row| row.status.clone()),
            description: match &entry.error {
                Some(error) => Some(error.message.clone()),
                None => shown.and_then(|row| row.description.as_deref().map(str::to_owned)),
            },
        });
    }

    fn plan_first_poll(&mut self, now: Moment, task: u32) {
        let (planner, tasks) = self.planner(now);
        planner.plan_first(now, &tasks, task);
    }

    fn plan_next_poll(&mut self, now: Moment, task: u32) {
        let (planner, tasks) = self.planner(now);
        planner.plan_next(now, &tasks, task);
    }
}
