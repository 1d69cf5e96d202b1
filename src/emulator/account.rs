//! What belongs to the account: the event settings of each application, and the day's quota.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde_json::{Map, Value, json};

use super::request::{Problem, Received};
use super::scenario::{Callback, Quota};
use crate::auth::rpc::Params;

/// The application that is meant when none is named; jobs belong to it.
const DEFAULT_APP: &str = "app-1000000";
const MAX_URL: usize = 256;
const MAX_KEY: usize = 32;
const JOB_EVENT: &str = "SubmitMediaRefreshComplete";
/// What `GetMessageCallback` returns, beside the application.
const FIELDS: [&str; 7] =
    ["CallbackType", "CallbackURL", "EventTypeList", "AuthSwitch", "AuthKey", "MnsEndpoint", "MnsQueueName"];

/// The event settings that came through the API, by application; `None`: deleted. They go before the scenario's
/// `callback` from then on, and setting them replaces everything.
#[derive(Debug, Default)]
pub(super) struct EventSettings(HashMap<String, Option<Params>>);

impl EventSettings {
    /// Lets the scenario's callback count again.
    pub(super) fn forget_default(&mut self) {
        self.0.remove(DEFAULT_APP);
    }

    /// Where the events of jobs are posted, if they are switched on.
    pub(super) fn callback(&self, scripted: Option<&Callback>) -> Option<Callback> {
        let Some(set) = self.0.get(DEFAULT_APP) else { return scripted.cloned() };
        let set = set.as_ref()?;
        let value = |name: &str| set.get(name).map(String::as_str);
        let on = value("EventTypeList")?.split(',').any(|event| [JOB_EVENT, "ALL"].contains(&event));
        let key = value("AuthKey").filter(|_| value("AuthSwitch") == Some("on"));
        // Settings for a queue post nothing.
        let url = value("CallbackURL").filter(|_| on && value("CallbackType") == Some("HTTP"))?;
        Some(Callback { url: url.to_owned(), key: key.map(str::to_owned) })
    }

    /// Does `GetMessageCallback`.
    pub(super) fn get(&self, args: &Received, scripted: Option<&Callback>) -> Result<Value, Problem> {
        let app = app(args)?;
        let set = match self.0.get(app) {
            Some(set) => set.clone(),
            None => scripted.filter(|_| app == DEFAULT_APP).map(settings_of),
        };
        let mut settings = Map::from_iter([("AppId".to_owned(), json!(app))]);
        settings.extend(set.unwrap_or_default().into_iter().map(|(name, value)| (name, json!(value))));
        Ok(json!({ "MessageCallback": settings }))
    }

    /// Does `SetMessageCallback`.
    pub(super) fn set(&mut self, args: &Received) -> Result<Value, Problem> {
        let app = app(args)?;
        check_settings(args)?;
        let known = FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), args.given(name)?.to_owned())));
        self.0.insert(app.to_owned(), Some(known.collect()));
        Ok(json!({}))
    }

    /// Does `DeleteMessageCallback`.
    pub(super) fn delete(&mut self, args: &Received) -> Result<Value, Problem> {
        self.0.insert(app(args)?.to_owned(), None);
        Ok(json!({}))
    }
}

