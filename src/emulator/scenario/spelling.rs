//! The ways to write one thing: a URL in a task row, a list in a lookup.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How rows of `DescribeVodRefreshTasks` spell a URL. The [page](crate::emulator::telling) has an example of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowSpelling {
    /// As in `SuccessPlayUrls`.
    #[default]
    Same,
    /// With `http` for `https`, and the other way round.
    Http,
    /// Without a scheme.
    NoScheme,
    /// With the host in capital letters.
    UpperHost,
    /// With the default port.
    Port,
    /// With the path percent-encoded.
    Encoded,
    /// With a fragment.
    Fragment,
    /// Under another path, so that nothing tells that it is the same.
    Other,
}

impl RowSpelling {
    /// `url` in this spelling.
    pub(crate) fn apply(self, url: &str) -> String {
        let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
        let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let is_http = scheme == "http://";
        match self {
            Self::Same => url.to_owned(),
            Self::Http => format!("{}{host}{rest}", if is_http { "https://" } else { "http://" }),
            Self::NoScheme => format!("{host}{rest}"),
            Self::UpperHost => format!("{scheme}{}{rest}", host.to_ascii_uppercase()),
            Self::Port if host.contains(':') => url.to_owned(),
            Self::Port => format!("{scheme}{host}:{}{rest}", if is_http { 80 } else { 443 }),
            Self::Encoded => format!("{scheme}{host}{}{query}", encoded(path)),
            Self::Fragment => format!("{url}#t=0"),
            Self::Other => format!("{scheme}{host}/origin{rest}"),
        }
    }
}

/// What is encoded already stays so: decoded once, both are the same.
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'%' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// How `TaskIds` and `SuccessPlayUrls` are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ListStyle {
    /// A text with commas between the entries.
    #[default]
    Comma,
    /// A text with semicolons.
    Semicolon,
    /// A text with blanks.
    Blank,
    /// A text with a line for each.
    Lines,
    /// An array.
    Array,
    /// A text that holds this array.
    JsonText,
    /// An object with this array in it.
    Object,
}

impl ListStyle {
    /// Writes a list; with garbage, an object stands among its entries.
    pub(crate) fn write(self, entries: &[String], with_garbage: bool) -> Value {
        let mut list: Vec<Value> = entries.iter().map(|entry| json!(entry)).collect();
        if with_garbage {
            list.insert(list.len().min(1), json!({"id": 7}));
        }
        let joined = |list: Vec<Value>, separator: &str| {
            let text = |entry: Value| match entry {
                Value::String(text) => text,
                other => other.to_string(),
            };
            json!(list.into_iter().map(text).collect::<Vec<_>>().join(separator))
        };
        match self {
            Self::Comma => joined(list, ","),
            Self::Semicolon => joined(list, ";"),
            Self::Blank => joined(list, " "),
            Self::Lines => joined(list, "\n"),
            Self::Array => Value::Array(list),
            Self::JsonText => json!(Value::Array(list).to_string()),
            Self::Object => json!({ "Entry": list }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_many_spellings() {
        let url = "https://cdn.test/ü/1.mp4?a=b.c";
        let table = [
            (RowSpelling::Same, url),
            (RowSpelling::Http, "http://cdn.test/ü/1.mp4?a=b.c"),
            (RowSpelling::NoScheme, "cdn.test/ü/1.mp4?a=b.c"),
            (RowSpelling::UpperHost, "https://CDN.TEST/ü/1.mp4?a=b.c"),
            (RowSpelling::Port, "https://cdn.test:443/ü/1.mp4?a=b.c"),
            (RowSpelling::Encoded, "https://cdn.test/%C3%BC/1%2Emp4?a=b.c"),
            (RowSpelling::Fragment, "https://cdn.test/ü/1.mp4?a=b.c#t=0"),
            (RowSpelling::Other, "https://cdn.test/origin/ü/1.mp4?a=b.c"),
        ];
        for (spelling, expected) in table {
            assert_eq!(spelling.apply(url), expected);
        }
        let odd = [
            (RowSpelling::Http, "http://a.test", "https://a.test"),
            (RowSpelling::Port, "http://a.test/x", "http://a.test:80/x"),
            (RowSpelling::Port, "http://a.test:8080/x", "http://a.test:8080/x"),
            (RowSpelling::Encoded, "a.test/b c%20d", "a.test/b%20c%20d"),
        ];
        for (spelling, url, expected) in odd {
            assert_eq!(spelling.apply(url), expected, "{spelling:?}");
        }
    }

    #[test]
    fn a_list_has_many_shapes() {
        let entries = ["1".to_owned(), "2".to_owned()];
        let table = [
            (ListStyle::Comma, json!("1,2"), json!("1,{\"id\":7},2")),
            (ListStyle::Semicolon, json!("1;2"), json!("1;{\"id\":7};2")),
            (ListStyle::Blank, json!("1 2"), json!("1 {\"id\":7} 2")),
            (ListStyle::Lines, json!("1\n2"), json!("1\n{\"id\":7}\n2")),
            (ListStyle::Array, json!(["1", "2"]), json!(["1", {"id": 7}, "2"])),
            (ListStyle::JsonText, json!("[\"1\",\"2\"]"), json!("[\"1\",{\"id\":7},\"2\"]")),
            (ListStyle::Object, json!({"Entry": ["1", "2"]}), json!({"Entry": ["1", {"id": 7}, "2"]})),
        ];
        for (style, clean, spoilt) in table {
            assert_eq!(style.write(&entries, false), clean);
            assert_eq!(style.write(&entries, true), spoilt);
        }
        assert_eq!(ListStyle::Comma.write(&[], false), "");
    }
}
