//! Random walks: whatever a ledger is told, and in whatever order, three things hold. A ledger to which the journal is played back
//! says the same as the one that lived; the counts are those of what they count; and once the service tells the truth, a run ends.
//!
//! `VOD_REFRESH_WALKS=100000` takes so many walks of each kind. What fails is shown as the shortest walk that does.

use super::super::rows::{BatchState, JobStage, MediaEntry};
use super::*;
use crate::net::rng::mix;

const WALKS: u64 = 200;
const MEDIA: [&str; 3] = ["m1", "m2", "m3"];
/// Playback URLs as lookups and events name them.
const NAMED: [&str; 3] = ["https://a/1", "https://a/2", "http://A/3"];
/// What tasks show: the same otherwise spelt, and URLs of others. A run of URLs asks for the four that begin with `https`.
const SHOWN: [&str; 5] = ["https://a/1", "https://a/2", "a/3", "https://b/3", "https://b/4"];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0) % sides
    }

    fn once_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }

    fn some<'a>(&mut self, of: &[&'a str]) -> Vec<&'a str> {
        of.iter().copied().filter(|_| self.once_in(2)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Media,
    ThenPreload,
    Urls,
    Wait,
}

/// How the run was begun, for which a ledger can be made anew.
#[derive(Clone)]
struct Begun {
    kind: Kind,
    settings: Settings,
    asked: WaitRequest,
}

impl Begun {
    fn new(kind: Kind, dice: &mut Dice) -> Self {
        let mut settings = settings(!dice.once_in(3));
        settings.settle = Duration::from_secs(3);
        settings.deadline = at(1_000_000);
        settings.resubmit = !dice.once_in(4);
        if settings.has_events && dice.once_in(4) {
            settings.lookup = LookupAfter::Never;
        }
        let mut asked = WaitRequest::new([job("J0")]);
        settings.task_type = settings.task_type.filter(|_| kind != Kind::Wait);
        let polls = (Duration::from_secs(2), Duration::from_secs(15));
        settings.preload_polls = (kind == Kind::ThenPreload).then_some(polls);
        match dice.roll(3) {
            0 => asked = asked.with_expect(2),
            1 => asked = asked.with_media([media("m1"), media("m2")]),
            _ => {}
        }
        Self { kind, settings, asked }
    }

    fn ledger(&self) -> Ledger {
        let settings = self.settings.clone();
        match self.kind {
            Kind::Media | Kind::ThenPreload => {
                Ledger::for_batches(settings, Batch::split(&[media("m1"), media("m2")]))
            }
            Kind::Urls => {
                let urls = SHOWN.iter().filter(|url| url.starts_with("https"));
                let request = UrlRequest::new(TaskType::Refresh, urls.copied());
                Ledger::for_urls(settings, UrlBatch::split(&request))
            }
            Kind::Wait => Ledger::for_jobs(settings, &self.asked),
        }
    }
}

/// A run that goes through random facts.
struct Walk {
    begun: Begun,
    dice: Dice,
    ledger: Ledger,
    journal: Vec<(Moment, Fact)>,
    log: Vec<String>,
    second: u64,
}

