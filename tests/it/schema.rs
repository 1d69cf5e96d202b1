//! The JSON Schema of the report, and the check of every report and event line that a test gets.
//!
//! The schema is read by a small interpreter, since the crates that do it bring 34 crates or more. It knows the keywords
//! that the schema uses and refuses any other; `tests/page/check.py` holds it against another implementation.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};
use vod_refresh::journal::StoredRun;
use vod_refresh::{
    Inbox, JobId, Journal, Observer, RefreshRequest, Report, Result, RunOptions, UrlRequest, WaitRequest,
};

use crate::support::program::{Cloud, Home};

const FILE: &str = include_str!("../../src/docs/report.schema.json");

/// As it is published: a report may have more fields than are described.
static PUBLISHED: LazyLock<Schema> = LazyLock::new(|| Schema::new(serde_json::from_str(FILE).unwrap()));
/// As the tests apply it: a field that is not described is an error.
static STRICT: LazyLock<Schema> = LazyLock::new(|| {
    let mut root = serde_json::from_str(FILE).unwrap();
    forbid_more_fields(&mut root);
    Schema::new(root)
});

fn forbid_more_fields(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            keywords.values_mut().for_each(forbid_more_fields);
            // Conditions describe a part of an object whose fields stand beside them.
            if keywords.get("type") == Some(&json!("object")) && keywords.contains_key("properties") {
                keywords.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_more_fields),
        _ => {}
    }
}

struct Schema {
    root: Value,
    patterns: HashMap<String, Regex>,
}

impl Schema {
    fn new(root: Value) -> Self {
        let mut schema = Self { root: Value::Null, patterns: HashMap::new() };
        schema.compile(&root);
        Self { root, ..schema }
    }

    /// Compiles the patterns of `node` and everything below it.
    fn compile(&mut self, node: &Value) {
        let Value::Object(keywords) = node else { return };
        for (keyword, rule) in keywords {
            match (keyword.as_str(), rule) {
                ("pattern", Value::String(text)) => {
                    self.patterns.insert(text.clone(), Regex::new(text).unwrap());
                }
                ("properties" | "$defs", Value::Object(schemas)) => {
                    schemas.values().for_each(|schema| self.compile(schema));
                }
                (_, Value::Array(schemas)) => schemas.iter().for_each(|schema| self.compile(schema)),
                _ => self.compile(rule),
            }
        }
    }

    /// The first thing about `value` that does not fit the definition at `pointer`, which is empty for a report.
    fn fault_at(&self, pointer: &str, value: &Value) -> Option<String> {
        self.fault(self.root.pointer(pointer).unwrap(), value, "report")
    }

    fn fault(&self, schema: &Value, value: &Value, place: &str) -> Option<String> {
        match schema {
            Value::Bool(true) => None,
            Value::Bool(false) => Some(format!("{place} is not described")),
            schema => schema.as_object().unwrap().iter().find_map(|(keyword, rule)| {
                let siblings = schema.as_object().unwrap();
                self.breaks(keyword, rule, siblings, value, place)
            }),
        }
    }

