//! The one way out: results to stdout, talk to stderr.
//!
//! A reader that went away is no error and no reason to stop: the work goes on, and the exit code tells.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::json;
use vod_refresh::net::clock::{Clock as _, SystemClock, to_wire};

use crate::args::talk::{LogFormat, TalkArgs, When};
use crate::exit::Failure;
use crate::formatting::escape_workflow_commands;
use crate::terminal_writer::{self, Screen};

/// What writing to a terminal that was closed fails with. The standard library has no name for it; on a disk it is a fault.
const EIO: i32 = 5;

/// Hands out stdout and stderr as the options want them. Clones are the same printer.
#[derive(Clone)]
pub(crate) struct Printer(Arc<Shared>);

struct Shared {
    quiet: bool,
    json_lines: bool,
    colour_out: bool,
    colour_err: bool,
    /// A runner reads along and takes some lines for commands.
    runner_reads: bool,
    live: bool,
    /// While a run goes on, a terminal is written to by a thread of its own.
    way: Mutex<Way>,
    err_is_terminal: bool,
    out_is_terminal: bool,
    /// Nobody reads stdout any more.
    out_gone: AtomicBool,
}

/// How stderr is written to, and stdout where it is a terminal.
enum Way {
    Directly,
    ByScreen(Screen),
    /// Directly, once the thread has written what it was given.
    After(JoinHandle<()>),
}

/// How serious a line on stderr is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

impl Printer {
    pub(crate) fn new(talk: &TalkArgs) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let plain =
            set("NO_COLOR") || set("CI") || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = |terminal: bool| match talk.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !plain,
        };
        let (terminal, out_is_terminal) = (io::stderr().is_terminal(), io::stdout().is_terminal());
        // With `-v` log lines would tear the live view apart.
        let live = match talk.progress {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !plain && talk.verbose == 0,
        };
        Self(Arc::new(Shared {
            quiet: talk.quiet,
            json_lines: talk.log_format == LogFormat::Json,
            colour_out: colour(out_is_terminal),
            colour_err: colour(terminal),
            runner_reads: std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
            live: live && !talk.quiet && talk.log_format == LogFormat::Text,
            way: Mutex::new(Way::Directly),
            err_is_terminal: terminal,
            out_is_terminal,
            out_gone: AtomicBool::new(false),
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
        if self.0.out_gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        let text = if self.0.runner_reads { escape_workflow_commands(text) } else { Cow::Borrowed(text) };
        // A pipe whose reader has paused must not hold up the view.
        let writer = match &*self.way_for(self.0.out_is_terminal) {
            Way::ByScreen(screen) if self.0.out_is_terminal => Some(screen.writer()),
            _ => None,
        };
        let written = match writer {
            Some(write) => write(&text),
            None => terminal_writer::to_stdout(&text),
        };
        match written {
            Ok(()) => Ok(()),
            Err(why) => {
                self.0.out_gone.store(true, Ordering::Relaxed);
                let closed = why.kind() == io::ErrorKind::BrokenPipe
                    || (self.0.out_is_terminal && why.raw_os_error() == Some(EIO));
                if closed {
                    return Ok(());
                }
                Err(Failure::output("to stdout", why))
            }
        }
    }

    /// A line of talk, unless quiet.
    pub(crate) fn say(&self, line: &str) {
        if !self.0.quiet {
            self.err(Level::Info, line);
        }
    }

    /// A warning, unless quiet.
    pub(crate) fn warn(&self, text: &str) {
        if !self.0.quiet {
            self.err(Level::Warn, &format!("warning: {text}"));
        }
    }

    /// Why a command failed; also when quiet.
    pub(crate) fn fail(&self, lines: &[String]) {
        for line in lines {
            self.err(Level::Error, line);
        }
    }

    /// A run begins: from now on it does not wait for a terminal.
    pub(crate) fn begin_run(&self) {
        let on_screen = (self.0.live || self.0.err_is_terminal) && !self.0.quiet;
        if let Some(screen) = on_screen.then(Screen::start).and_then(Result::ok) {
            *self.way() = Way::ByScreen(screen);
        }
    }

    /// Draws what `lines` gives for the columns and rows that there are, in place of what it drew before.
    pub(crate) fn draw(&self, lines: impl FnOnce(usize, usize) -> Vec<String>) {
        if let Way::ByScreen(screen) = &*self.way() {
            screen.draw(lines);
        }
    }

    /// The run is over: takes the live view away. What is written from now on waits for that.
    pub(crate) fn end_run(&self) {
        let mut way = self.way();
        *way = match std::mem::replace(&mut *way, Way::Directly) {
            Way::ByScreen(screen) => Way::After(screen.leave()),
            other => other,
        };
    }

    /// Waits until everything is written.
    pub(crate) fn finish(&self) {
        self.end_run();
        drop(self.way_for(true));
    }

    /// Writes raw bytes to stderr, for log lines that are formatted elsewhere.
    pub(crate) fn write_stderr(&self, bytes: &[u8]) {
        if self.0.runner_reads {
            self.write_workflow_commands(&escape_workflow_commands(&String::from_utf8_lossy(bytes)));
        } else {
            self.write_err(bytes);
        }
    }

    /// Writes lines to stderr that a runner may take for commands.
    pub(crate) fn write_workflow_commands(&self, lines: &str) {
        self.write_err(lines.as_bytes());
    }

    fn write_err(&self, bytes: &[u8]) {
        match &*self.way_for(true) {
            Way::ByScreen(screen) => screen.talk(bytes),
            _ => terminal_writer::put_bytes(bytes),
        }
    }

    fn err(&self, level: Level, line: &str) {
        let text = if self.0.json_lines {
            let line = line.trim_start_matches("warning: ").trim_start_matches("error: ").trim();
            let now = to_wire(SystemClock.now());
            json!({"timestamp": now, "level": level.as_str(), "fields": {"message": line}, "target": "vod_refresh"})
                .to_string()
        } else {
            self.coloured(level, line)
        };
        self.write_stderr(format!("{text}\n").as_bytes());
    }

    /// Colours the word at the start; it says the same without.
    fn coloured(&self, level: Level, line: &str) -> String {
        let (word, code) = match level {
            Level::Warn => ("warning:", "33"),
            Level::Error => ("error:", "31"),
            Level::Info => return line.to_owned(),
        };
        match line.strip_prefix(word) {
            Some(rest) if self.0.colour_err => format!("\u{1b}[1;{code}m{word}\u{1b}[0m{rest}"),
            _ => line.to_owned(),
        }
    }

    /// How to write, to a terminal or not.
    fn way_for(&self, terminal: bool) -> MutexGuard<'_, Way> {
        let mut way = self.way();
        if terminal {
            *way = match std::mem::replace(&mut *way, Way::Directly) {
                Way::After(thread) => {
                    let _ = thread.join();
                    Way::Directly
                }
                other => other,
            };
        }
        way
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.0.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
