//! The work: from media ids to a verdict for each playback URL.
//!
//! [`Refresher`] is the door. A run is *plan, then drive*: [`RefreshRequest`] is split into batches of at most 20
//! media, the pure [`ledger`] holds what is known, the driver performs what is due, and the [`Report`] is a view of the
//! ledger at the end.

mod batch;
mod driver;
mod learned;
pub mod ledger;
mod observer;
mod plan;
mod report;
mod request;

pub use batch::{Batch, MAX_EXTEND_BYTES};
pub use observer::{Notice, Observer, Progress};
pub use report::{MediaReport, MediaState, Outcome, Report, ReportedError, SCHEMA, Summary, TaskReport};
pub use request::{LookupAfter, RefreshRequest, RunOptions};

pub(crate) use driver::view;

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Inbox;
use crate::ids::JobId;
use crate::journal::{Journal, StoredRun};
use crate::vod::VodClient;

/// Takes media ids and comes back when the CDN has dropped or fetched every playback URL of them.
///
/// Usable from any tokio runtime with time enabled. One refresher serves any number of runs, also at once; they share
/// the client's connections and pace.
#[derive(Clone)]
pub struct Refresher {
    client: VodClient,
    options: RunOptions,
    inbox: Option<Inbox>,
    observer: Arc<dyn Observer>,
    stop: CancellationToken,
    journal: Option<Journal>,
    settings: serde_json::Value,
}

impl Refresher {
    /// A refresher with default options, no event source and nobody watching.
    pub fn new(client: VodClient) -> Self {
        Self {
            client,
            options: RunOptions::default(),
            inbox: None,
            observer: Arc::new(observer::Silent),
            stop: CancellationToken::new(),
            journal: None,
            settings: serde_json::Value::Null,
        }
    }

    /// How to wait.
    #[must_use]
    pub fn with_options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// Where events come in. Without one, `GetMediaRefreshJobs` is asked at once.
    #[must_use]
    pub fn with_inbox(mut self, inbox: Inbox) -> Self {
        self.inbox = Some(inbox);
        self
    }

    /// Who hears what happens on the way.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Ends runs early: cancelled, no batch is submitted any more, calls in flight get 1.5 s, and the report says
    /// what is known. Remote work goes on.
    #[must_use]
    pub fn with_stop(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// Keeps runs in `journal`, so that they survive the process. `settings` is what the caller wants back on resume
    /// ([`RunRecord::settings`](crate::journal::RunRecord)); it must hold no secret.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal, settings: serde_json::Value) -> Self {
        self.journal = Some(journal);
        self.settings = settings;
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
    /// [`ErrorKind::Usage`] for a request that can't be sent, [`ErrorKind::Config`] without credentials. Nothing was
    /// submitted then.
    pub async fn refresh(&self, request: &RefreshRequest) -> Result<Report> {
        driver::refresh(self, request).await
    }

    /// Waits for jobs that somebody else submitted. The same holds as for [`refresh`](Self::refresh); nothing is
    /// submitted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] without jobs, [`ErrorKind::Config`] without credentials.
    pub async fn wait(&self, jobs: &[JobId]) -> Result<Report> {
        if jobs.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "no job id to wait for"));
        }
        driver::wait(self, jobs).await
    }

    /// Carries on a run that was interrupted, killed or timed out, from what [`Journal::load`] gave. Nothing is
    /// submitted again that the service had confirmed. The same holds as for [`refresh`](Self::refresh).
    ///
    /// It waits as this refresher does: options, event source and journal are the refresher's own. To wait as the run
    /// did before, give [`with_options`](Self::with_options) the options of its
    /// [`RunRecord`](crate::journal::RunRecord).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a run that has ended, [`ErrorKind::Config`] without credentials or while another
    /// process drives that run.
    pub async fn resume(&self, run: StoredRun) -> Result<Report> {
        driver::resume(self, run, false).await
    }

    /// Asks the service once about everything in a stored run that is open, and writes down what it says. Nothing is
    /// submitted.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume).
    pub async fn check(&self, run: StoredRun) -> Result<Report> {
        driver::resume(self, run, true).await
    }
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresher")
            .field("client", &self.client)
            .field("options", &self.options)
            .field("inbox", &self.inbox.is_some())
            .finish_non_exhaustive()
    }
}
