//! After the last verdict: whether nodes of the CDN serve the new files.

use super::report::Entries;
use super::state::{Driver, End};
use crate::edge::EdgeUrl;
use crate::ids::TaskId;
use crate::model::{Fact, MediaReport, MediaState, TaskReport};
use crate::run::observer::Notice;
use crate::vod::{ObjectType, TaskStatus, TaskType};

impl Driver<'_> {
    /// Asks nodes for the URLs of what is complete, if the run is to do so and has come to its end.
    pub(super) async fn check_edge(&mut self, end: &End) {
        let Some(check) = self.edge.clone().filter(|_| matches!(end, End::Settled)) else { return };
        let wanted = self.complete_urls();
        let asked = check.sample(wanted.len()).count();
        if asked == 0 {
            return;
        }
        self.notify(&Notice::CheckingEdge { urls: asked as u64, of: wanted.len() as u64 });
        let urls: Vec<EdgeUrl> = wanted.iter().map(|(_, url)| url.clone()).collect();
        let answers = tokio::select! {
            answers = check.check(&urls) => answers,
            // What was learned of the run so far is worth more than the rest of the answers.
            () = self.stop.cancelled() => return,
        };
        let checked = wanted.into_iter().zip(answers).filter(|(_, answers)| !answers.is_empty());
        let fact = |((task, url), answers): ((TaskId, EdgeUrl), _)| Fact::EdgeChecked {
            task,
            url: url.url,
            answers,
        };
        self.write_and_apply(checked.map(fact).collect()).await;
    }

    /// The URLs of complete media, and of complete files, that can be asked for, with their tasks.
    fn complete_urls(&self) -> Vec<(TaskId, EdgeUrl)> {
        let ahead = self.client.service_time() - self.client.local_time();
        let Entries { media, urls } = Entries::of(&self.ledger, self.record.started_at);
        let is_file = |place: usize| {
            let object_type = urls.as_ref().map_or(ObjectType::File, |urls| urls[place].object_type);
            matches!(object_type, ObjectType::File | ObjectType::IgnoreParams)
        };
        let entries = media
            .iter()
            .enumerate()
            .filter(|(place, entry)| entry.state == MediaState::Complete && is_file(*place));
        let of_entry = |(_, entry): (usize, &MediaReport)| {
            let submitted_at = entry.submitted_at.map(|at| at + ahead);
            // Of two stages, what the second one left is what a node is to have.
            let is_last = |task: &&TaskReport| task.task_type != Some(TaskType::Refresh);
            let is_done = |task: &&TaskReport| task.status == Some(TaskStatus::Complete);
            let urls = entry.tasks.iter().filter(is_last).filter(is_done);
            let urls = urls.filter_map(|task| {
                // The CDN dates a task when it takes it, by the service's clock.
                let since = task.created_at.or(submitted_at)?;
                Some((task.task_id.clone(), EdgeUrl::new(task.url.clone()?, since)))
            });
            urls.collect::<Vec<_>>()
        };
        entries.flat_map(of_entry).collect()
    }
}
