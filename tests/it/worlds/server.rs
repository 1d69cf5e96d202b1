//! The server of a world: it reads requests and writes answers with none of the crate's own code for either. It
//! checks no signatures.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;
use vod_refresh::EventReceiver;
use vod_refresh::net::clock::{Clock as _, TimerClock};
use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};

use super::behaviour::Lookups;
use super::world::{BATCH, Fate, World};
use super::{answers, events, proxies};
use crate::support::action::{QUERY_JOBS, QUERY_TASKS, SUBMIT};
use crate::support::random::Rng;

/// Parameters that a log has: those that say what is asked for.
const TOLD: [&str; 11] = [
    "MediaIds",
    "MediaRefreshJobId",
    "MediaId",
    "TaskId",
    "StartTime",
    "EndTime",
    "PageNumber",
    "PageSize",
    "ObjectType",
    "DomainName",
    "Status",
];

/// The job of others that is waited for.
pub(super) const JOB_OF_OTHERS: &str = "job-0";

/// What a request asks, in its order.
pub(super) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    fn of(query: &'a str, form: &'a str) -> Self {
        Self([query, form].into_iter().flat_map(|text| form_urlencoded::parse(text.as_bytes())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(one, _)| one == name).map(|(_, value)| &**value)
    }
}

/// What goes back: a status, a header `Location`, a body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<&'static str>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn ok(body: &Value) -> Self {
        Self { status: 200, location: None, body: body.to_string().into_bytes() }
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        let body = json!({ "Code": code, "Message": "told so", "RequestId": "r-1", "HostId": "vod" });
        Self { status, ..Self::ok(&body) }
    }
}

pub(super) struct Server {
    pub(super) world: Arc<World>,
    pub(super) clock: TimerClock,
    start: Instant,
    receiver: Option<Arc<EventReceiver>>,
    state: Mutex<State>,
}

/// What changes with the calls.
pub(super) struct State {
    pub(super) rng: Rng,
    /// When the job of each batch was made.
    pub(super) made: Vec<Option<Duration>>,
    pub(super) proxies: proxies::State,
    /// The timestamp of the last honest event; at first, of one that told of another job.
    pub(super) captured: i64,
    /// Looks at each task so far.
    pub(super) looks: Vec<u32>,
    calls: usize,
    log: Option<Vec<String>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("seed", &self.world.seed).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(
        world: Arc<World>,
        clock: TimerClock,
        receiver: Option<EventReceiver>,
        is_logged: bool,
    ) -> Arc<Self> {
        let batches = world.media.len().div_ceil(BATCH);
        let is_made = world.kind == super::world::Kind::Wait;
        let state = State {
            rng: Rng(world.seed ^ 0x7e11),
            made: vec![is_made.then_some(Duration::ZERO); batches],
            proxies: proxies::State::default(),
            captured: clock.now().timestamp(),
            looks: vec![0; world.tasks.len()],
            calls: 0,
            log: is_logged.then(Vec::new),
        };
        let receiver = receiver.map(Arc::new);
        Arc::new(Self { world, clock, start: Instant::now(), receiver, state: Mutex::new(state) })
    }

