//! `GetMessageCallback`, `SetMessageCallback`, `DeleteMessageCallback`: the account's event settings, which say where events
//! go, which ones, and how they are signed.
//!
//! There is one set of settings for each region and application. `SetMessageCallback` replaces all of it, and nothing
//! guards against a second writer: read, change, write, and read again.
//!
//! Source: "Event notification" of the VOD API (2017-03-21) and the pages of the three actions.

use secrecy::{ExposeSecret as _, SecretString};

use super::actions::{DELETE_CALLBACK, GET_CALLBACK, SET_CALLBACK};
use super::client::{VodClient, or_if_not_found};
use super::lenient::Fields;
use super::service::Body;
use crate::auth::rpc::{self, Params};
use crate::client::Answer;
use crate::error::{Error, ErrorKind, Result};

/// The event that names the tasks of a media. It can't be chosen in the console, only through the API.
pub const REFRESH_EVENT: &str = "SubmitMediaRefreshComplete";
/// Stands for every event type. Source: "SetMessageCallback", parameter `EventTypeList`.
pub const ALL_EVENTS: &str = "ALL";
/// The application that is meant when none is named. Source: "SetMessageCallback", parameter `AppId`.
pub const DEFAULT_APP_ID: &str = "app-1000000";
/// Most bytes of a callback URL. Source: "SetMessageCallback", parameter `CallbackURL`.
pub const MAX_CALLBACK_URL_BYTES: usize = 256;
/// Most characters of a key. Source: "SetMessageCallback", parameter `AuthKey`.
pub const MAX_AUTH_KEY_CHARS: usize = 32;

/// How events are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackType {
    /// Posted to a URL.
    #[default]
    Http,
    /// Put into a queue (SMQ, formerly MNS).
    Mns,
    /// A type that is not known here.
    Other(String),
}

impl CallbackType {
    /// The type as the service writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Http => "HTTP",
            Self::Mns => "MNS",
            Self::Other(word) => word,
        }
    }

    fn read(word: &str) -> Self {
        let lower = word.trim().to_ascii_lowercase();
        match lower.as_str() {
            "http" | "https" => Self::Http,
            // Newer pages print the label "Simple Message Queue (formerly MNS)".
            _ if lower.contains("mns") || lower.contains("smq") => Self::Mns,
            _ => Self::Other(word.trim().to_owned()),
        }
    }
}

/// The event settings of one application. Prints no key.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MessageCallback {
    /// The application; `None`: the default one.
    pub app_id: Option<String>,
    /// How events are sent.
    pub callback_type: CallbackType,
    /// Where events are posted.
    pub callback_url: Option<String>,
    /// Event types by name, or [`ALL_EVENTS`]. Empty: no event is sent.
    pub events: Vec<String>,
    /// Whether posts are signed.
    pub auth_switch: bool,
    /// The key that signs. The service gives it back in clear.
    pub auth_key: Option<SecretString>,
    /// Public endpoint of the queue.
    pub mns_endpoint: Option<String>,
    /// Name of the queue.
    pub mns_queue_name: Option<String>,
}

impl MessageCallback {
    /// Settings without a destination and without events.
    pub fn new(callback_type: CallbackType) -> Self {
        Self { callback_type, ..Self::default() }
    }

    /// Whether events of this type are sent.
    pub fn sends(&self, event: &str) -> bool {
        self.events
            .iter()
            .any(|name| name.eq_ignore_ascii_case(ALL_EVENTS) || name.eq_ignore_ascii_case(event))
    }

    /// Whether both have the same effect: the order of the events does not count, nor do fields of the other type.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let put = |settings: &Self| {
            let mut settings = settings.clone();
            settings.app_id = None;
            settings.events.sort_unstable();
            settings.events.dedup();
            settings.params()
        };
        put(self) == put(other)
    }

    /// Checks what the service limits.
    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Usage, what));
        match (&self.callback_type, &self.callback_url) {
            (CallbackType::Http, None) => return wrong("event settings over HTTP need a URL".into()),
            (CallbackType::Http, Some(url)) if url.len() > MAX_CALLBACK_URL_BYTES => {
                let bytes = url.len();
                return wrong(format!("the URL has {bytes} bytes, VOD takes {MAX_CALLBACK_URL_BYTES}"));
            }
            (CallbackType::Mns, _) if self.mns_endpoint.is_none() || self.mns_queue_name.is_none() => {
                return wrong("event settings for a queue need its endpoint and its name".into());
            }
            _ => {}
        }
        // They are joined with commas on the wire, and an empty list switches everything off.
        match self.events.iter().find(|name| name.is_empty() || name.contains(',')) {
            Some(name) => wrong(format!("{name:?} is no event type")),
            None => Ok(()),
        }
    }

    /// The parameters of `SetMessageCallback`: those of the chosen type only.
    fn params(&self) -> Params {
        let events = self.events.join(",");
        let all = [
            ("AppId", self.app_id.as_deref()),
            ("CallbackType", Some(self.callback_type.as_str())),
            ("EventTypeList", Some(&*events)),
        ];
        let of_type = match self.callback_type {
            CallbackType::Mns => [
                ("MnsEndpoint", self.mns_endpoint.as_deref()),
                ("MnsQueueName", self.mns_queue_name.as_deref()),
                ("", None),
            ],
            _ => [
                ("CallbackURL", self.callback_url.as_deref()),
                ("AuthSwitch", Some(if self.auth_switch { "on" } else { "off" })),
                ("AuthKey", self.auth_key.as_ref().map(|key| key.expose_secret())),
            ],
        };
        rpc::params(all.into_iter().chain(of_type).filter_map(|(name, value)| Some((name, value?))))
    }

    /// Reads the service's object, of whose `EventTypeList` the entries are `events`; `None` where nothing is set.
    fn read(fields: Fields<'_>, events: Vec<String>) -> Option<Self> {
        let text =
            |name| fields.text(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let (callback_url, mns_queue_name) = (text("CallbackURL"), text("MnsQueueName"));
        if events.is_empty() && callback_url.is_none() && mns_queue_name.is_none() {
            return None;
        }
        let callback_type = match text("CallbackType") {
            Some(word) => CallbackType::read(&word),
            None if callback_url.is_none() && mns_queue_name.is_some() => CallbackType::Mns,
            None => CallbackType::Http,
        };
        Some(Self {
            app_id: text("AppId"),
            callback_type,
            callback_url,
            events,
            auth_switch: text("AuthSwitch")
                .is_some_and(|word| ["on", "true", "1"].contains(&&*word.to_ascii_lowercase())),
            // Not trimmed: it signs as it is.
            auth_key: fields.text("AuthKey").map(SecretString::from),
            mns_endpoint: text("MnsEndpoint"),
            mns_queue_name,
        })
    }
}

