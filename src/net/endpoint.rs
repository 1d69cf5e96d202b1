//! Where requests may go: scheme, host and port, and plain HTTP to this machine only.

use crate::error::{Error, ErrorKind, Result};

/// Checks an endpoint given by the user and brings it into the form `scheme://host[:port]`.
///
/// # Errors
///
/// [`ErrorKind::Usage`] if it is no HTTP URL or has more than a host and a port, [`ErrorKind::Config`] if it is plain
/// HTTP to another host than loopback and `allow_http` is off.
pub(crate) fn checked_endpoint(given: &str, allow_http: bool) -> Result<String> {
    let usage = |why: &str| Error::new(ErrorKind::Usage, format!("endpoint {given:?} {why}"));
    let with_scheme = if given.contains("://") { given.to_owned() } else { format!("https://{given}") };
    let uri: http::Uri = with_scheme.parse().map_err(|_| usage("is no URL"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let (Some(authority), "http" | "https") = (uri.authority(), scheme) else {
        return Err(usage("is no http or https URL"));
    };
    if authority.as_str().contains('@') {
        return Err(Error::new(ErrorKind::Usage, "an endpoint takes no user name or password"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(usage("has a path or query: give scheme, host and port only"));
    }
    if authority.host().is_empty() {
        return Err(usage("has no host"));
    }
    if scheme == "http" && !allow_http && !is_loopback(authority.host()) {
        return Err(Error::new(
            ErrorKind::Config,
            format!("endpoint {given:?} is plain HTTP, which is allowed to this machine only"),
        ));
    }
    Ok(format!("{scheme}://{authority}"))
}

/// Whether `host` (as in a URL) is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
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
        ] {
            assert_eq!(checked_endpoint(given, false).unwrap(), clean);
        }
        for (bad, kind) in [
            ("ftp://h", ErrorKind::Usage),
            ("http://h/path", ErrorKind::Usage),
            ("https://u:p@h", ErrorKind::Usage),
            ("https:// h", ErrorKind::Usage),
            ("http://10.0.0.1:80", ErrorKind::Config),
            ("http://localhost.evil.example", ErrorKind::Config),
        ] {
            assert_eq!(checked_endpoint(bad, false).unwrap_err().kind(), kind, "{bad}");
        }
        assert!(checked_endpoint("http://10.0.0.1:80", true).is_ok());
    }
}
