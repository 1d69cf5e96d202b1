//! Which proxy a call goes through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads them.
//!
//! A variable in small letters goes before the same one in capitals, and an empty one is as unset. `HTTP_PROXY` in capitals does
//! not count inside a CGI program, whose caller can set it. This machine is never reached through a proxy.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::endpoint::{bare_host, is_loopback, port_of};

/// The default port of SOCKS.
const SOCKS_PORT: u16 = 1080;

/// One proxy.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// Scheme, host and port.
    pub(super) uri: http::Uri,
    /// User name, password or both, as its scheme wants them.
    pub(super) login: Intercept,
}

impl Proxy {
    /// Reads an address as curl takes it; `None` if it is none. Without a scheme it is an HTTP proxy.
    fn read(address: &str) -> Option<Self> {
        let any = http::Uri::from_static("http://service.invalid/");
        let login = Matcher::builder().all(address).build().intercept(&any)?;
        let mut parts = login.uri().clone().into_parts();
        let authority = parts.authority.take()?;
        let is_socks = parts.scheme.as_ref()?.as_str().starts_with("socks");
        parts.authority = Some(match authority.as_str().strip_prefix(authority.host())? {
            "" if is_socks => format!("{authority}:{SOCKS_PORT}").parse().ok()?,
            "" => authority,
            port => port.strip_prefix(':')?.parse::<u16>().is_ok_and(|port| port > 0).then_some(authority)?,
        });
        Some(Self { uri: http::Uri::from_parts(parts).ok()?, login })
    }

    /// Whether it speaks HTTP, in plain text or through TLS.
    pub(super) fn is_http(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("http" | "https"))
    }

    /// Host and port, without a password.
    pub(super) fn host(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

/// A proxy, or the variable that should name one and does not.
type Choice = Option<Result<Proxy, &'static str>>;

/// The proxy rules of an environment.
#[derive(Debug)]
pub(super) struct Proxies {
    http: Choice,
    https: Choice,
    /// Hosts that are called directly, at one port or at all of them.
    direct: Vec<(Matcher, Option<u16>)>,
    /// `NO_PROXY` is `*`.
    all_direct: bool,
}

impl Proxies {
    /// Reads the rules from `variable`, which gives the value of an environment variable.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            let mut set = names.iter().filter_map(|name| Some((*name, variable(name)?.trim().to_owned())));
            set.find(|(_, value)| !value.is_empty())
        };
        let choice = |(name, address): (&'static str, String)| Proxy::read(&address).ok_or(name);
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http = if is_cgi { &["http_proxy"][..] } else { &["http_proxy", "HTTP_PROXY"] };
        let all = || first(&["all_proxy", "ALL_PROXY"]);
        let exempt = first(&["no_proxy", "NO_PROXY"]).map_or_else(String::new, |(_, hosts)| hosts);
        let exempt = || exempt.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
        Self {
            http: first(http).or_else(all).map(choice),
            https: first(&["https_proxy", "HTTPS_PROXY"]).or_else(all).map(choice),
            direct: exempt().map(direct).collect(),
            all_direct: exempt().any(|entry| entry == "*"),
        }
    }

    /// The proxy for a call to `uri`.
    ///
    /// # Errors
    ///
    /// The variable that should name one and holds no address of a proxy.
    pub(super) fn of(&self, uri: &http::Uri) -> Result<Option<&Proxy>, &'static str> {
        let is_tls = uri.scheme_str() == Some("https");
        let port = port_of(uri);
        let is_direct = self.all_direct
            || uri.host().is_none_or(is_loopback)
            || self
                .direct
                .iter()
                .any(|(hosts, at)| at.is_none_or(|at| at == port) && hosts.intercept(uri).is_none());
        let choice = if is_tls { &self.https } else { &self.http };
        choice.as_ref().filter(|_| !is_direct).map(|choice| choice.as_ref().map_err(|name| *name)).transpose()
    }
}

