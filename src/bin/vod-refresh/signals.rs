//! The first signal asks the run to end, the second ends the process.
//!
//! A thread of its own listens: the main thread may be stuck writing to a reader that has stopped reading.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vod_refresh::{Error, ErrorKind};

use crate::exit::{ExitCode, Failure};
use crate::printer::Printer;

/// The contract gives an interrupted run two seconds. The driver takes 1.5 s of them at most.
const LAST_RESORT: Duration = Duration::from_millis(1_950);

/// Listens from now on.
pub(crate) struct Signals {
    first: Arc<OnceLock<ExitCode>>,
    stop: CancellationToken,
}

impl Signals {
    /// Starts to listen; `goodbye` is what the first signal prints.
    pub(crate) fn listen(printer: &Printer, goodbye: &'static str) -> Result<Self, Failure> {
        let failed = |why| Error::new(ErrorKind::Internal, "cannot listen for signals").with_source(why);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut source = {
            let _inside = runtime.enter();
            Source::new().map_err(failed)?
        };
        let signals = Self { first: Arc::new(OnceLock::new()), stop: CancellationToken::new() };
        let (first, stop, printer) = (Arc::clone(&signals.first), signals.stop.clone(), printer.clone());
        let listener = move || {
            runtime.block_on(async move {
                let code = source.next().await;
                let _ = first.set(code);
                stop.cancel();
                printer.say(goodbye);
                // Whichever comes first; the exit code tells of the first signal all the same.
                let _ = tokio::time::timeout(LAST_RESORT, source.next()).await;
                end_now(code);
            });
        };
        std::thread::Builder::new().name("signals".into()).spawn(listener).map_err(failed)?;
        Ok(signals)
    }

    /// Cancelled by the first signal.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The exit code that the first signal asks for, if there was one.
    pub(crate) fn received(&self) -> Option<ExitCode> {
        self.first.get().copied()
    }
}

#[expect(clippy::exit, reason = "a second signal ends at once, whatever the main thread is stuck in")]
fn end_now(code: ExitCode) -> ! {
    std::process::exit(i32::from(code.number()))
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::Interrupted,
            _ = self.terminate.recv() => ExitCode::Terminated,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    #[expect(clippy::unnecessary_wraps, reason = "the other system's twin can fail")]
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> ExitCode {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        ExitCode::Interrupted
    }
}
