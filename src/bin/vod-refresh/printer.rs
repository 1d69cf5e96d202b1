//! The one way out: results to stdout, messages to stderr.
//!
//! A reader that went away is no error and no reason to stop: the work goes on, and the exit code tells.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::json;
use vod_refresh::net::clock::{Clock as _, SystemClock, to_wire};

use crate::args::shared::{LogFormat, MessageArgs, When};
use crate::exit::Failure;
use crate::formatting::escape_workflow_commands;
use crate::terminal_writer::{self, TerminalWriter};

/// What writing to a terminal that was closed fails with. The standard library has no name for it; on a disk it is a fault.
const EIO: i32 = 5;

/// Hands out stdout and stderr as the options want them. Clones are the same printer.
#[derive(Clone)]
pub(crate) struct Printer(Arc<Shared>);

struct Shared {
    quiet: bool,
    json_lines: bool,
    live: bool,
    colour_out: bool,
    colour_err: bool,
    out_is_terminal: bool,
    err_is_terminal: bool,
    /// GitHub's runner reads along and takes some lines for commands.
    runner_reads: bool,
    /// Nobody reads stdout any more.
    out_gone: AtomicBool,
    sink: Mutex<Sink>,
}

/// How stderr is written to, and stdout where it is a terminal.
enum Sink {
    Direct,
    /// While a run goes on, which must not wait for a terminal.
    Thread(TerminalWriter),
    /// Directly, once the thread has written what it was given.
    Closing(JoinHandle<()>),
}

