//! A playback URL as it is asked for.

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What no request line may hold. A percent sign is taken as that of an escape.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Longest URL, in bytes.
const MAX_URL: usize = 8 * 1024;

/// What is asked for, and in which ways.
#[derive(Debug)]
pub(super) struct Target {
    /// Host and port, as the URL has them.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Path and query, encoded.
    pub(super) path: PathAndQuery,
    /// The URL's own scheme; without one, HTTPS first.
    pub(super) schemes: &'static [&'static str],
}

impl Target {
    /// Reads a URL with or without a scheme; `None` if it is none. User names, passwords and fragments are left out.
    pub(super) fn read(url: &str) -> Option<Self> {
        let url = url.trim();
        if url.len() > MAX_URL {
            return None;
        }
        let (schemes, rest): (&'static [&'static str], _) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (&["https"], rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (&["http"], rest),
            Some((before, _)) if !before.contains(['/', '?', '#', '.']) => return None,
            _ => (&["https", "http"], url.trim_start_matches("//")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        let authority: http::uri::Authority = authority.parse().ok().filter(|_| !authority.is_empty())?;
        let port = authority.port_u16();
        if port.is_none_or(|port| port == 0) && authority.host().len() < authority.as_str().len() {
            return None;
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{}", utf8_percent_encode(path, ENCODED)).parse().ok()?;
        Some(Self { host: authority.host().to_owned(), port, path, schemes })
    }

    /// Host and port, as the header `Host` has them.
    pub(super) fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// The URL with `scheme`, with `auth_key` added to its query if there is one.
    pub(super) fn uri(&self, scheme: &str, auth_key: Option<&str>) -> Option<Uri> {
        let path = match auth_key {
            None => self.path.clone(),
            Some(value) => {
                let mark = if self.path.query().is_some() { '&' } else { '?' };
                format!("{}{mark}auth_key={value}", self.path).parse().ok()?
            }
        };
        Uri::builder().scheme(scheme).authority(self.authority()).path_and_query(path).build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_asked_for_as_it_is_written_encoded_where_it_must_be() {
        for (url, first, ways) in [
            ("https://media.example.test/a.mp4", "https://media.example.test/a.mp4", 1),
            ("HTTP://Media.Example.Test:8080/A.mp4?x=1#t=5", "http://media.example.test:8080/A.mp4?x=1", 1),
            ("media.example.test/a.mp4", "https://media.example.test/a.mp4", 2),
            ("//media.example.test", "https://media.example.test/", 2),
            ("media.example.test/?to=http://x.example", "https://media.example.test/?to=http://x.example", 2),
            ("https://h.test/a b/中%20\"{}\u{7}.mp4", "https://h.test/a%20b/%E4%B8%AD%20%22%7B%7D%07.mp4", 1),
            ("https://me:word@h.test/a", "https://h.test/a", 1),
            ("https://h.test?x", "https://h.test/?x", 1),
            ("http://[2001:db8::1]:81/a", "http://[2001:db8::1]:81/a", 1),
        ] {
            let target = Target::read(url).unwrap();
            assert_eq!(target.uri(target.schemes[0], None).unwrap().to_string(), first, "{url}");
            assert_eq!(target.schemes.len(), ways, "{url}");
        }
        let target = Target::read("https://h.test/a?x=1").unwrap();
        assert_eq!(
            target.uri("http", Some("1-2-0-3")).unwrap().to_string(),
            "http://h.test/a?x=1&auth_key=1-2-0-3"
        );
        for url in
            ["", "https://", "ftp://h.test/a", "https:///a", "h test/a", "https://h.test:99999/", "a\u{0}b"]
        {
            assert!(Target::read(url).is_none(), "{url:?}");
        }
        assert!(Target::read(&format!("https://h.test/{}", "a".repeat(MAX_URL - 15))).is_some());
        assert!(Target::read(&format!("https://h.test/{}", "a".repeat(MAX_URL - 14))).is_none());
    }
}
