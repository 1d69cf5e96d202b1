//! `SetMessageCallback`: replaces the event settings of an application.
//!
//! Source: "SetMessageCallback" of the VOD API (2017-03-21).

use http::Method;

use super::client::{Call, Service, VodClient};
use super::message_callback::MessageCallback;
use crate::error::{Error, Result};

pub(crate) const ACTION: &str = "SetMessageCallback";
/// Documented rate for an account. Source: the QPS limits of the VOD API.
pub(crate) const PER_SECOND: f64 = 15.0;

impl VodClient {
    /// Replaces all event settings of `settings.app_id` (`None`: the default application).
    ///
    /// What is not in `settings` is gone afterwards; an empty list of events switches all of them off. Another writer
    /// may overwrite it at any time, without a sign: read the settings again. Repeated freely, since the same settings
    /// written twice are the same. Cancel safety: dropped while on the wire, they may have been written.
    /// Source: "SetMessageCallback" of the VOD API (2017-03-21).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) without a destination, or for a URL of more than
    /// [`MAX_CALLBACK_URL_BYTES`](super::MAX_CALLBACK_URL_BYTES); otherwise what the call met.
    pub async fn set_message_callback(&self, settings: &MessageCallback) -> Result<()> {
        settings.check().map_err(|error: Error| error.with_action(ACTION))?;
        self.call(Call::repeatable(Service::Media, ACTION, Method::POST, settings.params()), |_| Ok(())).await
    }
}
