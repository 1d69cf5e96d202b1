//! Events: the account's event settings against what is configured here, and whether queue and callback URL can be reached.
//!
//! None of the settings is a failure: a run whose events do not come looks its jobs up.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use vod_refresh::ErrorKind;
use vod_refresh::ids::masked_address;
use vod_refresh::smq::QueueClient;
use vod_refresh::vod::{CallbackType, MessageCallback, REFRESH_EVENT};

use super::finding::Finding;
use crate::args::shared::EventArgs;
use crate::exit::ExitCode;
use crate::formatting::escape_control;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// A message that a run dropped is seen again only after the queue's visibility timeout.
const LONGEST_HIDDEN: Duration = Duration::from_secs(60);
const SETTINGS: &str = "event settings";
const ADDRESS: &str = "event address";
const KEY: &str = "event key";

/// The account's settings against the options given here.
pub(super) fn settings(
    settings: Option<&MessageCallback>,
    here: &EventArgs,
    keys: &[SecretString],
) -> Vec<Finding> {
    let (by_http, by_queue) =
        (here.callback_url.is_some() || here.callback_listen.is_some(), here.queue.is_some());
    let target = if by_queue { "--queue URL" } else { "--callback-url URL" };
    let set_anew =
        |text: String| Finding::warn(SETTINGS, text).remedy(format!("`vod-refresh callback set {target}`"));
    let Some(settings) = settings else {
        let text = "the account has none: no event is sent, and jobs are looked up";
        return vec![if by_http || by_queue { set_anew(text.into()) } else { Finding::ok(SETTINGS, text) }];
    };
    let kind = settings.callback_type.as_str();
    let wanted = match (by_http, by_queue) {
        (true, false) => Some(CallbackType::Http),
        (false, true) => Some(CallbackType::Mns),
        _ => None,
    };
    let mut findings = vec![if !settings.sends(REFRESH_EVENT) {
        let text = format!("{kind}, but {REFRESH_EVENT} is not among the events that are sent");
        match by_http || by_queue {
            true => set_anew(text),
            false => Finding::ok(SETTINGS, format!("{text}; jobs are looked up")),
        }
    } else if let Some(wanted) = wanted.filter(|wanted| *wanted != settings.callback_type) {
        set_anew(format!("events go out by {kind}, and are waited for by {}", wanted.as_str()))
    } else {
        Finding::ok(SETTINGS, format!("{kind}, {REFRESH_EVENT} is sent"))
    }];
    if by_http && settings.callback_type == CallbackType::Http {
        findings.extend(here.callback_url.as_deref().map(|here| url(settings, here)));
        findings.push(key(settings, keys));
    }
    if settings.callback_type == CallbackType::Mns {
        findings.extend(here.queue.as_deref().map(|here| queue(settings, here)));
    }
    findings
}

