//! `GetMessageCallback`, `SetMessageCallback`, `DeleteMessageCallback`: the event settings of each application.
//!
//! Setting replaces everything. Settings that came through the API go before the scenario's `callback` from then on.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::answer::Problem;
use super::scenario::Callback;
use super::state::{Done, State};
use crate::auth::rpc::Params;

/// The application that is meant when none is named; jobs belong to it.
const DEFAULT_APP: &str = "app-1000000";
const MAX_URL: usize = 256;
const MAX_KEY: usize = 32;
const OUR_EVENT: &str = "SubmitMediaRefreshComplete";
/// What `GetMessageCallback` gives back, beside the application.
const FIELDS: [&str; 7] =
    ["CallbackType", "CallbackURL", "EventTypeList", "AuthSwitch", "AuthKey", "MnsEndpoint", "MnsQueueName"];

/// What was set through the API, by application; `None`: deleted.
#[derive(Debug, Default)]
pub(super) struct Settings(HashMap<String, Option<Params>>);

impl Settings {
    /// The scenario's callback counts again.
    pub(super) fn forget_default(&mut self) {
        self.0.remove(DEFAULT_APP);
    }

    /// Where events of ours are posted, if they are switched on.
    pub(super) fn callback(&self, scripted: Option<&Callback>) -> Option<Callback> {
        let Some(set) = self.0.get(DEFAULT_APP) else { return scripted.cloned() };
        let set = set.as_ref()?;
        let value = |name: &str| set.get(name).map(String::as_str);
        let on = value("EventTypeList")?.split(',').any(|event| [OUR_EVENT, "ALL"].contains(&event));
        let key = value("AuthKey").filter(|_| value("AuthSwitch") == Some("on"));
        // Settings for a queue post nothing.
        let url = value("CallbackURL").filter(|_| on && value("CallbackType") == Some("HTTP"))?;
        Some(Callback { url: url.to_owned(), key: key.map(str::to_owned) })
    }
}

pub(super) fn get_message_callback(state: &mut State, params: &Params) -> Result<Done, Problem> {
    let app = app(params)?;
    let scripted = || state.scenario.callback.as_ref().filter(|_| app == DEFAULT_APP).map(scripted);
    let set = match state.settings.0.get(&app) {
        Some(set) => set.clone(),
        None => scripted(),
    };
    let mut settings = Map::from_iter([("AppId".to_owned(), json!(app))]);
    settings.extend(set.unwrap_or_default().into_iter().map(|(name, value)| (name, Value::String(value))));
    Ok(Done::of(json!({ "MessageCallback": settings })))
}

/// The scenario's callback as settings.
fn scripted(callback: &Callback) -> Params {
    let mut set = Params::from([
        ("CallbackType".to_owned(), "HTTP".to_owned()),
        ("CallbackURL".to_owned(), callback.url.clone()),
        ("EventTypeList".to_owned(), "ALL".to_owned()),
        ("AuthSwitch".to_owned(), if callback.key.is_some() { "on" } else { "off" }.to_owned()),
    ]);
    set.extend(callback.key.clone().map(|key| ("AuthKey".to_owned(), key)));
    set
}

pub(super) fn set_message_callback(state: &mut State, params: &Params) -> Result<Done, Problem> {
    let app = app(params)?;
    check(params)?;
    let known = |(name, _): &(&String, &String)| FIELDS.contains(&name.as_str());
    let set: Params = params.iter().filter(known).map(|(n, v)| (n.clone(), v.clone())).collect();
    state.settings.0.insert(app, Some(set));
    Ok(Done::of(json!({})))
}

fn check(params: &Params) -> Result<(), Problem> {
    let given = |name: &str| params.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let wanted = |name: &str| given(name).ok_or_else(|| Problem::missing(name));
    let no_url = |url: &str| !url.starts_with("http://") && !url.starts_with("https://");
    match wanted("CallbackType")? {
        "HTTP" => {
            let url = wanted("CallbackURL")?;
            if url.len() > MAX_URL {
                let why = format!("it has {} bytes, at most {MAX_URL} are allowed", url.len());
                return Err(Problem::invalid_parameter("CallbackURL", &why));
            }
            if no_url(url) || url.contains([',', ';', ' ']) {
                return Err(Problem::invalid_parameter("CallbackURL", "it is no single URL"));
            }
        }
        "MNS" => {
            wanted("MnsQueueName")?;
            let endpoint = wanted("MnsEndpoint")?;
            if no_url(endpoint) || endpoint.contains("-internal") {
                return Err(Problem::invalid_parameter("MnsEndpoint", "it is no public endpoint"));
            }
        }
        _ => return Err(Problem::invalid_parameter("CallbackType", "it is neither HTTP nor MNS")),
    }
    let word = |event: &str| !event.is_empty() && event.bytes().all(|b| b.is_ascii_alphanumeric());
    if given("EventTypeList").is_some_and(|list| !list.split(',').all(word)) {
        return Err(Problem::invalid_parameter("EventTypeList", "it is no list of event types"));
    }
    match given("AuthSwitch") {
        None | Some("off") => {}
        Some("on") => {
            wanted("AuthKey")?;
        }
        Some(_) => return Err(Problem::invalid_parameter("AuthSwitch", "it is neither on nor off")),
    }
    if given("AuthKey").is_some_and(|key| key.chars().count() > MAX_KEY) {
        return Err(Problem::invalid_parameter("AuthKey", "it is too long"));
    }
    Ok(())
}

pub(super) fn delete_message_callback(state: &mut State, params: &Params) -> Result<Done, Problem> {
    let app = app(params)?;
    state.settings.0.insert(app, None);
    Ok(Done::of(json!({})))
}

/// The application that is meant. Each has its own settings.
fn app(params: &Params) -> Result<String, Problem> {
    let app = params.get("AppId").map(String::as_str).filter(|id| !id.is_empty()).unwrap_or(DEFAULT_APP);
    // A bound, so that a mad client can't fill the memory with long names.
    if app.len() > 64 {
        return Err(Problem::new(404, "AppNotExist", "The specified app does not exist."));
    }
    Ok(app.to_owned())
}
