//! A service that tells what a case says. It has nothing in common with the emulator, and checks no signature.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use vod_refresh::net::clock::{Clock, to_wire};
use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};

use super::file::{Answer, Case, Row};
use crate::cli::cloud::{QUERY_JOBS, QUERY_TASKS, SUBMIT};
use crate::support::params_of;
use crate::support::raw_server::{RawServer, Then};

/// The job of every case.
pub(super) const JOB: &str = "c5ae61bf9af1";

/// What the service knows, and how it tells it.
#[derive(Clone)]
pub(super) struct Script {
    job_rows: Vec<Row>,
    task_rows: Vec<Row>,
    /// Pages have 20 rows whatever was asked, and there is no total.
    pages_of_20: bool,
    /// The first look at a task finds it running.
    runs_once: bool,
    /// Action, number of the call counted from 1, status, body.
    instead: Option<(String, usize, u16, String)>,
}

impl Script {
    pub(super) fn of(case: &Case) -> Self {
        Self {
            job_rows: case.job_rows.clone(),
            task_rows: case.task_rows.clone(),
            pages_of_20: case.id == "V10",
            runs_once: false,
            instead: None,
        }
    }

    /// A world in which all goes well, but for one answer.
    pub(super) fn but_for(answer: &Answer) -> Self {
        let row = |fields: Value| serde_json::from_value::<Row>(fields).unwrap();
        let urls = ["https://cdn.example.test/1.mp4", "https://cdn.example.test/2.mp4"];
        let task = |id, url| row(json!({"TaskId": id, "ObjectPath": url, "Status": "Complete"}));
        let job = json!({
            "MediaId": "m1", "Status": "success", "TaskIds": "T1,T2", "SuccessPlayUrls": urls.join(","),
        });
        let body = answer.body.as_str().map_or_else(|| answer.body.to_string(), str::to_owned);
        Self {
            job_rows: vec![row(job)],
            task_rows: vec![task("T1", urls[0]), task("T2", urls[1])],
            pages_of_20: false,
            runs_once: true,
            instead: Some((answer.action.clone(), answer.nth, answer.status, body)),
        }
    }

    /// The media of the job, each once.
    pub(super) fn media(&self) -> Vec<&str> {
        let mut media: Vec<&str> = self.job_rows.iter().map(|row| row.text("MediaId")).collect();
        media.dedup();
        media
    }

    /// Whether every row of every task says that it is done.
    pub(super) fn is_all_complete(&self) -> bool {
        self.task_rows.iter().all(|row| row.text("Status") == "Complete")
    }
}

/// The service itself, from its first call on.
#[derive(Clone)]
pub(super) struct World(Arc<Inside>);

struct Inside {
    script: Script,
    clock: Arc<dyn Clock>,
    born: DateTime<Utc>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    calls: HashMap<String, usize>,
    /// When a job or task was first asked for.
    asked: HashMap<String, DateTime<Utc>>,
    /// How often a task was shown.
    shown: HashMap<String, usize>,
}

type Params = BTreeMap<String, String>;

impl World {
    pub(super) fn new(script: Script, clock: impl Clock + 'static) -> Self {
        let born = clock.now();
        Self(Arc::new(Inside { script, clock: Arc::new(clock), born, memory: Mutex::default() }))
    }

