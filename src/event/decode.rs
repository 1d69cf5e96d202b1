//! Events of VOD as types, and the reader of their bodies.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::client::without_byte_order_mark;
use crate::ids::{JobId, RunId};
use crate::vod::{JobRow, List, ListReader, MAX_TEXT_BYTES, RowFields, Word, WordUpTo};

/// The one event type that runs need. Others arrive at the same address. Source: "`SubmitMediaRefreshComplete`" of the VOD
/// user guide.
pub const EVENT_TYPE: &str = "SubmitMediaRefreshComplete";

/// Most task ids of one media that an event may name, and most URLs: 20 definitions and formats with 20 segments each make
/// 420, several streams of each some more.
pub(crate) const MOST_TASKS: usize = 2_000;

/// Entries of a list that are kept until it is known which of them are the same.
const MOST_NAMED: usize = 4 * MOST_TASKS;
/// More than is kept of a text in the end, so that it is known to be longer.
const TEXT_BYTES: usize = MAX_TEXT_BYTES + 8;

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
    let mut json = serde_json::Deserializer::from_slice(without_byte_order_mark(body));
    let fields = EventFields::deserialize(&mut json).and_then(|fields| json.end().map(|()| fields));
    let fields = fields.map_err(|e| BadEvent::NotJson(e.to_string()))?;
    let fields = fields.0.ok_or_else(|| BadEvent::NotJson("it is no object".into()))?;
    let Read { words, tasks, urls, correlation, .. } = fields;
    let [event_type, job, media, task_type, status, error_code, error_message, event_time] = words;
    let text = |word: Option<Word>| word.and_then(Word::text);
    let event_type = text(event_type).ok_or(BadEvent::Field("EventType"))?;
    if event_type != EVENT_TYPE {
        return Ok(Decoded::Other(event_type));
    }
    let job = job.and_then(Word::id).and_then(|id| JobId::new(id).ok());
    let row = RowFields {
        media: media.and_then(Word::id),
        task_type: text(task_type),
        status: text(status),
        tasks,
        urls,
        error_code: text(error_code),
        error_message: text(error_message),
    };
    Ok(Decoded::Refresh(Box::new(MediaRefreshEvent {
        job: job.ok_or(BadEvent::Field("MediaRefreshJobId"))?,
        row: JobRow::read(row, MOST_TASKS, |_| None),
        event_time: text(event_time).and_then(|time| time.parse().ok()),
        correlation,
        source,
        signed: source == Source::Queue,
    })))
}

/// The fields of an event that are read: texts first, in the order of [`Read::words`].
const NAMES: [&str; 11] = [
    "EventType",
    "MediaRefreshJobId",
    "MediaId",
    "TaskType",
    "Status",
    "ErrorCode",
    "ErrorMessage",
    "EventTime",
    "TaskIds",
    "SuccessPlayUrls",
    "Extend",
];
const WORDS: usize = 8;

/// What an event says, before it is known whether that makes sense.
#[derive(Debug)]
struct Read {
    words: [Option<Word>; WORDS],
    tasks: List,
    urls: List,
    correlation: Option<Correlation>,
    /// How each field was spelled that is there: `Some(None)` is as in [`NAMES`].
    spelled: [Option<Option<String>>; NAMES.len()],
}

impl Read {
    /// Whether a field counts that is spelled so. Of several with one name it is the one with the right spelling, else the
    /// first in alphabetical order; of those with one spelling it is the last.
    fn takes(&mut self, field: usize, spelling: Option<String>) -> bool {
        let spelled = &mut self.spelled[field];
        let takes = match (&*spelled, &spelling) {
            (None, _) | (_, None) => true,
            (Some(None), Some(_)) => false,
            (Some(Some(before)), Some(now)) => now <= before,
        };
        if takes {
            *spelled = Some(spelling);
        }
        takes
    }
}

/// `None` stands for JSON that is no object.
struct EventFields(Option<Read>);

impl<'de> Deserialize<'de> for EventFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = EventFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EventFields, A::Error> {
        let list = || List::up_to(MOST_NAMED);
        let (words, spelled) = Default::default();
        let mut read = Read { words, tasks: list(), urls: list(), correlation: None, spelled };
        while let Some(name) = map.next_key_seed(NameVisitor)? {
            let Some(field) = name.and_then(|(field, odd)| read.takes(field, odd).then_some(field)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match (NAMES[field], read.words.get_mut(field)) {
                (_, Some(word)) => *word = map.next_value_seed(WordUpTo(TEXT_BYTES))?,
                ("TaskIds", _) => {
                    read.tasks = list();
                    map.next_value_seed(ListReader::of_words(&mut read.tasks))?;
                }
                ("SuccessPlayUrls", _) => {
                    read.urls = list();
                    map.next_value_seed(ListReader::of_urls(&mut read.urls))?;
                }
                _ => read.correlation = map.next_value_seed(ExtendVisitor)?,
            }
        }
        Ok(EventFields(Some(read)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<EventFields, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| EventFields(None))
    }

    fn visit_unit<E>(self) -> Result<EventFields, E> {
        Ok(EventFields(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<EventFields, E> {
        Ok(EventFields(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<EventFields, E> {
        Ok(EventFields(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<EventFields, E> {
        Ok(EventFields(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<EventFields, E> {
        Ok(EventFields(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<EventFields, E> {
        Ok(EventFields(None))
    }
}

/// Reads the name of a field: its place in [`NAMES`], and its spelling where that is another. Names are compared without case
/// and outer blanks.
struct NameVisitor;

impl<'de> DeserializeSeed<'de> for NameVisitor {
    type Value = Option<(usize, Option<String>)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameVisitor {
    type Value = Option<(usize, Option<String>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        if let Some(field) = NAMES.iter().position(|known| *known == name) {
            return Ok(Some((field, None)));
        }
        let trimmed = name.trim();
        let field = NAMES.iter().position(|known| known.eq_ignore_ascii_case(trimmed));
        Ok(field.map(|field| (field, Some(name.to_owned()))))
    }
}

/// Reads our mark in `Extend`, which comes back as an object or as a string that holds one. Anything else is no mark.
struct ExtendVisitor;

impl<'de> DeserializeSeed<'de> for ExtendVisitor {
    type Value = Option<Correlation>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ExtendVisitor {
    type Value = Option<Correlation>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(serde_json::from_str(text).ok())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut mark = serde_json::Map::new();
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            match &*name {
                "run" => {
                    let run = map.next_value_seed(WordUpTo(TEXT_BYTES))?.and_then(Word::text);
                    mark.insert("run".to_owned(), run.into());
                }
                "batch" => {
                    let batch = map.next_value_seed(WordUpTo(TEXT_BYTES))?.and_then(Word::text);
                    mark.insert("batch".to_owned(), batch.and_then(|text| text.parse::<u32>().ok()).into());
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(serde_json::from_value(mark.into()).ok())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
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
