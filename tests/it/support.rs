//! The environment of a test: an emulator, a receiver, a clock and a client that share one paused time.

pub(crate) mod action;
pub(crate) mod encodings;
pub(crate) mod program;
pub(crate) mod random;
pub(crate) mod raw_server;
pub(crate) mod scripts;
#[cfg(target_os = "linux")]
pub(crate) mod terminal;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::journal::{Order, StoredRun};
use vod_refresh::net::clock::{Clock, TimerClock};
use vod_refresh::net::transport::{ServiceTransport, Transport};
use vod_refresh::run::ledger::Fact;
use vod_refresh::run::{MediaReport, Notice, Progress};
use vod_refresh::vod::VodClientBuilder;
use vod_refresh::{
    Credential, CredentialProvider, EventReceiver, Inbox, JobId, MediaId, Observer, QueueClient,
    QueueConsumer, QueueListener, RefreshRequest, Report, RunOptions, StaticCredentials, TaskType, VodClient,
};

use crate::schema::Refresher;

pub(crate) const CALLBACK_URL: &str = "https://cb.example.test/vod/hook";
pub(crate) const CALLBACK_KEY: &str = "Abc123Key";

/// The notices of all runs, in the order in which they came.
#[derive(Clone, Default)]
pub(crate) struct RecordedNotices(Arc<Mutex<Vec<Notice>>>);

impl Observer for RecordedNotices {
    fn notice(&self, notice: &Notice, _: &Progress) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

impl RecordedNotices {
    pub(crate) fn all(&self) -> Vec<Notice> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let text = |notice| match notice {
            Notice::Warning { message } => Some(message),
            _ => None,
        };
        self.all().into_iter().filter_map(text).collect()
    }
}

/// Everything one test needs. Dropping it fails the test if a scripted fault never struck.
pub(crate) struct TestEnv {
    pub(crate) cloud: Emulator,
    pub(crate) inbox: Inbox,
    pub(crate) notices: RecordedNotices,
    pub(crate) options: RunOptions,
    pub(crate) started: tokio::time::Instant,
    pub(crate) client: VodClient,
    clock: TimerClock,
    seed: u64,
    queue: Option<String>,
    has_events: bool,
    allows_unused_faults: bool,
}

impl TestEnv {
    /// An environment without an event source: lookups alone.
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self::with_client(scenario, |builder| builder)
    }

    /// The same, with settings of the client.
    pub(crate) fn with_client(
        scenario: Scenario,
        settings: impl FnOnce(VodClientBuilder) -> VodClientBuilder,
    ) -> Self {
        Self::seeded(1, scenario, settings)
    }

    /// The same, with a seed for all that the cloud and the clients leave to chance.
    pub(crate) fn seeded(
        seed: u64,
        scenario: Scenario,
        settings: impl FnOnce(VodClientBuilder) -> VodClientBuilder,
    ) -> Self {
        Self::build_seeded(seed, scenario, |_, _| static_key(), settings)
    }

    /// An environment whose client is signed in by `credentials`, made from the cloud and its clock.
    pub(crate) fn with_credentials(
        scenario: Scenario,
        credentials: impl FnOnce(&Emulator, TimerClock) -> Arc<dyn CredentialProvider>,
    ) -> Self {
        Self::build(scenario, credentials, |builder| builder)
    }

    /// With both.
    pub(crate) fn build(
        scenario: Scenario,
        credentials: impl FnOnce(&Emulator, TimerClock) -> Arc<dyn CredentialProvider>,
        settings: impl FnOnce(VodClientBuilder) -> VodClientBuilder,
    ) -> Self {
        Self::build_seeded(1, scenario, credentials, settings)
    }

    fn build_seeded(
        seed: u64,
        scenario: Scenario,
        credentials: impl FnOnce(&Emulator, TimerClock) -> Arc<dyn CredentialProvider>,
        settings: impl FnOnce(VodClientBuilder) -> VodClientBuilder,
    ) -> Self {
        let clock = TimerClock::starting_at("2026-11-25T01:19:10Z".parse::<DateTime<Utc>>().unwrap());
        let inbox = Inbox::new();
        let verifier = CallbackVerifier::new(CALLBACK_URL, vec![CALLBACK_KEY.to_owned().into()]);
        let receiver = EventReceiver::new(inbox.clone(), verifier).with_clock(clock);
        let shared: Arc<dyn Clock> = Arc::new(clock);
        let queue = scenario.queue.as_ref().map(|queue| queue.name.clone());
        // A cloud with a queue sends its events there; one that is told so, both ways.
        let scenario = match queue {
            Some(_) => scenario,
            None => scenario.with_callback(CALLBACK_URL, Some(CALLBACK_KEY)),
        };
        let cloud = Emulator::new(scenario.with(|s| s.seed = Some(seed)))
            .with_clock(shared)
            .with_event_transport(Arc::new(ServiceTransport(receiver)));
        let builder = client_of(&cloud, clock, seed, credentials(&cloud, clock));
        Self {
            cloud,
            inbox,
            notices: RecordedNotices::default(),
            options: RunOptions::default(),
            started: tokio::time::Instant::now(),
            client: settings(builder).build().unwrap(),
            clock,
            seed,
            queue,
            has_events: false,
            allows_unused_faults: false,
        }
    }

    /// Takes events from the emulator.
    pub(crate) fn with_events(mut self) -> Self {
        self.has_events = true;
        self
    }

    /// Another client of the same account, as another process has it.
    pub(crate) fn other_client(
        &self,
        settings: impl FnOnce(VodClientBuilder) -> VodClientBuilder,
    ) -> VodClient {
        settings(client_of(&self.cloud, self.clock, self.seed, static_key())).build().unwrap()
    }

    /// A client of the emulator's queue.
    pub(crate) fn queue_client(&self) -> QueueClient {
        self.queue_client_over(self.cloud.transport())
    }

    /// The same, over another transport.
    pub(crate) fn queue_client_over(&self, transport: impl Transport + 'static) -> QueueClient {
        let credentials = StaticCredentials(Credential::new("testid", "testsecret"));
        let url = format!("http://127.0.0.1:1/queues/{}", self.queue.as_deref().unwrap_or("no-queue"));
        QueueClient::builder(credentials, url)
            .with_transport(transport)
            .with_clock(self.clock)
            .with_jitter_seed(self.seed)
            .build()
            .unwrap()
    }

    /// Begins to read the emulator's queue.
    pub(crate) fn consume_queue(&self) -> QueueListener {
        QueueConsumer::new(self.queue_client(), self.inbox.clone()).spawn()
    }

    /// Takes them no more.
    pub(crate) fn without_events(mut self) -> Self {
        self.has_events = false;
        self
    }

    /// Lets faults pass that never struck: where they are drawn, and not written.
    pub(crate) fn allow_unused_faults(mut self) -> Self {
        self.allows_unused_faults = true;
        self
    }

    /// Changes how the run waits.
    pub(crate) fn with_options(mut self, change: impl FnOnce(&mut RunOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> TimerClock {
        self.clock
    }

    pub(crate) fn client(&self) -> &VodClient {
        &self.client
    }

    pub(crate) fn refresher(&self) -> Refresher {
        let refresher = Refresher::new(self.client.clone())
            .with_options(self.options.clone())
            .with_observer(self.notices.clone());
        if self.has_events { refresher.with_inbox(self.inbox.clone()) } else { refresher }
    }

    pub(crate) async fn refresh<T: AsRef<str>>(&self, ids: impl IntoIterator<Item = T>) -> Report {
        self.refresher().refresh(&request(ids)).await.unwrap()
    }

    pub(crate) async fn wait(&self, job: &str) -> Report {
        self.refresher().wait(&[JobId::new(job).unwrap()]).await.unwrap()
    }

    /// Virtual time since it was made.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn submits(&self) -> usize {
        self.cloud.count(action::SUBMIT)
    }

    pub(crate) fn lookups(&self) -> usize {
        self.cloud.count(action::QUERY_JOBS)
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if !self.allows_unused_faults && !std::thread::panicking() {
            assert_eq!(self.cloud.unused_faults(), Vec::<String>::new(), "faults that never struck");
        }
    }
}

