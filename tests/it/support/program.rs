//! The binary as users start it: a home of its own, a pretend cloud on a real socket, no terminal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::net::{HttpOptions, HttpTransport};

use crate::schema;
pub(crate) use crate::support::action::SUBMIT;
use crate::support::submissions;

/// A cloud in a thread of its own.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    pub(crate) endpoint: String,
    _runtime: tokio::runtime::Runtime,
}

impl Cloud {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut options = HttpOptions::default();
        options.proxy_from_environment = false;
        let transport = HttpTransport::new(&options).unwrap();
        let emulator =
            Emulator::new(scenario.with(|s| s.seed = Some(1))).with_event_transport(Arc::new(transport));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let served = emulator.clone();
        runtime.spawn(async move { served.serve(listener, CancellationToken::new()).await });
        Self { emulator, endpoint, _runtime: runtime }
    }

    /// How often each list of media was submitted.
    pub(crate) fn submits(&self) -> BTreeMap<String, usize> {
        submissions(&self.emulator)
    }

    /// Ends every task of these media, whatever job they are of.
    pub(crate) fn complete<T: AsRef<str>>(&self, media: &[T]) {
        for job in self.emulator.job_ids() {
            for task in media.iter().flat_map(|id| self.emulator.task_ids(&job, id.as_ref())) {
                self.emulator.complete_task(&task);
            }
        }
    }

    /// Waits until `action` was asked for `count` times.
    pub(crate) fn wait_for(&self, action: &str, count: usize) {
        until(action, || self.emulator.count(action) >= count);
    }
}

/// Asks again and again until there is an answer; fails the test where that takes long.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `is_so`.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}

/// Waits for the end of a process. One that does not end is killed, and fails the test.
#[cfg(unix)]
#[track_caller]
pub(crate) fn exit_code(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A number from `/proc/PROCESS/status` by its name, in KiB; `None` where the system has no such file.
pub(crate) fn memory_kib(process: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The same for a child, in bytes.
pub(crate) fn memory(child: &Child, name: &str) -> usize {
    memory_kib(&child.id().to_string(), name).unwrap() as usize * 1024
}

/// A home in which commands are given.
pub(crate) struct Home(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// The arguments of the command that stderr shows to carry on with.
    #[track_caller]
    pub(crate) fn hint(&self) -> Vec<String> {
        let line = self.stderr.lines().rev().find_map(|line| line.strip_prefix("  vod-refresh "));
        line.unwrap_or_else(|| panic!("no command: {self:?}")).split(' ').map(str::to_owned).collect()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let stdout = text(output.stdout);
        schema::check_written(&stdout);
        Self { code: output.status.code(), stdout, stderr: text(output.stderr) }
    }
}

/// Reports in its files are as the schema says.
impl Drop for Home {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            schema::check_files(self.path());
        }
    }
}

/// The variable that says where somebody is at home.
pub(crate) const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// With this home and no variables but the one that no program does without on Windows.
pub(crate) fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env_clear().env(HOME, home);
    command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)))
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The journal's default place in this home.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path().join(".local/state/vod-refresh/journal.db")
    }

    /// `program` with the surroundings of this home and nothing else.
    pub(crate) fn wrapped(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        at_home(&mut command, self.path()).envs(std::env::var("PATH").map(|path| ("PATH", path)));
        command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid");
        command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret");
        command.current_dir(self.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn command<T: AsRef<str>>(&self, arguments: &[T]) -> Command {
        let mut command = self.wrapped(env!("CARGO_BIN_EXE_vod-refresh"));
        command.args(arguments.iter().map(AsRef::as_ref));
        command
    }

    pub(crate) fn run<T: AsRef<str>>(&self, arguments: &[T]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    pub(crate) fn start<T: AsRef<str>>(&self, arguments: &[T]) -> Child {
        self.command(arguments).spawn().unwrap()
    }
}

/// Waits for a command that was started.
pub(crate) fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

/// Sends a signal by its name.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
}

/// A run of the media `m1` that was left is carried on to its end, and nothing is submitted twice.
#[track_caller]
pub(crate) fn assert_resumes(cloud: &Cloud, home: &Home) {
    cloud.complete(&["m1"]);
    let resumed = home.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(cloud.emulator.count(SUBMIT), 1, "something was submitted twice");
}
