//! Playback URLs: the one form in which they are compared, and lists of them.
//!
//! The lookup, the event and the CDN's rows may spell one URL in different ways. Every comparison of URLs goes through
//! [`normal_form`]; reports keep the spelling that the service used first.

use std::collections::HashSet;

/// The CDN encodes what was encoded before; more often than this, nobody does.
const MOST_ENCODINGS: usize = 3;

/// Returns the form in which URLs are compared.
///
/// The scheme is left out (`http`, `https` and none are one), the host is in small letters, ports 80 and 443 are dropped,
/// the path is percent-decoded once but for `%25`, `%3F` and `%23`, which mean something else decoded, the fragment is
/// dropped, and the query is kept as it stands. The bytes need not be UTF-8.
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
    // Most paths have nothing to decode, and this is done for each row of each answer.
    let (plain, encoded) = path.split_at(path.find('%').unwrap_or(path.len()));
    form.extend_from_slice(plain.as_bytes());
    for byte in percent_encoding::percent_decode(encoded.as_bytes()) {
        match byte {
            b'%' => form.extend(b"%25"),
            b'?' => form.extend(b"%3F"),
            b'#' => form.extend(b"%23"),
            byte => form.push(byte),
        }
    }
    if !query.is_empty() {
        form.push(b'?');
        form.extend(query.bytes());
    }
    form
}

/// Returns how many URLs a name may stand for that no row has, where these rows match no name: a list that could not be taken
/// apart is named as one URL. A letter separates two where a host or path follows it, or where a row is what stands before it; so
/// often as rows have such letters themselves, it does not.
pub(crate) fn most_urls_in(name: &str, rows: &[&str]) -> usize {
    if !decoded(name).contains(is_list_separator) {
        return 1;
    }
    let rows: Vec<String> = rows.iter().map(|row| decoded(row)).collect();
    let separators = |name: &str| {
        let separates = |(place, letter): &(usize, char)| {
            let rest = name[place + letter.len_utf8()..].trim_start();
            let (start, slash) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let begins_url = !slash.is_empty()
                && (start.is_empty()
                    || start.contains('[')
                    || start.contains(['.', ':']) && !letter.is_whitespace());
            let before = &name[..*place];
            begins_url || start.ends_with(':') || rows.iter().any(|row| row == before)
        };
        name.char_indices().filter(|(_, letter)| is_list_separator(*letter)).filter(separates).count()
    };
    let in_rows = rows.iter().map(|row| separators(row)).max().unwrap_or_default();
    1 + separators(&decoded(name)).saturating_sub(in_rows)
}

/// A URL without its scheme, however often it is encoded.
fn decoded(url: &str) -> String {
    let mut text = without_scheme(url.trim()).to_owned();
    for _ in 0..MOST_ENCODINGS {
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    text
}

/// Besides what separates URLs in lists, what nearly does.
fn is_list_separator(letter: char) -> bool {
    is_separator(letter) || matches!(letter, '|' | '\u{ff0c}' | '\u{3001}' | '\u{ff1b}')
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
    // Two slashes alone stand in paths as well, so a host of the list must follow them.
    let text = text.strip_prefix("//").unwrap_or(text);
    // No farther than the host or scheme: strangers send lists of a million separators.
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    let end = text.bytes().take_while(|byte| is_host(byte)).count();
    if end > 0 && text[end..].starts_with("://") {
        return true;
    }
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
            ("https://cdn.example.test/%2541", "https://cdn.example.test/%41"),
            ("https://cdn.example.test/d%3Fv=1", "https://cdn.example.test/d?v=1"),
            ("https://cdn.example.test/d%253Fv=1", "https://cdn.example.test/d%3Fv=1"),
            ("https://cdn.example.test/d%23t", "https://cdn.example.test/d#t"),
            ("https://a.test/x", "https://b.test/x"),
        ];
        for (one, other) in different {
            assert_ne!(normal_form(one), normal_form(other), "{one} and {other}");
        }
    }

    #[test]
    fn a_name_may_stand_for_as_many_urls_as_a_list_would_have() {
        let table: [(&str, &[&str], usize); 14] = [
            ("https://a.test/0 one.mp4", &["https://b.test/1"], 1),
            ("https://a.test/x,y.mp4", &["https://b.test/1"], 1),
            ("https://a.test/x,y.mp4", &["https://a.test/x"], 2),
            ("https://a.test/x,y.mp4", &["https://a.test/x%252Cy.mp4"], 1),
            ("https://a.test/x,y.mp4?v=1", &["https://a.test/x,y.mp4"], 1),
            ("https://a.test/x,https://a.test/y", &["https://a.test/x"], 2),
            ("https://a.test/x%2Chttps://a.test/y", &["https://a.test/y"], 2),
            ("https://a.test/x|//a.test/y", &["https://a.test/y"], 2),
            ("https://a.test/x\u{ff0c}https://a.test/y\u{3001}https://a.test/z", &["https://a.test/y"], 3),
            ("https://a.test/x,10.0.0.1/y", &["https://a.test/x"], 2),
            ("https://a.test/x,[2001:db8::1]/y", &["https://b.test/1"], 2),
            ("https://a.test/x,/y", &["https://a.test/y"], 2),
            ("https://a.test/x rtmp://a.test/z", &["https://b.test/1"], 2),
            ("https://a.test/b c.mp4/d", &["https://b.test/1"], 1),
        ];
        for (name, rows, urls) in table {
            assert_eq!(most_urls_in(name, rows), urls, "{name} {rows:?}");
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
        let table: [(&str, &[&str]); 15] = [
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
            ("//a.test/x//y,//a.test/z", &["//a.test/x//y", "//a.test/z"]),
            ("https://a.test/x,rtmp://b.test/y", &["https://a.test/x", "rtmp://b.test/y"]),
            ("HTTPS://a.test/中,HTTP://a.test/文", &["HTTPS://a.test/中", "HTTP://a.test/文"]),
        ];
        for (list, urls) in table {
            let mut taken = Vec::new();
            split(list, |url| taken.push(url.to_owned()));
            assert_eq!(taken, urls, "{list}");
        }
    }
}