/// One entry of `NO_PROXY`: a rule that intercepts calls to all hosts but those it names, and the port that it is for.
fn direct(entry: &str) -> (Matcher, Option<u16>) {
    let (host, port) = match entry.parse::<http::uri::Authority>() {
        // An address of IPv6 is written with or without brackets; only with them can a port follow.
        Ok(authority) if authority.port_u16().is_some() && entry.parse::<std::net::IpAddr>().is_err() => {
            (authority.host().to_owned(), authority.port_u16())
        }
        _ => (entry.to_owned(), None),
    };
    (Matcher::builder().all("http://proxy.invalid").no(bare_host(&host)).build(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &[(&str, &str)], url: &str) -> Result<Option<String>, &'static str> {
        let value = |name: &str| {
            variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        };
        let proxies = Proxies::read(value);
        Ok(proxies.of(&url.parse().unwrap())?.map(|proxy| proxy.uri.to_string()))
    }

    #[test]
    fn the_variables_are_read_as_curl_reads_them() {
        for (variables, url, expected) in [
            (&[("HTTPS_PROXY", "http://p:1")][..], "https://vod.example", Some("http://p:1/")),
            (&[("HTTPS_PROXY", "http://p:1")], "http://vod.example", None),
            (&[("https_proxy", "p:1"), ("HTTPS_PROXY", "p:2")], "https://vod.example", Some("http://p:1/")),
            (&[("https_proxy", ""), ("ALL_PROXY", "p:2")], "https://vod.example", Some("http://p:2/")),
            (&[("https_proxy", " "), ("HTTPS_PROXY", "p:1")], "https://vod.example", Some("http://p:1/")),
            (&[("ALL_PROXY", "socks5h://me:word@p")], "https://v.example", Some("socks5h://p:1080/")),
            (&[("HTTP_PROXY", "p:1")], "http://vod.example", Some("http://p:1/")),
            (&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], "http://vod.example", None),
            (&[("ALL_PROXY", " http://p:1\n")], "http://vod.example", Some("http://p:1/")),
        ] {
            assert_eq!(proxy(variables, url), Ok(expected.map(str::to_owned)), "{variables:?} {url}");
        }
    }

    #[test]
    fn h22_no_proxy_holds_for_addresses_and_ports_and_this_machine_needs_none() {
        for (exempt, url, is_direct) in [
            ("", "http://127.0.0.1:8080", true),
            ("", "http://[::1]:8080", true),
            ("", "http://localhost", true),
            ("*", "http://10.0.0.1:8080", true),
            ("a.example, *", "https://vod.example", true),
            ("10.0.0.1", "http://10.0.0.1:8080", true),
            ("10.0.0.0/8", "http://10.0.0.1:8080", true),
            ("10.0.0.1:8080", "http://10.0.0.1:8080", true),
            ("10.0.0.1:8081", "http://10.0.0.1:8080", false),
            ("10.0.0.1:80", "http://10.0.0.1", true),
            ("2001:db8::1", "http://[2001:db8::1]:8080", true),
            ("[2001:db8::1]", "http://[2001:db8::1]:8080", true),
            ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080", true),
            ("[2001:db8::1]:1", "http://[2001:db8::1]:8080", false),
            (".example", "https://vod.example", true),
            ("x vod.example y", "https://vod.example", true),
            ("vod.example:443", "https://vod.example", true),
            ("od.example", "https://vod.example", false),
            ("10.0.0.2", "http://10.0.0.1", false),
        ] {
            let variables = [("ALL_PROXY", "http://p:1"), ("NO_PROXY", exempt)];
            assert_eq!(proxy(&variables, url).unwrap().is_none(), is_direct, "{exempt:?} {url}");
        }
    }

    #[test]
    fn h22_a_variable_that_names_no_proxy_is_named_where_it_counts() {
        for address in
            ["http://", "ftp://p:1", "http://p:99999", "http://p:0", "http://p q", "://", "socks6://p"]
        {
            assert_eq!(
                proxy(&[("ALL_PROXY", address)], "https://vod.example"),
                Err("ALL_PROXY"),
                "{address}"
            );
            assert_eq!(proxy(&[("ALL_PROXY", address)], "https://localhost"), Ok(None), "{address}");
        }
    }
}