    /// Serves it on a port, as long as the test's process lives; its URL.
    pub(super) fn serve(&self) -> String {
        let world = self.clone();
        let server = RawServer::answering(move |_, request| {
            let (head, body) = request.text.split_once("\r\n\r\n").unwrap();
            let target = head.split(' ').nth(1).unwrap();
            let query = target.split_once('?').map_or("", |(_, query)| query);
            let (status, body) = world.answer(&params_of(query, body));
            let kind = if body.starts_with('{') { "application/json" } else { "text/html" };
            let length = body.len();
            Then::say(format!(
                "HTTP/1.1 {status} So\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
        });
        server.url()
    }

    pub(super) fn count(&self, action: &str) -> usize {
        self.0.memory.lock().unwrap().calls.get(action).copied().unwrap_or_default()
    }

    fn answer(&self, params: &Params) -> (u16, String) {
        let Inside { script, clock, memory, .. } = &*self.0;
        let (mut memory, now) = (memory.lock().unwrap(), clock.now());
        let action = params["Action"].as_str();
        let number = memory.calls.entry(action.to_owned()).or_default();
        *number += 1;
        if let Some((of, nth, status, body)) = &script.instead
            && (of.as_str(), *nth) == (action, *number)
        {
            return (*status, body.clone());
        }
        let body = match action {
            SUBMIT => json!({"RequestId": "r", "MediaRefreshJobId": JOB}),
            QUERY_JOBS => self.job(params, &mut memory, now),
            QUERY_TASKS => self.tasks(params, &mut memory, now),
            _ => return (400, json!({"Code": "InvalidAction.NotFound", "Message": action}).to_string()),
        };
        (200, body.to_string())
    }

    fn job(&self, params: &Params, memory: &mut Memory, now: DateTime<Utc>) -> Value {
        assert_eq!(params["MediaRefreshJobId"], JOB);
        let rows = self.0.script.job_rows.iter().filter(|row| memory.shows(JOB, row, now)).map(|row| {
            let mut fields = row.fields.clone();
            fields.insert("MediaRefreshJobId".into(), JOB.into());
            fields.insert("TaskType".into(), "Refresh".into());
            fields
        });
        json!({"RequestId": "r", "MediaRefreshJobs": rows.collect::<Vec<_>>()})
    }

    /// The rows of one task, or those that a listing's window and filters leave.
    fn tasks(&self, params: &Params, memory: &mut Memory, now: DateTime<Utc>) -> Value {
        let Inside { script, born, .. } = &*self.0;
        let created = to_wire(*born);
        let is = |name: &str, value: &str| params.get(name).is_none_or(|asked| asked == value);
        let in_window = params.get("StartTime").is_none_or(|from| *from <= created)
            && params.get("EndTime").is_none_or(|until| created <= *until);
        let mut rows = Vec::new();
        for row in &script.task_rows {
            let (task, url) = (row.text("TaskId"), row.text("ObjectPath"));
            let mut status = row.text("Status");
            if !(is("TaskId", task) && in_window && memory.shows(task, row, now)) {
                continue;
            }
            if script.runs_once && !memory.shown.contains_key(task) {
                status = "Refreshing";
            }
            if !(is("Status", status) && is("ObjectType", "file") && is("DomainName", host(url))) {
                continue;
            }
            *memory.shown.entry(task.to_owned()).or_default() += 1;
            let mut fields = row.fields.clone();
            fields.insert("Status".into(), status.into());
            fields.insert("Process".into(), if status == "Refreshing" { "50%" } else { "100%" }.into());
            fields.insert("CreationTime".into(), created.clone().into());
            fields.insert("ObjectType".into(), "file".into());
            rows.push(fields);
        }
        let number = |name: &str, default| params.get(name).map_or(default, |text| text.parse().unwrap());
        let (total, page) = (rows.len(), number("PageNumber", 1));
        let size = if script.pages_of_20 { 20 } else { number("PageSize", 20).min(50) };
        let rows: Vec<_> = rows.into_iter().skip((page - 1) * size).take(size).collect();
        let mut answer =
            json!({"RequestId": "r", "PageNumber": page, "PageSize": size, "Tasks": {"Task": rows}});
        if !script.pages_of_20 {
            answer["TotalCount"] = total.into();
        }
        answer
    }
}

impl Memory {
    /// Whether a row is there by now; `of` is the job or task that it belongs to, which is being asked for.
    fn shows(&mut self, of: &str, row: &Row, now: DateTime<Utc>) -> bool {
        let first = *self.asked.entry(of.to_owned()).or_insert(now);
        now - first >= TimeDelta::seconds(row.shown_after_s)
    }
}

fn host(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after.split('/').next().unwrap_or_default()
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl Transport for World {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let form = String::from_utf8(request.body().to_vec()).unwrap();
        let (status, body) = self.answer(&params_of(request.uri().query().unwrap_or_default(), &form));
        let answer = http::Response::builder().status(status).body(body.into()).unwrap();
        Box::pin(std::future::ready(Ok(answer)))
    }
}
