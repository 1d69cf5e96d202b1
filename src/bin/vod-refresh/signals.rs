//! The first signal asks the run to end, the second ends the process.
//!
//! SIGINT, SIGTERM, and SIGHUP, which a closed terminal sends; on Windows Ctrl-C, Ctrl-Break, and the console's end. Whoever
//! starts us with SIGHUP ignored, as `nohup` does, wants the run to outlive the terminal, and gets that.
//!
//! A thread of its own listens: the main thread may be stuck writing to a reader that has stopped reading.

use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vod_refresh::{Error, ErrorKind};

use crate::exit::{ExitCode, Result};
use crate::printer::Printer;

/// The contract gives an interrupted run two seconds. The driver takes 1.5 s of them at most.
const LAST_RESORT: Duration = Duration::from_millis(1_950);

/// Signals within so long after the first are the same interruption: what a terminal sends to all of its processes, a
/// wrapper sends on. Nobody presses a key twice so quickly.
const SAME_INTERRUPTION: Duration = Duration::from_millis(100);

/// Asks for a signal; the kinds of Windows are types of their own.
type Source = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<()>> + Send>;

/// Listens from now on.
pub(crate) struct Signals {
    first: Arc<OnceLock<ExitCode>>,
    stop: CancellationToken,
}

impl Signals {
    /// Starts to listen; `goodbye` is what the first signal prints.
    pub(crate) fn listen(printer: &Printer, goodbye: &'static str) -> Result<Self> {
        let failed = |why| Error::new(ErrorKind::Internal, "cannot listen for signals").with_source(why);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut sources = {
            let _inside = runtime.enter();
            sources().map_err(failed)?
        };
        let signals = Self { first: Arc::new(OnceLock::new()), stop: CancellationToken::new() };
        let (first, stop, printer) = (Arc::clone(&signals.first), signals.stop.clone(), printer.clone());
        let listener = move || {
            runtime.block_on(async move {
                let code = next(&mut sources).await;
                let _ = first.set(code);
                stop.cancel();
                // By a thread of its own again: a terminal that was stopped (Ctrl-S) takes no word, and the end is due.
                let _ =
                    std::thread::Builder::new().name("goodbye".into()).spawn(move || printer.say(goodbye));
                let again = async {
                    let same = tokio::time::Instant::now() + SAME_INTERRUPTION;
                    while tokio::time::timeout_at(same, next(&mut sources)).await.is_ok() {}
                    next(&mut sources).await
                };
                // Whichever comes first; the exit code is that of the first signal all the same.
                let _ = tokio::time::timeout(LAST_RESORT, again).await;
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

/// The signals to listen for, and the exit code that each asks for.
#[cfg(unix)]
fn sources() -> std::io::Result<Vec<(Source, ExitCode)>> {
    use tokio::signal::unix::SignalKind;
    let source = |kind, code| -> std::io::Result<(Source, ExitCode)> {
        let mut signal = tokio::signal::unix::signal(kind)?;
        Ok((Box::new(move |context| signal.poll_recv(context)), code))
    };
    let mut sources = vec![
        source(SignalKind::interrupt(), ExitCode::INTERRUPTED)?,
        source(SignalKind::terminate(), ExitCode::TERMINATED)?,
    ];
    if heeds_hangup() {
        // Nobody at a closed terminal reads the code: the contract needs no third one.
        sources.push(source(SignalKind::hangup(), ExitCode::TERMINATED)?);
    }
    Ok(sources)
}

#[cfg(windows)]
fn sources() -> std::io::Result<Vec<(Source, ExitCode)>> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    let (mut interrupt, mut stop, mut close, mut shutdown) =
        (ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?);
    Ok(vec![
        (Box::new(move |context| interrupt.poll_recv(context)), ExitCode::INTERRUPTED),
        (Box::new(move |context| stop.poll_recv(context)), ExitCode::TERMINATED),
        // The console was closed: the system waits five seconds.
        (Box::new(move |context| close.poll_recv(context)), ExitCode::TERMINATED),
        (Box::new(move |context| shutdown.poll_recv(context)), ExitCode::TERMINATED),
    ])
}

/// Waits for the next signal; the exit code that it asks for.
async fn next(sources: &mut [(Source, ExitCode)]) -> ExitCode {
    poll_fn(|context| {
        let mut came = sources.iter_mut().map(|(source, code)| source(context).map(|_| *code));
        came.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Whether SIGHUP was not ignored when we were started. Where the system does not tell, it is left as it is: whatever it
/// does then, a run that was meant to go on is not ended by us.
#[cfg(unix)]
fn heeds_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Bit n - 1 is signal n, and SIGHUP is 1 everywhere.
    ignored(&status).is_some_and(|mask| mask & 1 == 0)
}

/// The mask of ignored signals in Linux's words about a process.
#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    // There are 64 signals; some machines have 128.
    let mask = mask.trim();
    u64::from_str_radix(mask.get(mask.len().saturating_sub(16)..)?, 16).ok()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_signals_are_read_as_the_kernel_writes_them() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"), Some(0x1001));
        assert_eq!(ignored("SigIgn:\t00000000000000000000000000000001\n"), Some(1));
        assert_eq!(ignored("SigIgn:\t\n"), None);
        assert_eq!(ignored("Name:\tx\n"), None);
    }
}
