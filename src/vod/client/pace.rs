//! How fast each action may be called.

use crate::net::pace::Pacer;
use crate::vod::{
    describe_vod_refresh_tasks, get_media_refresh_jobs, refresh_media_play_urls, set_message_callback,
};

/// Calls per second and action unless told otherwise.
const DEFAULT_MAX_RPS: u32 = 20;

/// A pacer for each group of actions that share a limit.
pub(super) struct Pace {
    submit: Pacer,
    look_up: Pacer,
    tasks: Pacer,
    settings: Pacer,
    other: Pacer,
}

impl Pace {
    pub(super) fn new(max_rps: Option<u32>) -> Self {
        let cap = f64::from(max_rps.unwrap_or(DEFAULT_MAX_RPS).max(1));
        // The user's own number counts for every action; else published limits do, where they are lower.
        let limit = |published: f64| {
            let rate = if max_rps.is_some() { cap } else { published.min(cap) };
            Pacer::new(rate, rate)
        };
        // No limit of task queries is published: the search begins at what the CDN's twin of the call allows.
        let tasks = if max_rps.is_some() { cap } else { describe_vod_refresh_tasks::PER_SECOND };
        Self {
            submit: limit(refresh_media_play_urls::PER_SECOND),
            look_up: limit(get_media_refresh_jobs::PER_SECOND),
            tasks: Pacer::new(tasks, cap),
            settings: limit(set_message_callback::PER_SECOND),
            other: limit(10.0),
        }
    }

    pub(super) fn of(&self, action: &str) -> &Pacer {
        match action {
            refresh_media_play_urls::ACTION => &self.submit,
            get_media_refresh_jobs::ACTION => &self.look_up,
            describe_vod_refresh_tasks::ACTION => &self.tasks,
            set_message_callback::ACTION => &self.settings,
            _ => &self.other,
        }
    }
}
