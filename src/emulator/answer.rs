//! Answers on the wire: the vendor's error envelope, JSON and XML, and the headers that every answer has.

use std::fmt::Write as _;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

/// A refusal, before it is put on the wire.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    /// For RAM denials: the action that is not allowed.
    pub(super) denied: Option<String>,
}

impl Problem {
    pub(super) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), denied: None }
    }

    pub(super) fn missing(name: &str) -> Self {
        let message = format!(
            "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
        );
        Self::new(400, "MissingParameter", message)
    }

    pub(super) fn invalid_parameter(name: &str, why: &str) -> Self {
        let message = format!("The specified parameter \"{name}\" is not valid: {why}.");
        Self::new(400, "InvalidParameter", message)
    }

    pub(super) fn denied_by_ram(action: &str) -> Self {
        let action = format!("vod:{action}");
        let message = format!("User not authorized to operate on the specified resource: {action}.");
        Self { denied: Some(action), ..Self::new(403, "Forbidden.RAM", message) }
    }

    fn body(&self, host: &str) -> Value {
        let mut body = json!({
            "HostId": host,
            "Code": self.code,
            "Message": self.message,
            "Recommend": format!("https://api.aliyun.com/troubleshoot?q={}&product=vod", self.code),
        });
        if let Some(action) = &self.denied {
            body["AccessDeniedDetail"] = json!({
                "AuthAction": action,
                "AuthPrincipalType": "SubUser",
                "NoPermissionType": "ImplicitDeny",
                "PolicyType": "AccountLevelIdentityBasedPolicy",
            });
        }
        body
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

/// What is the same for all answers to one request.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) request_id: String,
    pub(super) host: String,
    pub(super) action: String,
    pub(super) format: Format,
    /// The cloud's own time of day: callers measure their clock against it.
    pub(super) now: DateTime<Utc>,
}

impl Envelope {
    /// Either outcome of an action; `shape` may spoil the body.
    pub(super) fn outcome(
        &self,
        outcome: &Result<Value, Problem>,
        shape: impl FnOnce(&mut Value),
    ) -> Response<Bytes> {
        let (status, root, mut body) = match outcome {
            Ok(body) => (200, format!("{}Response", self.action), body.clone()),
            Err(problem) => (problem.status, "Error".to_owned(), problem.body(&self.host)),
        };
        body["RequestId"] = json!(self.request_id);
        shape(&mut body);
        self.write(status, &root, &body)
    }

    /// The same envelope in another format.
    pub(super) fn as_format(&self, format: Format) -> Self {
        Self { format, ..self.clone() }
    }

    pub(super) fn problem(&self, problem: Problem) -> Response<Bytes> {
        self.outcome(&Err(problem), |_| {})
    }

    fn write(&self, status: u16, root: &str, body: &Value) -> Response<Bytes> {
        match self.format {
            Format::Json => self.raw(status, "application/json;charset=utf-8", body.to_string()),
            Format::Xml => self.raw(status, "text/xml;charset=utf-8", to_xml(root, body)),
        }
    }

    /// Any body, with the headers that every answer has.
    pub(super) fn raw(&self, status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let date = self.now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, text) in [("date", &date), ("x-acs-request-id", &self.request_id)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
        answer
    }
}

/// The vendor's XML: a list is its element repeated.
fn to_xml(root: &str, body: &Value) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    element(&mut out, root, body);
    out
}

fn element(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(rows) => rows.iter().for_each(|row| element(out, name, row)),
        Value::Object(fields) => {
            let _ = write!(out, "<{name}>");
            fields.iter().for_each(|(field, value)| element(out, field, value));
            let _ = write!(out, "</{name}>");
        }
        Value::String(text) => {
            let _ = write!(out, "<{name}>{}</{name}>", escape(text));
        }
        other => {
            let _ = write!(out, "<{name}>{other}</{name}>");
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Makes every key begin with a small letter, as some answers of the service do.
pub(super) fn lower_case_keys(value: &mut Value) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(lower_case_keys),
        Value::Object(fields) => {
            let renamed: Map<String, Value> = std::mem::take(fields)
                .into_iter()
                .map(|(name, mut value)| {
                    lower_case_keys(&mut value);
                    let mut letters = name.chars();
                    let first: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
                    (first + letters.as_str(), value)
                })
                .collect();
            *fields = renamed;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_repeats_the_element_of_a_list() {
        let body = json!({"Tasks": {"Task": [{"TaskId": "1"}, {"TaskId": "<&>"}]}, "TotalCount": 2});
        let xml = to_xml("R", &body);
        assert!(xml.ends_with(
            "<R><Tasks><Task><TaskId>1</TaskId></Task><Task><TaskId>&lt;&amp;&gt;</TaskId></Task></Tasks>\
             <TotalCount>2</TotalCount></R>"
        ));
    }

    #[test]
    fn keys_get_small_letters_at_every_depth() {
        let mut body = json!({"RequestId": "R", "Tasks": {"Task": [{"TaskId": "T"}]}});
        lower_case_keys(&mut body);
        assert_eq!(body, json!({"requestId": "R", "tasks": {"task": [{"taskId": "T"}]}}));
    }
}
