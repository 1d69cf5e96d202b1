//! What nodes of the CDN said, beside what tasks said: a stale copy fails a media that was complete.

use super::named::UrlKey;
use super::state::Ledger;
use crate::edge::EdgeVerdict;
use crate::model::{MediaReport, MediaState, ReportedError, TaskReport, UrlReport, code};
use crate::vod::TaskType;

impl Ledger {
    /// Puts the answers of nodes beside the URLs of an entry, and gives the verdict that follows from them.
    pub(crate) fn tell_of_edge(&self, entry: &mut MediaReport) {
        if self.edge.is_empty() {
            return;
        }
        for task in &mut entry.tasks {
            let url = task.url.as_deref().map(UrlKey::of);
            let answers = url.and_then(|url| self.edge.get(&(task.task_id.clone(), url)));
            task.edge = answers.cloned().unwrap_or_default();
        }
        let of = |verdict| {
            let answers =
                entry.tasks.iter().flat_map(|task| task.edge.iter().map(move |answer| (task, answer)));
            answers.filter(move |(_, answer)| answer.verdict == verdict).collect::<Vec<_>>()
        };
        if let Some((task, answer)) = of(EdgeVerdict::Stale).first()
            && entry.state == MediaState::Complete
        {
            let url = task.url.as_deref().unwrap_or_default();
            let message = format!("the node {} serves an old copy of {url}: {}", answer.node, answer.reason);
            (entry.state, entry.error) =
                (MediaState::Failed, Some(ReportedError::new(code::STALE_AT_EDGE, message)));
        }
        let is_preload = |task: &TaskReport| task.task_type.or(self.task_type()) == Some(TaskType::Preload);
        let absent = of(EdgeVerdict::Absent).into_iter().filter(|(task, _)| is_preload(task)).count();
        if absent > 0 {
            let note = format!("{absent} answers of nodes were misses, although it was prefetched");
            entry.note.get_or_insert(note);
        }
    }

    /// The same for a URL of a run of URLs.
    pub(crate) fn tell_of_edge_of_url(&self, entry: &mut UrlReport) {
        if self.edge.is_empty() {
            return;
        }
        let mut media = entry.as_media();
        self.tell_of_edge(&mut media);
        (entry.state, entry.error, entry.tasks) = (media.state, media.error, media.tasks);
    }
}
