//! Reads fields of JSON answers the way the service writes them: not always the same.
//!
//! What can't be read is never dropped in silence: a list keeps it beside its entries, and rows of a wrong shape are no
//! rows at all.

use serde_json::{Map, Value};

use super::play_url;
use crate::client::json;

/// A list may be a text that holds a list as JSON. Deeper than this, somebody plays.
const MAX_TEXTS_IN_TEXTS: u8 = 4;
/// For each entry that a list may have: bytes of it that are kept although they can't be read.
const UNREAD_BYTES_AN_ENTRY: usize = 32;

/// One JSON object with forgiving access to its fields. Names are compared without case and outer blanks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The fields of `value`, if it is an object.
    pub(crate) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// A field that is there and not null.
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        let same = |key: &String| key.trim().eq_ignore_ascii_case(name);
        let found =
            self.0.get(name).or_else(|| self.0.iter().find(|(key, _)| same(key)).map(|(_, value)| value));
        found.filter(|value| !value.is_null())
    }

    /// A string, number or boolean as text; nothing if it is empty.
    pub(crate) fn text(self, name: &str) -> Option<String> {
        let text = match self.get(name)? {
            Value::String(text) => text.clone(),
            word @ (Value::Bool(_) | Value::Number(_)) => word.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// An id as text, without blanks around it. A number with a point or an exponent has lost digits, so it is none.
    pub(crate) fn id(self, name: &str) -> Option<String> {
        let has_lost_digits = self.get(name)?.as_number().is_some_and(|number| !number.is_u64());
        self.text(name).filter(|_| !has_lost_digits).map(|id| id.trim().to_owned())
    }

    /// A number, also one written as a string.
    pub(crate) fn number(self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A list of words, such as ids, of which at most so many are kept.
    pub(crate) fn list(self, name: &str, most: usize) -> List {
        self.list_of(name, WORDS, most)
    }

    /// A list of playback URLs, of which at most so many are kept.
    pub(crate) fn urls(self, name: &str, most: usize) -> List {
        self.list_of(name, URLS, most)
    }

    fn list_of(self, name: &str, split: Split, most: usize) -> List {
        let room_for_unread = most.saturating_mul(UNREAD_BYTES_AN_ENTRY);
        let mut list = List { entries: Vec::new(), unread: Vec::new(), named: 0, most, room_for_unread };
        list.add(self.get(name).unwrap_or(&Value::Null), split, false, 0);
        list
    }

    /// The rows at `name`: a list, a list in an object, or one row without a list. Each row has a field `id`. Nothing at all
    /// is no rows; `None` stands for a shape that is not understood, which may hide rows.
    pub(crate) fn rows(self, name: &str, id: &str) -> Option<Vec<Fields<'a>>> {
        let Some(value) = self.get(name) else { return Some(Vec::new()) };
        let value = match Fields::of(value) {
            Some(row) if row.get(id).is_some() => return Some(vec![row]),
            Some(wrap) => wrap.wrapped()?,
            None => value,
        };
        match value {
            Value::Null => Some(Vec::new()),
            Value::Array(rows) => rows.iter().map(Fields::of).collect(),
            row => Fields::of(row).map(|row| vec![row]),
        }
    }

    /// What an object holds that stands where a list should be: its only member, or the only list in it. `None` in doubt.
    fn wrapped(self) -> Option<&'a Value> {
        static NOTHING: Value = Value::Null;
        let mut members = self.0.values().filter(|value| !value.is_null());
        match (members.next(), members.next()) {
            (None, _) => Some(&NOTHING),
            (Some(only), None) => Some(only),
            _ => {
                let mut lists = self.0.values().filter(|value| value.is_array());
                lists.next().filter(|_| lists.next().is_none())
            }
        }
    }
}

/// Puts the entries of a text into a list; it is told whether the text is an element of an array.
type Split = fn(&mut List, &str, bool);

