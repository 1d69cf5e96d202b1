//! `GetMessageCallback`: the event settings of an application.
//!
//! Source: "GetMessageCallback" of the VOD API (2017-03-21).

use http::Method;

use super::client::{Service, VodClient};
use super::lenient::Fields;
use super::message_callback::MessageCallback;
use crate::auth::rpc::Params;
use crate::error::{ErrorKind, Result};

const ACTION: &str = "GetMessageCallback";

impl VodClient {
    /// The event settings of `app_id` (`None`: the default application); `None` where nothing is set.
    ///
    /// The service's answer holds the key in clear; it is kept as a secret. Repeated freely; cancel safe.
    /// Source: "GetMessageCallback" of the VOD API (2017-03-21).
    ///
    /// # Errors
    ///
    /// What the call met.
    pub async fn get_message_callback(&self, app_id: Option<&str>) -> Result<Option<MessageCallback>> {
        let params: Params = app_id.map(|id| ("AppId".to_owned(), id.to_owned())).into_iter().collect();
        let answer = match self.call(Service::Media, ACTION, Method::POST, params, true).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let settings = answer.fields().and_then(|fields| fields.get("MessageCallback"));
        Ok(settings.and_then(Fields::of).and_then(MessageCallback::read))
    }
}
