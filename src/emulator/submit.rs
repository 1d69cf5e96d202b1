//! `RefreshMediaPlayUrls`: checks the parameters, makes the job, its media and their tasks.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::answer::Problem;
use super::media::MediaScript;
use super::state::{Done, PlannedEvent, State};
use super::store::{Course, End, Job, MediaRow, TaskRow};
use super::telling::{self, Looks, OneByOne};
use crate::auth::rpc::Params;
use crate::net::rng;

/// Media in one call.
const MAX_MEDIA: usize = 20;
/// Bytes of `UserData.Extend`.
const MAX_EXTEND: usize = 512;

/// The call, understood.
pub(super) struct Submission {
    pub(super) media: Vec<String>,
    pub(super) task_type: String,
    pub(super) filter_policy: String,
    pub(super) user_data: Option<String>,
    /// The first of `Formats`, for the ending of made-up URLs.
    pub(super) ending: String,
}

pub(super) fn refresh_media_play_urls(
    state: &mut State,
    params: &Params,
    now: DateTime<Utc>,
) -> Result<Done, Problem> {
    let submission = read(params)?;
    let (mut missing, mut forbidden, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
    for media in submission.media.iter().cloned() {
        let script = state.script_of(&media);
        match (script.missing, script.forbidden) {
            (true, _) => missing.push(media),
            (_, true) => forbidden.push(media),
            _ => accepted.push(media),
        }
    }
    let mut body = json!({});
    for (name, ids) in [("NonExistMediaIds", missing), ("ForbiddenMediaIds", forbidden)] {
        if !ids.is_empty() {
            body[name] = json!(ids.join(","));
        }
    }
    if accepted.is_empty() {
        return Ok(Done::of(body));
    }
    let urls = accepted.iter().map(|media| url_count(state, &state.script_of(media)) as u64).sum();
    state.spent.take(&state.scenario.quota, &submission.task_type, urls, now)?;
    let job_id = state.ids.job();
    body["MediaRefreshJobId"] = json!(job_id);
    let events = open_job(state, &job_id, Submission { media: accepted, ..submission }, now);
    let hold = events.iter().filter_map(|event| event.hold_the_answer).max().unwrap_or_default();
    Ok(Done { body, events, hold })
}

fn read(params: &Params) -> Result<Submission, Problem> {
    let given = |name: &str| params.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let ids = given("MediaIds").ok_or_else(|| Problem::missing("MediaIds"))?;
    let media: Vec<String> = ids.split(',').map(|id| id.trim().to_owned()).collect();
    if media.iter().any(String::is_empty) {
        return Err(Problem::invalid_parameter("MediaIds", "an id is empty"));
    }
    if media.len() > MAX_MEDIA {
        let why = format!("{} ids, at most {MAX_MEDIA} are allowed", media.len());
        return Err(Problem::invalid_parameter("MediaIds", &why));
    }
    let task_type = given("TaskType").ok_or_else(|| Problem::missing("TaskType"))?;
    if !["Refresh", "Preload"].contains(&task_type) {
        return Err(Problem::invalid_parameter("TaskType", "it is neither Refresh nor Preload"));
    }
    let user_data = given("UserData").map(str::to_owned);
    if let Some(text) = &user_data {
        check_user_data(text)?;
    }
    let formats = list(given("Formats"), "Formats", &["mp4", "m3u8", "mp3", "flv", "webm", "ts"])?;
    list(given("StreamType"), "StreamType", &["video", "audio"])?;
    Ok(Submission {
        media,
        task_type: task_type.to_owned(),
        filter_policy: filter_policy(&given)?,
        user_data,
        ending: formats.into_iter().next().unwrap_or_else(|| "mp4".into()),
    })
}

/// A comma-joined list of known words.
fn list(given: Option<&str>, name: &str, known: &[&str]) -> Result<Vec<String>, Problem> {
    let words: Vec<String> =
        given.into_iter().flat_map(|g| g.split(',')).map(|w| w.trim().to_owned()).collect();
    match words.iter().find(|word| !known.contains(&word.as_str())) {
        Some(word) => Err(Problem::invalid_parameter(name, &format!("{word:?} is not known"))),
        None => Ok(words),
    }
}

/// The stream filters as the service echoes them: a text holding JSON, with what was not set left out.
fn filter_policy<'a>(given: &impl Fn(&str) -> Option<&'a str>) -> Result<String, Problem> {
    let mut policy = Map::new();
    for name in ["Formats", "Definitions", "StreamType"] {
        if let Some(value) = given(name) {
            policy.insert(name.into(), json!(value));
        }
    }
    let result_type = given("ResultType").unwrap_or("Single");
    if !["Single", "Multiple"].contains(&result_type) {
        return Err(Problem::invalid_parameter("ResultType", "it is neither Single nor Multiple"));
    }
    policy.insert("ResultType".into(), json!(result_type));
    // The vendor's Python SDK writes its own `True`.
    let slice_flag = match given("SliceFlag").map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::invalid_parameter("SliceFlag", "it is neither true nor false")),
    };
    policy.insert("SliceFlag".into(), json!(slice_flag));
    if let Some(text) = given("SliceCount") {
        let Some(count) = text.parse::<u32>().ok().filter(|count| (1..=20).contains(count)) else {
            return Err(Problem::invalid_parameter("SliceCount", "it is no number from 1 to 20"));
        };
        policy.insert("SliceCount".into(), json!(count));
    }
    Ok(Value::Object(policy).to_string())
}