/// The scenario's callback as settings.
fn settings_of(callback: &Callback) -> Params {
    let mut settings = vec![
        ("CallbackType", "HTTP"),
        ("CallbackURL", &callback.url),
        ("EventTypeList", "ALL"),
        ("AuthSwitch", if callback.key.is_some() { "on" } else { "off" }),
    ];
    settings.extend(callback.key.as_deref().map(|key| ("AuthKey", key)));
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn check_settings(args: &Received) -> Result<(), Problem> {
    let no_url = |url: &str| !url.starts_with("http://") && !url.starts_with("https://");
    let invalid = |name: &str, why: &str| Err(Problem::invalid_parameter(name, why));
    args.required("CallbackType")?;
    match args.either("CallbackType", ["HTTP", "MNS"])? {
        Some("HTTP") => {
            let url = args.required("CallbackURL")?;
            if url.len() > MAX_URL {
                let why = format!("it has {} bytes, at most {MAX_URL} are allowed", url.len());
                return invalid("CallbackURL", &why);
            }
            if no_url(url) || url.contains([',', ';', ' ']) {
                return invalid("CallbackURL", "it is no single URL");
            }
        }
        _ => {
            args.required("MnsQueueName")?;
            let endpoint = args.required("MnsEndpoint")?;
            if no_url(endpoint) || endpoint.contains("-internal") {
                return invalid("MnsEndpoint", "it is no public endpoint");
            }
        }
    }
    let is_word = |event: &str| !event.is_empty() && event.bytes().all(|b| b.is_ascii_alphanumeric());
    if args.given("EventTypeList").is_some_and(|list| !list.split(',').all(is_word)) {
        return invalid("EventTypeList", "it is no list of event types");
    }
    if args.either("AuthSwitch", ["on", "off"])? == Some("on") {
        args.required("AuthKey")?;
    }
    if args.given("AuthKey").is_some_and(|key| key.chars().count() > MAX_KEY) {
        return invalid("AuthKey", "it is too long");
    }
    Ok(())
}

/// The application that is meant. Each has its own settings.
fn app(args: &Received) -> Result<&str, Problem> {
    let app = args.given("AppId").unwrap_or(DEFAULT_APP);
    // A bound, so that a misbehaving client can't fill the memory with long names.
    if app.len() > 64 {
        return Err(Problem::new(404, "AppNotExist", "The specified app does not exist."));
    }
    Ok(app)
}

/// What was used of the quota since the day began.
#[derive(Debug, Default)]
pub(super) struct QuotaUse {
    day: Option<NaiveDate>,
    /// Whether the day turned since the start, so that the scenario's remains count no more.
    turned: bool,
    urls: u64,
    directories: u64,
    preloads: u64,
}

impl QuotaUse {
    /// The day turns at midnight in Beijing. (That it does not do so in UTC is not documented.)
    fn begin_day(&mut self, now: DateTime<Utc>) {
        let today = FixedOffset::east_opt(8 * 3_600).map(|zone| now.with_timezone(&zone).date_naive());
        if self.day != today {
            let turned = self.day.is_some();
            *self = Self { day: today, turned, ..Self::default() };
        }
    }

    /// Takes `urls` of a type for one submission, all or nothing.
    pub(super) fn take(
        &mut self,
        quota: &Quota,
        object_type: &str,
        urls: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        self.begin_day(now);
        let (word, all, remain, used) = match object_type {
            "preload" => ("Preload", quota.preload_quota, quota.preload_remain, &mut self.preloads),
            "directory" => ("Refresh", quota.dir_quota, quota.dir_remain, &mut self.directories),
            _ => ("Refresh", quota.url_quota, quota.url_remain, &mut self.urls),
        };
        let left = left(self.turned, all, remain, *used);
        if urls > left {
            let message = "The number of URLs exceeds the daily quota.";
            return Err(Problem::new(400, format!("QuotaExceeded.{word}"), message));
        }
        *used += urls;
        Ok(())
    }

    /// Does `DescribeVodRefreshQuota`.
    pub(super) fn describe(&mut self, quota: &Quota, now: DateTime<Utc>) -> Value {
        self.begin_day(now);
        // Decimal texts, as the vendor's sample has them.
        let text = |number: u64| json!(number.to_string());
        let mut body = json!({
            "UrlQuota": text(quota.url_quota),
            "UrlRemain": text(left(self.turned, quota.url_quota, quota.url_remain, self.urls)),
            "DirQuota": text(quota.dir_quota),
            "DirRemain": text(left(self.turned, quota.dir_quota, quota.dir_remain, self.directories)),
            "PreloadQuota": text(quota.preload_quota),
            "PreloadRemain": text(left(self.turned, quota.preload_quota, quota.preload_remain, self.preloads)),
        });
        if let Some(block) = quota.block_quota {
            body["BlockQuota"] = text(block);
            // With a small letter, as documented.
            body["blockRemain"] = text(left(self.turned, block, quota.block_remain, 0));
        }
        body
    }
}

/// What is left of a quota. The scenario's remains count until the day turns.
fn left(turned: bool, quota: u64, remain: Option<u64>, used: u64) -> u64 {
    remain.filter(|_| !turned).unwrap_or(quota).saturating_sub(used)
}
