//! A credentials service: one GET, one temporary key.
//!
//! Its URL may hold a password or a token, so only scheme and host are ever shown.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use serde_json::Value;

use super::chain::{Answer, Context};
use super::world::Peer;
use super::{Credential, session};
use crate::error::{Error, ErrorKind, Result};
use crate::net::endpoint::is_loopback;
use crate::net::transport::Phase;

const VARIABLE: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
/// One exchange as a whole: the vendor's 5 s to connect and 10 s to answer.
const LIMIT: Duration = Duration::from_secs(15);

pub(super) async fn from_environment(context: &Context) -> Result<Answer> {
    let Some(uri) = context.world.variable(VARIABLE) else {
        return Ok(Answer::Absent(format!("{VARIABLE} is not set")));
    };
    fetch(context, &uri, VARIABLE).await.map(Answer::Found)
}

/// Fetches from `uri`, which stands in `setting`.
pub(super) async fn fetch(context: &Context, uri: &str, setting: &str) -> Result<Credential> {
    let wrong = |why: &str| Error::new(ErrorKind::Config, format!("{setting} {why}"));
    let uri: Uri = uri.parse().map_err(|_| wrong("is no URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("is no URL"));
    };
    let here = is_loopback(authority.host());
    match scheme {
        "https" => {}
        "http" if here || context.options.allow_plain_http => {}
        "http" => return Err(wrong("is plain HTTP, which is allowed to this machine only")),
        _ => return Err(wrong("is no http or https URL")),
    }
    // A user name and password in front of the host are not for showing.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let service = format!("the credentials service {scheme}://{host}");
    let peer = if here { Peer::Local } else { Peer::Remote };
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = uri.clone();
    let answer = context.world.send(peer, request, LIMIT).await?.map_err(|failure| {
        // The transport's own text has the authority in it, and so perhaps a password.
        let why = if failure.timed_out { "did not answer in time" } else { "can't be reached" };
        let why =
            if failure.phase == Phase::Trust { "has a TLS certificate that is not trusted" } else { why };
        Error::new(failure.kind(), format!("{service} ({setting}) {why}"))
    })?;
    read(&answer)
        .map(|credential| credential.with_source(service.clone()))
        .map_err(|(kind, why)| Error::new(kind, format!("{service} ({setting}) {why}")))
}

fn read(answer: &http::Response<Bytes>) -> Result<Credential, (ErrorKind, String)> {
    let status = answer.status().as_u16();
    if status != 200 {
        let kind = if status >= 500 { ErrorKind::Unavailable } else { ErrorKind::Refused };
        return Err((kind, format!("answers HTTP {status}")));
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    // The vendor's Go and Node packages do not look at the code, so services without one are about.
    if session::text(&body, "Code").is_some_and(|code| code != "Success") {
        return Err((ErrorKind::Refused, "answers with a Code that is not Success".into()));
    }
    session::read(&body).map_err(|field| (ErrorKind::Config, format!("gives no usable {field}")))
}