fn check_user_data(text: &str) -> Result<(), Problem> {
    let wrong = |why: &str| Err(Problem::invalid_parameter("UserData", why));
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return wrong("it is no JSON object");
    };
    let bytes = match fields.get("Extend") {
        None => 0,
        Some(Value::String(text)) => text.len(),
        Some(other) => other.to_string().len(),
    };
    if bytes > MAX_EXTEND {
        return wrong(&format!("Extend has {bytes} bytes, at most {MAX_EXTEND} are allowed"));
    }
    Ok(())
}

/// Makes the job with its media and tasks; gives back the events to come.
pub(super) fn open_job(
    state: &mut State,
    job_id: &str,
    submission: Submission,
    now: DateTime<Utc>,
) -> Vec<PlannedEvent> {
    let mut events = Vec::new();
    let mut rows = Vec::new();
    let shared_id = state.scenario.merge_ids_across_media.then(|| state.ids.task());
    for media in submission.media {
        let script = state.script_of(&media);
        let wait = if script.event.early.is_some() { Duration::ZERO } else { state.scenario.job_delay };
        let urls = urls_of(state, &media, &script, &submission.ending);
        let row = MediaRow {
            handed: now + wait,
            task_ids: task_ids_of(state, &script, urls.len(), shared_id.as_deref()),
            urls,
            hidden_looks: script.lookup_empty_looks,
            looks: Looks::default(),
            script,
            media,
        };
        let object_type = if submission.task_type == "Preload" { "preload" } else { "file" };
        add_tasks(state, &row, object_type);
        if !row.script.event.lost {
            let delay = row.script.event.delay.unwrap_or(state.scenario.event_delay);
            let early = row.script.event.early;
            events.push(PlannedEvent {
                job_id: job_id.to_owned(),
                media: row.media.clone(),
                wait: if early.is_some() { Duration::ZERO } else { wait + delay },
                hold_the_answer: early,
            });
        }
        rows.push(row);
    }
    let job = Job {
        task_type: submission.task_type,
        filter_policy: submission.filter_policy,
        user_data: submission.user_data,
        created: now,
        media: rows,
    };
    state.store.jobs.insert(job_id.to_owned(), job);
    events
}

/// How many URLs a media has: as many as [`urls_of`] gives.
fn url_count(state: &State, script: &MediaScript) -> usize {
    match script {
        _ if script.no_urls || script.submit_fail.is_some() => 0,
        _ if !script.urls.is_empty() => script.urls.len(),
        _ => script.url_count.unwrap_or(state.scenario.urls_per_media),
    }
}

fn urls_of(state: &State, media: &str, script: &MediaScript, ending: &str) -> Vec<String> {
    if script.no_urls || script.submit_fail.is_some() {
        return Vec::new();
    }
    if !script.urls.is_empty() {
        return script.urls.clone();
    }
    let comma = if state.scenario.url_with_commas { "hd,sd," } else { "" };
    (1..=url_count(state, script))
        .map(|n| format!("https://media.example.test/{media}/{comma}{n}.{ending}"))
        .collect()
}

fn task_ids_of(state: &mut State, script: &MediaScript, urls: usize, shared_id: Option<&str>) -> Vec<String> {
    let mut given = script.task_ids.iter().cloned();
    let merged = match (shared_id, script.merged_tasks) {
        (Some(id), _) => Some(id.to_owned()),
        (None, true) => Some(given.next().unwrap_or_else(|| state.ids.task())),
        (None, false) => None,
    };
    (0..urls)
        .map(|_| match &merged {
            // One entry for each URL, as the documentation has it, even where they are all the same.
            Some(id) => id.clone(),
            None => given.next().unwrap_or_else(|| state.ids.task()),
        })
        .collect()
}

fn add_tasks(state: &mut State, row: &MediaRow, object_type: &'static str) {
    let script = &row.script;
    // Nothing is told otherwise than it is of the rows of others.
    let of_nobody = Arc::<MediaScript>::default();
    for (place, (url, id)) in row.urls.iter().zip(&row.task_ids).enumerate() {
        let end = if script.never_complete.holds(place) {
            End::Never
        } else if script.failed_tasks.holds(place) {
            End::Failed(script.failure().to_owned())
        } else {
            End::Complete
        };
        let jitter = state.scenario.task_jitter.mul_f64(rng::fraction(state.ids.number()));
        let task = TaskRow {
            id: Arc::from(id.as_str()),
            url: url.clone(),
            object_type,
            created: row.handed,
            course: Course {
                pending: script.pending_for.unwrap_or(state.scenario.pending_for),
                duration: script.task_duration.unwrap_or(state.scenario.task_duration) + jitter,
                end,
            },
            visible: row.handed + TimeDelta::from_std(script.invisible_for).unwrap_or(TimeDelta::MAX),
            hidden_looks: script.invisible_looks,
            script: Arc::clone(script),
            told: script.telling.rows_one_by_one == OneByOne::default(),
        };
        for n in 0..script.foreign_rows {
            let word = script.foreign_status.clone().unwrap_or_else(|| "Complete".into());
            let url = format!("https://other.example.test/{id}/{n}.mp4");
            let course = Course { end: End::Word(word), ..task.course.clone() };
            let script = Arc::clone(&of_nobody);
            state.store.add_task(TaskRow { url, course, script, told: true, ..task.clone() });
        }
        telling::task_rows(script, place, task).for_each(|row| state.store.add_task(row));
    }
}