/// How serious a line on stderr is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Printer {
    pub(crate) fn new(talk: &MessageArgs) -> Self {
        let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
        let is_set = |name: &str| !variable(name).is_empty();
        let plain = is_set("NO_COLOR") || is_set("CI") || variable("TERM") == "dumb";
        let wanted = |when: When, auto: bool| match when {
            When::Always => true,
            When::Never => false,
            When::Auto => auto && !plain,
        };
        let (out_is_terminal, err_is_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let json_lines = talk.log_format == LogFormat::Json;
        // With `-v` log lines would tear the live view apart.
        let live = wanted(talk.progress, err_is_terminal && talk.verbose == 0);
        Self(Arc::new(Shared {
            quiet: talk.quiet,
            json_lines,
            live: live && !talk.quiet && !json_lines,
            colour_out: wanted(talk.color, out_is_terminal),
            colour_err: wanted(talk.color, err_is_terminal),
            out_is_terminal,
            err_is_terminal,
            runner_reads: variable("GITHUB_ACTIONS") == "true",
            out_gone: AtomicBool::new(false),
            sink: Mutex::new(Sink::Direct),
        }))
    }

    /// Whether a live view may be drawn.
    pub(crate) fn is_live(&self) -> bool {
        self.0.live
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.0.quiet
    }

    pub(crate) fn colours_stdout(&self) -> bool {
        self.0.colour_out
    }

    /// Writes a result to stdout; it brings its own line end.
    pub(crate) fn out(&self, text: &str) -> Result<(), Failure> {
        let Shared { out_gone, out_is_terminal, runner_reads, .. } = &*self.0;
        if out_gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        let text = if *runner_reads { escape_workflow_commands(text) } else { Cow::Borrowed(text) };
        // The lock is gone by the time of writing: a pipe whose reader has paused must not hold up the view.
        let by_thread = match &*self.sink(*out_is_terminal) {
            Sink::Thread(writer) if *out_is_terminal => Some(writer.stdout()),
            _ => None,
        };
        let written = by_thread.map_or_else(|| terminal_writer::write_stdout(&text), |write| write(&text));
        written.or_else(|why| {
            out_gone.store(true, Ordering::Relaxed);
            let is_closed = why.kind() == io::ErrorKind::BrokenPipe
                || (*out_is_terminal && why.raw_os_error() == Some(EIO));
            if is_closed { Ok(()) } else { Err(Failure::output("to stdout", why)) }
        })
    }

    /// Writes a line to stderr, unless quiet.
    pub(crate) fn say(&self, line: &str) {
        if !self.0.quiet {
            self.line(Level::Info, line);
        }
    }

    /// Writes a warning, unless quiet.
    pub(crate) fn warn(&self, text: &str) {
        if !self.0.quiet {
            self.line(Level::Warn, &format!("warning: {text}"));
        }
    }

    /// Says why a command failed; also when quiet.
    pub(crate) fn fail(&self, lines: &[String]) {
        for line in lines {
            self.line(Level::Error, line);
        }
    }

    /// A run begins: from now on nothing waits for a terminal.
    pub(crate) fn begin_run(&self) {
        let Shared { live, err_is_terminal, quiet, .. } = &*self.0;
        if (*live || *err_is_terminal)
            && !quiet
            && let Ok(writer) = TerminalWriter::start()
        {
            *self.lock() = Sink::Thread(writer);
        }
    }

    /// Draws what `lines` gives for the columns and rows that there are, in place of what it drew before.
    pub(crate) fn draw(&self, lines: impl FnOnce(usize, usize) -> Vec<String>) {
        if let Sink::Thread(writer) = &*self.lock() {
            writer.draw(lines);
        }
    }

    /// The run is over: takes the live view away. What is written from now on waits for that.
    pub(crate) fn end_run(&self) {
        let mut sink = self.lock();
        *sink = match std::mem::replace(&mut *sink, Sink::Direct) {
            Sink::Thread(writer) => Sink::Closing(writer.close()),
            other => other,
        };
    }

    /// Waits until everything is written.
    pub(crate) fn finish(&self) {
        self.end_run();
        drop(self.sink(true));
    }

    /// Writes bytes to stderr, such as log lines that are formatted elsewhere.
    pub(crate) fn write_stderr(&self, bytes: &[u8]) {
        if self.0.runner_reads {
            self.write_workflow_commands(&escape_workflow_commands(&String::from_utf8_lossy(bytes)));
        } else {
            self.write_bytes(bytes);
        }
    }

    /// Writes lines to stderr that GitHub's runner may take for commands.
    pub(crate) fn write_workflow_commands(&self, lines: &str) {
        self.write_bytes(lines.as_bytes());
    }

    fn write_bytes(&self, bytes: &[u8]) {
        match &*self.sink(true) {
            Sink::Thread(writer) => writer.stderr(bytes),
            _ => terminal_writer::write_stderr(bytes),
        }
    }

    /// Writes a line to stderr. Its first word is coloured; it says the same without.
    fn line(&self, level: Level, line: &str) {
        let (name, word, colour) = match level {
            Level::Info => ("INFO", "", ""),
            Level::Warn => ("WARN", "warning:", "33"),
            Level::Error => ("ERROR", "error:", "31"),
        };
        let text = match line.strip_prefix(word) {
            _ if self.0.json_lines => {
                let line = line.trim_start_matches("warning: ").trim_start_matches("error: ").trim();
                let now = to_wire(SystemClock.now());
                json!({"timestamp": now, "level": name, "fields": {"message": line}, "target": "vod_refresh"})
                    .to_string()
            }
            Some(rest) if self.0.colour_err && !word.is_empty() => {
                format!("\u{1b}[1;{colour}m{word}\u{1b}[0m{rest}")
            }
            _ => line.to_owned(),
        };
        self.write_stderr(format!("{text}\n").as_bytes());
    }

    /// Returns how to write to the terminal, or to something else, once nothing older is still being written there.
    fn sink(&self, is_terminal: bool) -> MutexGuard<'_, Sink> {
        let mut sink = self.lock();
        if is_terminal
            && let Sink::Closing(_) = *sink
            && let Sink::Closing(thread) = std::mem::replace(&mut *sink, Sink::Direct)
        {
            let _ = thread.join();
        }
        sink
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.0.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
