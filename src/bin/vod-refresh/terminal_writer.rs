//! The one writer of stderr, and of stdout where that is a terminal: a thread of its own.
//!
//! A terminal may take nothing for minutes (Ctrl-S, a connection that died), and a pipe that nobody reads takes nothing ever.
//! That must not hold up the run, which has events to answer within a second, tasks to poll, and a report to write.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

use tokio::time::Instant;

use crate::live_region::{self, LiveRegion};

/// So many lines and bytes wait for a stderr that takes nothing; those that come later are dropped, and counted.
const MAX_WAITING: usize = 1_024;
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// How long to pause where a pipe that doesn't block is full.
const PAUSE: Duration = Duration::from_millis(5);

/// Hands over what is to be written. Only [`stdout`](Self::stdout) waits.
pub(crate) struct TerminalWriter {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    waiting: Arc<Waiting>,
}

/// What was handed over and is not written yet.
#[derive(Default)]
struct Waiting {
    jobs: AtomicUsize,
    bytes: AtomicUsize,
    /// A frame is on its way: another would only wait behind it.
    is_drawing: AtomicBool,
}

enum Job {
    /// The live view.
    Frame(Vec<String>),
    /// Something for stderr, above the view.
    Stderr(Vec<u8>),
    /// A result for stdout, which is this terminal as well, and where to say how that went.
    Stdout(String, SyncSender<io::Result<()>>),
    /// The view goes away.
    EndView,
}

impl TerminalWriter {
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, received) = sync_channel(MAX_WAITING);
        let waiting = Arc::new(Waiting::default());
        let left = Arc::clone(&waiting);
        let thread = Builder::new().name("terminal".into()).spawn(move || work(&received, &left))?;
        Ok(Self { jobs, thread, waiting })
    }

    /// Draws what `lines` gives for the columns and rows that there are, in place of what was drawn before; leaves it out
    /// while an earlier one is on its way.
    pub(crate) fn draw(&self, lines: impl FnOnce(usize, usize) -> Vec<String>) {
        if self.waiting.is_drawing.swap(true, Ordering::Relaxed) {
            return;
        }
        // `--progress always` without a terminal: somebody wants to see it in a file or through a pipe.
        let (columns, rows) = live_region::size().unwrap_or((100, 25));
        let frame = Job::Frame(lines(columns, rows.saturating_sub(1)));
        if !self.hand_over(frame) {
            self.waiting.is_drawing.store(false, Ordering::Relaxed);
        }
    }

    /// Takes lines for stderr, unless too much waits already; says whether it did.
    pub(crate) fn stderr(&self, bytes: &[u8]) -> bool {
        let waiting = self.waiting.bytes.load(Ordering::Relaxed);
        if waiting > 0 && waiting + bytes.len() > MAX_WAITING_BYTES {
            return false;
        }
        self.waiting.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        let is_taken = self.hand_over(Job::Stderr(bytes.to_vec()));
        if !is_taken {
            self.waiting.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        is_taken
    }

    fn hand_over(&self, job: Job) -> bool {
        // Counted before it is there, or the thread may have done it by then.
        self.waiting.jobs.fetch_add(1, Ordering::Relaxed);
        let is_taken = self.jobs.try_send(job).is_ok();
        if !is_taken {
            self.waiting.jobs.fetch_sub(1, Ordering::Relaxed);
        }
        is_taken
    }

    /// Takes the view away once all before it is written. Does not wait for that.
    pub(crate) fn end_view(&self) {
        self.hand_over(Job::EndView);
    }

    /// Waits until all is written, and gives up once nothing was for `patience`; says whether it is.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let left = || self.waiting.jobs.load(Ordering::Acquire);
        let (mut last, mut since) = (left(), Instant::now());
        while left() > 0 && !self.thread.is_finished() {
            if left() != last {
                (last, since) = (left(), Instant::now());
            } else if since.elapsed() >= patience {
                return false;
            }
            sleep(PAUSE);
        }
        true
    }

    /// Writes to stdout, and waits until that is done.
    pub(crate) fn stdout(&self, text: &str) -> io::Result<()> {
        let (done, result) = sync_channel(1);
        self.waiting.jobs.fetch_add(1, Ordering::Relaxed);
        self.jobs.send(Job::Stdout(text.to_owned(), done)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        result.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
    }
}

fn work(jobs: &Receiver<Job>, waiting: &Waiting) {
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
                waiting.is_drawing.store(false, Ordering::Relaxed);
            }
            Job::Stderr(bytes) => {
                above(&mut region, || write_stderr(&bytes));
                waiting.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Job::EndView => write_stderr(region.clear(Instant::now()).as_bytes()),
            Job::Stdout(text, done) => {
                let written = above(&mut region, || write_stdout(&text));
                // Whoever asked may have gone.
                let _ = done.send(written);
            }
        }
        waiting.jobs.fetch_sub(1, Ordering::Release);
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

/// Writes to stdout, and waits until it takes all.
pub(crate) fn write_stdout(text: &str) -> io::Result<()> {
    write_all(&mut io::stdout().lock(), text.as_bytes())
}

/// Writes to stderr. Nobody can be told that this failed.
pub(crate) fn write_stderr(bytes: &[u8]) {
    let _ = write_all(&mut io::stderr().lock(), bytes);
}

/// Writes all, also to a pipe that another process has told not to block: such a one is full now and then, which is no error.
pub(crate) fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(why) => pause_if_full(why)?,
        }
    }
    while let Err(why) = out.flush() {
        pause_if_full(why)?;
    }
    Ok(())
}

fn pause_if_full(why: io::Error) -> io::Result<()> {
    match why.kind() {
        io::ErrorKind::WouldBlock => sleep(PAUSE),
        io::ErrorKind::Interrupted => {}
        _ => return Err(why),
    }
    Ok(())
}
