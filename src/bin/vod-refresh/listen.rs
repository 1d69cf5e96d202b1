//! Addresses to listen on: `127.0.0.1:8080`, `[::1]:0`, `localhost:0`, `:8080`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address to bind, checked for its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListenAddress(pub(crate) SocketAddr);

impl ListenAddress {
    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write it as `127.0.0.1:8080`, `[::1]:8080`, `localhost:0` or `:8080` (all interfaces)";
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self(address));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("no port: {form}"));
        };
        let port: u16 = port.parse().map_err(|_| format!("{port:?} is no port: {form}"))?;
        let ip: IpAddr = match host {
            "" | "*" => Ipv4Addr::UNSPECIFIED.into(),
            _ if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
            // A name may stand for several addresses, of other machines too; listening wants one of this one.
            _ => return Err(format!("{host:?} is no IP address: {form}")),
        };
        Ok(Self(SocketAddr::new(ip, port)))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_the_usual_forms() {
        for (text, address, loopback) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.8.8.8:1", "127.8.8.8:1", true),
            ("[::1]:0", "[::1]:0", true),
            ("[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:5", true),
            ("localhost:0", "127.0.0.1:0", true),
            (":8080", "0.0.0.0:8080", false),
            ("*:8080", "0.0.0.0:8080", false),
            ("[::]:8080", "[::]:8080", false),
            ("10.0.0.5:80", "10.0.0.5:80", false),
        ] {
            let parsed: ListenAddress = text.parse().unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.is_loopback()), (address, loopback), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_shows_the_right_form() {
        for text in ["", "8080", "localhost", "example.com:80", "127.0.0.1:99999", "127.0.0.1:", "::1"] {
            assert!(text.parse::<ListenAddress>().unwrap_err().contains("`127.0.0.1:8080`"), "{text}");
        }
    }
}
