//! Which host serves a region.
//!
//! Source: "Endpoints" of the VOD API (version 2017-03-21) and the endpoint map of the vendor's SDK.

use crate::error::{Error, ErrorKind, Result};

/// Regions that are served by the central name, as the vendor's SDK has it. No VOD service is documented there.
const CENTRAL: &[&str] = &[
    "ap-northeast-2-pop",
    "ap-southeast-2",
    "ap-southeast-3",
    "cn-beijing-finance-1",
    "cn-beijing-finance-pop",
    "cn-beijing-gov-1",
    "cn-chengdu",
    "cn-edge-1",
    "cn-fujian",
    "cn-hangzhou-finance",
    "cn-hongkong-finance-pop",
    "cn-huhehaote",
    "cn-qingdao",
    "cn-shanghai-finance-1",
    "cn-shanghai-inner",
    "cn-shenzhen-finance-1",
    "cn-shenzhen-inner",
    "cn-wuhan",
    "cn-wulanchabu",
    "cn-yushanfang",
    "cn-zhangbei",
    "eu-west-1-oxs",
    "me-east-1",
    "rus-west-1-pop",
    "us-east-1",
];

/// The region that task and quota queries are documented for.
pub(crate) const TASK_REGION: &str = "cn-shanghai";

/// The public endpoint of `region`, with scheme and without a path.
///
/// # Errors
///
/// [`ErrorKind::Usage`] if `region` can't be part of a host name.
pub fn endpoint_of_region(region: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.is_empty() || region.len() > 63 || !region.chars().all(plain) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{region:?} is no region id (such as cn-shanghai)"),
        ));
    }
    Ok(match region {
        "cn-hangzhou" => "https://vod.cn-shanghai.aliyuncs.com".to_owned(),
        central if CENTRAL.contains(&central) => "https://vod.aliyuncs.com".to_owned(),
        other => format!("https://vod.{other}.aliyuncs.com"),
    })
}

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
    fn regions_lead_to_the_hosts_of_the_vendors_map() {
        for (region, endpoint) in [
            ("cn-shanghai", "https://vod.cn-shanghai.aliyuncs.com"),
            ("cn-hangzhou", "https://vod.cn-shanghai.aliyuncs.com"),
            ("ap-southeast-1", "https://vod.ap-southeast-1.aliyuncs.com"),
            ("us-east-1", "https://vod.aliyuncs.com"),
            ("xx-new-9", "https://vod.xx-new-9.aliyuncs.com"),
        ] {
            assert_eq!(endpoint_of_region(region).unwrap(), endpoint);
        }
        for bad in ["", "CN-Shanghai", "cn/shanghai", "evil.example.com"] {
            assert_eq!(endpoint_of_region(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }

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