pub(crate) fn static_key() -> Arc<dyn CredentialProvider> {
    Arc::new(StaticCredentials(Credential::new("testid", "testsecret")))
}

fn client_of(
    cloud: &Emulator,
    clock: TimerClock,
    seed: u64,
    credentials: Arc<dyn CredentialProvider>,
) -> VodClientBuilder {
    client_over(cloud.transport(), credentials).with_clock(clock).with_jitter_seed(seed)
}

/// A client whose requests go out over `transport`, wherever they are for.
pub(crate) fn client_over(
    transport: impl Transport + 'static,
    credentials: Arc<dyn CredentialProvider>,
) -> VodClientBuilder {
    VodClient::builder(credentials).with_endpoint("http://127.0.0.1:1").with_transport(transport)
}

/// The parameters of a request: those of its query and those of its form.
pub(crate) fn params_of(query: &str, form: &str) -> BTreeMap<String, String> {
    let pairs = [query, form].into_iter().flat_map(|text| form_urlencoded::parse(text.as_bytes()));
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

pub(crate) fn request<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> RefreshRequest {
    RefreshRequest::new(TaskType::Refresh, ids.into_iter().map(|id| MediaId::new(id).unwrap()))
}

/// Id, state and error code of each media.
pub(crate) fn states(report: &Report) -> Vec<(String, &'static str, Option<String>)> {
    let line = |media: &MediaReport| {
        let id = media.media_id.as_ref().map(ToString::to_string).unwrap_or_default();
        (id, media.state.as_str(), media.error.as_ref().map(|error| error.code.clone()))
    };
    report.media.iter().map(line).collect()
}

/// How often each list of media was submitted.
pub(crate) fn submissions(cloud: &Emulator) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in cloud.calls().iter().filter(|call| call.action == action::SUBMIT) {
        *counts.entry(call.params["MediaIds"].clone()).or_default() += 1;
    }
    counts
}

pub(crate) fn state_of(report: &Report, id: &str) -> &'static str {
    states(report).into_iter().find(|(media, ..)| media == id).map_or("absent", |(_, state, _)| state)
}

/// The media lists whose answers are in the journal; those of preloads are marked so.
pub(crate) fn answered_batches(stored: &StoredRun) -> Vec<String> {
    let Order::Refresh(request) = &stored.record.order else { return Vec::new() };
    let list = |ids: &[MediaId]| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(",");
    let mut batches: Vec<String> = request.media.chunks(20).map(list).collect();
    let mut known = |fact: &Fact| match fact {
        Fact::Submitted { batch, .. } => Some(batches[*batch as usize].clone()),
        Fact::PreloadBegun { media } => {
            batches.extend(media.chunks(20).map(|ids| format!("Preload {}", list(ids))));
            None
        }
        _ => None,
    };
    stored.facts.iter().filter_map(|(_, fact)| known(fact)).collect()
}
