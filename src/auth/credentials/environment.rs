//! All that the sources of credentials can touch, as one value: variables, files, processes, the network, the time.
//!
//! [`Environment::of_process`] is the real one. [`Environment::empty`] has nothing in it; tests put in what they need, and
//! so no test changes the environment of the process it runs in.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::process::{ProcessOutput, run_process};
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock};
use crate::net::endpoint::is_loopback;
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
    variables: Arc<ReadVariable>,
    home: Option<PathBuf>,
    files: Arc<ReadFile>,
    processes: Arc<RunProcess>,
    network: Network,
    clock: Arc<dyn Clock>,
    /// What was warned of.
    warned: Arc<Mutex<HashSet<String>>>,
}

impl Environment {
    /// The environment of this process. No connection is made and no file read before a source is asked.
    ///
    /// `http` counts for the token service and credentials services; the metadata service has its own timeouts.
    pub fn of_process(http: &HttpOptions) -> Self {
        Self {
            variables: Arc::new(|name| std::env::var(name).ok()),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            files: Arc::new(read_file),
            processes: Arc::new(|command| Box::pin(run_process(command))),
            network: Network::Real(Arc::new((http.clone(), OnceLock::new()))),
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
            network: Network::None,
            clock: Arc::new(SystemClock),
            warned: Arc::default(),
        }
    }

    /// Replaces the variables.
    #[must_use]
    pub fn with_variables(mut self, read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.variables = Arc::new(read);
        self
    }

    /// Replaces the home directory.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Replaces the files.
    #[must_use]
    pub fn with_files(
        mut self,
        read: impl Fn(&Path) -> io::Result<FileText> + Send + Sync + 'static,
    ) -> Self {
        self.files = Arc::new(read);
        self
    }

    /// Replaces the processes: `run` is given program and arguments. Its future is dropped to have the process killed.
    #[must_use]
    pub fn with_processes(
        mut self,
        run: impl Fn(Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> + Send + Sync + 'static,
    ) -> Self {
        self.processes = Arc::new(run);
        self
    }

    /// Replaces the network.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.network = Network::Given(transport);
        self
    }

    /// Replaces the wall clock.
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

    pub(super) fn run(&self, command: Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> {
        (self.processes)(command)
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Sends one request to the token service or a credentials service, and waits `limit` at most for the whole answer.
    pub(super) async fn send(
        &self,
        request: http::Request<Bytes>,
        limit: Duration,
    ) -> Result<TransportResult> {
        if request.uri().host().is_some_and(is_loopback) {
            return self.send_with(use_no_proxy, request, limit).await;
        }
        let Network::Real(real) = &self.network else {
            return self.send_with(|_| (), request, limit).await;
        };
        let (options, shared) = &**real;
        // Loading the system's certificates takes a while. Of two that begin at the same time, one is dropped.
        let transport = match shared.get() {
            Some(transport) => transport,
            None => {
                let made = HttpTransport::new(&with_short_answers(options))?;
                shared.get_or_init(|| made)
            }
        };
        Ok(send_within(transport, request, limit).await)
    }

    /// Sends one request to the instance metadata service, wherever that is: at most a second of silence.
    pub(super) async fn send_to_metadata(
        &self,
        request: http::Request<Bytes>,
        limit: Duration,
    ) -> Result<TransportResult> {
        let adjust = |options: &mut HttpOptions| {
            use_no_proxy(options);
            options.connect_timeout = METADATA_TIMEOUT;
            options.read_timeout = METADATA_TIMEOUT;
            options.extra_roots = Vec::new();
        };
        self.send_with(adjust, request, limit).await
    }

    async fn send_with(
        &self,
        adjust: impl FnOnce(&mut HttpOptions),
        request: http::Request<Bytes>,
        limit: Duration,
    ) -> Result<TransportResult> {
        match &self.network {
            Network::None => {
                let (host, message) = (host_of(request.uri()), "there is no network here".to_owned());
                Ok(Err(TransportError::new(Phase::Connect, host, message)))
            }
            Network::Given(transport) => Ok(send_within(&**transport, request, limit).await),
            Network::Real(real) => {
                let mut options = with_short_answers(&real.0);
                adjust(&mut options);
                Ok(send_within(&HttpTransport::new(&options)?, request, limit).await)
            }
        }
    }
}

/// An answer with credentials is short.
fn with_short_answers(options: &HttpOptions) -> HttpOptions {
    let mut options = options.clone();
    options.max_answer_bytes = options.max_answer_bytes.min(MAX_ANSWER);
    options
}

/// A service on this machine is never reached through a proxy. No public authority vouches for it, so only certificates
/// that were given count.
fn use_no_proxy(options: &mut HttpOptions) {
    options.proxy_from_environment = false;
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("home", &self.home)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Network {
    None,
    Given(Arc<dyn Transport>),
    /// With the client that trusts the system's certificates, once one was needed. Others are made for each call, which costs
    /// nothing.
    Real(Arc<(HttpOptions, OnceLock<HttpTransport>)>),
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
