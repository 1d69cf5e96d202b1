//! What `callback set` makes of the settings that are there. Pure: settings in, settings out.

use secrecy::{ExposeSecret as _, SecretString};
use vod_refresh::vod::{CallbackType, MAX_AUTH_KEY_CHARS, MessageCallback, REFRESH_EVENT};

use super::show::rows;
use vod_refresh::smq::QueueUrl;

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
    // Two keys look alike, since none is shown.
    let other_key = key(before).is_some() && key(after).is_some() && key(before) != key(after);
    let mut text = String::new();
    for (name, value) in &old {
        let sign = if new.contains(&(name, value.clone())) { ' ' } else { '-' };
        text.push_str(&format!("{sign} {name:<16}{value}\n"));
    }
    for row in new.iter().filter(|row| !old.contains(row)) {
        text.push_str(&format!("+ {:<16}{}\n", row.0, row.1));
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
            assert!(after_set.is_signed(), "the key is kept");
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
