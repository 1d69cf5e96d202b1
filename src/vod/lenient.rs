//! Reads fields of JSON answers the way the service writes them: not always the same.

use serde_json::{Map, Value};

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
        self.get(name).and_then(text).filter(|text| !text.is_empty())
    }

    /// A number, also one written as a string.
    pub(crate) fn number(self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// An array of texts or a comma list; trimmed, without empty entries.
    pub(crate) fn list(self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(values)) => values
                .iter()
                .filter_map(text)
                .map(|t| t.trim().to_owned())
                .filter(|t| !t.is_empty())
                .collect(),
            Some(value) => text(value).map(|text| comma_list(&text)).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// A list kept as one comma-joined text, for entries that may hold commas themselves.
    pub(crate) fn joined(self, name: &str) -> String {
        match self.get(name) {
            Some(Value::Array(values)) => values.iter().filter_map(text).collect::<Vec<_>>().join(","),
            Some(value) => text(value).unwrap_or_default(),
            None => String::new(),
        }
    }
}

/// The entries of a comma list, trimmed, without empty ones.
pub(crate) fn comma_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_any_dress() {
        let value = serde_json::json!({
            "TotalCount": "120", "pageSize": 50, " TaskIds": "1, 2,,3 ", "Ids": [1, "2", null, " "], "Null": null, "E": ""
        });
        let fields = Fields::of(&value).unwrap();
        assert_eq!(fields.number("TotalCount"), Some(120));
        assert_eq!(fields.number("PageSize"), Some(50));
        assert_eq!(fields.list("TaskIds"), ["1", "2", "3"]);
        assert_eq!(fields.list("Ids"), ["1", "2"]);
        assert_eq!(fields.text("Null"), None);
        assert_eq!(fields.text("E"), None);
        assert_eq!(fields.number("Ids"), None);
        assert!(Fields::of(&serde_json::json!([])).is_none());
    }
}
