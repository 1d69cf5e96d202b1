//! A scenario and a run at random. The same seed draws the same.

use std::time::Duration;

use vod_refresh::emulator::{
    Emulator, EventScript, Fault, FaultRule, Filtering, JobScript, MediaScript, QueueEncoding, QueueScript,
    Scenario, Which,
};
use vod_refresh::{LookupAfter, MediaId, RefreshRequest, RunOptions, TaskType};

use super::hostile::Hostile;
use crate::crash::Death;
use crate::matrix::faults;
use crate::support::random::Rng;

const ACTIONS: [&str; 6] = [
    "RefreshMediaPlayUrls",
    "GetMediaRefreshJobs",
    "DescribeVodRefreshTasks",
    "BatchReceiveMessage",
    "BatchDeleteMessage",
    "*",
];

/// The job of others.
const OTHERS: &str = "others";

/// The jobs of a cloud that are not those of others.
pub(super) fn our_jobs(cloud: &Emulator) -> Vec<String> {
    cloud.job_ids().into_iter().filter(|id| id != OTHERS).collect()
}

pub(super) const FILTERS: [Filtering; 6] = [
    Filtering::Works,
    Filtering::Refused,
    Filtering::ShowsNothing,
    Filtering::KnowsNoDomain,
    Filtering::HidesHalf,
    Filtering::Ignored,
];

/// What becomes of a media as far as the cloud is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Well,
    Missing,
    Forbidden,
    Fails,
    Stuck,
    /// No row matches its URLs, and the rows that may stand for them do not end alike.
    Unmatched,
    /// Lookups never say that its URLs were handed to the CDN; events do.
    Pending,
    /// One of its task ids can't be read.
    Unreadable,
}

pub(super) struct Drawn {
    pub(super) scenario: Scenario,
    pub(super) options: RunOptions,
    pub(super) media: Vec<(String, Fate)>,
    pub(super) has_events: bool,
    pub(super) has_queue: bool,
    pub(super) max_rps: u32,
    /// The jobs are submitted first, by a run that does not wait, and followed by another.
    pub(super) waits: bool,
    /// When the process of a run with a journal dies: so many writes after it began or was carried on.
    pub(super) deaths: Vec<(u64, Death)>,
    task_type: TaskType,
}

impl Drawn {
    pub(super) fn request(&self) -> RefreshRequest {
        RefreshRequest::new(self.task_type, self.media.iter().map(|(id, _)| MediaId::new(id).unwrap()))
    }
}

