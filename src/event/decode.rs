//! Events of VOD as types, and the reader of their bodies.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::json::Tree;
use crate::client::without_byte_order_mark;
use crate::ids::{JobId, RunId};
use crate::vod::{Fields, JobRow, RowFields};

/// The one event type that runs need. Others arrive at the same address. Source: "`SubmitMediaRefreshComplete`" of the VOD
/// user guide.
pub const EVENT_TYPE: &str = "SubmitMediaRefreshComplete";

/// Most task ids of one media that an event may name, and most URLs: 20 definitions and formats with 20 segments each make
/// 420, several streams of each some more.
pub(crate) const MOST_TASKS: usize = 2_000;

/// Entries of a list that are kept until it is known which of them are the same.
const MOST_NAMED: usize = 4 * MOST_TASKS;

/// How the tasks of a media became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Source {
    /// An event over HTTP.
    Callback,
    /// An event from a queue.
    Queue,
    /// The call `GetMediaRefreshJobs`.
    Lookup,
}

impl Source {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Queue => "queue",
            Self::Lookup => "lookup",
        }
    }
}

/// Our own mark in `UserData.Extend`. It survives a lost submit answer: the event brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Correlation {
    /// The run that submitted.
    pub run: RunId,
    /// Which batch of it, from 0.
    pub batch: u32,
}

/// One event about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MediaRefreshEvent {
    /// The job.
    pub job: JobId,
    /// The media and its tasks; `None` where the event names no media, which makes it a hint to query the job.
    pub row: Option<JobRow>,
    /// When VOD says it happened.
    pub event_time: Option<DateTime<Utc>>,
    /// Our mark, if it is there.
    pub correlation: Option<Correlation>,
    /// How it came.
    pub source: Source,
    /// Whether its sender is known: its signature was checked, or it came out of a queue, into which only those can write
    /// who have keys of the account. What it says is not proven by that.
    #[serde(default)]
    pub signed: bool,
}

impl MediaRefreshEvent {
    /// About how many bytes of memory it holds.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.job.as_str().len() + self.row.as_ref().map_or(0, JobRow::weight)
    }
}

/// What a message turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoded {
    /// An event about a job.
    Refresh(Box<MediaRefreshEvent>),
    /// An event of another type; holds the type.
    Other(String),
}

/// Why a message is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadEvent {
    /// Not a JSON object.
    NotJson(String),
    /// A field that an event must have is not there or unreadable; names it.
    Field(&'static str),
}

impl fmt::Display for BadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(why) => write!(f, "the body is no JSON object: {why}"),
            Self::Field(name) => write!(f, "the event has no readable {name}"),
        }
    }
}

impl std::error::Error for BadEvent {}

/// Reads one event as VOD sends it, whatever the order of its fields and the notation of its values. The caller limits its
/// length: [`MAX_EVENT_BYTES`](super::MAX_EVENT_BYTES). Of what a media can't have, only so much is read: 2,000 task ids, as many
/// URLs, 1,024 bytes of a text; [`JobRow::unread`](crate::vod::JobRow::unread) says what was left out of the lists. Other fields
/// are skipped, so that no sender decides how much memory an event takes.
pub fn decode(body: &[u8], source: Source) -> Result<Decoded, BadEvent> {
    let body = without_byte_order_mark(body);
    // Said here, since serde's own words would repeat what it is instead.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(BadEvent::NotJson("it is no object".into()));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_map(EventVisitor).and_then(|read| json.end().map(|()| read));
    let mut read = read.map_err(|e| BadEvent::NotJson(e.to_string()))?;
    let event = read.iter_mut().map(|(name, field)| ((*name).to_owned(), field.value.take())).collect();
    let fields = Fields(&event);
    let event_type = fields.text("EventType").ok_or(BadEvent::Field("EventType"))?;
    if event_type != EVENT_TYPE {
        return Ok(Decoded::Other(event_type));
    }
    let job = fields.id("MediaRefreshJobId").and_then(|id| JobId::new(id).ok());
    let mut row = RowFields::of(fields, MOST_NAMED);
    let left_out = |name| read.get(name).map_or(0, |field| field.left_out);
    row.tasks.named += left_out(TASKS);
    row.urls.named += left_out(URLS);
    Ok(Decoded::Refresh(Box::new(MediaRefreshEvent {
        job: job.ok_or(BadEvent::Field("MediaRefreshJobId"))?,
        row: JobRow::read(row, MOST_TASKS, |_| None),
        event_time: fields.text("EventTime").and_then(|time| time.parse().ok()),
        correlation: fields.get("Extend").and_then(mark_in),
        source,
        signed: source == Source::Queue,
    })))
}

