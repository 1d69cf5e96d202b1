//! Playback URLs: the one form in which they are compared, and lists of them.
//!
//! The lookup, the event and the CDN's rows may spell one URL in different ways. Every comparison of URLs goes through
//! [`normal_form`]; reports keep the spelling that the service used first.

use std::collections::HashSet;

/// Returns the form in which URLs are compared.
///
/// The scheme is left out (`http`, `https` and none are one), the host is in small letters, ports 80 and 443 are dropped,
/// the path is percent-decoded once, the fragment is dropped, and the query is kept as it stands. The bytes need not be
/// UTF-8.
pub(crate) fn normal_form(url: &str) -> Vec<u8> {
    let rest = without_scheme(url.trim());
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    };
    let mut form = Vec::with_capacity(rest.len() + 1);
    form.extend_from_slice(host.as_bytes());
    form.make_ascii_lowercase();
    if !["", "80", "443"].contains(&port) {
        form.push(b':');
        form.extend(port.bytes());
    }
    if path.is_empty() {
        form.push(b'/');
    }
    // Each escape once; what is no escape stays as it is.
    form.extend(percent_encoding::percent_decode(path.as_bytes()));
    if !query.is_empty() {
        form.push(b'?');
        form.extend(query.bytes());
    }
    form
}

/// Returns the host of a URL with or without a scheme, in the spelling it has.
pub(crate) fn host(url: &str) -> &str {
    without_scheme(url.trim()).split(['/', ':', '?', '#']).next().unwrap_or_default()
}

/// Takes a list of URLs apart and hands them to `take`: at line ends, and at commas, semicolons and blanks before a scheme or before a host of the
/// list. A URL may hold any of these itself, and end with a semicolon where semicolons separate nothing.
pub(crate) fn split(list: &str, mut take: impl FnMut(&str)) {
    let mut sites = HashSet::new();
    let is_blank_or_comma = |letter: char| letter == ',' || letter.is_whitespace();
    let mut has_semicolons = false;
    for line in list.lines() {
        let mut rest = line.trim_end().trim_start_matches(is_separator);
        while !rest.is_empty() {
            sites.insert(site_of(host(rest)));
            let mut separators = rest.char_indices().filter(|(_, letter)| is_separator(*letter));
            let end =
                separators.find(|(place, letter)| begins_url(&rest[place + letter.len_utf8()..], &sites));
            let (url, separator) = end.map_or((rest, ' '), |(place, letter)| (&rest[..place], letter));
            rest = end.map_or("", |(place, letter)| &rest[place + letter.len_utf8()..]);
            let url = url.trim_end_matches(is_blank_or_comma);
            // Before another separator it is one as well; at the end of a list it is one if it was one before.
            let is_cut = end.is_some() && separator != ',' && url.ends_with(';');
            has_semicolons |= separator == ';' || is_cut;
            let url = if is_cut || end.is_none() && has_semicolons {
                url.trim_end_matches(is_separator)
            } else {
                url
            };
            if !url.is_empty() {
                take(url);
            }
        }
    }
}

/// Whether `text` can be a playback URL: it has a host, and nothing that no URL has. One without a scheme has the host of a
/// domain, or any word would be one.
pub(crate) fn is_url(text: &str) -> bool {
    let host = host(text);
    let is_domain =
        || host.contains('.') && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    !host.is_empty()
        && !text.contains(char::is_control)
        && (without_scheme(text).len() < text.len() || is_domain())
}

fn is_separator(letter: char) -> bool {
    matches!(letter, ',' | ';') || letter.is_whitespace()
}

/// Whether `text` begins with a scheme, or with a host of one of the `sites`.
fn begins_url(text: &str, sites: &HashSet<String>) -> bool {
    if without_scheme(text).len() < text.len() {
        // Two slashes alone stand in paths as well.
        return !text.starts_with("//");
    }
    // No farther than the host: strangers send lists of a million separators.
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let end = text.bytes().take_while(|byte| is_host(byte)).count();
    end > 0 && text[end..].starts_with(['/', ':']) && sites.contains(&site_of(&text[..end]))
}

/// The last two labels of a host, in small letters: the hosts of one list nearly always share them.
fn site_of(host: &str) -> String {
    let start = host.rmatch_indices('.').nth(1).map_or(0, |(place, _)| place + 1);
    host[start..].to_ascii_lowercase()
}

