//! Tasks: attached to media, polled as long as a media needs it.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::named::UrlKey;
use super::rows::{Row, UnknownWords, Wanted};
use super::state::Ledger;
use super::verdict::{Verdict, verdict};
use crate::ids::TaskId;
use crate::model::{Fact, Fault, MediaState, Moment};
use crate::run::observer::Notice;
use crate::run::polling::Tasks as _;
use crate::run::table::{MediaIndex, TaskIndex};
use crate::vod::{TaskRow, TaskStatus};

/// So many answers with a code that nobody knows, over so long, are the service's word about an id.
const MOST_UNCLEAR: u32 = 3;
const UNCLEAR_FOR: Duration = Duration::from_secs(120);

impl Ledger {
    /// Lets `media` wait for a task, and plans the first poll if it is new. `false` if it waits for it already.
    pub(super) fn attach(&mut self, now: Moment, media: MediaIndex, id: TaskId) -> bool {
        let task = self.tasks.find(&id).unwrap_or_else(|| {
            self.planner.add_task();
            self.tasks.add(now, id)
        });
        let entry = &mut self.tasks[task];
        let (is_first, has_ended) = (entry.owners.is_empty(), entry.ended_at.is_some());
        if entry.owners.contains(&media) {
            return false;
        }
        entry.owners.push(media);
        let answers = entry.in_flight.saturating_add(1);
        let was_looked_at = answers > 1 || !entry.rows.is_empty();
        let named = &mut self.media[media].named;
        named.tasks.push(task);
        named.stale.extend(was_looked_at.then_some((task, answers)));
        if is_first {
            self.progress.tasks += 1;
            self.progress.tasks_ended += u64::from(has_ended);
            if !has_ended {
                let (planner, tasks) = self.planner(now);
                planner.plan_first(&tasks, task);
            }
        }
        true
    }

    /// Takes tasks from a media: they turned out not to be its own.
    pub(super) fn detach(&mut self, media: MediaIndex, is_foreign: impl Fn(&TaskId) -> bool) {
        let named = std::mem::take(&mut self.media[media].named.tasks);
        let (foreign, own): (Vec<_>, _) =
            named.into_iter().partition(|task| is_foreign(&self.tasks[*task].id));
        self.media[media].named.tasks = own;
        self.media[media].named.stale.retain(|(task, _)| !foreign.contains(task));
        for task in foreign {
            let entry = &mut self.tasks[task];
            entry.owners.retain(|owner| *owner != media);
            if entry.owners.is_empty() {
                self.planner.drop_task(task);
                self.progress.tasks -= 1;
                self.progress.tasks_ended -= u64::from(entry.ended_at.is_some());
            }
        }
    }

    pub(super) fn task_seen(&mut self, now: Moment, id: &TaskId, rows: Vec<TaskRow>, total: Option<u64>) {
        let Some(task) = self.tasks.find(id) else { return };
        if !self.unclear.is_empty() {
            self.unclear.remove(id.as_str());
        }
        self.learn_words(task, &rows);
        let entry = &mut self.tasks[task];
        entry.polls += 1;
        entry.in_flight = entry.in_flight.saturating_sub(1);
        entry.first_poll.get_or_insert(now);
        if let Some(total) = total {
            entry.total = u32::try_from(total).unwrap_or(u32::MAX);
        }
        let has_ended = !rows.is_empty() && rows.iter().all(|row| row.status.is_final());
        self.planner.answered(task, has_ended);
        for owner in &entry.owners {
            self.media[*owner].named.looked_at(task, !rows.is_empty());
        }
        if !rows.is_empty() {
            entry.merge(now, rows, self.planner.intervals.first / 2);
        }
        self.task_changed(now, task);
        self.plan_next_poll(now, task);
    }

