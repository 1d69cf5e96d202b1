//! What a run is to do, and the call of the library that does it.

use vod_refresh::journal::{Order, StoredRun};
use vod_refresh::{Error, Outcome, RefreshRequest, Refresher, Report, Result, UrlRequest, WaitRequest};

/// What is to be done.
pub(crate) enum Task {
    Media(RefreshRequest),
    Jobs(WaitRequest),
    Urls(UrlRequest),
    /// Carry a stored run on.
    Resume(Box<StoredRun>),
    /// Ask about a stored run, once.
    Check(Box<StoredRun>),
}

impl Task {
    /// Does what is to be done.
    pub(super) async fn perform(self, refresher: &Refresher) -> Result<Report> {
        match self {
            Self::Media(request) => refresher.refresh(&request).await,
            Self::Urls(request) => refresher.refresh_urls(&request).await,
            Self::Jobs(request) => refresher.wait_for(&request).await,
            Self::Resume(stored) => refresher.resume(*stored).await,
            Self::Check(stored) => refresher.check(*stored).await,
        }
    }

    /// Gives the report of what is not begun: for the reason `why`, or since a signal came before.
    pub(super) async fn decline(self, refresher: &Refresher, why: Error) -> Result<Report> {
        let order = match self {
            Self::Media(request) => Order::Refresh(request),
            Self::Urls(request) => Order::Urls(request),
            Self::Jobs(request) => Order::Wait(request),
            // Only a signal keeps a stored run from being carried on, and it stays as it is.
            Self::Resume(stored) | Self::Check(stored) => {
                let mut report = stored.report();
                report.outcome = Outcome::Interrupted;
                return Ok(report);
            }
        };
        refresher.decline(order, why).await
    }
}
