//! stub
use super::{RefreshRequest, Refresher, Report};
use crate::error::Result;
use crate::ids::JobId;
pub(super) async fn refresh(_: &Refresher, _: &RefreshRequest) -> Result<Report> {
    std::future::pending().await
}
pub(super) async fn wait(_: &Refresher, _: &[JobId]) -> Result<Report> {
    std::future::pending().await
}