    /// What rows tell beside their ends: words for listings, and words that nobody knows.
    fn learn_words(&mut self, task: TaskIndex, rows: &[TaskRow]) {
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
            let mut owners = self.tasks[task].owners.iter();
            if owners.any(|owner| self.media[*owner].named.urls.place(key).is_some()) {
                filters.learn_type(word);
            }
        }
    }

    /// A task that the service refuses to tell of.
    pub(super) fn task_refused(&mut self, now: Moment, id: &TaskId, fault: Fault) {
        let Some(task) = self.tasks.find(id) else { return };
        let entry = &mut self.tasks[task];
        entry.in_flight = entry.in_flight.saturating_sub(1);
        if entry.ended_at.is_none() {
            entry.error = Some(Box::new(fault.error));
            self.task_changed(now, task);
        }
    }

    /// A task was answered with a code that nobody knows: three times over two minutes are the service's word.
    pub(super) fn task_unclear(&mut self, now: Moment, id: &TaskId, fault: Fault) {
        let Some(task) = self.tasks.find(id) else { return };
        if self.is_clear_by_now(now, id.as_str(), &fault) {
            self.follow_ups.push(Fact::TaskRefused { task: id.clone(), fault });
        }
        let entry = &mut self.tasks[task];
        entry.in_flight = entry.in_flight.saturating_sub(1);
        if entry.ended_at.is_none() {
            entry.polls += 1;
            self.plan_next_poll(now, task);
        }
    }

    /// Whether answers about an id have had codes that nobody knows so often that they count.
    pub(super) fn is_clear_by_now(&mut self, now: Moment, id: &str, fault: &Fault) -> bool {
        if !self.unclear.contains_key(id) {
            let (code, message) = (&fault.error.code, &fault.error.message);
            self.warn(format!("{id}: the service answers {code} ({message}); asking again"));
        }
        let (first, count) = self.unclear.entry(id.to_owned()).or_insert((now, 0));
        *count += 1;
        *count >= MOST_UNCLEAR && now.since(*first) >= UNCLEAR_FOR && !self.settings.may_be_foreign
    }

    /// Gives the media that a task works for their verdicts, after something about it changed.
    pub(super) fn task_changed(&mut self, now: Moment, task: TaskIndex) {
        for media in self.tasks[task].owners.clone() {
            self.judge(now, media);
        }
        self.refresh_task(now, task);
    }

    /// Gives a media its verdict after its naming changed; those that share tasks with it get theirs anew, and those of its job that
    /// waited for it.
    pub(super) fn naming_changed(&mut self, now: Moment, media: MediaIndex) {
        self.judge(now, media);
        let owners = self.evidence().tasks_of(media).flat_map(|task| &task.owners);
        // Each once, however many tasks they share.
        let mut others: BTreeSet<MediaIndex> = owners.copied().filter(|owner| *owner != media).collect();
        let entry = &self.media[media];
        if let Some(job) = entry.job.filter(|_| entry.is_confirmed()) {
            // As long as one of the job was undecided, its rows could be those that match no URL of another.
            let waits = |other: &MediaIndex| *other != media && self.media[*other].wanted == Wanted::All;
            others.extend(self.jobs[job].media.iter().copied().filter(waits));
        }
        others.into_iter().for_each(|other| self.judge(now, other));
        self.refresh_tasks_of(now, media);
    }

    /// Lets each task that works for several media be looked at again. The journal does not say when a look began whose answer
    /// it has: the first one may be older than the naming of the task for one of these media, and is no word about that one.
    pub(super) fn look_again_at_shared_tasks(&mut self, now: Moment) {
        let shared: Vec<TaskIndex> =
            self.tasks.indices().filter(|task| self.tasks[*task].owners.len() > 1).collect();
        let mut owners = BTreeSet::new();
        for task in &shared {
            for media in self.tasks[*task].owners.iter().copied() {
                let named = &mut self.media[media].named;
                named.stale.extend((!named.is_stale(*task)).then_some((*task, 1)));
                owners.insert(media);
            }
        }
        owners.into_iter().for_each(|media| self.judge(now, media));
        shared.into_iter().for_each(|task| self.refresh_task(now, task));
    }

    /// Gives a media its verdict. Nothing else ends it, and counters follow, also back.
    fn judge(&mut self, now: Moment, media: MediaIndex) {
        let (wanted, state, error) = match verdict(self.evidence(), media, now) {
            Verdict::Running(place) => {
                self.media[media].named.running = place;
                (Wanted::Running, MediaState::Unfinished, None)
            }
            Verdict::Open(wanted) => (wanted, MediaState::Unfinished, None),
            Verdict::Lapsed => {
                self.note_lapse(media);
                (Wanted::All, MediaState::Unfinished, None)
            }
            Verdict::Ended(state, error) => (Wanted::Nothing, state, error),
        };
        let before = self.joint_state(media);
        let entry = &mut self.media[media];
        let was_wanted = std::mem::replace(&mut entry.wanted, wanted);
        if entry.state != state || entry.error.as_deref() != error.as_ref() {
            (entry.state, entry.error) = (state, error.map(Box::new));
            self.state_changed(now, media, before);
        }
        self.recount(media);
        if wanted != was_wanted && (wanted == Wanted::All || state != MediaState::Unfinished) {
            self.refresh_tasks_of(now, media);
        }
    }

    fn refresh_tasks_of(&mut self, now: Moment, media: MediaIndex) {
        for task in self.media[media].named.tasks.clone() {
            self.refresh_task(now, task);
        }
    }

    /// Ends a task that no media needs polled, and takes one up again that a media does.
    fn refresh_task(&mut self, now: Moment, task: TaskIndex) {
        let is_wanted = self.is_wanted(task);
        let entry = &mut self.tasks[task];
        match (is_wanted, entry.ended_at) {
            (true, None) => entry.unfinished_at = entry.first_poll.and(Some(now)),
            (true, Some(_)) => {
                entry.ended_at = None;
                self.progress.tasks_ended -= 1;
                // The answer to a poll that is out plans the next one.
                if entry.in_flight == 0 {
                    let (planner, tasks) = self.planner(now);
                    planner.plan_first(&tasks, task);
                }
            }
            (false, None) if !entry.owners.is_empty() => self.end_task(now, task),
            (false, _) => {}
        }
    }

    /// Tells when so many rows of a task were read that no page more is needed: all URLs are there of the media that it works
    /// for, or one of them where each task has one.
    pub(crate) fn needs_no_more_pages(&self, task: &TaskId) -> impl Fn(&[TaskRow]) -> bool + Send + use<> {
        let entry = self.tasks.find(task).map(|task| &self.tasks[task]);
        let owners = || entry.into_iter().flat_map(|task| &task.owners).map(|owner| &self.media[*owner]);
        // Where a URL of the media is missing, it may stand on a later page of any of its tasks.
        let has_one = entry.and_then(|task| task.only_owner()).map(|owner| &self.media[owner]);
        let has_one =
            has_one.is_some_and(|media| media.named.has_one_url_a_task() && media.wanted != Wanted::All);
        let all_named = entry.is_some() && owners().all(|media| !media.named.urls.is_empty());
        let urls: HashSet<UrlKey> = owners().flat_map(|media| media.named.urls.keys()).collect();
        move |rows| {
            let keys = rows.iter().map(|row| UrlKey::of(&row.object_path));
            let shown: HashSet<UrlKey> = keys.filter(|key| urls.contains(key)).collect();
            all_named && (shown.len() == urls.len() || has_one && !shown.is_empty())
        }
    }

    /// Whether a poll of a task could bring a media nearer to its verdict.
    fn is_wanted(&self, task: TaskIndex) -> bool {
        let entry = &self.tasks[task];
        let is_wanted_by = |owner: MediaIndex| match self.media[owner].wanted {
            Wanted::Nothing => false,
            Wanted::All => true,
            Wanted::Running => {
                let counts = self.evidence().counting(owner);
                let runs = |row: &Row| !row.status.is_final() && counts(entry, row);
                let named = &self.media[owner].named;
                let is_short = named.urls.is_empty() && entry.is_short();
                entry.rows.is_empty() || named.is_stale(task) || is_short || entry.rows.iter().any(runs)
            }
        };
        entry.error.is_none() && entry.owners.iter().copied().any(is_wanted_by)
    }

    fn end_task(&mut self, now: Moment, task: TaskIndex) {
        self.tasks[task].ended_at = Some(now);
        self.progress.tasks_ended += 1;
        let entry = &self.tasks[task];
        let has_ended = entry.has_ended();
        let (planner, tasks) = self.planner(now);
        planner.drop_task(task);
        if has_ended && let Some(took) = tasks.task(task).age {
            planner.ended_after(&tasks, took);
        }
        let entry = &self.tasks[task];
        if !has_ended && entry.error.is_none() {
            // Its media ended without it.
            return;
        }
        let failed = entry.rows.iter().find(|row| row.status == TaskStatus::Failed);
        let shown = failed.or(entry.rows.first());
        let error = entry.error.as_ref().map(|error| error.message.clone());
        self.notices.push(Notice::TaskEnded {
            task_id: entry.id.clone(),
            media_ids: self.media_ids(entry.owners.iter().copied()),
            url: shown.map(|row| row.url.to_string()),
            status: shown.map_or(TaskStatus::Failed, |row| row.status.clone()),
            description: error
                .or_else(|| shown.and_then(|row| row.description.as_deref().map(str::to_owned))),
        });
    }

    /// Plans the next poll of a task that has not ended.
    pub(super) fn plan_next_poll(&mut self, now: Moment, task: TaskIndex) {
        if self.tasks[task].ended_at.is_none() {
            let (planner, tasks) = self.planner(now);
            planner.plan_next(&tasks, task);
        }
    }
}
