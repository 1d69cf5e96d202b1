//! A terminal while a run goes on: a thread of its own writes to it.
//!
//! A terminal may take nothing for minutes (Ctrl-S, a connection that died). That must not hold up the run, which has
//! events to answer within a second, tasks to poll, and a report to write.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use tokio::time::Instant;

use crate::live_region::{self, LiveRegion};

/// So many lines wait for a terminal that takes nothing; those that come later are lost.
const MAX_WAITING: usize = 1_024;

/// Hands over what is to be written. Only [`stdout`](Self::stdout) waits.
pub(crate) struct TerminalWriter {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    /// A frame is on its way: another would only wait behind it.
    is_drawing: Arc<AtomicBool>,
}

enum Job {
    /// The live view.
    Frame(Vec<String>),
    /// Something for stderr, above the view.
    Stderr(Vec<u8>),
    /// A result for stdout, which is this terminal as well, and where to say how that went.
    Stdout(String, SyncSender<io::Result<()>>),
}

impl TerminalWriter {
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let is_drawing = Arc::new(AtomicBool::new(false));
        let drawing = Arc::clone(&is_drawing);
        let thread = Builder::new().name("terminal".into()).spawn(move || work(&waiting, &drawing))?;
        Ok(Self { jobs, thread, is_drawing })
    }

    /// Draws what `lines` gives for the columns and rows that there are, in place of what was drawn before; leaves it out
    /// while an earlier one is on its way.
    pub(crate) fn draw(&self, lines: impl FnOnce(usize, usize) -> Vec<String>) {
        if self.is_drawing.swap(true, Ordering::Relaxed) {
            return;
        }
        // `--progress always` without a terminal: somebody wants to see it in a file or through a pipe.
        let (columns, rows) = live_region::size().unwrap_or((100, 25));
        let frame = Job::Frame(lines(columns, rows.saturating_sub(1)));
        if self.jobs.try_send(frame).is_err() {
            self.is_drawing.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn stderr(&self, bytes: &[u8]) {
        // Lost where too much waits already.
        let _ = self.jobs.try_send(Job::Stderr(bytes.to_vec()));
    }

    /// Returns a function that writes to stdout and waits until that is done; it borrows nothing from here.
    pub(crate) fn stdout(&self) -> impl FnOnce(&str) -> io::Result<()> + use<> {
        let jobs = self.jobs.clone();
        move |text| {
            let (done, result) = sync_channel(1);
            jobs.send(Job::Stdout(text.to_owned(), done)).map_err(|_| io::ErrorKind::BrokenPipe)?;
            result.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
        }
    }

    /// Takes the view away once all is written. Does not wait for that: the thread ends then.
    pub(crate) fn close(self) -> JoinHandle<()> {
        self.thread
    }
}

fn work(jobs: &Receiver<Job>, is_drawing: &AtomicBool) {
    let mut region = LiveRegion::default();
    for job in jobs {
        match job {
            Job::Frame(lines) => {
                if live_region::is_foreground() {
                    write_stderr(region.draw(lines, Instant::now()).as_bytes());
                    // The terminal may have taken its time.
                    region.drawn_at = Some(Instant::now());
                } else {
                    // In the background: the terminal is the shell's.
                    region = LiveRegion::default();
                }
                is_drawing.store(false, Ordering::Relaxed);
            }
            Job::Stderr(bytes) => above(&mut region, || write_stderr(&bytes)),
            Job::Stdout(text, done) => {
                let written = above(&mut region, || write_stdout(&text));
                // Whoever asked may have gone.
                let _ = done.send(written);
            }
        }
    }
    write_stderr(region.clear(Instant::now()).as_bytes());
}

/// Writes something above the live view.
fn above<T>(region: &mut LiveRegion, write: impl FnOnce() -> T) -> T {
    write_stderr(region.erase(Instant::now()).as_bytes());
    let written = write();
    write_stderr(region.redraw(Instant::now()).as_bytes());
    written
}

/// Writes to stdout at once.
pub(crate) fn write_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// Writes to stderr. Nobody can be told that this failed.
pub(crate) fn write_stderr(bytes: &[u8]) {
    if !bytes.is_empty() {
        let _ = io::stderr().lock().write_all(bytes);
    }
}
