//! `RefreshMediaPlayUrls`: checks the parameters, makes the job, its media and their tasks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::emulator::answer::Body;
use crate::emulator::queue::store::Queue;
use crate::emulator::request::{Problem, Received};
use crate::emulator::scenario::duration::{LONGEST, later};
use crate::emulator::scenario::{MediaScript, OneByOne, SecondEnd};
use crate::emulator::state::{Done, PlannedEvent, State};
use crate::emulator::store::{Course, End, Job, MediaRow, Queries, TaskRow};
use crate::net::rng;

/// The most media of one call.
const MAX_MEDIA: usize = 20;
/// The most bytes of `UserData.Extend`.
const MAX_EXTEND: usize = 512;

/// The parameters of the call, understood.
struct Submission {
    media: Vec<String>,
    task_type: String,
    filter_policy: String,
    user_data: Option<String>,
    /// The first of `Formats`, for the ending of made-up URLs.
    ending: String,
}

/// Makes the jobs and the queue that the scenario says exist already.
pub(crate) fn open_scripted_jobs(state: &mut State) {
    if std::mem::replace(&mut state.opened, true) {
        return;
    }
    state.queue = state.scenario.queue.take().map(|script| Queue::new(script, state.now));
    for (id, job) in std::mem::take(&mut state.scenario.jobs) {
        let exists = |media: &String| {
            let script = state.script_of(media);
            !script.missing && !script.forbidden
        };
        let submission = Submission {
            media: job.media.iter().filter(|media| exists(media)).cloned().collect(),
            task_type: job.task_type,
            filter_policy: "{\"ResultType\":\"Single\",\"SliceFlag\":false}".into(),
            user_data: job.user_data,
            ending: "mp4".into(),
        };
        open_job(state, &id, submission);
    }
}

