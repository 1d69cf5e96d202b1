//! Reads JSON into a tree of values: as much of it as there is room for.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A tree that is being read.
#[derive(Debug)]
pub(crate) struct Tree {
    /// For how many more elements and members there is room. The rest is read and left out.
    room: usize,
    /// How many texts, numbers and the like were left out.
    pub(crate) left_out: usize,
    /// Whether an object has one name twice. The tree has the last of the values.
    pub(crate) has_repeats: bool,
}

/// Reads a whole JSON text that has at most so many elements and members.
pub(crate) fn read(text: &[u8], room: usize) -> serde_json::Result<(Value, Tree)> {
    let mut tree = Tree::up_to(room);
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = tree.deserialize(&mut json)?;
    json.end().map(|()| (value, tree))
}

impl Tree {
    /// Has room for so many elements and members.
    pub(crate) fn up_to(room: usize) -> Self {
        Self { room, left_out: 0, has_repeats: false }
    }

    /// The value, if there was room for it before it was read: what it holds itself may have filled that up.
    fn kept(&mut self, value: Value, had_room: bool) -> Option<Value> {
        self.room = self.room.saturating_sub(1);
        self.left_out += usize::from(!had_room && !value.is_array() && !value.is_object());
        had_room.then_some(value)
    }
}

impl<'de> DeserializeSeed<'de> for &mut Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Tree {
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
            let has_room = self.room > 0;
            let Some(value) = seq.next_element_seed(&mut *self)? else { return Ok(Value::Array(values)) };
            values.extend(self.kept(value, has_room));
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let has_room = self.room > 0;
            let value = map.next_value_seed(&mut *self)?;
            if let Some(value) = self.kept(value, has_room) {
                self.has_repeats |= fields.insert(name, value).is_some();
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
    fn what_has_no_room_is_left_out_and_what_could_be_an_entry_is_counted() {
        let texts = [
            (r#"[1,"2",[3],{"a":4}]"#, 9, json!([1, "2", [3], {"a": 4}]), 0),
            (r#"[1,"2",[3],{"a":4}]"#, 1, json!([1]), 3),
            (r#"{"a":[1,2,3],"b":{},"c":4}"#, 2, json!({"a": [1, 2]}), 2),
            ("[[[1,2]],[]]", 1, json!([[[1]]]), 1),
            ("[true]", 0, json!([]), 1),
        ];
        for (text, room, value, left_out) in texts {
            let (read, tree) = read(text.as_bytes(), room).unwrap();
            assert_eq!((read, tree.left_out, tree.has_repeats), (value, left_out, false), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_noticed_at_any_depth() {
        for (text, has_repeats) in [
            (r#"{"a":1,"a":1}"#, true),
            (r#"[[{"b":{"a":1,"\u0061":2}}]]"#, true),
            (r#"{"a":{"a":1},"A":2}"#, false),
        ] {
            assert_eq!(read(text.as_bytes(), usize::MAX).unwrap().1.has_repeats, has_repeats, "{text}");
        }
    }
}
