//! After the last verdict: whether nodes of the CDN serve the new files.

use super::event_loop::LAST_POLL_TIMEOUT;
use super::report::Entries;
use super::state::{Driver, End};
use crate::edge::{EdgeAnswer, EdgeUrl, EdgeVerdict, NO_TIME};
use crate::ids::{MediaId, TaskId};
use crate::model::{Fact, MediaState, Moment};
use crate::run::observer::Notice;
use crate::vod::{ObjectType, TaskType};

/// Where a URL is from.
struct Source {
    task: TaskId,
    media: Option<MediaId>,
    /// A node is to have a copy.
    is_preloaded: bool,
}

/// The URLs of complete media, and of complete files, with the tasks that they belong to.
#[derive(Default)]
struct Wanted {
    urls: Vec<(Source, EdgeUrl)>,
    /// Folders and patterns: a node can be asked for files only.
    no_files: usize,
    /// What no task tells a URL of, or when it was handed in.
    obscure: usize,
}

impl Driver<'_> {
    /// Asks nodes for the URLs of what is complete, if the run is to do so and has come to its end. Gives that end, or another
    /// one where nodes are still to be asked.
    pub(super) async fn check_edge(&mut self, end: End) -> End {
        if !matches!(end, End::Settled) || !self.ledger.is_edge_due() {
            return end;
        }
        let Some(check) = self.setup.edge.clone() else {
            let message = "nodes of the CDN are still to be asked for what is complete; a resume asks them";
            self.warn_and_note(message.to_owned());
            return End::Checked;
        };
        let Wanted { urls, no_files, obscure } = self.complete_urls();
        let (all, asked) = (urls.len(), check.sample(urls.len()).count());
        let (sources, urls): (Vec<Source>, Vec<EdgeUrl>) = urls.into_iter().unzip();
        if asked > 0 {
            self.notify(&Notice::CheckingEdge { urls: asked as u64, of: all as u64 });
        }
        let over = self.deadline + LAST_POLL_TIMEOUT;
        let until = self.anchor + over.since(Moment::after(self.age));
        let answers = tokio::select! {
            biased;
            answers = check.check_until(&urls, Some(until)) => answers,
            // A resume asks again.
            () = self.setup.stop.cancelled() => return End::Stopped,
        };
        let late =
            answers.iter().filter(|of_url| of_url.iter().any(|answer| answer.reason == NO_TIME)).count();
        let notices = notices(&sources, &urls, &answers);
        let checked = sources.into_iter().zip(urls).zip(answers).filter(|(_, answers)| !answers.is_empty());
        let fact = |((source, url), answers): ((Source, EdgeUrl), _)| Fact::EdgeChecked {
            task: source.task,
            url: url.url,
            answers,
        };
        let mut facts: Vec<Fact> = checked.map(fact).collect();
        let left_out: Vec<String> = [
            (all - asked, "beyond the sample of `--edge-sample`"),
            (no_files, "folders and patterns"),
            (obscure, "without a known URL or time of submission"),
            (late, "no answer within `--timeout`"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, which)| format!("{which}: {count}"))
        .collect();
        let note = (!left_out.is_empty())
            .then(|| format!("the edge did not tell of all that is complete ({})", left_out.join(", ")));
        self.warn(note.clone());
        facts.push(Fact::EdgeDone { note });
        self.write_and_apply(facts).await;
        notices.iter().for_each(|notice| self.notify(notice));
        end
    }

    fn complete_urls(&self) -> Wanted {
        let ahead = self.client.signed_ahead();
        // The check's clock is that of signatures, which may be off by minutes before the service refuses it.
        let off = self.client.service_ahead() - ahead;
        let Entries { media, urls } = Entries::of(&self.ledger, self.record.started_at);
        let is_file = |place: usize| {
            let object_type = urls.as_ref().map_or(ObjectType::File, |urls| urls[place].object_type);
            matches!(object_type, ObjectType::File | ObjectType::IgnoreParams)
        };
        let mut wanted = Wanted::default();
        for (place, entry) in
            media.iter().enumerate().filter(|(_, entry)| entry.state == MediaState::Complete)
        {
            if !is_file(place) {
                wanted.no_files += 1;
                continue;
            }
            let questions = self.ledger.edge_questions(entry);
            wanted.obscure += usize::from(questions.is_empty());
            let submitted_at = entry.submitted_at.map(|at| at + ahead);
            for question in questions {
                let task = &entry.tasks[question.task];
                // The CDN dates a task when it takes it, by the service's clock.
                match task.created_at.map(|at| at - off).or(submitted_at) {
                    Some(since) => {
                        let task_type = task.task_type.or(self.ledger.task_type());
                        let source = Source {
                            task: task.task_id.clone(),
                            media: entry.media_id.clone(),
                            is_preloaded: task_type == Some(TaskType::Preload),
                        };
                        wanted.urls.push((source, EdgeUrl::new(question.url, since)));
                    }
                    None => wanted.obscure += 1,
                }
            }
        }
        wanted
    }
}

/// What people should know of the answers: each old copy, each that is not there after a preload, then how many there are of each
/// kind.
fn notices(sources: &[Source], urls: &[EdgeUrl], answers: &[Vec<EdgeAnswer>]) -> Vec<Notice> {
    let all = || answers.iter().flatten();
    if all().next().is_none() {
        return Vec::new();
    }
    let of_url = || sources.iter().zip(urls).zip(answers);
    let absent =
        of_url().filter(|((source, _), _)| source.is_preloaded).flat_map(|((source, url), answers)| {
            let missing = answers.iter().filter(|answer| answer.verdict == EdgeVerdict::Absent);
            missing.map(move |answer| {
                let of_media =
                    source.media.as_ref().map(|media| format!(" of media {media}")).unwrap_or_default();
                let (node, url, why) = (&answer.node, &url.url, &answer.reason);
                Notice::Warning {
                    message: format!(
                        "the node {node} has no copy of {url}{of_media}, although it was preloaded: {why}"
                    ),
                }
            })
        });
    let stale = of_url().flat_map(|((source, url), answers)| {
        let old = answers.iter().filter(|answer| answer.verdict == EdgeVerdict::Stale);
        old.map(move |answer| Notice::StaleAtEdge {
            media_id: source.media.clone(),
            url: url.url.clone(),
            node: answer.node.clone(),
            reason: answer.reason.clone(),
        })
    });
    let count = |verdict| all().filter(|answer| answer.verdict == verdict).count() as u64;
    let sums = Notice::EdgeChecked {
        fresh: count(EdgeVerdict::Fresh),
        stale: count(EdgeVerdict::Stale),
        absent: count(EdgeVerdict::Absent),
        unknown: count(EdgeVerdict::Unknown),
        why_unknown: all()
            .find(|answer| answer.verdict == EdgeVerdict::Unknown)
            .map(|answer| answer.reason.clone()),
    };
    stale.chain(absent).chain([sums]).collect()
}
