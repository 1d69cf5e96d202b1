//! `DeleteMessageCallback`: removes the event settings of an application.
//!
//! Source: "DeleteMessageCallback" of the VOD API (2017-03-21).

use http::Method;

use super::client::{Call, Service, VodClient};
use crate::auth::rpc::Params;
use crate::error::Result;

const ACTION: &str = "DeleteMessageCallback";

impl VodClient {
    /// Removes the event settings of `app_id` (`None`: the default application): no event is sent any more.
    ///
    /// Repeated freely. Cancel safety: dropped while on the wire, they may be gone. Source: "DeleteMessageCallback" of the
    /// VOD API (2017-03-21).
    ///
    /// # Errors
    ///
    /// What the call met.
    pub async fn delete_message_callback(&self, app_id: Option<&str>) -> Result<()> {
        let params: Params = app_id.map(|id| ("AppId".to_owned(), id.to_owned())).into_iter().collect();
        self.call(Call::repeatable(Service::Media, ACTION, Method::POST, params), |_| Ok(())).await
    }
}
