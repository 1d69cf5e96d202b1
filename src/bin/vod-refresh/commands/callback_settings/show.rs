//! Event settings as they are shown. A key never is, though the service gives it back in clear.

use serde::Serialize;
use vod_refresh::vod::{CallbackType, DEFAULT_APP_ID, MessageCallback, REFRESH_EVENT};

use crate::formatting::escape_control;

/// The settings for scripts: the service's fields in snake case.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    app_id: &'a str,
    callback_type: Option<&'a str>,
    callback_url: Option<&'a str>,
    event_type_list: &'a [String],
    auth_switch: Option<&'static str>,
    auth_key_set: bool,
    mns_endpoint: Option<&'a str>,
    mns_queue_name: Option<&'a str>,
    /// Whether `SubmitMediaRefreshComplete` is sent.
    refresh_event: bool,
}

impl<'a> Shown<'a> {
    pub(super) fn of(app_id: Option<&'a str>, settings: Option<&'a MessageCallback>) -> Self {
        Self {
            app_id: app_id.or(settings.and_then(|s| s.app_id.as_deref())).unwrap_or(DEFAULT_APP_ID),
            callback_type: settings.map(|s| s.callback_type.as_str()),
            callback_url: settings.and_then(|s| s.callback_url.as_deref()),
            event_type_list: settings.map(|s| s.events.as_slice()).unwrap_or_default(),
            auth_switch: settings.map(|s| if s.auth_switch { "on" } else { "off" }),
            auth_key_set: settings.is_some_and(|s| s.auth_key.is_some()),
            mns_endpoint: settings.and_then(|s| s.mns_endpoint.as_deref()),
            mns_queue_name: settings.and_then(|s| s.mns_queue_name.as_deref()),
            refresh_event: settings.is_some_and(|s| s.sends(REFRESH_EVENT)),
        }
    }
}

pub(super) fn text(app_id: Option<&str>, settings: Option<&MessageCallback>) -> String {
    let shown = Shown::of(app_id, settings);
    let mut text = format!("{:<16}{}\n", "application", escape_control(shown.app_id));
    let Some(settings) = settings else {
        return text + "no event settings: no event is sent\n";
    };
    for (name, value) in rows(settings) {
        text.push_str(&format!("{name:<16}{value}\n"));
    }
    let ours =
        if shown.refresh_event { "sent" } else { "not sent: `vod-refresh callback set` switches it on" };
    text + &format!("{REFRESH_EVENT} is {ours}\n")
}

/// What settings consist of, by name.
pub(super) fn rows(settings: &MessageCallback) -> Vec<(&'static str, String)> {
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), escape_control);
    let mut rows = vec![("type", escape_control(settings.callback_type.as_str()))];
    if settings.callback_type == CallbackType::Mns {
        rows.push(("queue endpoint", value(&settings.mns_endpoint)));
        rows.push(("queue", value(&settings.mns_queue_name)));
    } else {
        rows.push(("url", value(&settings.callback_url)));
        let switch = if settings.auth_switch { "on" } else { "off" };
        let key = if settings.auth_key.is_some() { "a key is set" } else { "no key" };
        rows.push(("signatures", format!("{switch}, {key}")));
    }
    let events = match settings.events.as_slice() {
        [] => "none: no event is sent".to_owned(),
        names => escape_control(&names.join(", ")),
    };
    rows.push(("events", events));
    rows
}
