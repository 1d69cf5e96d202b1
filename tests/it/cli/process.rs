//! A process that runs, and one that has ended.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::schema;

/// What a pipe has brought so far.
struct PipeCapture {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl PipeCapture {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut piece) {
                kept.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Self { text, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn all(self) -> String {
        self.thread.join().unwrap();
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A process that does not outlive its test.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Fails where it has ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process under way.
pub(super) struct Running {
    child: KillOnDrop,
    stdout: Option<PipeCapture>,
    stderr: PipeCapture,
    /// Its folder is there as long as it runs.
    home: Arc<TempDir>,
}

impl Running {
    /// Reads the output of `child`; its stdout only where that is read.
    pub(super) fn capture(mut child: Child, stdout_is_read: bool, home: Arc<TempDir>) -> Self {
        let stderr = PipeCapture::start(child.stderr.take().unwrap());
        let stdout = if stdout_is_read { child.stdout.take().map(PipeCapture::start) } else { None };
        Self { child: KillOnDrop(child), stdout, stderr, home }
    }

    /// Waits for a line on stderr that holds `part`, and gives back the whole line.
    #[track_caller]
    pub(super) fn wait_for_line(&self, part: &str) -> String {
        for _ in 0..3_000 {
            let text = self.stderr.so_far();
            if let Some(line) = text.lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(!self.stderr.thread.is_finished(), "it ended without {part:?} on stderr:\n{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no {part:?} on stderr in 30 s:\n{}", self.stderr.so_far());
    }

    /// The address that the run said it listens on.
    pub(super) fn listening_on(&self) -> SocketAddr {
        let line = self.wait_for_line("listening for callbacks on ");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The command line as a list of processes shows it; empty where the system has no such file.
    pub(super) fn as_listed(&self) -> String {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.child.0.id())).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    }

    /// Sends a signal by its name.
    pub(super) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.0.id());
        assert!(Command::new("sh").arg("-c").arg(line).status().unwrap().success());
    }

    /// Waits for the end, for a minute at most.
    pub(super) fn finish(mut self) -> Finished {
        for _ in 0..6_000 {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                let stdout = self.stdout.map(PipeCapture::all).unwrap_or_default();
                schema::check_written(&stdout);
                schema::check_files(self.home.path());
                return Finished { code: status.code(), stdout, stderr: self.stderr.all() };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not end in a minute; stderr so far:\n{}", self.stderr.so_far());
    }
}

/// A process that ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Finished {
    /// Fails, showing everything, unless it ended with this code.
    #[track_caller]
    pub(super) fn exits(self, code: i32) -> Self {
        let Self { code: ended, stdout, stderr } = &self;
        assert_eq!(*ended, Some(code), "the exit code\nstdout:\n{stdout}\nstderr:\n{stderr}");
        self
    }

    /// stdout as the one JSON document that it is.
    #[track_caller]
    pub(super) fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {}", self.stdout))
    }

    /// Fails, showing everything, unless stderr holds `part`.
    #[track_caller]
    pub(super) fn says(self, part: &str) -> Self {
        assert!(self.stderr.contains(part), "stderr lacks {part:?}:\n{}", self.stderr);
        self
    }

    #[track_caller]
    pub(super) fn does_not_say(self, part: &str) -> Self {
        assert!(!self.stderr.contains(part), "stderr has {part:?}:\n{}", self.stderr);
        self
    }

    /// The first command line on stderr: what the hint says to run.
    #[track_caller]
    pub(super) fn command_shown(&self) -> String {
        let found = self.stderr.lines().find(|line| line.starts_with("  vod-refresh "));
        found.unwrap_or_else(|| panic!("no command on stderr:\n{}", self.stderr)).trim().to_owned()
    }
}
