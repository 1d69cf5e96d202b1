//! All that the sources of credentials can touch, as one value: variables, files, processes, the network, the time.
//!
//! [`Environment::of_process`] is the real one. [`Environment::empty`] has nothing in it; tests put in what they need, and
//! so no test changes the environment of the process it runs in.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::io::AsyncReadExt as _;

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
/// What is read of a process's output, in bytes.
const MAX_OUTPUT: u64 = 64 * 1024;

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

/// The surroundings of the credential sources. Clones are the same environment.
#[derive(Clone)]
pub struct Environment {
    variables: Arc<ReadVariable>,
    home: Option<PathBuf>,
    files: Arc<ReadFile>,
    processes: Arc<RunProcess>,
    network: Network,
    clock: Arc<dyn Clock>,
    /// The files that were warned of, since others can read them.
    warned: Arc<Mutex<HashSet<PathBuf>>>,
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
            network: Network::Real(http.clone()),
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
        let is_local = request.uri().host().is_some_and(is_loopback);
        let adjust = |options: &mut HttpOptions| {
            if is_local {
                use_no_proxy(options);
            }
        };
        self.send_with(adjust, request, limit).await
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
            Network::Real(http) => {
                let mut options = http.clone();
                options.max_answer_bytes = options.max_answer_bytes.min(MAX_ANSWER);
                adjust(&mut options);
                Ok(send_within(&HttpTransport::new(&options)?, request, limit).await)
            }
        }
    }
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
    /// A client is made for each call: most runs need none, and the others one an hour.
    Real(HttpOptions),
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

/// Runs a program of this machine, without a shell. The future kills it when dropped.
pub(super) async fn run_process(command: Vec<String>) -> io::Result<ProcessOutput> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdout = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        // A program that prints on for ever gets a closed pipe and ends.
        pipe.take(MAX_OUTPUT).read_to_end(&mut stdout).await?;
    }
    Ok(ProcessOutput { success: child.wait().await?.success(), stdout })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn a_real_process_is_run_without_a_shell() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let output = run_process(words(&["/bin/echo", "$HOME"])).await.unwrap();
        assert!(output.success);
        assert_eq!(output.stdout, b"$HOME\n");
        assert!(!run_process(words(&["/bin/sh", "-c", "exit 3"])).await.unwrap().success);
        assert!(run_process(words(&["/no/such/program"])).await.is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_process_that_prints_for_ever_is_cut_off() {
        let words = ["/bin/sh", "-c", "while :; do echo yyyyyyyyyyyyyyyy; done"];
        let output = run_process(words.iter().map(|word| (*word).to_owned()).collect()).await.unwrap();
        assert_eq!(output.stdout.len() as u64, MAX_OUTPUT);
    }
}
