//! What truly happens in one world.
//!
//! Times are counted from the moment the service took the job of the media. Worlds are drawn in `draw`; how the client is
//! told of them is in `behaviour`, and answered in `server`.

use std::fmt;
use std::time::Duration;

use super::behaviour::Behaviour;
use super::events::Event;
use super::spelling::Name;

/// Most media in one submission, and so in one job.
pub(super) const BATCH: usize = 20;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Refresh,
    /// Somebody else made the job.
    Wait,
    /// The process dies at a write to its journal.
    Deaths,
}

/// What the service makes of a media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Missing,
    Forbidden,
    /// Taken, and never shown by a lookup.
    Unseen,
    /// Shown without a final word for ever.
    Pending,
    Fails,
    /// Handed over, and there was nothing to hand over.
    Empty,
    /// Named, with an id among them that nobody can read.
    Unreadable,
    Named,
}

/// What the service says of a task id as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Rows,
    /// `InvalidTaskId.NotFound` as long as no row is there.
    NotFound,
    /// `InvalidTaskId.Malformed`, always.
    Malformed,
    /// A code that nobody knows, always.
    Unknown,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    /// As the task shows it.
    pub(super) path: String,
    /// The media and its URL; `None` for a foreign row.
    pub(super) of: Option<(usize, usize)>,
    /// Whether `path` has the normal form of the URL.
    pub(super) is_matched: bool,
    pub(super) shown: Option<Duration>,
    /// When it ends, and whether well.
    pub(super) end: Option<(Duration, bool)>,
}

#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) batch: usize,
    pub(super) created: Duration,
    pub(super) word: Word,
    /// Rows of one URL stand side by side.
    pub(super) rows: Vec<Row>,
}

/// From when on a lookup names so many of the tasks and URLs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) tasks: usize,
    pub(super) urls: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Media {
    pub(super) id: String,
    pub(super) fate: Fate,
    /// When a lookup first shows it.
    pub(super) shown: Duration,
    /// What it names from its first success on; the last step names all.
    pub(super) steps: Vec<Step>,
    pub(super) urls: Vec<Name>,
    pub(super) tasks: Vec<usize>,
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) kind: Kind,
    pub(super) media: Vec<Media>,
    pub(super) tasks: Vec<Task>,
    pub(super) behaviour: Behaviour,
}

impl World {
    /// All rows of a media's tasks.
    pub(super) fn rows_of<'a>(&'a self, media: &'a Media) -> impl Iterator<Item = &'a Row> {
        media.tasks.iter().flat_map(|task| &self.tasks[*task].rows)
    }

    /// A media, and all that share tasks with it or with one of these.
    pub(super) fn sharing<'a>(&'a self, media: &'a Media) -> Vec<&'a Media> {
        let (mut all, mut place) = (vec![media], 0);
        while let Some(one) = all.get(place).copied() {
            let shares = |other: &&Media| other.tasks.iter().any(|task| one.tasks.contains(task));
            let is_new = |other: &&Media| all.iter().all(|known| known.id != other.id);
            let more: Vec<&Media> = self.media.iter().filter(shares).filter(is_new).collect();
            all.extend(more);
            place += 1;
        }
        all
    }

    /// The place of the media with this id.
    pub(super) fn place(&self, id: &str) -> usize {
        self.media.iter().position(|media| media.id == id).unwrap()
    }

    pub(super) fn batch(&self, batch: usize) -> impl Iterator<Item = &Media> {
        self.media.iter().skip(batch * BATCH).take(BATCH)
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "world {}: {:?}\n  {:?}", self.seed, self.kind, self.behaviour)?;
        for media in &self.media {
            writeln!(f, "  {} {:?}, shown at {:?}", media.id, media.fate, media.shown)?;
            media.urls.iter().try_for_each(|url| writeln!(f, "    url   {:?}", url.spelt))?;
            let ids: Vec<&str> = media.tasks.iter().map(|task| self.tasks[*task].id.as_str()).collect();
            writeln!(f, "    tasks {ids:?}")?;
            media.steps.iter().try_for_each(|step| writeln!(f, "    {step:?}"))?;
            media.events.iter().try_for_each(|event| writeln!(f, "    {event:?}"))?;
        }
        for task in &self.tasks {
            writeln!(f, "  task {} {:?}", task.id, task.word)?;
            for row in &task.rows {
                let Row { path, of, is_matched, shown, end } = row;
                writeln!(f, "    {path:?} of {of:?}, matched {is_matched}, shown {shown:?}, ends {end:?}")?;
            }
        }
        Ok(())
    }
}
