//! A command line and its surroundings: what goes in.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::process::{Finished, Running};

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

    /// Puts a file into `HOME` that nobody else can read, as files of secrets are, with the folders above it.
    pub(super) fn secret_file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shell = self.file(name, text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        shell
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
        // A test asks this machine and no other.
        command.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
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
        Running::capture(child, self.stdout_is_read, Arc::clone(&self.home))
    }
}
