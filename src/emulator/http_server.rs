//! Serves the emulator over sockets, with the pages at `/_emulator/` for scripts in any language.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answer::Reply;
use super::handle::handle;
use super::scenario::duration::LONGEST;
use super::shared::Shared;
use crate::net::serve::{Abort, ServeLimits, serve};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Far more than any real request.
const MAX_BODY: usize = 1 << 20;
const MAX_CONNECTIONS: usize = 1024;

pub(super) async fn listen(shared: Arc<Shared>, listener: TcpListener, shutdown: CancellationToken) {
    let idle = shared.state().scenario.idle_timeout.min(LONGEST);
    let limits = ServeLimits { max_connections: MAX_CONNECTIONS, header_timeout: idle, read_ahead: None };
    serve(listener, limits, shutdown, move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    })
    .await;
}

async fn answer(shared: &Arc<Shared>, request: http::Request<Incoming>) -> Result<Response<Body>, Abort> {
    let (head, body) = request.into_parts();
    if let Some(page) = page(shared, &head.method, head.uri.path()) {
        return Ok(page);
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", String::new()));
        }
        Err(_) => return Err(Abort),
    };
    match handle(shared, &http::Request::from_parts(head, body)).await {
        Reply::Answer(answer) => Ok(answer.map(whole)),
        Reply::Reset => Err(Abort),
        Reply::Stall => std::future::pending().await,
        Reply::HalfBody(answer) => Ok(half(answer)),
    }
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Announces the whole body, sends half of it and breaks off.
fn half(mut answer: Response<Bytes>) -> Response<Body> {
    let length = answer.body().len();
    answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    let body = answer.body().slice(..length / 2);
    answer.map(|_| {
        let frames = stream::unfold(Some(body), |first| async move {
            match first {
                Some(half) if !half.is_empty() => Some((Ok(Frame::data(half)), Some(Bytes::new()))),
                _ => {
                    // Time for the half to leave, since an error discards what was not sent.
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    Some((Err(io::Error::other("half a body was asked for")), None))
                }
            }
        });
        StreamBody::new(frames).boxed_unsync()
    })
}

/// The pages at `/_emulator/`.
fn page(shared: &Shared, method: &Method, path: &str) -> Option<Response<Body>> {
    let page = path.strip_prefix("/_emulator/")?;
    if method != Method::GET {
        return Some(plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new()));
    }
    let body = match page {
        "health" => Ok("{\"status\":\"ok\"}".to_owned()),
        "calls" => serde_json::to_string(&shared.state().calls),
        "events" => serde_json::to_string(&shared.state().events),
        "queue" => serde_json::to_string(&shared.queue_messages()),
        _ => return Some(plain(StatusCode::NOT_FOUND, "text/plain", String::new())),
    };
    Some(match body {
        Ok(body) => plain(StatusCode::OK, "application/json", body),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    })
}

fn plain(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    answer
}
