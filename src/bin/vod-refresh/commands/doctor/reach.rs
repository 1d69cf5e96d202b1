//! Whether queue and callback URL can be reached.

use std::time::Duration;

use tokio::net::TcpStream;
use vod_refresh::ErrorKind;
use vod_refresh::smq::QueueClient;

use super::finding::Finding;
use crate::exit::ExitCode;
use crate::formatting::escape_control;

const PATIENCE: Duration = Duration::from_secs(3);
/// A message that a run dropped is seen again only after the queue's visibility timeout.
const LONGEST_HIDDEN: Duration = Duration::from_secs(60);

/// The queue, by one harmless call. A run does not need that call, so its denial proves nothing.
pub(super) async fn queue(client: Option<&QueueClient>) -> Finding {
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
pub(super) async fn callback_url(url: Option<&str>) -> Finding {
    const CHECK: &str = "callback url";
    let Some(url) = url else {
        return Finding::ok(CHECK, "not known: none is configured here");
    };
    let Some((host, port)) = host_and_port(url) else {
        return Finding::warn(CHECK, format!("{} is no URL", escape_control(url)));
    };
    let place = format!("{}:{port}", escape_control(&host));
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match tokio::time::timeout(PATIENCE, TcpStream::connect((host.as_str(), port))).await {
        _ if loopback => Finding::warn(CHECK, format!("{place} is this machine, which VOD can't reach"))
            .remedy("give the public URL; without one jobs are looked up"),
        Ok(Ok(_)) => {
            Finding::ok(CHECK, format!("{place} takes connections from here; what VOD sees is not known"))
        }
        Ok(Err(why)) => Finding::warn(CHECK, format!("{place} takes no connection from here: {why}"))
            .remedy("nobody may be listening before a run does; else check name, firewall and proxy"),
        Err(_) => Finding::warn(CHECK, format!("{place} did not answer in {} s", PATIENCE.as_secs()))
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
    use super::*;

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
