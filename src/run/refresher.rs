//! [`Refresher`], the entry to everything a run does.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::driver;
use super::handle::{self, Run, Steps};
use super::observer::{Observer, Silent};
use super::setup::Setup;
use crate::edge::EdgeCheck;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::event::Inbox;
use crate::ids::JobId;
use crate::journal::Journal;
use crate::model::{Order, RefreshRequest, Report, RunOptions, StoredRun, UrlRequest, WaitRequest};
use crate::vod::VodClient;

/// Takes media ids and comes back when the CDN has dropped or fetched every playback URL of them.
///
/// Usable from any tokio runtime with time and I/O enabled; outside of one its futures panic. They are `Send`. One
/// refresher serves any number of runs, also at once; they share the client's connections and pace. Clones are cheap and
/// share them as well.
///
/// [`refresh`](Self::refresh), [`wait`](Self::wait) and [`resume`](Self::resume) run within the caller's task;
/// [`start_refresh`](Self::start_refresh), [`start_wait`](Self::start_wait) and [`start_resume`](Self::start_resume) do
/// the same in a task of their own, and give a stream of what happens.
///
#[cfg_attr(feature = "emulator", doc = "```")]
#[cfg_attr(not(feature = "emulator"), doc = "```ignore")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use vod_refresh::emulator::{Emulator, MediaScript, Scenario};
/// use vod_refresh::{
///     Credential, MediaId, Outcome, RefreshRequest, Refresher, RunOptions, StaticCredentials, TaskType, VodClient,
/// };
///
/// // A pretend cloud in this process. With a real account: `DefaultCredentials`, a region, and no transport.
/// let scenario = Scenario::new().with_media("gone", MediaScript::missing());
/// # let scenario = scenario.with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::from_millis(20));
/// let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
///     .with_endpoint("http://127.0.0.1:1")
///     .with_transport(Emulator::new(scenario).transport())
///     .build()?;
///
/// let mut options = RunOptions::default();
/// options.timeout = Duration::from_secs(900);
/// # options.poll_interval = Some(Duration::from_millis(10));
/// let request = RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?, MediaId::new("gone")?]);
/// let report = Refresher::new(client).with_options(options).refresh(&request).await?;
///
/// assert_eq!(report.outcome, Outcome::Partial);
/// assert_eq!(report.media[0].state.as_str(), "complete");
/// assert_eq!(report.media[1].state.as_str(), "not_found");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Refresher(Setup);

impl Refresher {
    /// A refresher with default options, no event source and nobody watching.
    pub fn new(client: VodClient) -> Self {
        Self(Setup {
            client,
            options: RunOptions::default(),
            inbox: None,
            observer: Arc::new(Silent),
            stop: CancellationToken::new(),
            edge: None,
            journal: None,
            settings: serde_json::Value::Null,
        })
    }

    /// How to wait. The default: an hour at most, submitting again what got lost.
    #[must_use]
    pub fn with_options(mut self, options: RunOptions) -> Self {
        self.0.options = options;
        self
    }

    /// Where events come in: the inbox of an [`EventReceiver`](crate::EventReceiver), a
    /// [`QueueConsumer`](crate::QueueConsumer), or both. Without one, `GetMediaRefreshJobs` is asked at once.
    #[must_use]
    pub fn with_inbox(mut self, inbox: Inbox) -> Self {
        self.0.inbox = Some(inbox);
        self
    }