    /// When the job of each batch was made, the number of calls, and what was told.
    pub(super) fn told(&self) -> (Vec<Option<Duration>>, usize, Vec<String>) {
        let state = self.state.lock().unwrap();
        (state.made.clone(), state.calls, state.log.clone().unwrap_or_default())
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn answer(self: &Arc<Self>, params: &Params<'_>) -> Answer {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        let action = params.get("Action").unwrap_or_default();
        let answer = match proxies::answer(&mut state, &self.world.behaviour, action, params) {
            Some(answer) => answer,
            None => match action {
                SUBMIT => self.submit(&mut state, params),
                QUERY_JOBS => match self.world.behaviour.lookups {
                    Lookups::Refused => Answer::error(403, "Forbidden.RAM"),
                    _ => Answer::ok(&answers::jobs(self, &mut state, params)),
                },
                QUERY_TASKS => answers::tasks(self, &mut state, params),
                _ => Answer::error(404, "InvalidAction.NotFound"),
            },
        };
        self.log(&mut state, || {
            let text = String::from_utf8_lossy(&answer.body);
            let mut told: Vec<_> = params.0.iter().filter(|(name, _)| TOLD.contains(&&**name)).collect();
            told.sort();
            let asked: Vec<String> =
                told.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{action} {}\n      {} {text}", asked.join(" "), answer.status)
        });
        answer
    }

    fn log(&self, state: &mut State, line: impl FnOnce() -> String) {
        if let Some(log) = &mut state.log {
            log.push(format!("{:>8.1?} {}", self.start.elapsed(), line()));
        }
    }

    fn submit(self: &Arc<Self>, state: &mut State, params: &Params<'_>) -> Answer {
        let asked: Vec<&str> = params.get("MediaIds").map(|ids| ids.split(',').collect()).unwrap_or_default();
        let batch = asked.first().map_or(0, |id| self.world.place(id)) / BATCH;
        let job = format!("job-{batch}");
        if state.made[batch].is_none() {
            state.made[batch] = Some(self.now());
            let extend = params
                .get("UserData")
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .map_or(Value::Null, |user_data| user_data["Extend"].clone());
            self.send_events(batch, &job, &extend);
        }
        let with = |fate: Fate| -> Vec<&str> {
            self.world
                .batch(batch)
                .filter(|media| media.fate == fate)
                .map(|media| media.id.as_str())
                .collect()
        };
        let mut missing = with(Fate::Missing);
        if missing.is_empty() && self.world.behaviour.junk_refusals {
            missing.push("nobody-asked");
        }
        let mut body = json!({ "RequestId": "r-1" });
        let forbidden = with(Fate::Forbidden);
        if missing.len() + forbidden.len() < asked.len() || self.world.behaviour.junk_refusals {
            body["MediaRefreshJobId"] = json!(job);
        }
        if !missing.is_empty() || state.rng.percent(50) {
            body["NonExistMediaIds"] = self.world.behaviour.ids.write(&missing);
        }
        if !forbidden.is_empty() {
            body["ForbiddenMediaIds"] = self.world.behaviour.ids.write(&forbidden);
        }
        Answer::ok(&body)
    }

    fn send_events(self: &Arc<Self>, batch: usize, job: &str, extend: &Value) {
        let Some(receiver) = &self.receiver else { return };
        for media in self.world.batch(batch) {
            let ids = answers::ids(&self.world, &media.tasks, media.tasks.len(), false);
            for event in &media.events {
                let extend = match event.claim {
                    events::Claim::Truth => extend.clone(),
                    _ if self.world.seed.is_multiple_of(2) => extend.clone(),
                    _ => Value::Null,
                };
                let body =
                    events::body(&self.world.behaviour, job, media, &ids, event.claim, &extend).to_string();
                let (server, receiver, event) = (Arc::clone(self), Arc::clone(receiver), *event);
                tokio::spawn(async move {
                    tokio::time::sleep(event.at).await;
                    let is_true = event.claim == events::Claim::Truth;
                    let captured = {
                        let mut state = server.state.lock().unwrap();
                        server.log(&mut state, || format!("EVENT {body}"));
                        (!is_true).then_some(state.captured)
                    };
                    let (clock, source) = (server.clock, server.world.behaviour.source);
                    let sent = events::send(&receiver, clock, source, body.as_bytes(), captured).await;
                    if is_true {
                        server.state.lock().unwrap().captured = sent;
                    }
                });
            }
        }
    }

    /// The time of day, `after` the world began at 01:19:10.
    pub(super) fn time_of_day(after: Duration) -> String {
        let s = 4_750 + after.as_secs();
        format!("2026-11-25T{:02}:{:02}:{:02}Z", s / 3_600, s / 60 % 60, s % 60)
    }
}

/// A connection to the server.
#[derive(Debug, Clone)]
pub(super) struct Wire(pub(super) Arc<Server>);

impl Transport for Wire {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let form = std::str::from_utf8(request.body()).unwrap();
            let params = Params::of(request.uri().query().unwrap_or_default(), form);
            let behaviour = &self.0.world.behaviour;
            let answer = self.0.answer(&params);
            let is_submit = params.get("Action").is_some_and(|action| action == SUBMIT);
            let wait = if is_submit { behaviour.latency + behaviour.submit_delay } else { behaviour.latency };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let mut response = Response::new(Bytes::from(answer.body));
            *response.status_mut() = answer.status.try_into().unwrap();
            if let Some(location) = answer.location {
                response.headers_mut().insert("location", location.parse().unwrap());
            }
            Ok(response)
        })
    }
}