fn without_scheme(url: &str) -> &str {
    ["https://", "http://", "//"]
        .into_iter()
        .find(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map_or(url, |scheme| &url[scheme.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_have_one_form() {
        let same = [
            ("https://cdn.example.test/a.mp4", "http://cdn.example.test/a.mp4"),
            ("https://cdn.example.test/a.mp4", "cdn.example.test/a.mp4"),
            ("https://cdn.example.test/a.mp4", "//CDN.Example.TEST:443/a.mp4"),
            ("https://cdn.example.test/a.mp4", "HTTP://cdn.example.test:80/a.mp4#t=3"),
            ("https://cdn.example.test/中.mp4", "https://cdn.example.test/%E4%B8%AD.mp4"),
            ("https://cdn.example.test/b c.mp4", "http://cdn.example.test/b%20c.mp4"),
            ("https://cdn.example.test/100%.mp4", "https://cdn.example.test/100%25.mp4"),
            ("https://cdn.example.test", "https://cdn.example.test/"),
            ("https://cdn.example.test/%7eA", "https://cdn.example.test/%7EA"),
        ];
        for (one, other) in same {
            assert_eq!(normal_form(one), normal_form(other), "{one} and {other}");
        }
        let different = [
            ("https://cdn.example.test/a.mp4", "https://cdn.example.test/A.mp4"),
            ("https://cdn.example.test/a.mp4", "https://cdn.example.test:8080/a.mp4"),
            ("https://cdn.example.test/a.mp4?v=1", "https://cdn.example.test/a.mp4?v=2"),
            ("https://cdn.example.test/a.mp4?v=%31", "https://cdn.example.test/a.mp4?v=1"),
            ("https://cdn.example.test/%2541", "https://cdn.example.test/A"),
            ("https://a.test/x", "https://b.test/x"),
        ];
        for (one, other) in different {
            assert_ne!(normal_form(one), normal_form(other), "{one} and {other}");
        }
    }

    #[test]
    fn a_word_is_no_url() {
        for url in ["https://a/x", "//a/x", "cdn.a.test/x", "媒体.test:8080/x", "HTTP://a"] {
            assert!(is_url(url), "{url}");
        }
        for word in ["", "N/A", "a/x", "https://", "rtmp://a.test/x", "[1.5]", "{a.test/}", "https://a/\u{0}"]
        {
            assert!(!is_url(word), "{word}");
        }
    }

    #[test]
    fn lists_are_taken_apart_where_a_url_begins() {
        let table: [(&str, &[&str]); 13] = [
            ("", &[]),
            ("https://a.test/&lt;,https://a.test/&gt;", &["https://a.test/&lt;", "https://a.test/&gt;"]),
            ("https://a.test/1;https://a.test/2;", &["https://a.test/1", "https://a.test/2"]),
            ("https://a.test/1;//2,https://a.test/3,", &["https://a.test/1;//2", "https://a.test/3"]),
            (" , ;", &[]),
            (
                "https://a.test/x,1.mp4,https://a.test/y.mp4",
                &["https://a.test/x,1.mp4", "https://a.test/y.mp4"],
            ),
            (
                "https://a.test/x, https://b.test/y;z ;http://c.test/",
                &["https://a.test/x", "https://b.test/y;z", "http://c.test/"],
            ),
            ("https://a.test/b c.mp4 https://a.test/d", &["https://a.test/b c.mp4", "https://a.test/d"]),
            ("https://a.test/x\r\nhttps://a.test/y\n", &["https://a.test/x", "https://a.test/y"]),
            ("cdn.a.test/x.mp4,cdn.a.test/y.mp4", &["cdn.a.test/x.mp4", "cdn.a.test/y.mp4"]),
            ("cdn.a.test/x,media.a.test:8080/y", &["cdn.a.test/x", "media.a.test:8080/y"]),
            ("https://a.test/x,y.mp4/z,CDN.a.test/1", &["https://a.test/x,y.mp4/z", "CDN.a.test/1"]),
            ("HTTPS://a.test/中,HTTP://a.test/文", &["HTTPS://a.test/中", "HTTP://a.test/文"]),
        ];
        for (list, urls) in table {
            let mut taken = Vec::new();
            split(list, |url| taken.push(url.to_owned()));
            assert_eq!(taken, urls, "{list}");
        }
    }
}
