//! One question to one node: a connection of its own, one request, the head of one answer. The body is not read.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, HeaderValue, RANGE, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;

use crate::net::connector::{Connector, End};
use crate::net::transport::{Phase, TransportError, host_of};

/// Longest head of an answer, in bytes.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// Whether a header is this tool's business, or would change what the connection means. Such headers can't be given for the
/// requests to nodes.
pub(super) fn is_ours(name: &http::HeaderName) -> bool {
    let connection =
        ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"];
    connection.contains(&name.as_str()) || ["range", "expect"].contains(&name.as_str())
}

/// Asks for `uri` at `node`, or at the node that DNS gives, with `given` headers. What was connected to goes into `peer`.
/// All is to be done within `patience`, which the caller sees to.
///
/// Cancel safety: dropping the future closes the connection.
pub(super) async fn ask(
    connector: &Connector,
    method: Method,
    uri: &Uri,
    node: Option<SocketAddr>,
    given: &HeaderMap,
    patience: Duration,
    peer: &mut String,
) -> Result<(StatusCode, HeaderMap), TransportError> {
    let at = node.and_then(|node| {
        let builder = Uri::builder().scheme(uri.scheme_str().unwrap_or_default());
        builder.authority(node.to_string()).path_and_query("/").build().ok()
    });
    let at = at.as_ref().unwrap_or(uri);
    if let Some(node) = node {
        *peer = node.to_string();
    }
    // Half of the time, so that there is some left for another way.
    let line = tokio::time::timeout(patience / 2, connector.open(at, uri)).await.unwrap_or_else(|_| {
        let late = TransportError::new(Phase::Connect, host_of(at), String::new());
        Err(TransportError { timed_out: true, ..late })
    })?;
    *peer = match (line.end, node) {
        (End::Peer(address), _) => address.to_string(),
        (End::Proxy(proxy), Some(node)) => format!("{node}, through the proxy {proxy}"),
        (End::Proxy(proxy), None) => format!("chosen by the proxy {proxy}"),
    };
    // The URL is signed, so no text may hold it.
    let failed = |why: &dyn std::error::Error| {
        let mut message = why.to_string();
        let mut cause = why.source();
        while let Some(this) = cause {
            message = this.to_string();
            cause = this.source();
        }
        TransportError::new(Phase::Answer, host_of(at), message)
    };
    let request = request(method, uri, given).map_err(|why| failed(&why))?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(line.io))
        .await
        .map_err(|why| failed(&why))?;
    let (mut answer, connection) = (pin!(sender.send_request(request)), pin!(connection));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // It ends with the answer, or without one; either is in `answer` then.
        _ = connection => answer.await,
    };
    let (head, _) = answer.map_err(|why| failed(&why))?.into_parts();
    // What was read at once may be a little longer than the buffer.
    if head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > MAX_HEAD {
        let message = format!("its head has more than {MAX_HEAD} bytes");
        return Err(TransportError::new(Phase::TooLong, host_of(at), message));
    }
    Ok((head.status, head.headers))
}

fn request(method: Method, uri: &Uri, given: &HeaderMap) -> http::Result<Request<Empty<Bytes>>> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(&method).uri(path).body(Empty::new())?;
    let headers = request.headers_mut();
    let agent = concat!("vod-refresh/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    // As browsers do, and as preloads of VOD do by default: where the origin varies by it, there are several copies.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    for name in given.keys().filter(|name| !is_ours(name)) {
        headers.remove(name);
        for value in given.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    let host = uri.authority().map_or("", |authority| authority.as_str());
    headers.insert(HOST, HeaderValue::try_from(host)?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if method == Method::GET {
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
    }
    Ok(request)
}
