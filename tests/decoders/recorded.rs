//! HTTP messages as text: a first line, headers, an empty line, the body. So people can read and write corpus files.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::net::transport::{BoxFuture, Transport, TransportError};

/// The answer in `bytes`, whose first line is the status. What does not begin so is the body of a 200.
pub(super) fn answer(bytes: &[u8]) -> Response<Bytes> {
    let read = || {
        let (first, headers, body) = parts(bytes)?;
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::from_bytes(first).ok()?;
        *answer.headers_mut() = headers;
        Some(answer)
    };
    read().unwrap_or_else(|| Response::new(Bytes::copy_from_slice(bytes)))
}

/// The request in `bytes`, whose first line is the method. What does not begin so is the body of a POST.
pub(super) fn request(bytes: &[u8]) -> Request<Bytes> {
    let read = || {
        let (first, headers, body) = parts(bytes)?;
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::from_bytes(first).ok()?;
        *request.headers_mut() = headers;
        Some(request)
    };
    let bare = || {
        let mut request = Request::new(Bytes::copy_from_slice(bytes));
        *request.method_mut() = http::Method::POST;
        request
    };
    read().unwrap_or_else(bare)
}

fn parts(bytes: &[u8]) -> Option<(&[u8], HeaderMap, Bytes)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some((first, headers, Bytes::copy_from_slice(&bytes[end + 2..])))
}

/// Gives the same answer to whoever asks for whatever.
#[derive(Debug, Clone)]
pub(super) struct FixedAnswer(pub(super) Response<Bytes>);

impl Transport for FixedAnswer {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = self.0.clone();
        Box::pin(async { Ok(answer) })
    }
}
