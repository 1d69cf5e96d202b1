//! Reads fields of JSON answers the way the service writes them: not always the same.
//!
//! What can't be read is never dropped in silence: a list keeps it beside its entries, and rows of a wrong shape are no
//! rows at all.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::play_url;

/// A list may be a text that holds a list as JSON. Deeper than this, somebody plays.
const MAX_TEXTS_IN_TEXTS: u8 = 4;
/// For each entry that a list may have: bytes of it that are kept although they can't be read.
const UNREAD_BYTES_AN_ENTRY: usize = 32;

/// One JSON object with forgiving access to its fields. Names are compared without case and outer blanks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

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
        Word::of(self.get(name)?)?.text()
    }

    /// An id as text, without blanks around it. A number with a point or an exponent has lost digits, so it is none.
    pub(crate) fn id(self, name: &str) -> Option<String> {
        Word::of(self.get(name)?)?.id()
    }

    /// A number, also one written as a string.
    pub(crate) fn number(self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A list of words, such as ids.
    pub(crate) fn list(self, name: &str) -> List {
        self.list_of(name, WORDS)
    }

    /// A list of playback URLs.
    pub(crate) fn urls(self, name: &str) -> List {
        self.list_of(name, URLS)
    }

    fn list_of(self, name: &str, split: Split) -> List {
        let mut list = List::up_to(usize::MAX);
        match self.get(name) {
            Some(Value::String(text)) => list.add_text(text, split, false, 0),
            Some(value) => drop(list.add(value, split, false, 0)),
            None => {}
        }
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

/// A string, number or boolean as text.
#[derive(Debug)]
pub(crate) struct Word {
    text: String,
    has_lost_digits: bool,
}

impl Word {
    fn of(value: &Value) -> Option<Self> {
        WordUpTo(usize::MAX).deserialize(value).ok().flatten()
    }

    /// As it stands; nothing if it is empty.
    pub(crate) fn text(self) -> Option<String> {
        Some(self.text).filter(|text| !text.is_empty())
    }

    /// As an id, without blanks around it. A number with a point or an exponent has lost digits, so it is none.
    pub(crate) fn id(self) -> Option<String> {
        let is_id = !self.has_lost_digits && !self.text.is_empty();
        is_id.then(|| self.text.trim().to_owned())
    }
}

/// Reads a [`Word`], of which it keeps little more than so many bytes; `None` stands for null, lists and objects.
pub(crate) struct WordUpTo(pub(crate) usize);

impl WordUpTo {
    fn word<E>(self, text: &str, has_lost_digits: bool) -> Result<Option<Word>, E> {
        let end = (self.0.min(text.len())..text.len()).find(|end| text.is_char_boundary(*end));
        let text = text[..end.unwrap_or(text.len())].to_owned();
        Ok(Some(Word { text, has_lost_digits }))
    }
}

impl<'de> DeserializeSeed<'de> for WordUpTo {
    type Value = Option<Word>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WordUpTo {
    type Value = Option<Word>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        self.word(text, false)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        self.word(if flag { "true" } else { "false" }, false)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        self.word(&number.to_string(), false)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        self.word(&number.to_string(), true)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        self.word(&Value::from(number).to_string(), true)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| None)
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
    /// An empty list that keeps at most so many entries, and so many members of objects that stand in it.
    pub(crate) fn up_to(most: usize) -> Self {
        let room_for_unread = most.saturating_mul(UNREAD_BYTES_AN_ENTRY);
        Self { entries: Vec::new(), unread: Vec::new(), named: 0, most, room_for_unread }
    }

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

    /// Adds what a JSON value holds, in any notation.
    fn add<'de>(&mut self, value: impl Deserializer<'de>, split: Split, is_element: bool, texts: u8) -> bool {
        ListReader { list: self, split, is_element, texts }.deserialize(value).is_ok()
    }

    /// Adds what a text holds: a list as JSON, or entries with separators.
    fn add_text(&mut self, text: &str, split: Split, is_element: bool, texts: u8) {
        if text.trim_start().starts_with(['[', '{']) && texts < MAX_TEXTS_IN_TEXTS {
            let before = (self.entries.len(), self.unread.len(), self.named, self.room_for_unread);
            let mut json = serde_json::Deserializer::from_str(text);
            if self.add(&mut json, split, is_element, texts + 1) && json.end().is_ok() {
                return;
            }
            self.entries.truncate(before.0);
            self.unread.truncate(before.1);
            (self.named, self.room_for_unread) = (before.2, before.3);
        }
        split(self, text, is_element);
    }
}

/// Reads a list straight from its JSON: what strangers send never stands in memory as a tree of values.
pub(crate) struct ListReader<'a> {
    list: &'a mut List,
    split: Split,
    is_element: bool,
    texts: u8,
}

impl<'a> ListReader<'a> {
    /// Reads words, such as ids.
    pub(crate) fn of_words(list: &'a mut List) -> Self {
        Self { list, split: WORDS, is_element: false, texts: 0 }
    }

    /// Reads playback URLs.
    pub(crate) fn of_urls(list: &'a mut List) -> Self {
        Self { list, split: URLS, is_element: false, texts: 0 }
    }
}

impl<'de> DeserializeSeed<'de> for ListReader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // In place of a list it stands for none; in a list, for an entry that is not told.
        if self.is_element {
            self.list.leave_unread("null".to_owned());
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.is_element && text.trim().is_empty() {
            self.list.leave_unread(format!("{text:?}"));
            return Ok(());
        }
        self.list.add_text(text, self.split, self.is_element, self.texts);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        (self.split)(self.list, &number.to_string(), self.is_element);
        Ok(())
    }

    // As in `Word::id`.
    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.list.leave_unread(number.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.list.leave_unread(Value::from(number).to_string());
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.list.leave_unread(flag.to_string());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { list, split, texts, .. } = self;
        while seq
            .next_element_seed(ListReader { list: &mut *list, split, is_element: true, texts })?
            .is_some()
        {}
        Ok(())
    }

    // An object stands for a list, never for an entry of one.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut pruning = Pruning { room: self.list.most, left_out: 0 };
        let value = (&mut pruning).visit_map(map)?;
        self.list.named += pruning.left_out;
        match Fields::of(&value).and_then(Fields::wrapped).filter(|_| !self.is_element) {
            Some(value) => self.deserialize(value).map_err(A::Error::custom),
            None => {
                self.list.leave_unread(value.to_string());
                Ok(())
            }
        }
    }
}

/// Reads a tree of values that has room for so many elements and members; the rest is left out, and counted.
struct Pruning {
    room: usize,
    left_out: usize,
}

impl Pruning {
    fn takes_one(&mut self) -> bool {
        let has_room = self.room > 0;
        self.room = self.room.saturating_sub(1);
        self.left_out += usize::from(!has_room);
        has_room
    }
}

impl<'de> DeserializeSeed<'de> for &mut Pruning {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Pruning {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            // Whether there is another one is known only when it was read, so one is read before it has its room.
            let next = match self.room {
                0 => seq.next_element::<IgnoredAny>()?.map(|_| Value::Null),
                _ => seq.next_element_seed(&mut *self)?,
            };
            let Some(value) = next else { return Ok(Value::Array(values)) };
            if self.takes_one() {
                values.push(value);
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.takes_one() {
                fields.insert(name, map.next_value_seed(&mut *self)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(fields))
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
            let read = Fields::of(&value).unwrap().list("L");
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
            let read = Fields::of(&value).unwrap().urls("L");
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
