//! `GetMessageCallback`: the event settings of an application.
//!
//! Source: "GetMessageCallback" of the VOD API (2017-03-21).

use http::Method;

use super::answer::Answer;
use super::client::{Call, Service, VodClient};
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
    /// What the call met; settings that can't be read to the last event are [`ErrorKind::Garbled`], since whoever writes
    /// them back would lose some.
    pub async fn get_message_callback(&self, app_id: Option<&str>) -> Result<Option<MessageCallback>> {
        let params: Params = app_id.map(|id| ("AppId".to_owned(), id.to_owned())).into_iter().collect();
        match self.call(Call::repeatable(Service::Media, ACTION, Method::POST, params), decode).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other,
        }
    }
}

fn decode(answer: &Answer) -> Result<Option<MessageCallback>> {
    let Some(settings) = answer.fields().and_then(|fields| fields.get("MessageCallback")) else {
        return Ok(None);
    };
    let fields = Fields::of(settings).ok_or_else(|| answer.garbled("MessageCallback is no object"))?;
    let events = fields.list("EventTypeList");
    if !events.unread.is_empty() {
        return Err(answer.garbled("EventTypeList is no list of names"));
    }
    Ok(MessageCallback::read(fields, events.entries))
}
