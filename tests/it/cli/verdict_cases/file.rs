//! The shape of `verdict-cases.json`, and of cases that were found later. What this does not know fails the test, so no case is passed over.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "about")]
    _about: String,
    pub(super) cases: Vec<Case>,
    pub(super) answers: Vec<Answer>,
}

impl File {
    pub(super) fn read() -> Self {
        let mut file: Self =
            serde_json::from_str(include_str!("../../../fixtures/verdict-cases.json")).unwrap();
        let later: Self =
            serde_json::from_str(include_str!("../../../fixtures/verdict-cases-2.json")).unwrap();
        file.cases.extend(later.cases);
        file
    }
}

/// What the service shows of a job and its tasks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) id: String,
    #[serde(rename = "rule")]
    _rule: u8,
    pub(super) job_rows: Vec<Row>,
    pub(super) task_rows: Vec<Row>,
    pub(super) expect: Expect,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// One answer of a happy world that is given instead.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    #[serde(rename = "where")]
    pub(super) action: String,
    /// Which call of the action, counted from 1.
    pub(super) nth: usize,
    pub(super) status: u16,
    /// JSON, or the text itself.
    pub(super) body: Value,
    pub(super) expect: Expect,
}

/// A row of an answer, and when it appears.
#[derive(Clone, Deserialize)]
pub(super) struct Row {
    /// So many seconds after the job or the task was first asked for.
    #[serde(default)]
    pub(super) shown_after_s: i64,
    #[serde(flatten)]
    pub(super) fields: Map<String, Value>,
}

impl Row {
    /// A field that is a text; empty if it is not there.
    pub(super) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    exit: Exit,
    /// By media.
    #[serde(default)]
    pub(super) states: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Exit {
    One(i32),
    AnyOf(Vec<i32>),
}

impl Expect {
    pub(super) fn exits(&self) -> &[i32] {
        match &self.exit {
            Exit::One(code) => std::slice::from_ref(code),
            Exit::AnyOf(codes) => codes,
        }
    }
}
