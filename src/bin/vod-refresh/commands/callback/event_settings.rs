//! Event settings: as they are shown, and what `callback set` makes of them. Pure: settings in, text or settings out.
//!
//! A key is never shown, though the service gives it back in clear.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use vod_refresh::ids::masked_address;
use vod_refresh::smq::QueueUrl;
use vod_refresh::vod::{CallbackType, DEFAULT_APP_ID, MAX_AUTH_KEY_CHARS, MessageCallback, REFRESH_EVENT};

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
fn rows(settings: &MessageCallback) -> Vec<(&'static str, String)> {
    let value = |value: &Option<String>| {
        value.as_deref().map_or_else(|| "-".to_owned(), |text| escape_control(&masked_address(text)))
    };
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

/// Where events are to go.
pub(super) enum Target {
    /// A URL; without a key the one that is set stays.
    Url {
        url: String,
        key: Option<SecretString>,
    },
    Queue(QueueUrl),
}

/// The settings with events going to `target` and the refresh event on; everything else stays.
pub(super) fn changed(before: Option<&MessageCallback>, target: &Target) -> MessageCallback {
    let callback_type = match target {
        Target::Url { .. } => CallbackType::Http,
        Target::Queue(_) => CallbackType::Mns,
    };
    let mut after = before.cloned().unwrap_or_else(|| MessageCallback::new(callback_type.clone()));
    after.callback_type = callback_type;
    match target {
        Target::Url { url, key } => {
            after.callback_url = Some(url.clone());
            if let Some(key) = key {
                after.auth_switch = true;
                after.auth_key = Some(key.clone());
            }
        }
        Target::Queue(queue) => {
            after.mns_endpoint = Some(queue.origin().to_owned());
            after.mns_queue_name = Some(queue.name().to_owned());
        }
    }
    if !after.sends(REFRESH_EVENT) {
        after.events.push(REFRESH_EVENT.to_owned());
    }
    after
}

/// The change for people: what goes with `-`, what comes with `+`, what stays with neither.
pub(super) fn difference(before: Option<&MessageCallback>, after: Option<&MessageCallback>) -> String {
    let (old, new) = (before.map(rows).unwrap_or_default(), after.map(rows).unwrap_or_default());
    let key = |settings: Option<&MessageCallback>| {
        settings.and_then(|s| s.auth_key.as_ref()).map(|key| key.expose_secret().to_owned())
    };
    // Two keys look alike, since none is shown, and so may two URLs.
    let url = |settings: Option<&MessageCallback>| settings.and_then(|s| s.callback_url.clone());
    let other_url = url(before) != url(after)
        && url(before).as_deref().map(masked_address) == url(after).as_deref().map(masked_address);
    let other_key = key(before).is_some() && key(after).is_some() && key(before) != key(after);
    let mut text = String::new();
    for (name, value) in &old {
        let sign = if new.contains(&(name, value.clone())) { ' ' } else { '-' };
        text.push_str(&format!("{sign} {name:<16}{value}\n"));
    }
    for row in new.iter().filter(|row| !old.contains(row)) {
        text.push_str(&format!("+ {:<16}{}\n", row.0, row.1));
    }
    if other_url {
        text.push_str("+ another password or query in the url than those that are set\n");
    }
    if other_key {
        text.push_str("+ another key than the one that is set\n");
    }
    text
}

/// What the vendor's page asks of a key. Its own samples break the rule, so it is no more than a warning.
pub(super) fn is_of_documented_shape(key: &SecretString) -> bool {
    let key = key.expose_secret();
    let has = |kind: fn(&char) -> bool| key.chars().any(|c| kind(&c));
    key.chars().count() <= MAX_AUTH_KEY_CHARS
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(events: &[&str], key: Option<&str>) -> MessageCallback {
        let mut settings = MessageCallback::new(CallbackType::Http);
        settings.callback_url = Some("https://old/".into());
        settings.events = events.iter().map(|name| (*name).to_owned()).collect();
        settings.auth_switch = key.is_some();
        settings.auth_key = key.map(SecretString::from);
        settings
    }

    fn url(url: &str, key: Option<&str>) -> Target {
        Target::Url { url: url.into(), key: key.map(SecretString::from) }
    }

    #[test]
    fn the_refresh_event_is_added_and_the_rest_stays() {
        for (before, after) in [
            (&[][..], &[REFRESH_EVENT][..]),
            (&["UploadByURLComplete"], &["UploadByURLComplete", REFRESH_EVENT]),
            (&["ALL"], &["ALL"]),
            (&[REFRESH_EVENT, "A"], &[REFRESH_EVENT, "A"]),
        ] {
            let after_set = changed(Some(&http(before, Some("Old1"))), &url("https://new/", None));
            assert_eq!(after_set.events, after, "{before:?}");
            assert!(after_set.auth_switch && after_set.auth_key.is_some(), "the key is kept");
        }
        assert_eq!(changed(None, &url("https://new/", None)).events, [REFRESH_EVENT]);
    }

    #[test]
    fn a_change_is_shown_without_any_key() {
        let before = http(&["A"], Some("OldKey1"));
        let after = changed(Some(&before), &url("https://new/", Some("NewKey1")));
        let text = difference(Some(&before), Some(&after));
        assert_eq!(
            text,
            "  type            HTTP\n- url             https://old/\n  signatures      on, a key is set\n\
             - events          A\n+ url             https://new/\n+ events          A, SubmitMediaRefreshComplete\n\
             + another key than the one that is set\n"
        );
        assert!(!text.contains("Key1"));
    }

    #[test]
    fn a_queue_takes_the_place_of_a_url_and_its_key() {
        let queue = QueueUrl::parse("https://1.mns.cn-shanghai.aliyuncs.com/queues/q", false).unwrap();
        let before = http(&["ALL"], Some("OldKey1"));
        let after = changed(Some(&before), &Target::Queue(queue));
        let text = difference(Some(&before), Some(&after));
        assert!(text.contains("- signatures      on, a key is set\n"), "{text}");
        assert!(text.contains("+ queue           q\n"), "{text}");
        assert!(!before.is_same_as(&after));
    }

    #[test]
    fn a_key_has_all_kinds_of_letters() {
        for (key, fits) in [("Abc123Key", true), ("test123", false), ("ABC1", false), ("AbcKey", false)] {
            assert_eq!(is_of_documented_shape(&SecretString::from(key)), fits, "{key}");
        }
        assert!(!is_of_documented_shape(&SecretString::from("Aa1".repeat(11))));
    }
}
