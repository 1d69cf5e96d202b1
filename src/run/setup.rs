//! What a run works with: everything that its [`Refresher`](crate::Refresher) was given.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::observer::Observer;
use crate::edge::EdgeCheck;
use crate::event::Inbox;
use crate::journal::Journal;
use crate::model::RunOptions;
use crate::vod::VodClient;

/// What a run works with.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) client: VodClient,
    pub(super) options: RunOptions,
    pub(super) inbox: Option<Inbox>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: CancellationToken,
    /// Asks nodes of the CDN for what is complete.
    pub(super) edge: Option<EdgeCheck>,
    pub(super) journal: Option<Journal>,
    /// What the caller wants back on resume.
    pub(super) settings: serde_json::Value,
}