/// Commas, semicolons, blanks and line ends separate words, such as ids.
const WORDS: Split = |list, text, _| {
    let is_separator = |c: char| matches!(c, ',' | ';' | '\u{feff}') || c.is_whitespace();
    for word in text.split(is_separator).filter(|word| !word.is_empty()) {
        // A bracket or a quotation mark is left of a notation that was not understood.
        list.push(word, !word.contains(['"', '[', ']', '{', '}']));
    }
};

/// Elements of arrays are one URL each, since a URL may hold any separator.
const URLS: Split = |list, text, is_element| match is_element {
    true => list.push(text.trim(), play_url::is_url(text.trim())),
    false => play_url::split(text, |url| list.push(url, play_url::is_url(url))),
};

/// The entries of a list, in order, and the pieces of it that could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) entries: Vec<String>,
    pub(crate) unread: Vec<String>,
    /// How many entries it has; those beyond `most` are only counted.
    pub(crate) named: usize,
    most: usize,
    room_for_unread: usize,
}

impl List {
    fn push(&mut self, text: &str, is_readable: bool) {
        match is_readable {
            _ if text.is_empty() => {}
            true => {
                self.named += 1;
                if self.entries.len() < self.most {
                    self.entries.push(text.to_owned());
                }
            }
            false => self.leave_unread(text.to_owned()),
        }
    }

    fn leave_unread(&mut self, text: String) {
        if self.room_for_unread > 0 {
            self.room_for_unread = self.room_for_unread.saturating_sub(text.len());
            self.unread.push(text);
        }
    }

    /// Adds what a value holds, in any notation. `texts` says how many texts it stands in.
    fn add(&mut self, value: &Value, split: Split, is_element: bool, texts: u8) {
        match value {
            // In place of a list it stands for none; in a list, for an entry that is not told.
            Value::Null if !is_element => {}
            Value::String(text) if is_element && text.trim().is_empty() => {
                self.leave_unread(format!("{text:?}"));
            }
            Value::String(text) => self.add_text(text, split, is_element, texts),
            Value::Number(number) if number.is_u64() => split(self, &number.to_string(), is_element),
            Value::Array(values) => values.iter().for_each(|value| self.add(value, split, true, texts)),
            // An object stands for a list, never for an entry of one.
            _ => match Fields::of(value).and_then(Fields::wrapped).filter(|_| !is_element) {
                Some(list) => self.add(list, split, false, texts),
                None => self.leave_unread(value.to_string()),
            },
        }
    }

