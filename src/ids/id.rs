//! The types of the ids.
//!
//! An id in one of these types is never empty and never holds blanks, commas or control characters: commas
//! separate ids on the wire, and an empty `TaskId` would ask `DescribeVodRefreshTasks` about everybody's tasks.
//! Clones are cheap: the text is shared.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest id that is accepted, in bytes, other than that of a task. The service's own ids have 32 or fewer.
pub const MAX_ID_BYTES: usize = 64;
/// Longest task id that is accepted, in bytes. Users never give one, and one that were refused for its length would leave
/// its media without a verdict.
pub const MAX_TASK_ID_BYTES: usize = 256;

/// Why a text is not an id, as words that follow it: `has a comma in it`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId(String);

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidId {}

fn check(text: &str, limit: usize) -> Result<(), InvalidId> {
    let fault = |c: char| match c {
        ',' => Some("has a comma in it".to_owned()),
        // Tab and line breaks are both: "blank" is the word a user understands.
        c if c.is_whitespace() || c == '\u{feff}' => Some("has a blank in it".to_owned()),
        c if c.is_control() => Some(format!("has the control character U+{:04X} in it", u32::from(c))),
        _ => None,
    };
    let why = match text.chars().find_map(fault) {
        None if text.is_empty() => "is empty".to_owned(),
        None if text.len() > limit => format!("has {} bytes, the limit is {limit}", text.len()),
        None => return Ok(()),
        Some(why) => why,
    };
    Err(InvalidId(why))
}

/// Checks a text that a person gave, more strictly than what the service says: the service makes its ids of ASCII letters and
/// digits, and a media that was registered from elsewhere may have `-`, `_` and `.` in it.
pub(super) fn check_given(text: &str, limit: usize) -> Result<(), InvalidId> {
    check(text, limit)?;
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(c) = text.chars().find(|c| !plain(c)) {
        let shown =
            if c.is_ascii() { format!("`{c}`") } else { format!("the character U+{:04X}", u32::from(c)) };
        return Err(InvalidId(format!("has {shown} in it, which no id has")));
    }
    // What programs write where there is no id; and rulers.
    let nothing = ["null", "none", "nil", "undefined", "nan"];
    let is_word = nothing.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_word || !text.contains(|c: char| c.is_ascii_alphanumeric()) {
        return Err(InvalidId("is no id".to_owned()));
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $limit:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text that is an id, or says why it is none.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] for an empty text, blanks, commas, control characters or more than
            #[doc = concat!("[`", stringify!($limit), "`] bytes.")]
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                check(text, $limit)?;
                Ok(Self(Arc::from(text)))
            }

            /// The id as the service writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

id! {
    /// Id of a media in ApsaraVideo VOD (`MediaId`, elsewhere `VideoId`).
    MediaId, MAX_ID_BYTES
}
id! {
    /// Id of a submitted refresh job (`MediaRefreshJobId`). One job holds up to 20 media.
    JobId, MAX_ID_BYTES
}
id! {
    /// Id of a CDN task (`TaskId`). One media has several; one id may have several rows.
    TaskId, MAX_TASK_ID_BYTES
}
id! {
    /// Id of one run of this tool, a time-ordered UUID. It goes out in `UserData.Extend`.
    RunId, MAX_ID_BYTES
}
id! {
    /// Id that the service gives each request (`RequestId`); its support asks for it.
    RequestId, MAX_ID_BYTES
}

impl RunId {
    /// A fresh, time-ordered id.
    pub fn fresh() -> Self {
        Self(Arc::from(uuid::Uuid::now_v7().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_the_wire_cannot_carry() {
        let long = "a".repeat(65);
        let table: &[(&str, &str)] = &[
            ("", "is empty"),
            ("a b", "has a blank in it"),
            (" a", "has a blank in it"),
            ("a\n", "has a blank in it"),
            ("a\u{feff}", "has a blank in it"),
            ("a,b", "has a comma in it"),
            ("a\u{7}", "has the control character U+0007 in it"),
            (&long, "has 65 bytes, the limit is 64"),
        ];
        for (text, why) in table {
            assert_eq!(MediaId::new(text).unwrap_err().to_string(), *why, "{text:?}");
        }
    }

    #[test]
    fn ids_keep_their_text() {
        let longest = "é".repeat(32);
        for text in ["m1", "ca3a8f6e4957b658067095869aaaa", longest.as_str()] {
            assert_eq!(MediaId::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn ids_of_tasks_may_have_256_bytes() {
        let longest = "1".repeat(256);
        assert_eq!(TaskId::new(&longest).unwrap().as_str(), longest);
        let too_long = TaskId::new(longest + "1").unwrap_err();
        assert_eq!(too_long.to_string(), "has 257 bytes, the limit is 256");
    }
}
