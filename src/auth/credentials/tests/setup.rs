//! An environment put together by hand, and a network that answers as the services do and keeps what it was sent.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::auth::credentials::{
    Credential, CredentialOptions, CredentialProvider as _, DefaultCredentials, Environment, FileText,
    ProcessOutput,
};
use crate::error::Result;
use crate::net::clock::TimerClock;
use crate::net::transport::{BoxFuture, Phase, Transport, TransportError};

pub(super) const CONFIG: &str = "/home/u/.aliyun/config.json";
pub(super) const INI: &str = "/home/u/.alibabacloud/credentials.ini";
pub(super) const PLAIN_INI: &str = "/home/u/.alibabacloud/credentials";
pub(super) const URI: (&str, &str) = ("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1:6666/?user=MARK");
pub(super) const ROLE: &str = "acs:ram::1234567890123456:role/reader";

/// Every secret in these tests has this in it; no error may.
pub(super) const MARK: &str = "MARK";

/// What a request looked like.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) body: String,
    pub(super) headers: http::HeaderMap,
}

impl Sent {
    pub(super) fn has(&self, text: &str) -> bool {
        self.body.contains(text)
    }
}

type Run = dyn Fn(Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> + Send + Sync;
pub(super) type Answer = fn(&Sent) -> Option<(u16, String)>;
type Respond = dyn Fn(&Sent) -> Option<(u16, String)> + Send + Sync;

/// Answers by a function; `None` means that nobody is there.
#[derive(Clone)]
pub(super) struct Wire {
    respond: Arc<Respond>,
    pub(super) sent: Arc<Mutex<Vec<Sent>>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Transport for Wire {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let (head, body) = request.into_parts();
        let sent = Sent {
            method: head.method.to_string(),
            url: head.uri.to_string(),
            body: String::from_utf8_lossy(&body).into_owned(),
            headers: head.headers,
        };
        self.sent.lock().unwrap().push(sent.clone());
        let host = head.uri.host().unwrap_or_default().to_owned();
        let answer = (self.respond)(&sent);
        Box::pin(async move {
            let none =
                TransportError { phase: Phase::Connect, timed_out: false, host, message: "refused".into() };
            let (status, body) = answer.ok_or(none)?;
            Ok(http::Response::builder().status(status).body(Bytes::from(body)).unwrap())
        })
    }
}

pub(super) fn session(key_id: &str) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{key_id}","AccessKeySecret":"MARK-s","SecurityToken":"MARK-t",
            "Expiration":"2026-11-25T02:19:10Z","LastUpdated":"2026-11-25T01:19:10Z"}}"#
    )
}

pub(super) fn assumed(key_id: &str) -> String {
    format!(r#"{{"RequestId":"R","Credentials":{}}}"#, session(key_id).replace(r#""Code":"Success","#, ""))
}

/// A cloud where everything works: the key id says who gave it.
pub(super) fn healthy(sent: &Sent) -> Option<(u16, String)> {
    let url = &sent.url;
    let body = if url.starts_with("https://sts") {
        let oidc = url.contains("Action=AssumeRoleWithOIDC");
        assumed(if oidc { "STS.oidc" } else { "STS.role" })
    } else if url.starts_with("http://100.100.100.200/latest/api/token") {
        "IMDS".to_owned()
    } else if url.ends_with("/security-credentials/") {
        "worker\n".to_owned()
    } else if url.contains("/security-credentials/") {
        session("STS.ecs")
    } else {
        session("STS.uri")
    };
    Some((200, body))
}

#[derive(Clone, Default)]
pub(super) struct Setup {
    variables: BTreeMap<String, String>,
    files: Arc<Mutex<BTreeMap<PathBuf, FileText>>>,
    unreadable: Option<PathBuf>,
    wire: Option<Wire>,
    process: Option<Arc<Run>>,
    options: CredentialOptions,
}

impl Setup {
    pub(super) fn new() -> Self {
        Self::default().answering(healthy)
    }

    pub(super) fn with(mut self, variables: &[(&str, &str)]) -> Self {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.variables.extend(pairs);
        self
    }

    pub(super) fn with_file(self, path: &str, text: impl Into<String>) -> Self {
        self.put(path, text);
        self
    }

    pub(super) fn put(&self, path: &str, text: impl Into<String>) {
        let file = FileText { text: text.into(), mode: Some(0o100_600) };
        self.files.lock().unwrap().insert(path.into(), file);
    }

    pub(super) fn with_mode(self, path: &str, mode: u32) -> Self {
        self.files.lock().unwrap().get_mut(&PathBuf::from(path)).unwrap().mode = Some(mode);
        self
    }

    pub(super) fn with_unreadable(mut self, path: &str) -> Self {
        self.unreadable = Some(path.into());
        self
    }

    pub(super) fn answering(
        mut self,
        respond: impl Fn(&Sent) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> Self {
        self.wire = Some(Wire { respond: Arc::new(respond), sent: Arc::default() });
        self
    }

    pub(super) fn with_process(
        mut self,
        run: impl Fn(Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> + Send + Sync + 'static,
    ) -> Self {
        self.process = Some(Arc::new(run));
        self
    }

    pub(super) fn with_profile(mut self, name: &str) -> Self {
        self.options.profile = Some(name.to_owned());
        self
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.wire.as_ref().map(|wire| wire.sent.lock().unwrap().clone()).unwrap_or_default()
    }

    pub(super) fn credentials(&self) -> DefaultCredentials {
        let (variables, files, unreadable) =
            (self.variables.clone(), self.files.clone(), self.unreadable.clone());
        let mut environment = Environment::empty();
        // With a slash at its end, which Windows then takes for its own.
        environment.home = Some("/home/u/".into());
        let now = "2026-11-25T01:19:10Z".parse::<DateTime<Utc>>().unwrap();
        environment.clock = Arc::new(TimerClock::starting_at(now));
        environment.variables = Arc::new(move |name: &str| variables.get(name).cloned());
        environment.files = Arc::new(move |path: &Path| {
            if unreadable.as_deref() == Some(path) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            files.lock().unwrap().get(path).cloned().ok_or(io::ErrorKind::NotFound.into())
        });
        if let Some(wire) = &self.wire {
            environment = environment.with_transport(Arc::new(wire.clone()));
        }
        if let Some(process) = self.process.clone() {
            environment.processes = process;
        }
        DefaultCredentials::in_environment(environment, self.options.clone())
    }

    pub(super) async fn find(&self) -> Result<Credential> {
        self.credentials().credential().await.map(Option::unwrap)
    }

    pub(super) async fn key(&self) -> String {
        self.find().await.unwrap().key_id
    }

    /// The error's text, in which no secret may be.
    pub(super) async fn failure(&self) -> crate::Error {
        let error = self.find().await.unwrap_err();
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains(MARK), "{printed}");
        error
    }
}

/// `config.json` with one current profile, `p`.
pub(super) fn config(profile: &str) -> String {
    format!(r#"{{"current":"p","profiles":[{{"name":"p",{profile}}}]}}"#)
}

/// Keeps what is logged, down to a level.
#[derive(Clone)]
pub(super) struct LogCapture(Arc<Mutex<Vec<String>>>, tracing::Level);

impl LogCapture {
    pub(super) fn down_to(level: tracing::Level) -> Self {
        Self(Arc::default(), level)
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for LogCapture {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.1 && metadata.target().starts_with("vod_refresh")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text<'a>(&'a mut String);
        impl tracing::field::Visit for Text<'_> {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                use std::fmt::Write as _;
                let _ = write!(self.0, "{value:?} ");
            }
        }
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        self.0.lock().unwrap().push(text);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
