//! Reads a raw request as a server does. It shares no code with the client's encoder, so that a slip there shows here.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderMap, Method, header};

use crate::auth::rpc::Params;

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

    pub(super) fn invalid_parameter(name: &str, why: impl Display) -> Self {
        let message = format!("The specified parameter \"{name}\" is not valid: {why}.");
        Self::new(400, "InvalidParameter", message)
    }
}

/// A request as it came in, decoded.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    /// Path and query as the caller wrote them.
    pub(super) target: String,
    /// Host and port as the caller wrote them; from the request line where there is no `Host` header.
    pub(super) host: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) query: Params,
    pub(super) form: Params,
    pub(super) body: Bytes,
}

/// Whether a path belongs to the queue service.
pub(super) fn is_of_queue(path: &str) -> bool {
    path.starts_with("/queues/")
}

impl Received {
    /// Decodes query and form.
    pub(super) fn read(request: &http::Request<Bytes>) -> Result<Self, Problem> {
        let uri = request.uri();
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let query = uri.query().unwrap_or_default();
        let content_type = header(header::CONTENT_TYPE).unwrap_or_default().trim().to_ascii_lowercase();
        let is_form = content_type.starts_with("application/x-www-form-urlencoded");
        let (query, form) = match is_of_queue(uri.path()) {
            true => (queue_pairs(query), Params::new()),
            false => (pairs(query.as_bytes())?, pairs(if is_form { request.body() } else { b"" })?),
        };
        if let Some(name) = form.keys().find(|name| query.contains_key(*name)) {
            return Err(Problem::invalid_parameter(name, "it stands in the query and in the body"));
        }
        let host = header(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
        Ok(Self {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            target: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            host: host.map(str::to_owned),
            headers: request.headers().clone(),
            query,
            form,
            body: request.body().clone(),
        })
    }

    pub(super) fn is_of_queue(&self) -> bool {
        is_of_queue(&self.path)
    }

    /// A parameter, from the query or the form. An empty value counts as not given.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        let value = self.query.get(name).or_else(|| self.form.get(name));
        value.map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.given(name).ok_or_else(|| Problem::missing(name))
    }

    /// A parameter that is one of two words, if it is given.
    pub(super) fn either(&self, name: &str, [one, other]: [&str; 2]) -> Result<Option<&str>, Problem> {
        match self.given(name) {
            Some(word) if word != one && word != other => {
                Err(Problem::invalid_parameter(name, format!("it is neither {one} nor {other}")))
            }
            word => Ok(word),
        }
    }

    /// A parameter that is true or false; not given, it is false. The vendor's Python SDK writes its own `True`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.given(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::invalid_parameter(name, "it is neither true nor false")),
        }
    }

    /// A number within `range`, if one is given.
    pub(super) fn number<T>(&self, name: &str, range: RangeInclusive<T>) -> Result<Option<T>, Problem>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.given(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let why = format!("it is no number from {} to {}", range.start(), range.end());
            Problem::invalid_parameter(name, why)
        })
    }

    /// All parameters.
    pub(super) fn params(&self) -> Params {
        self.query.iter().chain(&self.form).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// A header that must be readable text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The action, wherever the caller put it; empty if nowhere.
    pub(super) fn action(&self) -> &str {
        self.header("x-acs-action").or_else(|| self.given("Action")).unwrap_or_default()
    }
}

/// `name=value` pairs; a name that comes twice is refused, since nobody could say which one was signed.
fn pairs(raw: &[u8]) -> Result<Params, Problem> {
    let mut params = Params::new();
    for pair in raw.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match pair.iter().position(|&b| b == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        let not_encoded = |name: &str| Problem::invalid_parameter(name, "it is not percent-encoded UTF-8");
        let name = decode(name, b' ').ok_or_else(|| not_encoded("(name)"))?;
        let value = decode(value, b' ').ok_or_else(|| not_encoded(&name))?;
        if params.contains_key(&name) {
            return Err(Problem::invalid_parameter(&name, "it is given twice"));
        }
        params.insert(name, value);
    }
    Ok(params)
}

/// Parameters of the queue service. A plus sign is a plus sign: the vendor's SDKs send handles as they are.
fn queue_pairs(query: &str) -> Params {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| {
            (name.to_owned(), decode(value.as_bytes(), b'+').unwrap_or_else(|| value.to_owned()))
        })
        .collect()
}

/// Percent-decoding, with `plus` for `+`; `None` for a broken escape or what is not UTF-8.
fn decode(raw: &[u8], plus: u8) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.iter().copied();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => plus,
            b'%' => u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_decodes_escapes_and_plus_signs() {
        let table: &[(&str, Option<&str>)] = &[
            ("a~b%20%2A%2B%2F%25%E4%B8%AD%20%E6%96%87", Some("a~b *+/%中 文")),
            ("a+b", Some("a b")),
            ("%e4%b8%ad", Some("中")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%ff", None),
            ("", Some("")),
        ];
        for (raw, text) in table {
            assert_eq!(decode(raw.as_bytes(), b' ').as_deref(), *text, "{raw}");
        }
    }

    #[test]
    fn query_and_form_are_read_and_doubles_refused() {
        let request = |target: &str, body: &'static str| {
            http::Request::post(target)
                .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
                .body(Bytes::from_static(body.as_bytes()))
                .unwrap()
        };
        let received = Received::read(&request("http://h:1/?a=1&b=", "c=x%3Dy&d")).unwrap();
        assert_eq!(received.query["b"], "");
        assert_eq!(received.given("c"), Some("x=y"));
        assert_eq!(received.form["d"], "");
        assert_eq!(received.host.as_deref(), Some("h:1"));
        for (target, body) in [("/?a=1&a=1", ""), ("/?a=1", "a=1"), ("/?a=%ff", ""), ("/", "%f=1")] {
            assert_eq!(
                Received::read(&request(target, body)).unwrap_err().code,
                "InvalidParameter",
                "{target} {body}"
            );
        }
    }
}