impl VodClient {
    /// The event settings of `app_id` (`None`: the default application); `None` where nothing is set.
    ///
    /// The service's answer holds the key in clear; it is kept as a secret. Settings that can't be read to the last event are
    /// an error ([`ErrorKind::Garbled`]), since whoever writes them back would lose some.
    pub async fn get_message_callback(&self, app_id: Option<&str>) -> Result<Option<MessageCallback>> {
        or_if_not_found(self.call(&GET_CALLBACK, params_of(app_id), decode).await, || None)
    }

    /// Replaces all event settings of `settings.app_id` (`None`: the default application).
    ///
    /// What is not in `settings` is gone afterwards; an empty list of events switches all of them off. Another writer
    /// may overwrite it at any time, without a sign: read the settings again. [`ErrorKind::Usage`] without a destination, or for
    /// a URL of more than [`MAX_CALLBACK_URL_BYTES`].
    pub async fn set_message_callback(&self, settings: &MessageCallback) -> Result<()> {
        settings.check().map_err(|error| error.with_action(SET_CALLBACK.name))?;
        self.call(&SET_CALLBACK, settings.params(), |_| Ok(())).await
    }

    /// Removes the event settings of `app_id` (`None`: the default application): no event is sent any more.
    pub async fn delete_message_callback(&self, app_id: Option<&str>) -> Result<()> {
        self.call(&DELETE_CALLBACK, params_of(app_id), |_| Ok(())).await
    }
}

fn params_of(app_id: Option<&str>) -> Params {
    rpc::params(app_id.map(|id| ("AppId", id)))
}

fn decode(answer: &Answer<Body>) -> Result<Option<MessageCallback>> {
    let Some(settings) = Fields(&answer.body).get("MessageCallback") else { return Ok(None) };
    let fields = Fields::of(settings).ok_or_else(|| answer.garbled("MessageCallback is no object"))?;
    let events = fields.list("EventTypeList", usize::MAX);
    if !events.unread.is_empty() {
        return Err(answer.garbled("EventTypeList is no list of names"));
    }
    Ok(MessageCallback::read(fields, events.entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &serde_json::Value) -> Option<MessageCallback> {
        let fields = Fields::of(value).unwrap();
        MessageCallback::read(fields, fields.list("EventTypeList", usize::MAX).entries)
    }

    #[test]
    fn settings_are_read_in_every_spelling_and_print_no_key() {
        let http = read(&serde_json::json!({
            "CallbackType": "http", "callbackURL": "https://h/", "EventTypeList": " UploadComplete, all",
            "AuthSwitch": "On", "AuthKey": "Abc123Key"
        }))
        .unwrap();
        assert_eq!(http.callback_type, CallbackType::Http);
        assert!(http.sends(REFRESH_EVENT) && http.auth_switch && http.auth_key.is_some());
        assert!(!format!("{http:?}").contains("Abc123Key"));
        let queue = read(&serde_json::json!({
            "CallbackType": "Simple Message Queue (formerly MNS)", "MnsQueueName": "q", "EventTypeList": ["A"]
        }))
        .unwrap();
        assert_eq!(queue.callback_type, CallbackType::Mns);
        assert!(!queue.sends(REFRESH_EVENT) && !queue.auth_switch);
        assert!(read(&serde_json::json!({"AppId": "app-1000000", "EventTypeList": ""})).is_none());
    }

    #[test]
    fn what_the_service_would_refuse_is_refused_here() {
        let http = |url: String| {
            let mut settings = MessageCallback::new(CallbackType::Http);
            settings.callback_url = Some(url);
            settings
        };
        assert!(http("u".repeat(256)).check().is_ok());
        let mut comma = http("u".into());
        comma.events = vec!["A,B".into()];
        let bare = MessageCallback::new(CallbackType::Http);
        for bad in [http("u".repeat(257)), comma, bare, MessageCallback::new(CallbackType::Mns)] {
            assert_eq!(bad.check().unwrap_err().kind(), ErrorKind::Usage, "{bad:?}");
        }
    }

    #[test]
    fn settings_of_the_same_effect_are_the_same() {
        let mut one = MessageCallback::new(CallbackType::Http);
        one.callback_url = Some("https://h/".into());
        one.events = vec!["A".into(), "B".into()];
        let mut other = one.clone();
        other.events.reverse();
        other.mns_queue_name = Some("left over".into());
        other.app_id = Some(DEFAULT_APP_ID.into());
        assert!(one.is_same_as(&other));
        other.auth_key = Some("k".into());
        assert!(!one.is_same_as(&other));
    }
}