    fn breaks(
        &self,
        keyword: &str,
        rule: &Value,
        siblings: &Map<String, Value>,
        value: &Value,
        place: &str,
    ) -> Option<String> {
        let fits = |schema: &Value| self.fault(schema, value, place).is_none();
        let limit = || rule.as_u64().unwrap();
        let (fields, items, text) = (value.as_object(), value.as_array(), value.as_str());
        let is_kept = match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" | "format" | "then" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                return self.fault(self.root.pointer(pointer).unwrap(), value, place);
            }
            "properties" => {
                return rule.as_object().unwrap().iter().find_map(|(name, schema)| {
                    self.fault(schema, fields?.get(name)?, &format!("{place}.{name}"))
                });
            }
            "additionalProperties" => {
                let known = siblings.get("properties");
                return fields?.iter().find_map(|(name, value)| {
                    let is_more = known.is_none_or(|known| known.get(name).is_none());
                    self.fault(rule, value, &format!("{place}.{name}")).filter(|_| is_more)
                });
            }
            "propertyNames" => {
                let mut names = fields?.keys().map(|name| Value::from(name.as_str()));
                return names.find_map(|name| self.fault(rule, &name, place));
            }
            "items" => {
                let mut items = items?.iter().enumerate();
                return items.find_map(|(n, item)| self.fault(rule, item, &format!("{place}[{n}]")));
            }
            "allOf" => {
                return rule.as_array().unwrap().iter().find_map(|schema| self.fault(schema, value, place));
            }
            "if" => return self.fault(siblings.get("then").filter(|_| fits(rule))?, value, place),
            "anyOf" => {
                // The last alternative is null everywhere, so the first one has more to say.
                let all = rule.as_array().unwrap();
                return self.fault(&all[0], value, place).filter(|_| !all[1..].iter().any(fits));
            }
            "oneOf" => rule.as_array().unwrap().iter().filter(|schema| fits(schema)).count() == 1,
            "required" => {
                let missing =
                    rule.as_array().unwrap().iter().find(|name| value.get(name.as_str().unwrap()).is_none());
                return missing.filter(|_| fields.is_some()).map(|name| format!("{place} lacks {name}"));
            }
            "dependentRequired" => {
                let present = rule.as_object().unwrap().iter().filter(|(name, _)| value.get(name).is_some());
                return present
                    .into_iter()
                    .find_map(|(_, names)| self.breaks("required", names, siblings, value, place));
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is_a(name, value)),
                name => is_a(name, value),
            },
            "const" => rule == value,
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => text.is_none_or(|text| self.patterns[rule.as_str().unwrap()].is_match(text)),
            "minLength" => text.is_none_or(|text| text.chars().count() as u64 >= limit()),
            "maxLength" => text.is_none_or(|text| text.chars().count() as u64 <= limit()),
            "minItems" => items.is_none_or(|items| items.len() as u64 >= limit()),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            unknown => panic!("the interpreter in tests/it/schema.rs does not know the keyword {unknown:?}"),
        };
        (!is_kept).then(|| format!("{place} is {}, against {keyword} {rule}", shortened(value)))
    }
}

fn is_a(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        unknown => panic!("the interpreter in tests/it/schema.rs does not know the type {unknown:?}"),
    }
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

/// Fails the test unless `report` is as the schema says, with no field beside those that it describes.
#[track_caller]
pub(crate) fn check(report: &Value) {
    if let Some(fault) = STRICT.fault_at("", report) {
        panic!("a report against src/docs/report.schema.json: {fault}");
    }
}

/// The same for what a command wrote, where that is a report, or lines of `--output ndjson`. Text and other documents pass.
#[track_caller]
pub(crate) fn check_written(text: &str) {
    if !text.starts_with('{') {
        return;
    }
    if let Ok(document) = serde_json::from_str::<Value>(text) {
        if document.get("schema").is_some() {
            check(&document);
        }
        return;
    }
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let is_of_a_run = line.get("event").is_some() || line.get("schema").is_some();
        if let Some(fault) = STRICT.fault_at("/$defs/line", &line).filter(|_| is_of_a_run) {
            panic!("a line against src/docs/report.schema.json: {fault}");
        }
    }
}

/// The same for all files in `folder` whose names end in `.json`.
#[track_caller]
pub(crate) fn check_files(folder: &std::path::Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in files.filter(|file| file.extension().is_some_and(|end| end == "json") && file.is_file()) {
        std::fs::read_to_string(file).iter().for_each(|text| check_written(text));
    }
}

/// Passes `report` on once it is checked.
#[track_caller]
pub(crate) fn checked(report: Report) -> Report {
    check(&serde_json::to_value(&report).unwrap());
    report
}

/// A refresher whose reports are checked. What a run in the background gives is not.
#[derive(Clone)]
pub(crate) struct Refresher(vod_refresh::Refresher);

impl Refresher {
    pub(crate) fn new(client: vod_refresh::VodClient) -> Self {
        Self(vod_refresh::Refresher::new(client))
    }

    pub(crate) fn with_options(self, options: RunOptions) -> Self {
        Self(self.0.with_options(options))
    }

    pub(crate) fn with_inbox(self, inbox: Inbox) -> Self {
        Self(self.0.with_inbox(inbox))
    }

    pub(crate) fn with_observer(self, observer: impl Observer + 'static) -> Self {
        Self(self.0.with_observer(observer))
    }