pub(super) fn draw(seed: u64) -> Drawn {
    let mut rng = Rng(seed);
    let count = if rng.percent(50) { 1 + rng.below(25) } else { 1 + rng.below(300) };
    let mut scenario = Scenario::new()
        .with(|s| s.job_delay = rng.ms(5_000))
        .with(|s| s.event_delay = rng.ms(3_000))
        .with(|s| s.latency = rng.ms(400))
        .with(|s| s.task_duration = Duration::from_secs(1 + rng.below(120)))
        .with(|s| s.urls_per_media = 1 + rng.below(4) as usize);
    scenario.task_jitter = rng.ms(20_000);
    scenario.pending_for = rng.ms(3_000);
    scenario.url_with_commas = rng.percent(20);
    scenario.merge_ids_across_media = rng.percent(15);
    if rng.percent(60) {
        scenario =
            scenario.with(|s| s.rates.insert("DescribeVodRefreshTasks".into(), 3.0 + rng.below(20) as f64));
    }
    let source = rng.below(3);
    let waits = rng.percent(30);
    let deaths = if rng.percent(40) { 1 + rng.below(3) } else { 0 };
    let hears_all = !waits && deaths == 0;
    let hostile =
        rng.percent(50).then(|| Hostile::draw(&mut rng, scenario.merge_ids_across_media, hears_all));
    let count = hostile.as_ref().map_or(count, |hostile| count.min(hostile.most_media()));
    let has_small_pages = hostile.as_ref().is_some_and(|hostile| hostile.pages.size.is_some());
    if let Some(hostile) = &hostile {
        scenario.pages = hostile.pages.clone();
    }
    if source == 2 {
        let encoding = rng.one_of(&[QueueEncoding::Raw, QueueEncoding::Base64, QueueEncoding::Mixed]);
        let queue = QueueScript { encoding, ..QueueScript::named("events") };
        let queue =
            QueueScript { foreign: rng.below(5) as usize, undecodable: rng.below(3) as usize, ..queue };
        scenario = scenario.with(|s| s.queue = Some(queue));
    }
    let odd = rng.one_of(&[0, 5, 30]);
    let mut media = Vec::new();
    for n in 0..count {
        let (id, (mut script, mut fate)) = (format!("m{n}"), one_media(&mut rng, odd));
        if let Some(hostile) = &hostile {
            fate = hostile.tell(&mut rng, (n, scenario.urls_per_media), &mut script, fate);
        }
        scenario = scenario.with_media(id.as_str(), script);
        media.push((id, fate));
    }
    scenario = scenario.with(|s| s.task_filters = rng.one_of(&FILTERS));
    if rng.percent(40) {
        // Others make tasks as well, on a domain of their own.
        let url = |n| format!("https://others.example.test/{n}.mp4");
        let urls = (0..rng.below(if has_small_pages { 100 } else { 3_000 })).map(url).collect();
        let job = JobScript { media: vec!["theirs".into()], ..JobScript::default() };
        let theirs = MediaScript { urls, ..MediaScript::default() };
        scenario = scenario.with(|s| s.jobs.insert(OTHERS.into(), job)).with_media("theirs", theirs);
    }
    for _ in 0..rng.below(8) {
        let times = if rng.percent(10) { 0 } else { 1 + rng.below(6) as u32 };
        let rule = one_fault(&mut rng);
        let times = if matches!(rule.fault, Fault::EmptyObject) { times.max(1) } else { times };
        scenario = scenario.with_fault(rule.skip(rng.below(30) as u32).times(times));
    }
    let mut options = RunOptions::default();
    options.timeout = Duration::from_secs(rng.one_of(&[600, 1_800, 3_600]));
    options.resubmit = rng.percent(80);
    if source != 0 && rng.percent(15) {
        options.lookup_after = Some(LookupAfter::Never);
    }
    let max_rps = 2 + rng.below(60) as u32;
    let task_type = rng.one_of(&[TaskType::Refresh, TaskType::Preload]);
    let deaths = (0..deaths).map(|_| one_death(&mut rng)).collect();
    let (has_events, has_queue) = (source != 0, source == 2);
    Drawn { scenario, options, media, has_events, has_queue, max_rps, waits, deaths, task_type }
}

pub(super) fn one_fault(rng: &mut Rng) -> FaultRule {
    let (_, fault) = rng.one_of(&faults());
    FaultRule::on(rng.one_of(&ACTIONS), fault)
}

fn one_death(rng: &mut Rng) -> (u64, Death) {
    let most = if rng.percent(50) { 6 } else { 60 };
    let writes = 1 + rng.below(most);
    (writes, if rng.percent(30) { Death::AtOnce } else { Death::After(rng.ms(2_000)) })
}

pub(super) fn one_media(rng: &mut Rng, odd: u64) -> (MediaScript, Fate) {
    let mut script = MediaScript::default().with(|m| {
        m.event = EventScript {
            lost: rng.percent(odd),
            double: rng.percent(odd),
            delay: rng.percent(odd).then(|| rng.ms(60_000)),
            early: rng.percent(odd / 5).then(|| rng.ms(1_000)),
            bad_signature: rng.percent(odd),
            extend_as_object: rng.percent(odd),
            ..EventScript::default()
        }
    });
    script.merged_tasks = rng.percent(odd);
    script.foreign_rows = if rng.percent(odd) { rng.below(4) as usize } else { 0 };
    script.invisible_looks = if rng.percent(odd) { rng.below(4) as u32 } else { 0 };
    script.lookup_empty_looks = if rng.percent(odd) { rng.below(4) as u32 } else { 0 };
    if !rng.percent(odd / 2) {
        return (script, Fate::Well);
    }
    match rng.below(5) {
        0 => (MediaScript::missing(), Fate::Missing),
        1 => (MediaScript::forbidden(), Fate::Forbidden),
        2 => (MediaScript::failing("InvalidDomain.NotFound", "Can't find domain."), Fate::Fails),
        3 => (MediaScript { failed_tasks: Which::First(1), ..script }, Fate::Fails),
        _ => (MediaScript { never_complete: Which::First(1), ..script }, Fate::Stuck),
    }
}
