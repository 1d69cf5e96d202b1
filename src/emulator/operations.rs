//! What the actions of VOD and of the token service do, on the emulator's state: one file for each group of them.

mod lookup;
pub(super) mod metadata;
mod objects;
mod sts;
mod submit;
mod tasks;

use super::actions;
use super::answer::Body;
use super::request::{Problem, Received};
use super::state::{Done, State};

pub(super) use self::lookup::outcome;
pub(super) use self::submit::open_scripted_jobs;

/// Does what a request asks for, within its rate and its permissions.
pub(super) fn perform(state: &mut State, action: &str, args: &Received) -> Result<Done, Problem> {
    if !state.keeps_rate(action) {
        return Err(Problem::new(400, "Throttling.User", "Request was denied due to user flow control."));
    }
    if state.is_denied(action) {
        return Err(denied_by_ram(action));
    }
    let State { event_settings, scenario, quota_use, now, .. } = state;
    let fields = match action {
        "RefreshMediaPlayUrls" => return submit::refresh_media_play_urls(state, args),
        "RefreshVodObjectCaches" => objects::refresh_vod_object_caches(state, args)?,
        "PreloadVodObjectCaches" => objects::preload_vod_object_caches(state, args)?,
        "GetMediaRefreshJobs" => lookup::get_media_refresh_jobs(state, args)?,
        "DescribeVodRefreshQuota" => quota_use.describe(&scenario.quota, *now),
        "GetMessageCallback" => event_settings.get(args, scenario.callback.as_ref())?,
        "SetMessageCallback" => event_settings.set(args)?,
        "DeleteMessageCallback" => event_settings.delete(args)?,
        _ if actions::is_sts(action) => sts::assume_role(state, action, args)?,
        _ => tasks::describe_vod_refresh_tasks(state, args)?,
    };
    Ok(Done::of(Body::Fields(fields)))
}

fn denied_by_ram(action: &str) -> Problem {
    if actions::is_sts(action) {
        let message = "You are not authorized to do this action. You should be authorized by RAM.";
        return Problem {
            denied: Some(format!("sts:{action}")),
            ..Problem::new(403, "NoPermission", message)
        };
    }
    let action = format!("vod:{action}");
    let message = format!("User not authorized to operate on the specified resource: {action}.");
    Problem { denied: Some(action), ..Problem::new(403, "Forbidden.RAM", message) }
}