impl Walk {
    fn new(kind: Kind, seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x0010_0001));
        let begun = Begun::new(kind, &mut dice);
        let (ledger, log) = (begun.ledger(), vec![format!("{:?} {:?}", begun.settings, begun.asked)]);
        Self { begun, dice, ledger, journal: Vec::new(), log, second: 1 }
    }

    fn pass_time(&mut self) {
        self.second += self.dice.one(&[0, 1, 3, 5, 30, 200]);
    }

    fn tell(&mut self, fact: Fact) {
        let mark = if self.ledger.is_news(&fact) { "" } else { "(no news) " };
        self.log.push(format!("{} {mark}{fact:?}", self.second));
        live(&mut self.ledger, &mut self.journal, at(self.second), fact);
    }

    /// What is due, submissions as begun. What the ledger wants told to itself is told at once.
    fn due(&mut self, slots: Slots) -> Vec<Work> {
        let mut works = Vec::new();
        while let Some(work) = self.ledger.due(at(self.second), slots) {
            match work {
                Work::Apply(fact) => self.tell(fact),
                work => {
                    if let Work::Submit { batch } = &work {
                        self.tell(Fact::Submitting { batch: *batch });
                    }
                    works.push(work);
                }
            }
        }
        works
    }

    fn begin_preload(&mut self) {
        if let Some(fact) = self.ledger.preload_to_begin() {
            self.tell(fact);
        }
    }

    /// Mostly one that is known.
    fn any_job(&mut self) -> String {
        let count = self.ledger.jobs.len() as u64 + u64::from(self.dice.once_in(8));
        format!("J{}", self.dice.roll(count.max(1)))
    }

    fn rejected(&mut self) -> Fault {
        let code = self.dice.one(&["InvalidDomain.NotFound", "InvalidObjectPath", "SomethingNew"]);
        Fault::new(ErrorKind::Rejected, code, "no")
    }

    /// A row of a job as it may be on the way to its last word, or wrong.
    fn odd_row(&mut self, id: &str, tasks: &[&str]) -> JobRow {
        let status = match self.dice.roll(6) {
            0 => SubmissionStatus::Fail,
            1 => SubmissionStatus::Pending(None),
            _ => SubmissionStatus::Success,
        };
        let tasks = self.dice.some(tasks).into_iter().map(task).collect();
        let mut row = JobRow::new(media(id), status, tasks, &self.dice.some(&NAMED).join(","));
        row.unread = self.dice.once_in(10).then(|| "?".to_owned());
        row
    }

    fn odd_lookup(&mut self, job_id: &str, tasks_of: impl Fn(&str) -> [&'static str; 2]) -> Fact {
        let ids = self.dice.some(&MEDIA);
        let rows = ids.into_iter().map(|id| self.odd_row(id, &tasks_of(id))).collect();
        looked_up(job_id, rows)
    }

    /// An event with this row, of a known sender or of another.
    fn event_with(&mut self, row: JobRow) -> Fact {
        let job_id = self.any_job();
        if self.dice.once_in(2) { event(&job_id, row) } else { unsigned(&job_id, row) }
    }

    fn odd_look(&mut self, id: &TaskId) -> Fact {
        let shown = self.dice.some(&SHOWN);
        let mut row = |url: &str| {
            let status = [TaskStatus::Refreshing, TaskStatus::Failed, TaskStatus::Complete];
            let status = status[[0, 1, 2, 2, 2][self.dice.roll(5) as usize]].clone();
            TaskRow::new(id.clone(), url, status)
        };
        let rows: Vec<TaskRow> = shown.into_iter().map(&mut row).collect();
        let total = self.dice.one(&[None, Some(1), Some(rows.len() as u64)]);
        Fact::TaskSeen { task: id.clone(), rows, total }
    }

    fn odd_answer_to_a_submission(&mut self, batch: u32) -> Fact {
        match self.dice.roll(6) {
            0 => Fact::NotSubmitted { batch, fault: self.rejected() },
            1 => lost(batch),
            2 => Fact::Withdrawn { batch },
            _ if self.begun.kind == Kind::Urls => {
                let tasks = [&["T1"][..], &["T2"], &["T1", "T2"]][self.dice.roll(3) as usize];
                let tasks = tasks.iter().map(|id| task(id)).collect();
                Fact::UrlsSubmitted { batch, tasks, unread: None, request_id: None }
            }
            _ => Fact::Submitted {
                batch,
                job: Some(job(&format!("J{}", batch % 2))),
                not_found: self.dice.some(&["m1"]).into_iter().map(str::to_owned).collect(),
                forbidden: vec![],
                request_id: None,
            },
        }
    }

    /// A fact that tells of lookups that fail, where a run would tell it.
    fn trouble_with_lookups(&mut self, id: JobId) -> Option<Fact> {
        let (has_events, is_closing) = (self.begun.settings.has_events, self.ledger.is_closing(&id));
        let fault = self.rejected();
        match self.dice.roll(4) {
            0 => Some(Fact::JobUnclear { job: id, fault }),
            1 if !is_closing => Some(Fact::JobRefused { job: id, fault }),
            2 if has_events && !is_closing => Some(Fact::LookupsRefused { fault }),
            3 if self.ledger.events_suffice(&id) => Some(Fact::LookupFailed { job: id, fault }),
            _ => None,
        }
    }
}

/// Takes walks of each kind, and shows the shortest one that fails.
fn take_walks(walk: fn(Kind, u64) -> Result<(), Vec<String>>) {
    let count = std::env::var("VOD_REFRESH_WALKS").map_or(WALKS, |text| text.parse().unwrap());
    for kind in [Kind::Media, Kind::ThenPreload, Kind::Urls, Kind::Wait] {
        let failed: Vec<_> = (0..count).filter_map(|seed| walk(kind, seed).err()).collect();
        if let Some(shortest) = failed.iter().min_by_key(|log| log.len()) {
            panic!("{kind:?}: {} of {count} walks failed, as\n{}", failed.len(), shortest.join("\n"));
        }
    }
}

