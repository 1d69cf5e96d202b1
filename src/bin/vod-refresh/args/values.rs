//! Values of options: how they are read, and what is said of one that can't be.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use http::{HeaderName, HeaderValue};
use vod_refresh::ids::{is_masked_address, masked_address};
use vod_refresh::smq::QueueUrl;

/// A text that is not empty: an empty one is a variable that was not set.
pub(super) fn text() -> NonEmptyStringValueParser {
    NonEmptyStringValueParser::new()
}

/// One word of a comma list.
pub(super) fn list_item(text: &str) -> Result<String, String> {
    let text = text.trim();
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        Ok(text.to_owned())
    } else {
        Err("a list is words with commas between them, as `mp4,m3u8`".to_owned())
    }
}

/// One of these words; gives what it stands for.
pub(super) fn one_of<T: Clone + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let of =
        move |chosen: String| words.iter().find(|(word, _)| *word == chosen).map(|(_, value)| value.clone());
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word))
        .try_map(move |word| of(word).ok_or("unknown"))
}

/// A path that leads to the same file from any folder, since the journal keeps it.
pub(super) fn absolute_path(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|why| why.to_string())
}

/// A callback URL, kept character for character: it is part of what is signed.
pub(super) fn callback_url(text: &str) -> Result<String, String> {
    if is_masked_address(text) {
        return Err("put in what stands for `<secret>`: it is not kept".to_owned());
    }
    if text.contains('#') {
        return Err("it has a fragment (`#…`), which nobody sends".to_owned());
    }
    let uri: http::Uri = text.parse().map_err(|_| "not a URL".to_owned())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => {
            let has_port = !authority.as_str().ends_with(authority.host());
            if has_port && authority.port_u16().is_none_or(|port| port == 0) {
                return Err("it has no port from 1 to 65535 behind its host".to_owned());
            }
        }
        _ => return Err("write it as `https://host/path`".to_owned()),
    }
    // Source: "SetMessageCallback", parameter `CallbackURL`.
    match text.len() {
        ..=256 => Ok(text.to_owned()),
        bytes => Err(format!("it has {bytes} bytes, VOD takes 256")),
    }
}

/// A queue that VOD is to write to. VOD writes from outside, so an internal endpoint is refused.
///
/// Source: "SetMessageCallback", parameter `MnsEndpoint`.
pub(super) fn public_queue(text: &str) -> Result<QueueUrl, String> {
    // Whether plain HTTP will do is VOD's to say: nothing is sent there from here.
    let url = QueueUrl::parse(text, true).map_err(|why| match why.source() {
        Some(source) => format!("{}: {source}", why.message()),
        None => why.message().to_owned(),
    })?;
    if url.origin().contains("-internal") || url.origin().contains("-vpc") {
        return Err(
            "this endpoint is internal, VOD needs the public one: take the part after the region off".into(),
        );
    }
    Ok(url)
}

/// An address to listen on: `127.0.0.1:8080`, `[::1]:0`, `localhost:0`, `:8080`.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let form = "write it as `127.0.0.1:8080`, `[::1]:8080`, `localhost:0` or `:8080` (all interfaces)";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("no port: {form}"))?;
    let port: u16 = port.parse().map_err(|_| format!("{:?} is no port: {form}", masked_address(port)))?;
    let ip: IpAddr = match host {
        "" | "*" => Ipv4Addr::UNSPECIFIED.into(),
        _ if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
        // A name may stand for several addresses, of other machines too; listening wants one of this one.
        _ => return Err(format!("{:?} is no IP address: {form}", masked_address(host))),
    };
    Ok(SocketAddr::new(ip, port))
}

/// An address for events, in the same forms. All interfaces are those of IPv6 as well, which are heard at `[::]`.
pub(super) fn event_address(text: &str) -> Result<SocketAddr, String> {
    let mut address = listen_address(text)?;
    if text.starts_with([':', '*']) {
        address.set_ip(Ipv6Addr::UNSPECIFIED.into());
    }
    Ok(address)
}

/// A header of a request.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("it is not of the form NAME:VALUE")?;
    let name = name.trim().parse().map_err(|_| "its name is none that a header can have")?;
    Ok((name, value.trim().parse().map_err(|_| "its value is none that a header can have")?))
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
            let parsed = listen_address(text).unwrap();
            let is_loopback = parsed.ip().to_canonical().is_loopback();
            assert_eq!((parsed.to_string().as_str(), is_loopback), (address, loopback), "{text}");
        }
    }

    #[test]
    fn h08_events_are_heard_over_both_versions_of_ip_unless_told_otherwise() {
        for (text, address) in [
            (":8080", "[::]:8080"),
            ("*:8080", "[::]:8080"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::]:8080", "[::]:8080"),
            ("localhost:1", "127.0.0.1:1"),
        ] {
            assert_eq!(event_address(text).unwrap().to_string(), address, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_shows_the_right_form() {
        for text in ["", "8080", "localhost", "example.com:80", "127.0.0.1:99999", "127.0.0.1:", "::1"] {
            assert!(listen_address(text).unwrap_err().contains("`127.0.0.1:8080`"), "{text}");
        }
    }

    #[test]
    fn only_public_queues_will_do() {
        let url = public_queue("https://1234567890.mns.cn-shanghai.aliyuncs.com/queues/vod-events").unwrap();
        assert_eq!(
            (url.origin(), url.name()),
            ("https://1234567890.mns.cn-shanghai.aliyuncs.com", "vod-events")
        );
        let internal = public_queue("https://1.mns.cn-shanghai-internal.aliyuncs.com/queues/a");
        assert!(internal.unwrap_err().contains("public"));
        for text in [
            "vod-events",
            "https://1.mns.cn-shanghai.aliyuncs.com",
            "ftp://h/queues/a",
            "https://u@h/queues/a",
        ] {
            assert!(public_queue(text).is_err(), "{text}");
        }
    }
}
