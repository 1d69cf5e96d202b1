//! The address of a node of the CDN.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::ids::masked_address;

/// A node to ask: `IP`, `IP:PORT`, `[IPv6]:PORT`. With `http://` or `https://` before it, it is asked in this way whatever the
/// URL says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EdgeNode {
    ip: IpAddr,
    port: Option<u16>,
    scheme: Option<&'static str>,
}

impl EdgeNode {
    /// The scheme that goes before the URL's.
    pub(super) fn scheme(&self) -> Option<&'static str> {
        self.scheme
    }

    /// Address and port for a URL with this scheme and port.
    pub(super) fn address(&self, scheme: &str, port_of_url: Option<u16>) -> SocketAddr {
        let of_scheme = if scheme == "https" { 443 } else { 80 };
        // The URL's port belongs to the URL's scheme.
        let port_of_url = port_of_url.filter(|_| self.scheme.is_none());
        SocketAddr::new(self.ip, self.port.or(port_of_url).unwrap_or(of_scheme))
    }
}

impl FromStr for EdgeNode {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for anything but an IP address with or without a port.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (scheme, rest) = match text.trim().trim_end_matches('/').split_once("://") {
            None => (None, text.trim()),
            Some(("http", rest)) => (Some("http"), rest),
            Some(("https", rest)) => (Some("https"), rest),
            Some(_) => (None, ""),
        };
        let whole = rest.parse::<SocketAddr>().map(|at| (at.ip(), Some(at.port())));
        let bare = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(rest);
        match whole.or_else(|_| bare.parse().map(|ip| (ip, None))) {
            Ok((ip, port)) if port != Some(0) => Ok(Self { ip, port, scheme }),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "{:?} is no address of a node: give IP or IP:PORT, as `dig HOST` shows them",
                    masked_address(text)
                ),
            )),
        }
    }
}

impl fmt::Display for EdgeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{scheme}://")?;
        }
        match self.port {
            Some(port) => write!(f, "{}", SocketAddr::new(self.ip, port)),
            None => write!(f, "{}", self.ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_an_address_with_or_without_port_and_scheme() {
        for (text, of_https, of_http) in [
            ("203.0.113.7", "203.0.113.7:443", "203.0.113.7:80"),
            (" 203.0.113.7:8080 ", "203.0.113.7:8080", "203.0.113.7:8080"),
            ("2001:db8::7", "[2001:db8::7]:443", "[2001:db8::7]:80"),
            ("[2001:db8::7]", "[2001:db8::7]:443", "[2001:db8::7]:80"),
            ("[2001:db8::7]:8443", "[2001:db8::7]:8443", "[2001:db8::7]:8443"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            let node: EdgeNode = text.parse().unwrap();
            assert_eq!(node.address("https", None).to_string(), of_https);
            assert_eq!(node.address("http", None).to_string(), of_http);
            assert_eq!(node.to_string().parse::<EdgeNode>().unwrap(), node);
        }
        let node: EdgeNode = "203.0.113.7".parse().unwrap();
        assert_eq!(node.address("https", Some(8443)).port(), 8443);
        let node: EdgeNode = "http://203.0.113.7".parse().unwrap();
        assert_eq!((node.scheme(), node.address("http", Some(8443)).port()), (Some("http"), 80));
        for text in [
            "",
            "node.example",
            "203.0.113.7:0",
            "203.0.113.7:x",
            "203.0.113",
            "ftp://203.0.113.7",
            "1.2.3.4/x",
        ] {
            assert_eq!(text.parse::<EdgeNode>().unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