    pub(crate) fn with_stop(self, stop: tokio_util::sync::CancellationToken) -> Self {
        Self(self.0.with_stop(stop))
    }

    pub(crate) fn with_journal(self, journal: Journal, settings: Value) -> Self {
        Self(self.0.with_journal(journal, settings))
    }

    pub(crate) fn with_edge_check(self, check: vod_refresh::EdgeCheck) -> Self {
        Self(self.0.with_edge_check(check))
    }

    pub(crate) async fn refresh(&self, request: &RefreshRequest) -> Result<Report> {
        self.0.refresh(request).await.map(checked)
    }

    pub(crate) async fn refresh_urls(&self, request: &UrlRequest) -> Result<Report> {
        self.0.refresh_urls(request).await.map(checked)
    }

    pub(crate) async fn wait(&self, jobs: &[JobId]) -> Result<Report> {
        self.0.wait(jobs).await.map(checked)
    }

    pub(crate) async fn wait_for(&self, request: &WaitRequest) -> Result<Report> {
        self.0.wait_for(request).await.map(checked)
    }

    pub(crate) async fn resume(&self, run: StoredRun) -> Result<Report> {
        checked(run.report());
        self.0.resume(run).await.map(checked)
    }

    pub(crate) async fn check(&self, run: StoredRun) -> Result<Report> {
        self.0.check(run).await.map(checked)
    }
}

/// For the runs in the background.
impl Deref for Refresher {
    type Target = vod_refresh::Refresher;

    fn deref(&self) -> &vod_refresh::Refresher {
        &self.0
    }
}

/// A report with every kind of entry, all of whose fields are there, and what may be wrong with one: where, and what stands there
/// instead, or `missing`. `tests/page/check.py` reads the same file.
static REPORTS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../fixtures/reports.json")).unwrap());

fn whole() -> Value {
    REPORTS["whole"].clone()
}

fn with(mut report: Value, place: &str, value: Option<Value>) -> Value {
    let (above, name) = place.rsplit_once('/').unwrap();
    let parent = report.pointer_mut(above).unwrap();
    match (parent, value) {
        (Value::Object(fields), None) => assert!(fields.remove(name).is_some(), "{place} is not there"),
        (parent, Some(value)) => match name.parse::<usize>() {
            Ok(place) => parent[place] = value,
            Err(_) => parent[name] = value,
        },
        (_, None) => panic!("{place} is in no object"),
    }
    report
}

#[test]
fn a_report_that_breaks_the_schema_is_refused() {
    assert_eq!(STRICT.fault_at("", &whole()), None);
    let broken = REPORTS["broken"].as_array().unwrap();
    assert!(broken.len() > 50);
    for wrong in broken {
        let report = with(whole(), wrong["at"].as_str().unwrap(), wrong.get("is").cloned());
        assert!(PUBLISHED.fault_at("", &report).is_some(), "it passes with {wrong}");
    }
}

#[test]
fn further_fields_pass_for_users_and_fail_the_tests() {
    for place in [
        "/more",
        "/summary/more",
        "/media/0/more",
        "/media/0/tasks/0/more",
        "/media/1/error/more",
        "/urls/0/more",
    ] {
        let report = with(whole(), place, Some(json!(1)));
        assert_eq!(PUBLISHED.fault_at("", &report), None, "{place}");
        assert!(
            STRICT.fault_at("", &report).is_some_and(|fault| fault.ends_with("more is not described")),
            "{place}"
        );
    }
}

/// Each field of the whole report but those that are said to come only sometimes.
#[test]
fn every_field_that_is_always_there_is_required() {
    let optional =
        ["then_preload", "urls", "notes", "resumable", "preload_job_id", "note", "edge", "request_id"];
    let by_stage = ["task_type"];
    let check = |above: &str, is_sometimes: &[&str]| {
        let report = whole();
        for name in report.pointer(above).unwrap().as_object().unwrap().keys() {
            let is_required =
                PUBLISHED.fault_at("", &with(report.clone(), &format!("{above}/{name}"), None)).is_some();
            assert_eq!(is_required, !is_sometimes.contains(&name.as_str()), "{above}/{name}");
        }
    };
    check("", &optional);
    check("/media/0", &optional);
    check("/media/0/tasks/0", &[&optional[..], &by_stage[..]].concat());
    check("/media/0/tasks/0/edge/0", &[]);
    check("/media/1/error", &optional);
    check("/urls/0", &optional);
}

