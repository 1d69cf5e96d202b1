//! The actions of the API: where each is served, and how often it may be called.

use std::collections::HashMap;

use http::Method;

use crate::auth::request::Operation;
use crate::auth::rpc::Params;
use crate::net::pace::Pacer;

/// API version of every action.
const VERSION: &str = "2017-03-21";
/// Calls per second and action unless the user sets another limit.
const DEFAULT_MAX_RPS: u32 = 20;

/// One action.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) method: Method,
    pub(super) host: Host,
    /// Whether repeating it after a lost answer does no harm.
    pub(super) idempotent: bool,
    per_second: f64,
    /// Whether `per_second` is a published limit of an account, and not only what the search for the limit begins with.
    is_limit: bool,
}

impl Action {
    /// A call of it, before it is signed.
    pub(super) fn operation(&self, params: Params) -> Operation {
        Operation { action: self.name, version: VERSION, method: self.method.clone(), params }
    }
}

/// Which of the two endpoints serves an action.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Host {
    /// The media's region.
    Media,
    /// Task and quota queries, documented for cn-shanghai only.
    Tasks,
}

/// What most actions are: a POST to the media's region, which may be repeated freely.
const USUAL: Action = Action {
    name: "",
    method: Method::POST,
    host: Host::Media,
    idempotent: true,
    per_second: 10.0,
    is_limit: true,
};

// Published rates are those of "QPS limits" of the VOD API.
pub(super) static SUBMIT: Action =
    Action { name: "RefreshMediaPlayUrls", idempotent: false, per_second: 50.0, ..USUAL };
pub(super) static QUERY_JOB: Action =
    Action { name: "GetMediaRefreshJobs", method: Method::GET, per_second: 50.0, ..USUAL };
/// No rate is published; the CDN's own twin of this call allows 5 a second. Source: "DescribeRefreshTasks" of the CDN API.
pub(super) static QUERY_TASKS: Action =
    Action { name: "DescribeVodRefreshTasks", host: Host::Tasks, per_second: 5.0, is_limit: false, ..USUAL };
pub(super) static QUERY_QUOTA: Action =
    Action { name: "DescribeVodRefreshQuota", host: Host::Tasks, ..USUAL };
pub(super) static REFRESH_OBJECTS: Action =
    Action { name: "RefreshVodObjectCaches", host: Host::Tasks, idempotent: false, is_limit: false, ..USUAL };
pub(super) static PRELOAD_OBJECTS: Action =
    Action { name: "PreloadVodObjectCaches", host: Host::Tasks, idempotent: false, is_limit: false, ..USUAL };
pub(super) static GET_CALLBACK: Action = Action { name: "GetMessageCallback", ..USUAL };
pub(super) static SET_CALLBACK: Action = Action { name: "SetMessageCallback", per_second: 15.0, ..USUAL };
pub(super) static DELETE_CALLBACK: Action = Action { name: "DeleteMessageCallback", ..USUAL };

/// The pacer of each action, by its name. The user's own limit counts for every action; without one, published limits do
/// where they are lower than the default.
pub(super) fn pacers(max_rps: Option<u32>) -> HashMap<&'static str, Pacer> {
    let cap = f64::from(max_rps.unwrap_or(DEFAULT_MAX_RPS).max(1));
    let pacer = |action: &'static Action| {
        let first = if max_rps.is_some() { cap } else { action.per_second.min(cap) };
        let ceiling = if action.is_limit { first } else { cap };
        (action.name, Pacer::new(first, ceiling))
    };
    let all = [
        &SUBMIT,
        &QUERY_JOB,
        &QUERY_TASKS,
        &QUERY_QUOTA,
        &REFRESH_OBJECTS,
        &PRELOAD_OBJECTS,
        &GET_CALLBACK,
        &SET_CALLBACK,
        &DELETE_CALLBACK,
    ];
    all.into_iter().map(pacer).collect()
}
