//! The account's event settings against what is configured here. Pure.
//!
//! None of it is a failure: a run whose events do not come looks its jobs up.

use secrecy::{ExposeSecret as _, SecretString};
use vod_refresh::vod::{CallbackType, MessageCallback, REFRESH_EVENT};

use super::finding::Finding;
use crate::args::events::EventArgs;

const SETTINGS: &str = "event settings";
const ADDRESS: &str = "event address";
const KEY: &str = "event key";

pub(super) fn check(
    settings: Option<&MessageCallback>,
    here: &EventArgs,
    keys: &[SecretString],
) -> Vec<Finding> {
    let by_http = here.callback_url.is_some() || here.callback_listen.is_some();
    let Some(settings) = settings else {
        let text = "the account has none: no event is sent, and jobs are looked up";
        return vec![if by_http || here.queue.is_some() {
            Finding::warn(SETTINGS, text).remedy(remedy(here))
        } else {
            Finding::ok(SETTINGS, text)
        }];
    };
    let mut findings = vec![list(settings, here, by_http)];
    if by_http && settings.callback_type == CallbackType::Http {
        findings.extend(address(settings, here));
        findings.push(key(settings, keys));
    }
    if here.queue.is_some() && settings.callback_type == CallbackType::Mns {
        findings.push(queue(settings, here));
    }
    findings
}

/// The command that puts it right.
fn remedy(here: &EventArgs) -> String {
    let target = if here.queue.is_some() { "--queue URL" } else { "--callback-url URL" };
    format!("`vod-refresh callback set {target}`")
}

/// Type and list.
fn list(settings: &MessageCallback, here: &EventArgs, by_http: bool) -> Finding {
    let kind = settings.callback_type.as_str();
    if !settings.sends(REFRESH_EVENT) {
        let text = format!("{kind}, but {REFRESH_EVENT} is not among the events that are sent");
        return if by_http || here.queue.is_some() {
            Finding::warn(SETTINGS, text).remedy(remedy(here))
        } else {
            Finding::ok(SETTINGS, format!("{text}; jobs are looked up"))
        };
    }
    let wanted = match (by_http, here.queue.is_some()) {
        (true, false) => Some(CallbackType::Http),
        (false, true) => Some(CallbackType::Mns),
        _ => None,
    };
    match wanted {
        Some(wanted) if wanted != settings.callback_type => {
            let text = format!("events go out by {kind}, and are waited for by {}", wanted.as_str());
            Finding::warn(SETTINGS, text).remedy(remedy(here))
        }
        _ => Finding::ok(SETTINGS, format!("{kind}, {REFRESH_EVENT} is sent")),
    }
}

fn address(settings: &MessageCallback, here: &EventArgs) -> Option<Finding> {
    let theirs = settings.callback_url.as_deref().unwrap_or_default();
    let ours = here.callback_url.as_deref()?;
    if theirs == ours {
        return Some(Finding::ok(ADDRESS, "the account has the URL that is configured here"));
    }
    let text = format!(
        "the account has {theirs}, here it is {ours}; a run asks for its own URL, and which of both is signed is not documented"
    );
    Some(Finding::warn(ADDRESS, text).remedy("give both the same URL, character for character"))
}

fn key(settings: &MessageCallback, keys: &[SecretString]) -> Finding {
    let set = settings.auth_key.as_ref().filter(|_| settings.auth_switch);
    match (set, keys) {
        (None, []) => Finding::ok(KEY, "events are not signed, and no key is configured here"),
        (None, _) => {
            Finding::warn(KEY, "events are not signed, but a key is configured here: they will be refused")
                .remedy("`vod-refresh callback set --callback-url URL --callback-auth-key-file FILE`")
        }
        (Some(_), []) => {
            Finding::warn(KEY, "events are signed, but no key is configured here: nobody checks")
                .remedy("give `--callback-auth-key-file` or VOD_REFRESH_CALLBACK_AUTH_KEY")
        }
        (Some(set), keys) if keys.iter().any(|key| key.expose_secret() == set.expose_secret()) => {
            Finding::ok(KEY, "the account's key is configured here")
        }
        (Some(_), _) => Finding::warn(KEY, "the account signs with another key: its events will be refused")
            .remedy("`vod-refresh callback set` writes the key of this place into the account"),
    }
}

fn queue(settings: &MessageCallback, here: &EventArgs) -> Finding {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let theirs = format!(
        "{}/queues/{}",
        part(&settings.mns_endpoint).trim_end_matches('/'),
        part(&settings.mns_queue_name)
    );
    match &here.queue {
        Some(ours) if ours.trim_end_matches('/') != theirs => Finding::warn(
            ADDRESS,
            format!("the account writes into {theirs}, not into the queue configured here"),
        )
        .remedy("`vod-refresh callback set --queue URL`"),
        _ => Finding::ok(ADDRESS, "the account writes into the queue that is configured here"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::finding::Status;
    use super::*;
    use crate::args::{Cli, Command};

    fn statuses(settings: Option<&MessageCallback>, options: &str, keys: &[&str]) -> Vec<Status> {
        let line = format!("vod-refresh doctor {options}");
        let Command::Doctor(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!()
        };
        let keys: Vec<SecretString> = keys.iter().map(|key| SecretString::from(*key)).collect();
        check(settings, &args.events, &keys).iter().map(|finding| finding.status).collect()
    }

    fn http(events: &str, key: Option<&str>) -> MessageCallback {
        let mut settings = MessageCallback::new(CallbackType::Http);
        settings.callback_url = Some("https://cb.test/".into());
        settings.events = vec![events.into()];
        settings.auth_switch = key.is_some();
        settings.auth_key = key.map(SecretString::from);
        settings
    }

    #[test]
    fn who_expects_no_events_is_not_warned_of_their_absence() {
        assert_eq!(statuses(None, "", &[]), [Status::Ok]);
        assert_eq!(statuses(Some(&http("Other", None)), "", &[]), [Status::Ok]);
    }

    #[test]
    fn settings_that_send_us_nothing_are_warned_of() {
        let url = "--callback-url https://cb.test/";
        assert_eq!(statuses(None, url, &[]), [Status::Warn]);
        assert_eq!(statuses(Some(&http("Other", None)), url, &[])[0], Status::Warn);
        let mut queue = http("ALL", None);
        queue.callback_type = CallbackType::Mns;
        assert_eq!(statuses(Some(&queue), url, &[]), [Status::Warn]);
    }

    #[test]
    fn url_and_key_are_compared_with_the_accounts() {
        use Status::{Ok, Warn};
        let same = "--callback-url https://cb.test/";
        let other = "--callback-url https://cb.test";
        for (set, options, keys, expected) in [
            (Some("Abc123Key"), same, &["Abc123Key"][..], [Ok, Ok, Ok]),
            (Some("Abc123Key"), same, &["New", "Abc123Key"], [Ok, Ok, Ok]),
            (Some("Abc123Key"), other, &["Abc123Key"], [Ok, Warn, Ok]),
            (Some("Abc123Key"), same, &["Other"], [Ok, Ok, Warn]),
            (Some("Abc123Key"), same, &[], [Ok, Ok, Warn]),
            (None, same, &["Abc123Key"], [Ok, Ok, Warn]),
            (None, same, &[], [Ok, Ok, Ok]),
        ] {
            assert_eq!(
                statuses(Some(&http("ALL", set)), options, keys),
                expected,
                "{set:?} {options} {keys:?}"
            );
        }
    }
}
