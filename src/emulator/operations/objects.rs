//! `RefreshVodObjectCaches` and `PreloadVodObjectCaches`: tasks for URLs and folders. A URL behaves as the media script of its
//! own name says, else as that of its domain.

use std::sync::Arc;

use serde_json::{Value, json};

use super::submit::add_tasks;
use crate::emulator::request::{Problem, Received};
use crate::emulator::scenario::MediaScript;
use crate::emulator::state::State;
use crate::emulator::store::{MediaRow, Queries, domain_of};

/// The most URLs of one call.
const MAX_URLS: usize = 1_000;

pub(super) fn refresh_vod_object_caches(state: &mut State, args: &Received) -> Result<Value, Problem> {
    let object_type = match args.given("ObjectType").map(str::to_ascii_lowercase).as_deref() {
        None | Some("file") => "file",
        Some("directory") => "directory",
        Some("regex") => "regex",
        Some("ignoreparams") => "ignoreparams",
        Some(_) => {
            let message = "The specified ObjectType is not supported.";
            return Err(Problem::new(400, "InvalidObjectType.ValueNotSupported", message));
        }
    };
    args.flag("Force")?;
    let ids = open_tasks(state, args, object_type)?;
    Ok(json!({ "RefreshTaskId": ids }))
}

pub(super) fn preload_vod_object_caches(state: &mut State, args: &Received) -> Result<Value, Problem> {
    args.either("Area", ["domestic", "overseas"])?;
    args.flag("L2Preload")?;
    let ids = open_tasks(state, args, "preload")?;
    Ok(json!({ "PreloadTaskId": ids }))
}

/// Makes the tasks of all URLs, or of none; returns their ids, each once.
fn open_tasks(state: &mut State, args: &Received, object_type: &'static str) -> Result<String, Problem> {
    let urls: Vec<&str> = args.required("ObjectPath")?.lines().filter(|url| !url.trim().is_empty()).collect();
    if urls.len() > MAX_URLS {
        let message = format!("The number of URLs exceeds {MAX_URLS}.");
        return Err(Problem::new(400, "InvalidObjectPath.Size.Malformed", message));
    }
    let scripts = urls.iter().map(|url| check(state, url, object_type)).collect::<Result<Vec<_>, _>>()?;
    let now = state.now;
    state.quota_use.take(&state.scenario.quota, object_type, urls.len() as u64, now)?;
    let mut ids = Vec::new();
    for (url, script) in urls.into_iter().zip(scripts) {
        let id = match script.task_ids.first() {
            Some(id) => id.clone(),
            None => state.merged_ids.id_of(&mut state.ids, domain_of(url), object_type, now),
        };
        let row = MediaRow {
            media: url.to_owned(),
            handed: now,
            urls: vec![url.to_owned()],
            task_ids: vec![id.clone()],
            script,
            hidden_lookups: 0,
            lookups: Queries::default(),
        };
        add_tasks(state, &row, object_type);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids.join(","))
}

fn check(state: &State, url: &str, object_type: &str) -> Result<Arc<MediaScript>, Problem> {
    let malformed = |why: &str| {
        let message = format!("The specified ObjectPath is malformed: {url} {why}.");
        Err(Problem::new(400, "InvalidObjectPath.Malformed", message))
    };
    let domain = domain_of(url);
    if domain.is_empty() || !url.is_ascii() || url.contains(' ') {
        return malformed("is no URL");
    }
    if object_type == "directory" && !url.ends_with('/') {
        return malformed("does not end with a slash");
    }
    if object_type == "regex" && url.matches('(').count() != url.matches(')').count() {
        return malformed("is no regular expression");
    }
    let script = state.script_of_url(url, domain);
    let message = format!("The specified domain {domain} is not yours.");
    match &*script {
        script if script.missing => Err(Problem::new(404, "InvalidDomain.NotFound", message)),
        script if script.forbidden => Err(Problem::new(403, "IllegalOperation", message)),
        MediaScript { submit_fail: Some(fail), .. } => {
            Err(Problem::new(400, &*fail.code, fail.message.clone()))
        }
        _ => Ok(script),
    }
}