fn url(settings: &MessageCallback, here: &str) -> Finding {
    let theirs = settings.callback_url.as_deref().unwrap_or_default();
    if theirs == here {
        return Finding::ok(ADDRESS, "the account has the URL that is configured here");
    }
    let text = format!(
        "the account has {}, here it is {}; a run asks for its own URL, and which of both is signed is not documented",
        masked_address(theirs),
        masked_address(here)
    );
    Finding::warn(ADDRESS, text).remedy("give both the same URL, character for character")
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

fn queue(settings: &MessageCallback, here: &str) -> Finding {
    let endpoint = settings.mns_endpoint.as_deref().unwrap_or_default().trim_end_matches('/');
    let theirs = format!("{endpoint}/queues/{}", settings.mns_queue_name.as_deref().unwrap_or_default());
    // A host has no case, and inside the region another name for the same queue.
    let normal = |url: &str| {
        let (host, queue) = url.trim_end_matches('/').rsplit_once("/queues/").unwrap_or((url, ""));
        (host.to_ascii_lowercase().replace("-internal.", "."), queue.to_owned())
    };
    if normal(here) == normal(&theirs) {
        return Finding::ok(ADDRESS, "the account writes into the queue that is configured here");
    }
    let text =
        format!("the account writes into {}, not into the queue configured here", masked_address(&theirs));
    Finding::warn(ADDRESS, text).remedy("`vod-refresh callback set --queue URL`")
}

/// The queue, by one harmless call. A run does not need that call, so its denial proves nothing.
pub(super) async fn queue_answers(client: Option<&QueueClient>) -> Finding {
    const CHECK: &str = "queue";
    let Some(client) = client else { return Finding::ok(CHECK, "none is configured here") };
    match client.get_queue_attributes().await {
        Ok(attributes) => {
            let name = escape_control(attributes.name.as_deref().unwrap_or("the queue")).to_string();
            match attributes.visibility_timeout.filter(|timeout| *timeout > LONGEST_HIDDEN) {
                Some(long) => Finding::warn(CHECK, format!("{name} hides messages for {} s", long.as_secs()))
                    .remedy(
                        "set its visibility timeout to a minute or less: others wait so long after a crash",
                    ),
                None => Finding::ok(CHECK, format!("{name} is there and answers")),
            }
        }
        Err(error) if error.kind() == ErrorKind::Refused => Finding::warn(CHECK, error.to_string()).remedy(
            "a run needs `mns:BatchReceiveMessage`, `mns:DeleteMessage`, `mns:ChangeMessageVisibility`",
        ),
        Err(error) => Finding::fail(CHECK, error.to_string(), ExitCode::of_kind(error.kind()))
            .remedy("check `--queue`, its region and the network; without a queue jobs are looked up"),
    }
}

/// Whether somebody takes connections at the callback URL. What VOD sees can't be known from here.
pub(super) async fn callback_url_answers(url: Option<&str>) -> Finding {
    const CHECK: &str = "callback url";
    let Some(url) = url else {
        return Finding::ok(CHECK, "not known: none is configured here");
    };
    let Some((host, port)) = host_and_port(url) else {
        return Finding::warn(CHECK, format!("{} is no URL", escape_control(&masked_address(url))));
    };
    let place = format!("{}:{port}", escape_control(&host));
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect((host.as_str(), port))).await {
        _ if loopback => Finding::warn(CHECK, format!("{place} is this machine, which VOD can't reach"))
            .remedy("give the public URL; without one jobs are looked up"),
        Ok(Ok(_)) => {
            Finding::ok(CHECK, format!("{place} takes connections from here; what VOD sees is not known"))
        }
        Ok(Err(why)) => Finding::warn(CHECK, format!("{place} takes no connection from here: {why}"))
            .remedy("nobody may be listening before a run does; else check name, firewall and proxy"),
        Err(_) => Finding::warn(CHECK, format!("{place} did not answer in {} s", CONNECT_LIMIT.as_secs()))
            .remedy("check name, firewall and proxy"),
    }
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: http::Uri = url.parse().ok()?;
    let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    // An IPv6 address stands in brackets in a URL, and without them elsewhere.
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, uri.port_u16().unwrap_or(usual)))
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
        super::settings(settings, &args.events, &keys).iter().map(|finding| finding.status).collect()
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
    fn a_queue_is_known_by_the_other_names_of_its_host() {
        let mut settings = MessageCallback::new(CallbackType::Mns);
        settings.mns_endpoint = Some("https://1.mns.cn-shanghai-internal.aliyuncs.com/".into());
        settings.mns_queue_name = Some("Q".into());
        for (here, status) in [
            ("https://1.MNS.cn-shanghai.aliyuncs.com/queues/Q", Status::Ok),
            ("https://1.mns.cn-shanghai.aliyuncs.com/queues/q", Status::Warn),
            ("https://2.mns.cn-shanghai.aliyuncs.com/queues/Q", Status::Warn),
        ] {
            assert_eq!(queue(&settings, here).status, status, "{here}");
        }
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

    #[test]
    fn a_url_leads_to_a_host_and_its_usual_port() {
        for (url, host, port) in [
            ("https://cb.test/vod", "cb.test", 443),
            ("http://cb.test", "cb.test", 80),
            ("http://[::1]:8080/", "::1", 8080),
        ] {
            assert_eq!(host_and_port(url), Some((host.to_owned(), port)));
        }
    }
}