/// Where a ledger stands, for everybody who asks.
fn account(ledger: &Ledger) -> String {
    let urls = ledger.url_reports(chrono::DateTime::from_timestamp(0, 0).unwrap());
    let urls: Vec<_> = urls.iter().map(|url| (&*url.url, url.state.as_str())).collect();
    let media: Vec<_> = states(ledger).into_iter().map(|(id, state, _)| (id, state)).collect();
    let progress = ledger.progress();
    let counts = [ledger.open_batches, progress.media, progress.complete, progress.failed];
    format!("{media:?} {urls:?}, of batches, media, complete, failed {counts:?}")
}

/// What the ledger counts as it goes, and the same counted now.
fn counts(ledger: &Ledger) -> [(u64, usize); 3] {
    let media = ledger.media.iter().filter(|media| !media.ended()).count();
    let jobs = ledger.jobs.iter().filter(|job| job.stage != JobStage::Known).count();
    let batches = ledger.batches.iter().filter(|batch| batch.state != BatchState::Done).count();
    [(ledger.open_media, media), (ledger.open_jobs, jobs), (ledger.open_batches, batches)]
}

/// Goes through facts, and breaks among them, and plays the journal back after each.
fn plays_back_the_same(kind: Kind, seed: u64) -> Result<(), Vec<String>> {
    let mut walk = Walk::new(kind, seed);
    // After a break the tasks that media share are looked at again, of which a ledger that is played back knows nothing.
    let has_breaks = kind != Kind::Urls && walk.dice.once_in(2);
    let tasks_of = move |id: &str| match id {
        "m2" if has_breaks => ["T3", "T4"],
        "m3" if has_breaks => ["T5", "T6"],
        _ => ["T1", "T2"],
    };
    for _ in 0..6 + walk.dice.roll(24) {
        walk.pass_time();
        // No poll is out while its task is named for another media: what it shows then counts only when it is played back.
        let _asked = walk.due(Slots { poll_task: 0, ..SLOTS });
        if walk.dice.once_in(2) {
            walk.begin_preload();
        }
        let sending = walk.ledger.sending();
        let job_id = walk.any_job();
        let fact = match walk.dice.roll(16) {
            // A lookup without rows may close a job of others and is not written down: after a break the job is looked up again.
            0..4 if walk.ledger.can_query_jobs() => Some(walk.odd_lookup(&job_id, tasks_of))
                .filter(|fact| kind != Kind::Wait || walk.ledger.is_news(fact)),
            4..6 => {
                let id = walk.dice.one(&MEDIA);
                let row = walk.odd_row(id, &tasks_of(id));
                Some(walk.event_with(row))
            }
            6..10 => {
                let of = walk.dice.one(&MEDIA);
                let id = walk.dice.one(&tasks_of(of));
                Some(walk.odd_look(&task(id)))
            }
            10..13 if !sending.is_empty() => {
                let batch = walk.dice.one(&sending);
                Some(walk.odd_answer_to_a_submission(batch))
            }
            13 if walk.ledger.can_query_jobs() => walk.trouble_with_lookups(job(&job_id)),
            14 if walk.dice.once_in(8) => {
                Some(Fact::Halted { fault: Fault::new(ErrorKind::Quota, "QuotaExceeded", "no") })
            }
            15 if has_breaks => {
                for fact in walk.ledger.facts_of_a_break() {
                    walk.tell(fact);
                }
                walk.ledger.reopen(at(walk.second), at(1_000_000), false);
                walk.log.push(format!("{} break", walk.second));
                None
            }
            _ => None,
        };
        if let Some(fact) = fact {
            walk.tell(fact);
        }
        let (lived, played) = (account(&walk.ledger), account(&replayed(walk.begun.ledger(), &walk.journal)));
        let are_right = counts(&walk.ledger).iter().all(|(count, counted)| *count == *counted as u64);
        if lived != played || !are_right {
            walk.log.push(format!("lived  {lived}\nplayed {played}\ncounts {:?}", counts(&walk.ledger)));
            return Err(walk.log);
        }
    }
    Ok(())
}

