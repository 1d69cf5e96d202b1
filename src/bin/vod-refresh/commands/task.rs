//! What a run is to do, and the call of the library that does it.

use vod_refresh::journal::{Order, StoredRun};
use vod_refresh::{Error, RefreshRequest, Refresher, Report, Result, UrlRequest, WaitRequest};

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
    /// Does what is to be done, unless there is a `refusal`.
    pub(super) async fn perform(self, refresher: &Refresher, refusal: Option<Error>) -> Result<Report> {
        match (self, refusal) {
            (Self::Media(request), Some(why)) => refresher.decline(Order::Refresh(request), why).await,
            (Self::Urls(request), Some(why)) => refresher.decline(Order::Urls(request), why).await,
            (Self::Media(request), None) => refresher.refresh(&request).await,
            (Self::Urls(request), None) => refresher.refresh_urls(&request).await,
            (Self::Jobs(request), _) => refresher.wait_for(&request).await,
            (Self::Resume(stored), _) => refresher.resume(*stored).await,
            (Self::Check(stored), _) => refresher.check(*stored).await,
        }
    }
}
