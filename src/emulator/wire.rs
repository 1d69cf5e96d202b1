//! Reads a raw request as a server does. It shares no code with the client's encoder, so that a slip there shows here.

use bytes::Bytes;
use http::{HeaderMap, Method, header};

use super::answer::Problem;
use crate::auth::rpc::Params;

/// A request as it came in, decoded.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    /// Host and port as the caller wrote them; from the request line where there is no `Host` header.
    pub(super) host: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) query: Params,
    pub(super) form: Params,
    pub(super) body: Bytes,
}

impl Received {
    /// A parameter, from the query or the form.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).or_else(|| self.form.get(name)).map(String::as_str)
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
        self.header("x-acs-action").or_else(|| self.param("Action")).unwrap_or_default()
    }
}

/// Decodes query and form.
pub(super) fn read(request: &http::Request<Bytes>) -> Result<Received, Problem> {
    let query = pairs(request.uri().query().unwrap_or_default().as_bytes())?;
    let is_form =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(
            |value| value.trim().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"),
        );
    let form = if is_form { pairs(request.body())? } else { Params::new() };
    if let Some(name) = form.keys().find(|name| query.contains_key(*name)) {
        return Err(Problem::invalid_parameter(name, "it stands in the query and in the body"));
    }
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let host = named.or_else(|| request.uri().authority().map(|a| a.as_str())).map(str::to_owned);
    Ok(Received {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        host,
        headers: request.headers().clone(),
        query,
        form,
        body: request.body().clone(),
    })
}

/// `name=value` pairs; a name that comes twice is refused, since nobody could say which one was signed.
fn pairs(raw: &[u8]) -> Result<Params, Problem> {
    let mut params = Params::new();
    for pair in raw.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
        let cut = pair.iter().position(|&b| b == b'=');
        let (name, value) = match cut {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        let name = decode(name)
            .ok_or_else(|| Problem::invalid_parameter("(name)", "it is not percent-encoded UTF-8"))?;
        let Some(value) = decode(value) else {
            return Err(Problem::invalid_parameter(&name, "it is not percent-encoded UTF-8"));
        };
        if params.contains_key(&name) {
            return Err(Problem::invalid_parameter(&name, "it is given twice"));
        }
        params.insert(name, value);
    }
    Ok(params)
}

/// Percent-decoding with `+` as blank; `None` for a broken escape or what is not UTF-8.
fn decode(raw: &[u8]) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.iter().copied();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
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
            assert_eq!(decode(raw.as_bytes()).as_deref(), *text, "{raw}");
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
        let received = read(&request("http://h:1/?a=1&b=", "c=x%3Dy&d")).unwrap();
        assert_eq!(received.param("b"), Some(""));
        assert_eq!(received.param("c"), Some("x=y"));
        assert_eq!(received.param("d"), Some(""));
        assert_eq!(received.host.as_deref(), Some("h:1"));
        for (target, body) in [("/?a=1&a=1", ""), ("/?a=1", "a=1"), ("/?a=%ff", ""), ("/", "%f=1")] {
            assert_eq!(read(&request(target, body)).unwrap_err().code, "InvalidParameter", "{target} {body}");
        }
    }
}
