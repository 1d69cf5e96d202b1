//! The one way out: results to stdout, messages to stderr.
//!
//! A reader that went away is no error and no reason to stop: the work goes on, and the exit code tells.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::json;
use vod_refresh::net::clock::{Clock as _, SystemClock, to_wire};

use crate::args::shared::{LogFormat, MessageArgs, When};
use crate::exit::Failure;
use crate::formatting::{count_was, escape_workflow_commands};
use crate::terminal_writer::{self, TerminalWriter};

/// What writing to a terminal that was closed fails with. The standard library has no name for it; on a disk it is a fault.
const EIO: i32 = 5;

/// What waits for stderr goes first, before stdout is written to: both may be one file. A pipe that takes nothing for so long
/// has no reader.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same for the last words of the process.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

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
    /// Lines for stderr that were dropped, of which nobody was told yet.
    dropped: AtomicU64,
    /// Writes to stderr, and to stdout where it is a terminal. Without it, that is done directly.
    writer: OnceLock<TerminalWriter>,
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
            dropped: AtomicU64::new(0),
            writer: OnceLock::new(),
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
        let written = match self.0.writer.get() {
            Some(writer) if *out_is_terminal => writer.stdout(&text),
            writer => {
                if let Some(writer) = writer {
                    writer.flush(PATIENCE);
                }
                terminal_writer::write_stdout(&text)
            }
        };
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

    /// From now on nothing waits for stderr.
    pub(crate) fn start(&self) {
        // Without a thread, that is done directly.
        let _ = TerminalWriter::start().map(|writer| self.0.writer.set(writer));
    }

    /// Draws what `lines` gives for the columns and rows that there are, in place of what it drew before.
    pub(crate) fn draw(&self, lines: impl FnOnce(usize, usize) -> Vec<String>) {
        if let Some(writer) = self.0.writer.get() {
            writer.draw(lines);
        }
    }

    /// The run is over: takes the live view away.
    pub(crate) fn end_run(&self) {
        if let Some(writer) = self.0.writer.get() {
            writer.end_view();
        }
    }

    /// Waits until everything is written: for a terminal as long as it takes, for a pipe as long as somebody reads it.
    pub(crate) fn finish(&self) {
        let Some(writer) = self.0.writer.get() else { return };
        let patience = if self.0.err_is_terminal { Duration::MAX } else { LAST_PATIENCE };
        writer.end_view();
        if writer.flush(patience) {
            self.tell_what_was_dropped(writer);
            writer.flush(patience);
        }
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
        let Some(writer) = self.0.writer.get() else { return terminal_writer::write_stderr(bytes) };
        self.tell_what_was_dropped(writer);
        if !writer.stderr(bytes) {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tell_what_was_dropped(&self, writer: &TerminalWriter) {
        let dropped = self.0.dropped.swap(0, Ordering::Relaxed);
        let text = format!("warning: nobody read stderr: {} dropped", count_was(dropped, "line"));
        if dropped > 0 && !writer.stderr(self.formatted(Level::Warn, &text).as_bytes()) {
            self.0.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }

    /// Writes a line to stderr. Its first word is coloured; it says the same without.
    fn line(&self, level: Level, line: &str) {
        self.write_stderr(self.formatted(level, line).as_bytes());
    }

    fn formatted(&self, level: Level, line: &str) -> String {
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
        text + "\n"
    }
}