    /// Adds what a text holds: a list as JSON, or entries with separators.
    fn add_text(&mut self, text: &str, split: Split, is_element: bool, texts: u8) {
        if text.trim_start().starts_with(['[', '{'])
            && texts < MAX_TEXTS_IN_TEXTS
            && let Ok((value, tree)) = json::read(text.as_bytes(), self.most)
        {
            self.named += tree.left_out;
            return self.add(&value, split, is_element, texts + 1);
        }
        split(self, text, is_element);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_in_any_dress() {
        let value = json!({"TotalCount": "120", "pageSize": 50, " Ids": "x", "Null": null, "E": "", "L": [1], "Big": 1e30});
        let fields = Fields::of(&value).unwrap();
        assert_eq!(fields.number("TotalCount"), Some(120));
        assert_eq!(fields.number("PageSize"), Some(50));
        assert_eq!(fields.text("Ids").as_deref(), Some("x"));
        assert_eq!((fields.text("Null"), fields.text("E")), (None, None));
        assert_eq!((fields.id("pageSize").as_deref(), fields.id("Big")), (Some("50"), None));
        assert_eq!(fields.number("L"), None);
        assert!(Fields::of(&json!([])).is_none());
    }

    #[test]
    fn a_list_has_one_meaning_in_every_notation_and_loses_nothing() {
        let table: &[(Value, &[&str], &[&str])] = &[
            (json!(null), &[], &[]),
            (json!(" , ;"), &[], &[]),
            (json!({}), &[], &[]),
            (json!("1, 2,,3 "), &["1", "2", "3"], &[]),
            (json!("1;2\r\n3\t4\u{3000}5\u{feff}"), &["1", "2", "3", "4", "5"], &[]),
            (json!([1, "2", ["3,4"], []]), &["1", "2", "3", "4"], &[]),
            (json!([1, null, " ", [""]]), &["1"], &["null", "\" \"", "\"\""]),
            (json!("[\"1\", null]"), &["1"], &["null"]),
            (json!("[\"1\", 2]"), &["1", "2"], &[]),
            (json!(" {\"TaskId\": [\"1\"]}"), &["1"], &[]),
            (json!({"TaskId": ["1", "2"], "Count": 2}), &["1", "2"], &[]),
            (json!(["1", {"inner": 2}]), &["1"], &["{\"inner\":2}"]),
            (json!("[1, b, 3]"), &["b"], &["[1", "3]"]),
            (json!("\"1\""), &[], &["\"1\""]),
            (json!([1.5, true]), &[], &["1.5", "true"]),
            (json!([70_422_123_456_789_012_345_f64]), &[], &["7.042212345678901e+19"]),
            (json!({"a": 1, "b": 2}), &[], &["{\"a\":1,\"b\":2}"]),
        ];
        for (list, entries, unread) in table {
            let value = json!({ "L": list });
            let read = Fields::of(&value).unwrap().list("L", usize::MAX);
            assert_eq!((read.entries, read.unread), (to_owned(entries), to_owned(unread)), "{list}");
        }
    }

    #[test]
    fn urls_of_an_array_stay_whole_and_what_is_no_url_is_kept_apart() {
        let table: &[(Value, &[&str], &[&str])] = &[
            (json!("https://a.test/1,https://a.test/2"), &["https://a.test/1", "https://a.test/2"], &[]),
            (json!(["https://a.test/1,https://a.test/2"]), &["https://a.test/1,https://a.test/2"], &[]),
            (json!("[\" https://a.test/1 \"]"), &["https://a.test/1"], &[]),
            (
                json!({"Url": "https://a.test/1 https://a.test/2"}),
                &["https://a.test/1", "https://a.test/2"],
                &[],
            ),
            (json!("cdn.a.test/1,cdn.a.test/2"), &["cdn.a.test/1", "cdn.a.test/2"], &[]),
            (json!(["https://a.test/1", 7, "N/A"]), &["https://a.test/1"], &["7", "N/A"]),
            (json!("https://a.test/\u{7}"), &[], &["https://a.test/\u{7}"]),
        ];
        for (list, entries, unread) in table {
            let value = json!({ "L": list });
            let read = Fields::of(&value).unwrap().urls("L", usize::MAX);
            assert_eq!((read.entries, read.unread), (to_owned(entries), to_owned(unread)), "{list}");
        }
    }

    #[test]
    fn rows_are_found_in_every_wrap_and_a_wrong_shape_is_not_no_rows() {
        let row = json!({"Id": "1"});
        let table = [
            (json!(null), Some(0)),
            (json!([]), Some(0)),
            (json!({}), Some(0)),
            (json!({"Row": []}), Some(0)),
            (json!({"Row": null}), Some(0)),
            (json!([row, row]), Some(2)),
            (json!({"Row": [row, row]}), Some(2)),
            (json!({"Row": [row], "Total": 1}), Some(1)),
            (row.clone(), Some(1)),
            (json!({"id": "1", "Urls": []}), Some(1)),
            (json!({ "Row": row }), Some(1)),
            // An object without fields is a row that can't be read, which is for the reader of rows to say.
            (json!({"Row": {}}), Some(1)),
            (json!("x"), None),
            (json!(0), None),
            (json!(false), None),
            (json!({"Row": "x"}), None),
            (json!([row, "x"]), None),
            (json!([null]), None),
            (json!([[row]]), None),
            (json!({"Row": [row], "More": [row]}), None),
            (json!({"Name": "1", "Url": "2"}), None),
        ];
        for (shape, rows) in table {
            let value = json!({ "Rows": shape });
            let read = Fields::of(&value).unwrap().rows("Rows", "Id");
            assert_eq!(read.map(|rows| rows.len()), rows, "{shape}");
        }
    }

    fn to_owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }
}