    /// Who hears what happens on the way.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'static) -> Self {
        self.0.observer = Arc::new(observer);
        self
    }

    /// Ends runs early: cancelled, no batch is submitted any more, calls in flight get 1.5 s, and the report says
    /// what is known. Remote work goes on.
    #[must_use]
    pub fn with_stop(mut self, stop: CancellationToken) -> Self {
        self.0.stop = stop;
        self
    }

    /// Asks nodes of the CDN for the URLs of what is complete, once the run has come to its end, and whether what they serve was
    /// stored after the submission. An old copy makes its media failed with the code
    /// [`STALE_AT_EDGE`](crate::run::code::STALE_AT_EDGE); whatever is not certain changes nothing. One node is one node.
    /// [`RunOptions::timeout`] holds for it too. A run in a journal is not over before: whoever resumes it must give a check again.
    #[must_use]
    pub fn with_edge_check(mut self, check: EdgeCheck) -> Self {
        self.0.edge = Some(check);
        self
    }

    /// Keeps runs in `journal`, so that they survive the process. `settings` is what the caller wants back on resume
    /// ([`RunRecord::settings`](crate::journal::RunRecord::settings)), `Value::Null` if nothing; it must hold no secret.
    /// A journal that fails in mid-run costs the journal, not the run: a warning tells, and the run can't be resumed.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal, settings: serde_json::Value) -> Self {
        self.0.journal = Some(journal);
        self.0.settings = settings;
        self
    }

    /// Purges or prefetches media and waits for every task.
    ///
    /// What the service refuses is in the report, not an error: [`Report::outcome`] gives the verdict, [`Report::error`]
    /// the fault that ended the run early. Cancel safety: dropping the future ends the run without a report; remote
    /// work goes on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a request that can't be sent (no media, a text that is too long, a slice count out of
    /// range), [`ErrorKind::Config`] without credentials or where the journal can't be written, or what the credentials'
    /// source says. Nothing was submitted then.
    pub async fn refresh(&self, request: &RefreshRequest) -> Result<Report> {
        driver::begin(&self.0, Order::Refresh(request.clone())).await
    }

    /// Purges URLs and folders, or prefetches URLs, of media or not, and waits for every task. The same holds as for
    /// [`refresh`](Self::refresh). There are no events of such calls, and no lookups: their answers name the tasks. Where an
    /// answer gets lost, the tasks are looked for in listings before the URLs are sent again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for what [`UrlRequest::check`] refuses; else as [`refresh`](Self::refresh).
    pub async fn refresh_urls(&self, request: &UrlRequest) -> Result<Report> {
        driver::begin(&self.0, Order::Urls(request.clone())).await
    }

    /// Waits for jobs that somebody else submitted, of whose media nothing is known: [`wait_for`](Self::wait_for) with
    /// the jobs alone.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
    pub async fn wait(&self, jobs: &[JobId]) -> Result<Report> {
        self.wait_for(&WaitRequest::new(jobs.iter().cloned())).await
    }

    /// Waits for jobs that somebody else submitted, knowing their media or how many these are. The same holds as for
    /// [`refresh`](Self::refresh); nothing is submitted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for what [`WaitRequest::check`] refuses; else as [`refresh`](Self::refresh).
    pub async fn wait_for(&self, request: &WaitRequest) -> Result<Report> {
        driver::begin(&self.0, Order::Wait(request.clone())).await
    }

    /// Gives the report of a run that the caller does not begin, for the reason `why`: what it was to submit is `not_submitted`.
    /// Nobody is asked, not for credentials either, and no journal keeps it. Where the [stop](Self::with_stop) came before, the
    /// run counts as interrupted, whatever the reason.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] for a fault of this crate.
    pub async fn decline(&self, order: Order, why: Error) -> Result<Report> {
        driver::decline(&self.0, order, why).await
    }

    /// Carries on a run that was interrupted, killed or timed out, from what [`Journal::load`] gave. Nothing is
    /// submitted again that the service had confirmed. The same holds as for [`refresh`](Self::refresh).
    ///
    /// It waits as this refresher does: options, event source and journal are the refresher's own. To wait as the run
    /// did before, give [`with_options`](Self::with_options) the options of its
    /// [`RunRecord`](crate::journal::RunRecord).
    ///
    #[cfg_attr(feature = "emulator", doc = "```")]
    #[cfg_attr(not(feature = "emulator"), doc = "```ignore")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use vod_refresh::emulator::{Emulator, Scenario};
    /// # use vod_refresh::run::Notice;
    /// # use vod_refresh::{Credential, Journal, MediaId, Outcome, RefreshRequest, Refresher};
    /// # use vod_refresh::{StaticCredentials, TaskType, VodClient};
    /// # let cloud = Emulator::new(Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO));
    /// # let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
    /// #     .with_endpoint("http://127.0.0.1:1")
    /// #     .with_transport(cloud.transport())
    /// #     .build()?;
    /// # let request = RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?]);
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("journal.db");
    /// let journal = Journal::open(path).await?;
    /// let refresher = Refresher::new(client).with_journal(journal.clone(), serde_json::Value::Null);
    /// # let (crashing, mut steps) = refresher.start_refresh(request);
    /// # while !matches!(steps.next().await.ok_or("it ended")?.notice, Notice::Submitted { .. }) {}
    /// # drop(crashing);
    ///
    /// // After a crash: what was the newest run that has not ended?
    /// if let Some(run) = journal.load(None).await? {
    ///     let report = refresher.resume(run).await?;
    ///     assert_eq!(report.outcome, Outcome::Complete);
    /// }
    /// # assert_eq!(cloud.count("RefreshMediaPlayUrls"), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a run that has ended, or whose journal failed in mid-run; [`ErrorKind::Config`] without
    /// credentials, without a journal that can be written, while another process drives that run, or without an
    /// [edge check](Self::with_edge_check) where the run still has to make one.
    pub async fn resume(&self, run: StoredRun) -> Result<Report> {
        driver::resume(&self.0, run, false).await
    }

    /// Asks the service once about everything in a stored run that is open, and writes down what it says. Nothing is
    /// submitted. A run that still has to ask nodes of the CDN stays unfinished without an [edge check](Self::with_edge_check).
    /// Cancel safe: what was known by then is in the journal.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume), but for the edge check.
    pub async fn check(&self, run: StoredRun) -> Result<Report> {
        driver::resume(&self.0, run, true).await
    }

    /// [`refresh`](Self::refresh) in a task of its own: a handle that ends in the report, and what happens as a stream.
    ///
    /// The observer hears everything as well. Errors come from the handle.
    ///
    #[cfg_attr(feature = "emulator", doc = "```")]
    #[cfg_attr(not(feature = "emulator"), doc = "```ignore")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use vod_refresh::emulator::{Emulator, Scenario};
    /// # use vod_refresh::{Credential, MediaId, RefreshRequest, Refresher, StaticCredentials, TaskType, VodClient};
    /// # let scenario = Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO);
    /// # let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
    /// #     .with_endpoint("http://127.0.0.1:1")
    /// #     .with_transport(Emulator::new(scenario).transport())
    /// #     .build()?;
    /// # let refresher = Refresher::new(client);
    /// use vod_refresh::run::Notice;
    ///
    /// let request = RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?]);
    /// let (run, mut steps) = refresher.start_refresh(request);
    /// while let Some(step) = steps.next().await {
    ///     match &step.notice {
    ///         Notice::MediaEnded { media_id, state, .. } => println!("{media_id}: {}", state.as_str()),
    ///         _ => println!("{} of {} tasks", step.progress.tasks_ended, step.progress.tasks),
    ///     }
    /// }
    /// assert_eq!(run.await?.summary.tasks_complete, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start_refresh(&self, request: RefreshRequest) -> (Run, Steps) {
        handle::start(&self.0, |setup| async move { driver::begin(&setup, Order::Refresh(request)).await })
    }

    /// [`refresh_urls`](Self::refresh_urls) in a task of its own, as [`start_refresh`](Self::start_refresh) does it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start_refresh_urls(&self, request: UrlRequest) -> (Run, Steps) {
        handle::start(&self.0, |setup| async move { driver::begin(&setup, Order::Urls(request)).await })
    }

    /// [`wait`](Self::wait) in a task of its own, as [`start_refresh`](Self::start_refresh) does it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start_wait(&self, jobs: Vec<JobId>) -> (Run, Steps) {
        self.start_wait_for(WaitRequest::new(jobs))
    }

    /// [`wait_for`](Self::wait_for) in a task of its own, as [`start_refresh`](Self::start_refresh) does it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start_wait_for(&self, request: WaitRequest) -> (Run, Steps) {
        handle::start(&self.0, |setup| async move { driver::begin(&setup, Order::Wait(request)).await })
    }

    /// [`resume`](Self::resume) in a task of its own, as [`start_refresh`](Self::start_refresh) does it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start_resume(&self, run: StoredRun) -> (Run, Steps) {
        handle::start(&self.0, |setup| async move { driver::resume(&setup, run, false).await })
    }
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresher")
            .field("client", &self.0.client)
            .field("options", &self.0.options)
            .field("inbox", &self.0.inbox.is_some())
            .finish_non_exhaustive()
    }
}