pub(super) fn refresh_media_play_urls(state: &mut State, args: &Received) -> Result<Done, Problem> {
    let mut submission = read(args)?;
    let (mut missing, mut forbidden, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
    for media in std::mem::take(&mut submission.media) {
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
        return Ok(Done::of(Body::Fields(body)));
    }
    let urls_of = |media: &String| urls_of(state, media, &state.script_of(media), &submission.ending);
    let urls = accepted.iter().map(|media| urls_of(media).len() as u64).sum();
    let object_type = object_type_of(&submission.task_type);
    state.quota_use.take(&state.scenario.quota, object_type, urls, state.now)?;
    let job_id = state.ids.job();
    body["MediaRefreshJobId"] = json!(job_id);
    let early = |media: &String| {
        let event = &state.script_of(media).event;
        event.early.filter(|_| !event.lost)
    };
    let hold = accepted.iter().filter_map(early).max().unwrap_or_default();
    let events = open_job(state, &job_id, Submission { media: accepted, ..submission });
    Ok(Done { body: Body::Fields(body), events, hold })
}

fn read(args: &Received) -> Result<Submission, Problem> {
    let ids = args.required("MediaIds")?;
    let media: Vec<String> = ids.split(',').map(|id| id.trim().to_owned()).collect();
    if media.iter().any(String::is_empty) {
        return Err(Problem::invalid_parameter("MediaIds", "an id is empty"));
    }
    if media.len() > MAX_MEDIA {
        let why = format!("{} ids, at most {MAX_MEDIA} are allowed", media.len());
        return Err(Problem::invalid_parameter("MediaIds", why));
    }
    let task_type = args.required("TaskType")?;
    args.either("TaskType", ["Refresh", "Preload"])?;
    let user_data = args.given("UserData").map(str::to_owned);
    if let Some(text) = &user_data {
        check_user_data(text)?;
    }
    let formats = list(args.given("Formats"), "Formats", &["mp4", "m3u8", "mp3", "flv", "webm", "ts"])?;
    list(args.given("StreamType"), "StreamType", &["video", "audio"])?;
    Ok(Submission {
        media,
        task_type: task_type.to_owned(),
        filter_policy: filter_policy(args)?,
        user_data,
        ending: formats.into_iter().next().unwrap_or_else(|| "mp4".into()),
    })
}

/// Reads a comma-joined list of known words.
fn list(given: Option<&str>, name: &str, known: &[&str]) -> Result<Vec<String>, Problem> {
    let words: Vec<String> =
        given.into_iter().flat_map(|g| g.split(',')).map(|w| w.trim().to_owned()).collect();
    match words.iter().find(|word| !known.contains(&word.as_str())) {
        Some(word) => Err(Problem::invalid_parameter(name, format!("{word:?} is not known"))),
        None => Ok(words),
    }
}

/// The stream filters as the service returns them: a text holding JSON, without the filters that were not set.
fn filter_policy(args: &Received) -> Result<String, Problem> {
    let mut policy = Map::new();
    for name in ["Formats", "Definitions", "StreamType"] {
        if let Some(value) = args.given(name) {
            policy.insert(name.into(), json!(value));
        }
    }
    let result_type = args.either("ResultType", ["Single", "Multiple"])?.unwrap_or("Single");
    policy.insert("ResultType".into(), json!(result_type));
    policy.insert("SliceFlag".into(), json!(args.flag("SliceFlag")?));
    if let Some(count) = args.number("SliceCount", 1..=20_u32)? {
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

/// Makes the job with its media and tasks; returns the events to come.
fn open_job(state: &mut State, job_id: &str, submission: Submission) -> Vec<PlannedEvent> {
    let now = state.now;
    let mut events = Vec::new();
    let mut rows = Vec::new();
    let shared_id = state.scenario.merge_ids_across_media.then(|| state.ids.task());
    for media in submission.media {
        let script = state.script_of(&media);
        let wait = if script.event.early.is_some() { Duration::ZERO } else { state.scenario.job_delay };
        let urls = urls_of(state, &media, &script, &submission.ending);
        let row = MediaRow {
            handed: later(now, wait),
            task_ids: task_ids_of(state, &script, urls.len(), shared_id.as_deref()),
            urls,
            hidden_lookups: script.lookup_empty_looks,
            lookups: Queries::default(),
            script,
            media,
        };
        add_tasks(state, &row, object_type_of(&submission.task_type));
        if !row.script.event.lost {
            let delay = row.script.event.delay.unwrap_or(state.scenario.event_delay);
            let early = row.script.event.early.is_some();
            let wait = if early { Duration::ZERO } else { wait.saturating_add(delay).min(LONGEST) };
            events.push(PlannedEvent { job_id: job_id.to_owned(), media: row.media.clone(), wait });
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

/// What the rows of a job's tasks are called.
fn object_type_of(task_type: &str) -> &'static str {
    if task_type == "Preload" { "preload" } else { "file" }
}

fn urls_of(state: &State, media: &str, script: &MediaScript, ending: &str) -> Vec<String> {
    if script.no_urls || script.submit_fail.is_some() {
        return Vec::new();
    }
    if !script.urls.is_empty() {
        return script.urls.clone();
    }
    let comma = if state.scenario.url_with_commas { "hd,sd," } else { "" };
    (1..=script.url_count.unwrap_or(state.scenario.urls_per_media))
        .map(|n| format!("https://media.example.test/{media}/{comma}{n}.{ending}"))
        .collect()
}

/// One entry for each URL, as the documentation has it, even where they are all the same.
fn task_ids_of(state: &mut State, script: &MediaScript, urls: usize, shared_id: Option<&str>) -> Vec<String> {
    let mut given = script.task_ids.iter().cloned();
    let mut next = || given.next().unwrap_or_else(|| state.ids.task());
    let merged = shared_id.map(str::to_owned).or_else(|| script.merged_tasks.then(&mut next));
    (0..urls).map(|_| merged.clone().unwrap_or_else(&mut next)).collect()
}

pub(super) fn add_tasks(state: &mut State, row: &MediaRow, object_type: &'static str) {
    let script = &row.script;
    // The rows of others are shown honestly.
    let of_nobody = Arc::<MediaScript>::default();
    let is_honest = script.failing_type.as_deref().is_some_and(|kind| object_type_of(kind) != object_type);
    for (place, (url, id)) in row.urls.iter().zip(&row.task_ids).enumerate() {
        let end = if is_honest {
            End::Complete
        } else if script.never_complete.holds(place) {
            End::Never
        } else if script.failed_tasks.holds(place) {
            End::Failed(script.failure().to_owned())
        } else {
            End::Complete
        };
        let jitter = state.scenario.task_jitter.mul_f64(rng::fraction(state.ids.number()));
        let task_duration = script.task_duration.unwrap_or(state.scenario.task_duration);
        let task = TaskRow {
            id: Arc::from(id.as_str()),
            url: url.clone(),
            object_type,
            created: row.handed,
            course: Course {
                pending: script.pending_for.unwrap_or(state.scenario.pending_for),
                duration: task_duration.saturating_add(jitter),
                end,
            },
            visible: later(row.handed, script.invisible_for),
            hidden_queries: script.invisible_looks,
            script: Arc::clone(script),
            shown: script.telling.rows_one_by_one == OneByOne::default(),
        };
        for n in 0..script.foreign_rows {
            let word = script.foreign_status.clone().unwrap_or_else(|| "Complete".into());
            let url = format!("https://other.example.test/{id}/{n}.mp4");
            let course = Course { end: End::Word(word), ..task.course.clone() };
            let script = Arc::clone(&of_nobody);
            state.store.add_task(TaskRow { url, course, script, shown: true, ..task.clone() });
        }
        add_rows(state, script, place, task);
    }
}

/// Adds the rows that show one task, as its script says; `honest` is the one row of a healthy media.
fn add_rows(state: &mut State, script: &MediaScript, place: usize, honest: TaskRow) {
    let telling = &script.telling;
    let first = TaskRow { url: telling.row_spelling.apply(&honest.url), ..honest };
    let second = telling.double_rows.holds(place).then(|| {
        let mut second = first.clone();
        match telling.second_ends {
            None => {}
            Some(SecondEnd::Complete) => second.course.end = End::Complete,
            Some(SecondEnd::Failed) => second.course.end = End::Failed(script.failure().to_owned()),
            Some(SecondEnd::Never) => second.course.end = End::Never,
        }
        second
    });
    state.store.add_task(first);
    second.into_iter().for_each(|row| state.store.add_task(row));
}
