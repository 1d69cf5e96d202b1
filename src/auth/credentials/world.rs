//! All that the sources can touch, as one value: variables, files, processes, the network, the time.
//!
//! [`World::process`] is the real one. [`World::nowhere`] has nothing in it; tests put in what they need, and so no
//! test changes the environment of the process it runs in.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::external;
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock};
use crate::net::transport::{BoxFuture, Phase, Transport, TransportError, send_within};
use crate::net::{HttpOptions, HttpTransport};

/// Connecting to the instance metadata service, and silence of it. Source: section "Instance RAM role" of the
/// vendor's SDKs.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);
/// No file of credentials is larger; whatever is, is something else.
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

/// What a process left behind.
#[derive(Clone)]
pub struct ProcessOutput {
    /// Whether it ended with status 0.
    pub success: bool,
    /// Its standard output, cut after 64 KiB. As good as a secret.
    pub stdout: Vec<u8>,
}

type ReadVariable = dyn Fn(&str) -> Option<String> + Send + Sync;
type ReadFile = dyn Fn(&Path) -> io::Result<FileText> + Send + Sync;
type RunProcess = dyn Fn(Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> + Send + Sync;

/// The surroundings of the credential sources. Clones are the same world.
#[derive(Clone)]
pub struct World {
    variables: Arc<ReadVariable>,
    home: Option<PathBuf>,
    files: Arc<ReadFile>,
    processes: Arc<RunProcess>,
    sts: Arc<Lazy>,
    local: Arc<Lazy>,
    metadata: Arc<Lazy>,
    clock: Arc<dyn Clock>,
    warned: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Who is called: it decides about proxy and timeouts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    /// The token service, or a credentials service on another machine: through the proxy, if there is one.
    Remote,
    /// A service on this machine: never through a proxy.
    Local,
    /// The instance metadata service: never through a proxy, and at most a second of silence.
    Metadata,
}

impl World {
    /// The world that this process lives in. No connection is made and no file read before somebody asks.
    ///
    /// `http` counts for the token service and credentials services; the metadata service has its own timeouts.
    pub fn process(http: &HttpOptions) -> Self {
        let remote = HttpOptions { max_answer_bytes: http.max_answer_bytes.min(MAX_ANSWER), ..http.clone() };
        // No public authority vouches for a service on this machine, so only certificates that were given count.
        let local = HttpOptions { proxy_from_environment: false, plain_http_only: true, ..remote.clone() };
        let metadata = HttpOptions {
            connect_timeout: METADATA_TIMEOUT,
            read_timeout: METADATA_TIMEOUT,
            extra_roots: Vec::new(),
            ..local.clone()
        };
        Self {
            variables: Arc::new(|name| std::env::var(name).ok()),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            files: Arc::new(read_file),
            processes: Arc::new(|words| Box::pin(external::run(words))),
            sts: Arc::new(Lazy::of(remote)),
            local: Arc::new(Lazy::of(local)),
            metadata: Arc::new(Lazy::of(metadata)),
            clock: Arc::new(SystemClock),
            warned: Arc::default(),
        }
    }

    /// A world with nothing in it: no variable, no home, no file, no process, no network. Its time is the machine's.
    pub fn nowhere() -> Self {
        let missing = |what: &str| io::Error::new(io::ErrorKind::NotFound, what.to_owned());
        Self {
            variables: Arc::new(|_| None),
            home: None,
            files: Arc::new(move |_| Err(missing("no such file"))),
            processes: Arc::new(move |_| Box::pin(async move { Err(missing("no such program")) })),
            sts: Arc::new(Lazy::made(Arc::new(NoNetwork))),
            local: Arc::new(Lazy::made(Arc::new(NoNetwork))),
            metadata: Arc::new(Lazy::made(Arc::new(NoNetwork))),
            clock: Arc::new(SystemClock),
            warned: Arc::default(),
        }
    }

    /// Another environment.
    #[must_use]
    pub fn with_variables(mut self, read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.variables = Arc::new(read);
        self
    }

    /// Another home directory.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Other files.
    #[must_use]
    pub fn with_files(
        mut self,
        read: impl Fn(&Path) -> io::Result<FileText> + Send + Sync + 'static,
    ) -> Self {
        self.files = Arc::new(read);
        self
    }

    /// Other processes: given program and arguments. The caller drops the future to have the process killed.
    #[must_use]
    pub fn with_processes(
        mut self,
        run: impl Fn(Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> + Send + Sync + 'static,
    ) -> Self {
        self.processes = Arc::new(run);
        self
    }

    /// Another network, for every peer.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.sts = Arc::new(Lazy::made(transport.clone()));
        self.local = Arc::new(Lazy::made(transport.clone()));
        self.with_metadata_transport(transport)
    }

    /// Another way to the instance metadata service.
    #[must_use]
    pub fn with_metadata_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.metadata = Arc::new(Lazy::made(transport));
        self
    }

    /// Another wall clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
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
        if let Some(mode) = file.mode.filter(|mode| mode & 0o044 != 0)
            && self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned())
        {
            let mode = mode & 0o777;
            tracing::warn!(
                "{} holds secrets and others can read it (mode {mode:04o}): chmod 600 it",
                path.display()
            );
        }
        Ok(Some(file.text))
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

    pub(super) fn run(&self, words: Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> {
        (self.processes)(words)
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Sends one request and waits `limit` at most for the whole answer.
    pub(super) async fn send(
        &self,
        peer: Peer,
        request: http::Request<Bytes>,
        limit: Duration,
    ) -> Result<Result<http::Response<Bytes>, TransportError>> {
        let transport = match peer {
            Peer::Remote => &self.sts,
            Peer::Local => &self.local,
            Peer::Metadata => &self.metadata,
        };
        Ok(send_within(&**transport.get()?, request, limit).await)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("home", &self.home).field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// An HTTP client that is made when first needed: most runs find their key in the environment and need none.
struct Lazy {
    options: HttpOptions,
    client: OnceLock<Arc<dyn Transport>>,
}

impl Lazy {
    fn of(options: HttpOptions) -> Self {
        Self { options, client: OnceLock::new() }
    }

    fn made(transport: Arc<dyn Transport>) -> Self {
        Self { options: HttpOptions::default(), client: OnceLock::from(transport) }
    }

    fn get(&self) -> Result<&Arc<dyn Transport>> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made: Arc<dyn Transport> = Arc::new(HttpTransport::new(&self.options)?);
        Ok(self.client.get_or_init(|| made))
    }
}

#[derive(Debug)]
struct NoNetwork;

impl Transport for NoNetwork {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let message = "there is no network here".to_owned();
        Box::pin(async { Err(TransportError { phase: Phase::Connect, timed_out: false, host, message }) })
    }
}

fn read_file(path: &Path) -> io::Result<FileText> {
    use std::io::Read as _;
    let file = std::fs::File::open(path)?;
    let mode = mode(&file.metadata()?);
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(FileText { text, mode })
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(metadata.permissions().mode())
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> Option<u32> {
    None
}
