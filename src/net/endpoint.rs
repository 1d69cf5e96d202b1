//! Where requests may go: scheme, host and port, and plain HTTP to this machine only.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::masked_address;

/// Checks an endpoint given by the user and brings it into the form `scheme://host[:port]`; `what` is its name in errors, which
/// show no password and no query.
///
/// # Errors
///
/// [`ErrorKind::Usage`] if it is no HTTP URL or has more than a host and a port, [`ErrorKind::Config`] if it is plain
/// HTTP to another host than loopback and `allow_http` is off.
pub(crate) fn checked_endpoint(what: &str, given: &str, allow_http: bool) -> Result<String> {
    let wrong = |kind, why: &str| Error::new(kind, format!("{what} {:?} {why}", masked_address(given)));
    let usage = |why| wrong(ErrorKind::Usage, why);
    let with_scheme = if given.contains("://") { given.to_owned() } else { format!("https://{given}") };
    let after_scheme = with_scheme.split_once("://").map_or("", |(_, rest)| rest);
    if given.contains('@') {
        return Err(usage("has a user name or password, which no endpoint takes"));
    }
    if given.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(usage("has a blank or a control character in it"));
    }
    if !given.is_ascii() {
        return Err(usage("has letters beyond ASCII: write such a host in Punycode, as `xn--…`"));
    }
    if after_scheme.matches(':').count() > 1 && !after_scheme.starts_with('[') {
        return Err(usage("has an IPv6 address without brackets: write it as `https://[::1]:8080`"));
    }
    let uri: http::Uri = with_scheme.parse().map_err(|_| usage("is no URL"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let (Some(authority), "http" | "https") = (uri.authority(), scheme) else {
        return Err(usage("is no http or https URL"));
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || given.contains('#') {
        return Err(usage("has a path or query: give scheme, host and port only"));
    }
    let host = authority.host();
    let is_address = |host: &str| host.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok();
    if host.is_empty() || host.starts_with('[') && !is_address(host) {
        return Err(usage("has no host"));
    }
    if authority.as_str() != host && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(usage("has no port from 1 to 65535 behind its host"));
    }
    if scheme == "http" && !allow_http && !is_loopback(host) {
        return Err(wrong(ErrorKind::Config, "is plain HTTP, which is allowed to this machine only"));
    }
    Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
}

/// The host of a URL without the brackets of an address of IPv6.
pub(crate) fn bare_host(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The port that a URL names, or that of its scheme.
pub(crate) fn port_of(uri: &http::Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

/// Whether `host` (as in a URL) is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = bare_host(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_a_scheme_a_host_and_a_port() {
        for (given, clean) in [
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("vod.example.com", "https://vod.example.com"),
            ("http://localhost:1", "http://localhost:1"),
            ("HTTPS://VOD.Example.COM:65535", "https://vod.example.com:65535"),
        ] {
            assert_eq!(checked_endpoint("endpoint", given, false).unwrap(), clean);
        }
        assert!(checked_endpoint("endpoint", "http://10.0.0.1:80", true).is_ok());
    }

    #[test]
    fn what_is_no_endpoint_is_named_without_what_may_be_secret() {
        use ErrorKind::{Config, Usage};
        for (bad, kind, why) in [
            ("ftp://h", Usage, "\"ftp://h\" is no http or https URL"),
            ("http://h/path", Usage, "\"http://h/path\" has a path"),
            ("https://h?token=MARK", Usage, "\"https://h?<secret>\" has a path or query"),
            ("https://h#MARK", Usage, "\"https://h#<secret>\" has a path or query"),
            ("https://u:MARK@h", Usage, "\"https://<secret>@h\" has a user name or password"),
            ("u:MARK@h", Usage, "\"<secret>@h\" has a user name"),
            ("https://u:MA RK@h", Usage, "\"https://<secret>@h\" has a user name"),
            ("https:// h", Usage, "has a blank"),
            ("https://h\n", Usage, "has a blank"),
            ("https://m\u{fc}nchen.test", Usage, "Punycode"),
            ("::1", Usage, "brackets"),
            ("http://::1:8080", Usage, "brackets"),
            ("http://[::1", Usage, "is no URL"),
            ("http://[localhost]", Usage, "has no host"),
            ("https://h:0", Usage, "has no port from 1 to 65535"),
            ("https://h:65536", Usage, "has no port from 1 to 65535"),
            ("https://h:", Usage, "has no port from 1 to 65535"),
            ("https://", Usage, "is no URL"),
            ("http://10.0.0.1:80", Config, "plain HTTP"),
            ("http://localhost.evil.example", Config, "plain HTTP"),
        ] {
            let error = checked_endpoint("endpoint", bad, false).unwrap_err();
            assert_eq!(error.kind(), kind, "{bad}");
            assert!(error.message().contains(why) && !error.message().contains("MARK"), "{bad}: {error}");
        }
    }
}
