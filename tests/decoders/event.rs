//! The body of a callback, or what a queue's message held.

use std::collections::HashSet;

use serde_json::json;

use crate::event::{BadEvent, Decoded, EVENT_TYPE, MediaRefreshEvent, Source, decode};
use crate::ids::{JobId, MediaId, TaskId};
use crate::vod::{JobRow, SubmissionStatus};

/// Decodes an event.
pub fn event(bytes: &[u8]) {
    match decode(bytes, Source::Callback) {
        Ok(Decoded::Refresh(event)) => check(&event, bytes.len()),
        Ok(Decoded::Other(event_type)) => {
            assert!(!event_type.is_empty() && event_type != EVENT_TYPE);
        }
        Err(BadEvent::NotJson(why)) => {
            assert!(why.len() < 200, "an error stays small, whatever the body: {why}");
            assert!(why.contains("line") && why.contains("column") || why == "it is no object", "{why}");
        }
        Err(BadEvent::Field(name)) => assert!(["EventType", "MediaRefreshJobId"].contains(&name)),
    }
}

fn check(event: &MediaRefreshEvent, length: usize) {
    assert_eq!(JobId::new(event.job.as_str()).as_ref(), Ok(&event.job));
    // The journal writes it down, and another run reads it.
    let written = serde_json::to_string(event).unwrap_or_default();
    assert_eq!(serde_json::from_str::<MediaRefreshEvent>(&written).ok().as_ref(), Some(event), "{written}");
    let Some(row) = &event.row else { return };
    check_row(row, length);
    // The service could have sent it in this form as well.
    let plain = json!({
        "EventType": EVENT_TYPE,
        "MediaRefreshJobId": event.job,
        "MediaId": row.media,
        "TaskType": row.task_type.map(|task_type| task_type.as_str()),
        "Status": match &row.status {
            SubmissionStatus::Success => Some("success"),
            SubmissionStatus::Fail => Some("fail"),
            SubmissionStatus::Pending(word) => word.as_deref(),
        },
        "TaskIds": row.tasks.iter().map(TaskId::as_str).collect::<Vec<_>>().join(","),
        "SuccessPlayUrls": row.urls,
        "ErrorCode": row.error_code,
        "ErrorMessage": row.error_message,
        "EventTime": event.event_time,
        "Extend": event.correlation,
    });
    let again = decode(plain.to_string().as_bytes(), event.source);
    // What could not be read can't be written in another form.
    let wanted = MediaRefreshEvent { row: Some(JobRow { unread: None, ..row.clone() }), ..event.clone() };
    assert_eq!(again, Ok(Decoded::Refresh(Box::new(wanted))));
}

/// What every row promises, in events and lookups.
pub(super) fn check_row(row: &JobRow, length: usize) {
    assert_eq!(MediaId::new(row.media.as_str()).as_ref(), Ok(&row.media));
    let mut seen = HashSet::new();
    for task in &row.tasks {
        assert_eq!(TaskId::new(task.as_str()).as_ref(), Ok(task));
        assert!(seen.insert(task), "{task} twice");
    }
    assert!(row.tasks.len() <= length);
    let bytes: usize = row.urls.iter().map(String::len).sum();
    assert!(bytes <= length, "{bytes} bytes of URLs out of {length}");
    row.unread.iter().for_each(|text| check_quotation(text));
}

/// What is quoted of a sender's text is short and stays on its line.
pub(super) fn check_quotation(text: &str) {
    assert!(!text.is_empty() && text.chars().count() <= 80 && !text.contains(char::is_control), "{text:?}");
}