#[test]
fn every_field_is_described() {
    fn look(root: &Value, place: &str, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}/{name}");
            let target =
                field["$ref"].as_str().and_then(|pointer| root.pointer(&pointer[1..])).unwrap_or(field);
            let text = field.get("description").or(target.get("description"));
            assert!(
                text.is_some() || field.get("const").is_some() || name == "summary" || name == "error",
                "{place}"
            );
            look(root, &place, field);
        }
    }
    let root = &PUBLISHED.root;
    look(root, "report", root);
    for (name, schema) in root["$defs"].as_object().unwrap() {
        look(root, name, schema);
        schema["oneOf"].as_array().into_iter().flatten().for_each(|schema| look(root, name, schema));
    }
}

#[test]
fn an_event_line_that_breaks_the_schema_is_refused() {
    let time = "2026-11-25T01:19:10Z";
    let good = json!({"at": time, "event": "finished", "outcome": "complete"});
    let fault = |line: &Value| STRICT.fault_at("/$defs/line", line);
    assert_eq!(fault(&good), None);
    assert_eq!(fault(&whole()), None, "the last line is the report");
    for (place, value) in [
        ("/at", None),
        ("/at", Some(json!("2026-11-25 01:19:10"))),
        ("/event", None),
        ("/event", Some(json!("ended"))),
        ("/outcome", None),
        ("/outcome", Some(json!("Complete"))),
        ("/more", Some(json!(1))),
    ] {
        assert!(fault(&with(good.clone(), place, value.clone())).is_some(), "{place} passes as {value:?}");
    }
}

/// Every notice of the library is described: no other name stands in the schema, and none is missing.
#[test]
fn the_schema_names_every_event_and_every_word() {
    let root = &PUBLISHED.root;
    let words = |of: &Value| -> Vec<String> {
        of.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let events: Vec<String> = root["$defs"]["event"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["properties"]["event"]["const"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events, variants(include_str!("../../src/run/observer.rs"), "enum Notice"));
    let report = include_str!("../../src/model/report.rs");
    assert_eq!(words(&root["$defs"]["outcome"]["enum"]), variants(report, "enum Outcome"));
    assert_eq!(words(&root["$defs"]["media_state"]["enum"]), variants(report, "enum MediaState"));
    let codes = include_str!("../../src/model/code.rs");
    let text = root["$defs"]["error"]["properties"]["code"]["description"].as_str().unwrap();
    let named: Vec<&str> = codes.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert!(named.len() > 10 && text.contains(&named.join(", ")), "{text}\n{named:?}");
}

/// The variants of an enum in source text, in snake case.
fn variants(source: &str, head: &str) -> Vec<String> {
    let body = source.split(&format!("pub {head} {{\n")).nth(1).unwrap().split("\n}").next().unwrap();
    let is_variant =
        |line: &&str| line.len() > 4 && line.starts_with("    ") && line.as_bytes()[4].is_ascii_uppercase();
    let name = |line: &str| -> String {
        let name = line.trim().split([' ', ',', '(', '{']).next().unwrap();
        name.char_indices()
            .map(|(at, c)| {
                let mark = if at > 0 && c.is_uppercase() { "_" } else { "" };
                format!("{mark}{}", c.to_lowercase())
            })
            .collect()
    };
    body.lines().filter(is_variant).map(name).collect()
}

/// The command prints the file that stands in the repository, byte for byte, and it describes what the command writes.
#[test]
fn report_schema_prints_the_file() {
    let home = Home::new();
    let printed = home.run(&["report-schema"]);
    assert_eq!((printed.code, printed.stdout.as_str(), printed.stderr.as_str()), (Some(0), FILE, ""));
    let cloud = Cloud::new(vod_refresh::emulator::Scenario::new());
    let run = home.run(&["refresh", "m1", "--endpoint", &cloud.endpoint, "--output", "ndjson"]);
    let described = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let faults: Vec<String> = described.filter_map(|line| STRICT.fault_at("/$defs/line", &line)).collect();
    assert!(run.code == Some(0) && faults.is_empty() && run.stdout.lines().count() > 3, "{faults:?} {run:?}");
}
