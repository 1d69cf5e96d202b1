//! Runs the binary: what goes in, what came out.

use std::fs;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_vod-refresh");

/// A command line and what surrounds it. Clones share one `HOME`.
#[derive(Clone)]
#[must_use]
pub(super) struct Shell {
    program: Vec<String>,
    variables: Vec<(String, String)>,
    stdin: Vec<u8>,
    stdout: Option<PathBuf>,
    stdout_is_read: bool,
    home: Arc<TempDir>,
}

impl Shell {
    /// `vod-refresh` with these words, cut at blanks.
    pub(super) fn new(line: &str) -> Self {
        let shell = Self {
            program: vec![BINARY.to_owned()],
            variables: Vec::new(),
            stdin: Vec::new(),
            stdout: None,
            stdout_is_read: true,
            home: Arc::new(tempfile::tempdir().unwrap()),
        };
        shell.words(line)
    }

    /// More words, cut at blanks.
    pub(super) fn words(mut self, line: &str) -> Self {
        self.program.extend(line.split_whitespace().map(str::to_owned));
        self
    }

    /// One more word, as it is.
    pub(super) fn arg(mut self, word: impl Into<String>) -> Self {
        self.program.push(word.into());
        self
    }

    /// An option whose value is a file in `HOME`.
    pub(super) fn option_at(self, option: &str, name: &str) -> Self {
        let path = self.path(name).display().to_string();
        self.arg(option).arg(path)
    }

    pub(super) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The keys that the emulator takes.
    pub(super) fn with_keys(self) -> Self {
        self.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")
    }

    pub(super) fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Sends stdout to a device; [`Finished::stdout`] stays empty then.
    pub(super) fn stdout_to(mut self, device: &str) -> Self {
        self.stdout = Some(device.into());
        self
    }

    /// Keeps stdout open and reads nothing of it, as a pager does that waits for a key.
    pub(super) fn stdout_unread(mut self) -> Self {
        self.stdout_is_read = false;
        self
    }

    /// Runs the same words by way of another program, as `sh -c LINE`.
    pub(super) fn through(mut self, program: &[&str]) -> Self {
        self.program.splice(0..0, program.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Instead of this shell's words, a line for `sh`, in which `vod-refresh` is the binary.
    pub(super) fn instead(mut self, line: &str) -> Self {
        let folder = Path::new(BINARY).parent().unwrap().display();
        let path = std::env::var("PATH").unwrap_or_default();
        self.program = ["sh", "-c", line].map(str::to_owned).to_vec();
        self.env("PATH", format!("{folder}:{path}"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Puts a file into `HOME`.
    pub(super) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// Everything that is in `HOME` by now, file by file.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push((path.clone(), fs::read(&path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.home.path(), &mut found);
        found
    }

    pub(super) fn run(&self) -> Finished {
        self.start().finish()
    }

    pub(super) fn start(&self) -> Running {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).env_clear().env("HOME", self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home.path());
        command.stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stderr(Stdio::piped());
        command.stdout(match &self.stdout {
            Some(path) => fs::File::options().write(true).open(path).unwrap().into(),
            None => Stdio::piped(),
        });
        let mut child = command.spawn().unwrap();
        if let Some(mut pipe) = child.stdin.take() {
            // A program that stops reading is no matter here.
            let _ = pipe.write_all(&self.stdin);
        }
        let stderr = Heard::listen(child.stderr.take().unwrap());
        let stdout = if self.stdout_is_read { child.stdout.take().map(Heard::listen) } else { None };
        Running { child: Mortal(child), stdout, stderr, _home: Arc::clone(&self.home) }
    }
}

/// What a pipe has brought so far.
struct Heard {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Heard {
    fn listen(mut pipe: impl Read + Send + 'static) -> Self {
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
struct Mortal(Child);

impl Drop for Mortal {
    fn drop(&mut self) {
        // Fails where it has ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process under way.
pub(super) struct Running {
    child: Mortal,
    stdout: Option<Heard>,
    stderr: Heard,
    /// Its folder is there as long as it runs.
    _home: Arc<TempDir>,
}

impl Running {
    /// Waits for a line on stderr that holds `part`, and gives back the whole line.
    #[track_caller]
    pub(super) fn hears(&self, part: &str) -> String {
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
        let line = self.hears("listening for callbacks on ");
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
                let stdout = self.stdout.map(Heard::all).unwrap_or_default();
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