/// Our mark in `Extend`, which comes back as an object or as a text that holds one. Anything else is no mark.
fn mark_in(extend: &Value) -> Option<Correlation> {
    if let Value::String(text) = extend {
        return serde_json::from_str(text).ok();
    }
    let fields = Fields::of(extend)?;
    let run = RunId::new(fields.text("run")?).ok()?;
    Some(Correlation { run, batch: fields.number("batch")?.try_into().ok()? })
}

const TASKS: &str = "TaskIds";
const URLS: &str = "SuccessPlayUrls";

/// The fields of an event that are read, and how many elements and members the value of each may have.
const FIELDS: [(&str, usize); 11] = [
    ("EventType", 0),
    ("MediaRefreshJobId", 0),
    ("MediaId", 0),
    ("TaskType", 0),
    ("Status", 0),
    ("ErrorCode", 0),
    ("ErrorMessage", 0),
    ("EventTime", 0),
    (TASKS, MOST_NAMED),
    (URLS, MOST_NAMED),
    ("Extend", 100),
];

/// A field that was read.
struct Field {
    /// Whether its name is spelled in another way, and how.
    spelling: (bool, String),
    value: Value,
    /// How much of its list there was no room for.
    left_out: usize,
}

/// Reads the fields of an event by their names. Names are compared without case and outer blanks. Of several fields with one name
/// the one with the right spelling counts, else the first in alphabetical order; of those with one spelling the last one does.
struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = BTreeMap<&'static str, Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut read: Self::Value = BTreeMap::new();
        while let Some(spelled) = map.next_key::<String>()? {
            let known = FIELDS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(spelled.trim()));
            let known = known.map(|(name, room)| (name, room, (name != spelled, spelled)));
            match known {
                Some((name, room, spelling))
                    if read.get(name).is_none_or(|before| spelling <= before.spelling) =>
                {
                    let mut tree = Tree::up_to(room);
                    let value = map.next_value_seed(&mut tree)?;
                    read.insert(name, Field { spelling, value, left_out: tree.left_out });
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vod::{SubmissionStatus, TaskType};

    fn event(body: &str) -> MediaRefreshEvent {
        match decode(body.as_bytes(), Source::Callback).unwrap() {
            Decoded::Refresh(event) => *event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_vendors_success_sample_names_its_task() {
        let event = event(include_str!("../../tests/fixtures/events/success.json"));
        let row = event.row.unwrap();
        assert_eq!(event.job.as_str(), "c5ae61bf9af1****");
        assert_eq!((row.status, row.task_type), (SubmissionStatus::Success, Some(TaskType::Refresh)));
        assert_eq!(row.tasks.len(), 1);
        assert!(row.urls.len() == 1 && row.urls[0].ends_with(".mp4"));
    }

    #[test]
    fn the_vendors_failure_sample_has_neither_urls_nor_tasks() {
        let row = event(include_str!("../../tests/fixtures/events/fail.json")).row.unwrap();
        assert_eq!(row.status, SubmissionStatus::Fail);
        assert_eq!(row.error_code.as_deref(), Some("InvalidDomain.NotFound"));
        assert!(row.tasks.is_empty() && row.urls.is_empty());
    }

    #[test]
    fn what_cannot_be_read_of_an_events_lists_is_quoted() {
        let lists = r#""TaskIds":"1;2 3","SuccessPlayUrls":["https://h/a,b", 4]"#;
        let body = format!(
            "\u{feff}{{\"EventType\":\"{EVENT_TYPE}\",\"MediaRefreshJobId\":\"J\",\"MediaId\":\"m\",{lists}}}"
        );
        let row = event(&body).row.unwrap();
        assert_eq!((row.tasks.len(), row.urls), (3, vec!["https://h/a,b".to_owned()]));
        assert_eq!(row.unread.as_deref(), Some("4"));
    }

    #[test]
    fn our_mark_is_found_in_either_dress() {
        let mark = Correlation { run: RunId::new("r1").unwrap(), batch: 3 };
        for extend in [r#"{"run":"r1","batch":3,"text":"x"}"#, r#""{\"run\":\"r1\",\"batch\":3}""#] {
            let body = format!(
                r#"{{"EventType":"{EVENT_TYPE}","MediaRefreshJobId":"J","MediaId":"m","Status":"success","Extend":{extend}}}"#
            );
            assert_eq!(event(&body).correlation.as_ref(), Some(&mark));
        }
    }

    #[test]
    fn of_fields_that_are_there_twice_the_right_spelling_counts_and_of_these_the_last() {
        let media = |fields: &str| {
            event(&format!(r#"{{"EventType":"{EVENT_TYPE}","MediaRefreshJobId":"J",{fields}}}"#))
                .row
                .map(|row| row.media.to_string())
        };
        for (fields, taken) in [
            (r#""MediaId":"a","MediaId":"b""#, Some("b")),
            (r#""MediaId":"a","mediaid":"b""#, Some("a")),
            (r#""mediaid":"a","MediaId":"b""#, Some("b")),
            (r#""mediaid":"a","MEDIAID":"b""#, Some("b")),
            (r#"" MediaId ":"a","MEDIAID":"b""#, Some("a")),
            (r#""mediaid":"a","MediaId":null"#, None),
            (r#""mediaid":"a","\u004dediaId":"b""#, Some("b")),
        ] {
            assert_eq!(media(fields).as_deref(), taken, "{fields}");
        }
    }

    #[test]
    fn fields_that_are_not_read_are_skipped_whatever_they_hold() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let many = vec!["{}"; 100_000].join(",");
        let odd =
            format!(r#""New":{deep},"More":{{"TaskIds":"2","a":[{many}]}},"MediaId":"m","TaskIds":[1]"#);
        let row =
            event(&format!(r#"{{"EventType":"{EVENT_TYPE}","MediaRefreshJobId":"J",{odd}}}"#)).row.unwrap();
        assert_eq!((row.tasks.len(), row.tasks[0].as_str(), row.unread), (1, "1", None));
    }

    #[test]
    fn lists_without_end_take_little_and_what_was_left_out_is_told() {
        let many = |entry: &str| vec![entry; 50_000].join(",");
        for (lists, told) in [
            (format!(r#""TaskIds":["1",{}]"#, many("\"1\"")), "50001 task ids, of which 1 are taken"),
            (format!(r#""TaskIds":[{}]"#, many("{}")), "{} {} {}"),
            (format!(r#""TaskIds":{{"a":[{}]}}"#, many("1")), "50000 task ids, of which 1 are taken"),
            (format!(r#""TaskIds":"{}""#, many(r"\u0007")), "50000 task ids, of which 0 are taken \\u{7}"),
            (
                format!(r#""SuccessPlayUrls":[{}]"#, many("\"a.test/1\"")),
                "50000 URLs, of which 2000 are taken",
            ),
        ] {
            let mark = r#""MediaRefreshJobId":"J","MediaId":"m""#;
            let row = event(&format!(r#"{{"EventType":"{EVENT_TYPE}",{mark},{lists}}}"#)).row.unwrap();
            assert!(row.tasks.len() <= 1 && row.urls.len() <= MOST_TASKS);
            assert!(row.unread.as_ref().is_some_and(|unread| unread.starts_with(told)), "{:?}", row.unread);
        }
    }

    #[test]
    fn strangers_and_nonsense_are_told_apart() {
        let other = decode(br#"{"EventType":"FileUploadComplete","Size":12}"#, Source::Queue).unwrap();
        assert_eq!(other, Decoded::Other("FileUploadComplete".into()));
        for body in ["", "[]", "null", "{", "\u{0}"] {
            assert!(matches!(decode(body.as_bytes(), Source::Queue), Err(BadEvent::NotJson(_))), "{body}");
        }
        assert_eq!(decode(b"{}", Source::Queue), Err(BadEvent::Field("EventType")));
        let no_job = format!(r#"{{"EventType":"{EVENT_TYPE}"}}"#);
        assert_eq!(decode(no_job.as_bytes(), Source::Queue), Err(BadEvent::Field("MediaRefreshJobId")));
    }

    #[test]
    fn lists_are_read_up_to_their_limit_and_the_rest_is_told() {
        let body = |tasks: usize| {
            let list = |form: fn(usize) -> String| (0..tasks).map(form).collect::<Vec<_>>().join(",");
            let (ids, urls) = (list(|n| format!("T{n}")), list(|n| format!("https://a.test/{n}")));
            let lists = format!(r#""TaskIds":"{ids},T0","SuccessPlayUrls":"{urls}""#);
            format!(r#"{{"EventType":"{EVENT_TYPE}","MediaRefreshJobId":"J","MediaId":"m",{lists}}}"#)
        };
        let row = event(&body(MOST_TASKS)).row.unwrap();
        assert_eq!((row.tasks.len(), row.urls.len(), row.unread), (MOST_TASKS, MOST_TASKS, None));
        let row = event(&body(MOST_TASKS + 1)).row.unwrap();
        assert_eq!((row.tasks.len(), row.urls.len()), (MOST_TASKS, MOST_TASKS));
        let told = "2002 task ids, of which 2000 are taken 2001 URLs, of which 2000 are taken";
        assert_eq!(row.unread.as_deref(), Some(told));
    }
}