/// What a job tells of a media in the end.
fn true_row(id: &str) -> JobRow {
    JobRow::new(media(id), SubmissionStatus::Success, vec![task("T1"), task("T2")], &NAMED.join(","))
}

fn true_answer(kind: Kind, work: Work) -> Fact {
    match work {
        Work::Apply(fact) => fact,
        Work::FindUrls { batch, .. } => Fact::UrlsNotFound { batch },
        Work::ListTasks { .. } => Fact::ListingRefused,
        Work::Submit { batch } if kind == Kind::Urls => {
            Fact::UrlsSubmitted { batch, tasks: vec![task("T1")], unread: None, request_id: None }
        }
        Work::Submit { batch } => {
            let job = Some(job(&format!("J{batch}")));
            Fact::Submitted { batch, job, not_found: vec![], forbidden: vec![], request_id: None }
        }
        Work::QueryJob { job } => looked_up(job.as_str(), MEDIA.map(true_row).into()),
        Work::PollTask { task } => {
            let rows = SHOWN.map(|url| TaskRow::new(task.clone(), url, TaskStatus::Complete));
            Fact::TaskSeen { task, rows: rows.into(), total: Some(SHOWN.len() as u64) }
        }
    }
}

fn odd_answer(walk: &mut Walk, work: Work) -> Fact {
    let tasks_of = |_: &str| ["T1", "T2"];
    let kind = walk.begun.kind;
    match work {
        Work::Submit { batch } => walk.odd_answer_to_a_submission(batch),
        Work::QueryJob { job } => {
            let trouble = walk.dice.once_in(3).then(|| walk.trouble_with_lookups(job.clone())).flatten();
            trouble.unwrap_or_else(|| walk.odd_lookup(job.as_str(), tasks_of))
        }
        Work::PollTask { task } if walk.dice.once_in(6) => Fact::TaskRefused { task, fault: walk.rejected() },
        Work::PollTask { task } => walk.odd_look(&task),
        work => true_answer(kind, work),
    }
}

/// Goes through odd answers to what the ledger asks, some of them late, and then through true ones until it ends.
fn comes_to_an_end(kind: Kind, seed: u64) -> Result<(), Vec<String>> {
    let mut walk = Walk::new(kind, seed);
    let has_events = walk.begun.settings.has_events && kind != Kind::Urls;
    let mut out = Vec::new();
    for _ in 0..4 + walk.dice.roll(14) {
        walk.pass_time();
        if walk.dice.once_in(2) {
            walk.begin_preload();
        }
        out.extend(walk.due(SLOTS));
        let (answered, late) = out.into_iter().partition::<Vec<_>, _>(|_| walk.dice.once_in(2));
        out = late;
        for work in answered {
            let fact = odd_answer(&mut walk, work);
            walk.tell(fact);
        }
        if has_events && walk.dice.once_in(3) {
            // One that is odd, of a known sender, keeps its media open where no lookup decides.
            let row = true_row(walk.dice.one(&MEDIA));
            let fact = walk.event_with(row);
            walk.tell(fact);
        }
    }
    walk.log.push("from now on, the truth".to_owned());
    for _ in 0..1_000 {
        if walk.ledger.is_settled() {
            return Ok(());
        }
        walk.begin_preload();
        out.extend(walk.due(SLOTS));
        for work in std::mem::take(&mut out) {
            walk.tell(true_answer(kind, work));
        }
        if has_events {
            let (job_id, id) = (walk.any_job(), walk.dice.one(&MEDIA));
            walk.tell(event(&job_id, true_row(id)));
        }
        let next = walk.ledger.next_at(SLOTS).map_or(0, |next| next.since_start().as_secs());
        walk.second = next.clamp(walk.second + 1, walk.second + 60);
    }
    // What a lookup and events said otherwise of a media is decided by lookups only.
    let is_undecidable =
        |media: &MediaEntry| !media.is_confirmed() && media.event_seen.is_some() && !media.has_signed_event();
    if !walk.ledger.can_query_jobs() && walk.ledger.media.iter().any(is_undecidable) {
        return Ok(());
    }
    walk.log.truncate(60);
    walk.log.push(format!("{} {:?}", account(&walk.ledger), counts(&walk.ledger)));
    Err(walk.log)
}

#[test]
fn a_ledger_to_which_the_journal_is_played_back_says_what_was_said() {
    take_walks(plays_back_the_same);
}

#[test]
fn a_run_ends_once_the_service_tells_the_truth() {
    take_walks(comes_to_an_end);
}
