//! All that the sources of credentials can touch, as one value: variables, files, processes, the network, the time.
//!
//! [`Environment::of_process`] is the real one. [`Environment::empty`] has nothing in it; tests put in what they need, and
//! so no test changes the environment of the process it runs in.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::process::{ProcessOutput, run_process};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock};
use crate::net::transport::{
    BoxFuture, Phase, Transport, TransportError, TransportResult, host_of, send_within,
};
use crate::net::{HttpOptions, HttpTransport};

/// Connecting to the instance metadata service, and silence of it. Source: section "Instance RAM role" of the
/// vendor's SDKs.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);
/// No file of credentials is larger, in bytes; whatever is, is something else.
const MAX_FILE: u64 = 1 << 20;
/// No answer with credentials is longer, in bytes: a long token has a few thousand.
const MAX_ANSWER: usize = 64 * 1024;

/// A file as it was read.
#[derive(Clone)]
pub struct FileText {
    /// What is in it.
    pub text: String,
    /// Its permission bits, where the system has such.
    pub mode: Option<u32>,
}

type ReadVariable = dyn Fn(&str) -> Option<String> + Send + Sync;
type ReadFile = dyn Fn(&Path) -> io::Result<FileText> + Send + Sync;
type RunProcess = dyn Fn(Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> + Send + Sync;

/// The surroundings of the credential sources. Clones are the same environment.
#[derive(Clone)]
pub struct Environment {
    /// Reads a variable.
    pub variables: Arc<ReadVariable>,
    /// The home directory.
    pub home: Option<PathBuf>,
    /// Reads a file.
    pub files: Arc<ReadFile>,
    /// Runs a program, given with its arguments. The future is dropped to have the process killed.
    pub processes: Arc<RunProcess>,
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
    services: Network,
    metadata: Network,
    /// What was warned of.
    warned: Arc<Mutex<HashSet<String>>>,
}

impl Environment {
    /// The environment of this process. No connection is made and no file read before a source is asked.
    ///
    /// `http` counts for the token service and credentials services; the metadata service has its own timeouts.
    pub fn of_process(http: &HttpOptions) -> Self {
        let to_metadata = HttpOptions {
            connect_timeout: METADATA_TIMEOUT,
            read_timeout: METADATA_TIMEOUT,
            extra_roots: Vec::new(),
            proxy_from_environment: false,
            ..http.clone()
        };
        Self {
            variables: Arc::new(|name| std::env::var(name).ok()),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            files: Arc::new(read_file),
            processes: Arc::new(|command| Box::pin(run_process(command))),
            services: network(http.clone()),
            metadata: network(to_metadata),
            ..Self::empty()
        }
    }

    /// An environment with nothing in it: no variable, no home, no file, no process, no network. Its time is the
    /// machine's.
    pub fn empty() -> Self {
        let missing = |what: &str| io::Error::new(io::ErrorKind::NotFound, what.to_owned());
        Self {
            variables: Arc::new(|_| None),
            home: None,
            files: Arc::new(move |_| Err(missing("no such file"))),
            processes: Arc::new(move |_| Box::pin(async move { Err(missing("no such program")) })),
            services: Ok(Arc::new(NoNetwork)),
            metadata: Ok(Arc::new(NoNetwork)),
            clock: Arc::new(SystemClock),
            warned: Arc::default(),
        }
    }

    /// Replaces the network.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.services = Ok(transport.clone());
        self.metadata = Ok(transport);
        self
    }

    /// A variable; a set but empty one is as unset.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    /// Whether a switch is on: `true` in any case, or `1`.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    /// A path below the home directory, if there is one.
    pub(super) fn in_home(&self, below: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(below))
    }

    /// A file of secrets; `None` if it is not there. Warns once if others can read it.
    pub(super) fn secret_file(&self, path: &Path) -> Result<Option<String>> {
        let Some(file) = self.file(path)? else { return Ok(None) };
        if let Some(mode) = file.mode.filter(|mode| mode & 0o044 != 0) {
            let (path, mode) = (path.display(), mode & 0o777);
            self.warn_once(format!(
                "{path} holds secrets and others can read it (mode {mode:04o}): chmod 600 it"
            ));
        }
        Ok(Some(file.text))
    }

    /// Warns of something that is found anew at each renewal.
    pub(super) fn warn_once(&self, message: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.contains(&message) {
            tracing::warn!("{message}");
            warned.insert(message);
        }
    }

    /// A file; `None` if it is not there.
    pub(super) fn file(&self, path: &Path) -> Result<Option<FileText>> {
        match (self.files)(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => {
                let message = format!("{} can't be read: {error}", path.display());
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    /// Sends one request to the token service or a credentials service, and waits `limit` at most for the whole answer.
    pub(super) async fn send(
        &self,
        request: http::Request<Bytes>,
        limit: Duration,
    ) -> Result<TransportResult> {
        send_by(&self.services, request, limit).await
    }

    /// Sends one request to the instance metadata service, wherever that is: at most a second of silence, and no proxy.
    pub(super) async fn send_to_metadata(
        &self,
        request: http::Request<Bytes>,
        limit: Duration,
    ) -> Result<TransportResult> {
        send_by(&self.metadata, request, limit).await
    }
}

/// A way into the network; or why there is none.
type Network = Result<Arc<dyn Transport>>;

/// For answers with credentials, which are short.
fn network(options: HttpOptions) -> Network {
    let max_answer_bytes = options.max_answer_bytes.min(MAX_ANSWER);
    Ok(Arc::new(HttpTransport::new(&HttpOptions { max_answer_bytes, ..options })?))
}

async fn send_by(
    network: &Network,
    request: http::Request<Bytes>,
    limit: Duration,
) -> Result<TransportResult> {
    Ok(send_within(&**network.as_ref().map_err(Clone::clone)?, request, limit).await)
}

/// The network of an environment with nothing in it.
#[derive(Debug)]
struct NoNetwork;

impl Transport for NoNetwork {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, TransportResult> {
        let (host, message) = (host_of(request.uri()), "there is no network here".to_owned());
        Box::pin(async { Err(TransportError::new(Phase::Connect, host, message)) })
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("home", &self.home)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

fn read_file(path: &Path) -> io::Result<FileText> {
    let file = std::fs::File::open(path)?;
    #[cfg(unix)]
    let mode = Some(std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions()));
    #[cfg(not(unix))]
    let mode = None;
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(FileText { text, mode })
}
