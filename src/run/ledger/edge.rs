//! What nodes of the CDN said, beside what tasks said: a stale copy fails a media that was complete.

use std::collections::{HashMap, HashSet};

use super::named::UrlKey;
use super::state::Ledger;
use crate::edge::EdgeVerdict;
use crate::model::{MediaReport, MediaState, ReportedError, TaskReport, UrlReport, code};
use crate::vod::TaskType;

/// A URL that nodes can be asked for.
pub(crate) struct EdgeQuestion {
    /// As it was named.
    pub(crate) url: String,
    /// The place, among the tasks of its entry, of the one that shows it or stands for it.
    pub(crate) task: usize,
}

impl Ledger {
    /// Whether nodes of the CDN are to be asked, or have been.
    pub(crate) fn wants_edge(&self) -> bool {
        self.edge.is_due.is_some()
    }

    /// Whether nodes of the CDN are still to be asked.
    pub(crate) fn is_edge_due(&self) -> bool {
        self.edge.is_due == Some(true)
    }

    /// What nodes of the CDN were not asked for.
    pub(crate) fn edge_note(&self) -> Option<String> {
        self.edge.note.clone()
    }

    /// The URLs of an entry: those that were named, where only tasks were those that the tasks show.
    pub(crate) fn edge_questions(&self, entry: &MediaReport) -> Vec<EdgeQuestion> {
        let mut shown: HashMap<UrlKey, usize> = HashMap::new();
        // Of two stages, what the second one left is what a node is to have.
        let is_last = |task: &TaskReport| task.task_type != Some(TaskType::Refresh);
        let places: Vec<usize> =
            (0..entry.tasks.len()).filter(|place| is_last(&entry.tasks[*place])).collect();
        let url_of = |place: usize| entry.tasks[place].url.as_deref();
        for place in &places {
            let Some(url) = url_of(*place) else { continue };
            let newest = shown.entry(UrlKey::of(url)).or_insert(*place);
            if entry.tasks[*place].created_at > entry.tasks[*newest].created_at {
                *newest = *place;
            }
        }
        let mut names = self.names_of(entry);
        if names.is_empty() {
            let mut newest: Vec<usize> = shown.values().copied().collect();
            newest.sort_unstable();
            names = newest.into_iter().filter_map(url_of).collect();
        }
        let named: HashSet<UrlKey> = names.iter().map(|url| UrlKey::of(url)).collect();
        let is_stray = |place: &usize| url_of(*place).is_none_or(|url| !named.contains(&UrlKey::of(url)));
        let strays: Vec<usize> = places.into_iter().filter(is_stray).collect();
        let mut strays = strays.iter().cycle();
        let question = |url: &str| {
            let task = shown.get(&UrlKey::of(url)).or_else(|| strays.next())?;
            Some(EdgeQuestion { url: url.to_owned(), task: *task })
        };
        names.into_iter().filter_map(question).collect()
    }

    /// The URLs that were named for an entry, for its last stage.
    fn names_of<'a>(&'a self, entry: &'a MediaReport) -> Vec<&'a str> {
        if let Some(url) = &entry.url {
            return vec![url];
        }
        let job = entry.preload_job_id.as_ref().or(entry.job_id.as_ref());
        let job = job.and_then(|job| self.jobs_by_id.get(job));
        let media = job.zip(entry.media_id.clone()).and_then(|(job, id)| self.media_by_id.get(&(*job, id)));
        media.map_or_else(Vec::new, |media| self.media[*media].named.urls.spellings())
    }

    /// Puts the answers of nodes beside the tasks of an entry, and gives the verdict that follows from them.
    pub(crate) fn tell_of_edge(&self, entry: &mut MediaReport) {
        if self.edge.answers.is_empty() {
            return;
        }
        let (mut stale, mut absent) = (None, 0);
        for EdgeQuestion { url, task } in self.edge_questions(entry) {
            let task = &mut entry.tasks[task];
            let key = UrlKey::of(&url);
            let is_preload = task.task_type.or(self.task_type()) == Some(TaskType::Preload);
            let is_shown = task.url.as_deref().is_some_and(|shown| UrlKey::of(shown) == key);
            for answer in self.edge.answers.get(&(task.task_id.clone(), key)).into_iter().flatten() {
                let mut answer = answer.clone();
                match answer.verdict {
                    EdgeVerdict::Stale => {
                        let (node, why) = (&answer.node, &answer.reason);
                        stale.get_or_insert(format!("the node {node} serves an old copy of {url}: {why}"));
                    }
                    EdgeVerdict::Absent if is_preload => absent += 1,
                    _ => {}
                }
                if !is_shown {
                    answer.reason = format!("asked for {url}, as it was named: {}", answer.reason);
                }
                task.edge.push(answer);
            }
        }
        if let Some(message) = stale.filter(|_| entry.state == MediaState::Complete) {
            (entry.state, entry.error) =
                (MediaState::Failed, Some(ReportedError::new(code::STALE_AT_EDGE, message)));
        }
        if absent > 0 {
            let note = format!("{absent} answers of nodes were misses, although it was prefetched");
            entry.note.get_or_insert(note);
        }
    }

    /// The same for a URL of a run of URLs.
    pub(crate) fn tell_of_edge_of_url(&self, entry: &mut UrlReport) {
        if self.edge.answers.is_empty() {
            return;
        }
        let mut media = entry.as_media();
        self.tell_of_edge(&mut media);
        (entry.state, entry.error, entry.tasks) = (media.state, media.error, media.tasks);
    }
}
