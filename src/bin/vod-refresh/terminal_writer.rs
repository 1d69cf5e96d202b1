//! A terminal while a run goes on: a thread of its own writes to it.
//!
//! A terminal may take nothing for minutes (Ctrl-S, a connection that died). That must not hold up the run, which has
//! events to answer within a second, tasks to look at, and a report to write.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::time::Instant;

use crate::live_region::{self, Block};

/// So many lines wait for a terminal that takes nothing; those that come later are lost.
const WAITING: usize = 1_024;

/// Hands over what is to be written, and never waits.
pub(crate) struct Screen {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    /// A frame is on its way: another would only wait behind it.
    is_drawing: Arc<AtomicBool>,
}

enum Job {
    /// The live view.
    Frame(Vec<String>),
    /// Something for stderr, above the view.
    Talk(Vec<u8>),
    /// A result for stdout, which is this terminal as well.
    Out(String, SyncSender<io::Result<()>>),
}

impl Screen {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING);
        let is_drawing = Arc::new(AtomicBool::new(false));
        let drawn = Arc::clone(&is_drawing);
        let thread =
            std::thread::Builder::new().name("screen".into()).spawn(move || work(&waiting, &drawn))?;
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

    /// Writes to stderr.
    pub(crate) fn talk(&self, bytes: &[u8]) {
        // Lost where too much waits already.
        let _ = self.jobs.try_send(Job::Talk(bytes.to_vec()));
    }

    /// Gives what writes to stdout, and waits until that is done.
    pub(crate) fn writer(&self) -> impl FnOnce(&str) -> io::Result<()> + use<> {
        let jobs = self.jobs.clone();
        move |text| {
            let (done, result) = sync_channel(1);
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            jobs.send(Job::Out(text.to_owned(), done)).map_err(|_| io::ErrorKind::BrokenPipe)?;
            result.recv().map_err(gone)?
        }
    }

    /// Nothing more will come: the view goes away once all is written. Does not wait for that.
    pub(crate) fn leave(self) -> JoinHandle<()> {
        self.thread
    }
}

fn work(jobs: &Receiver<Job>, is_drawing: &AtomicBool) {
    let mut block = Block::default();
    for job in jobs {
        match job {
            Job::Frame(lines) => {
                if live_region::is_ours() {
                    put(&block.draw(lines, Instant::now()));
                    // The terminal may have taken its time.
                    block.stands(Instant::now());
                } else {
                    // In the background: the terminal is the shell's.
                    block.forget();
                }
                is_drawing.store(false, Ordering::Relaxed);
            }
            Job::Talk(bytes) => above(&mut block, || put_bytes(&bytes)),
            Job::Out(text, done) => {
                let written = above(&mut block, || to_stdout(&text));
                // Who asked may have gone.
                let _ = done.send(written);
            }
        }
    }
    put(&block.clear(Instant::now()));
}

fn above<T>(block: &mut Block, write: impl FnOnce() -> T) -> T {
    put(&block.erase(Instant::now()));
    let written = write();
    put(&block.again(Instant::now()));
    written
}

/// To stdout, at once.
pub(crate) fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// To stderr. Nobody can be told that this failed.
pub(crate) fn put_bytes(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

fn put(text: &str) {
    if !text.is_empty() {
        put_bytes(text.as_bytes());
    }
}
