//! Lines for stdout, written by a thread of their own: a reader that pauses must not hold up the run, which has events
//! to answer within a second.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::exit::Failure;
use crate::printer::Printer;

/// Writes what it is given, in order. What waits is bounded by the notices of the run.
pub(super) struct Writer {
    lines: Sender<String>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(printer: &Printer) -> std::io::Result<Self> {
        let (lines, waiting) = channel::<String>();
        let printer = printer.clone();
        let write = move || {
            // After a failure nobody listens any more, and what comes is dropped.
            waiting.iter().try_for_each(|line| printer.out(&line))
        };
        let thread = std::thread::Builder::new().name("stdout".into()).spawn(write)?;
        Ok(Self { lines, thread })
    }

    /// Puts a line in the queue.
    pub(super) fn put(&self, line: String) {
        // Fails after a failure to write, which `finish` tells.
        let _ = self.lines.send(line);
    }

    /// Waits until all is written.
    pub(super) fn finish(self) -> Result<(), Failure> {
        drop(self.lines);
        self.thread.join().unwrap_or(Ok(()))
    }
}
