//! A run in the background: a handle that ends in the report, and a stream of what happens on the way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::observer::{Notice, Observer, Progress};
use super::setup::Setup;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Report;

/// A run under way, made by [`Refresher::start_refresh`](crate::Refresher::start_refresh) and its siblings. Awaited, it gives the report.
///
/// It goes on whether or not anybody awaits it. Cancel safety: awaiting `&mut run` in a `select!` loses nothing; once it has ended,
/// it must not be polled again. Dropping the handle ends the run at its next step, without a report, as dropping
/// [`Refresher::refresh`](crate::Refresher::refresh) does. [`stop`](Self::stop) is the orderly way.
///
/// # Errors
///
/// Those of the method that it does in the background; [`ErrorKind::Internal`] if the runtime ends first. A panic within
/// the run goes on in whoever awaits it.
#[must_use = "dropping it ends the run"]
pub struct Run {
    task: AbortOnDropHandle<Result<Report>>,
    stop: CancellationToken,
}

impl Run {
    /// Ends the run early, in order: no batch is submitted any more, calls in flight get 1.5 s, and the report,
    /// [`Interrupted`](crate::Outcome::Interrupted), says what is known. Remote work goes on. Returns at once.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Future for Run {
    type Output = Result<Report>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context).map(|ended| match ended {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the runtime ended while the run was under way")),
        })
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("finished", &self.task.is_finished()).finish_non_exhaustive()
    }
}

/// One thing that happened, and where the run stood after it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// What happened.
    pub notice: Notice,
    /// Where the run stands.
    pub progress: Progress,
}

/// What happens in a run, in order: a [`Stream`] that ends with the run. The last step is [`Notice::Finished`], unless
/// the run failed before it began or its handle was dropped.
///
/// The run never waits for its reader. Steps that are not read yet are kept, some 300 bytes each with their texts: one
/// for each task and batch, three or so for each media, one for each retry; so at most about what the report takes.
/// Dropping the stream drops them, and does the run no harm.
#[derive(Debug)]
pub struct Steps(UnboundedReceiver<Step>);

impl Steps {
    /// The next step; `None` once the run is over and all were read. Cancel safety: dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Step> {
        self.0.recv().await
    }
}

impl Stream for Steps {
    type Item = Step;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Step>> {
        self.0.poll_recv(context)
    }
}

/// Starts `work` with a setup that tells a stream, beside the observer it has.
pub(super) fn start<F, W>(setup: &Setup, work: F) -> (Run, Steps)
where
    F: FnOnce(Setup) -> W,
    W: Future<Output = Result<Report>> + Send + 'static,
{
    let (sender, receiver) = unbounded_channel();
    let stop = setup.stop.child_token();
    let observer = Arc::new(StepSender { observer: setup.observer.clone(), steps: sender });
    let watched = Setup { observer, stop: stop.clone(), ..setup.clone() };
    let task = AbortOnDropHandle::new(tokio::spawn(work(watched)));
    (Run { task, stop }, Steps(receiver))
}

struct StepSender {
    observer: Arc<dyn Observer>,
    steps: UnboundedSender<Step>,
}

impl Observer for StepSender {
    fn notice(&self, notice: &Notice, progress: &Progress) {
        self.observer.notice(notice, progress);
        if !self.steps.is_closed() {
            // A reader that leaves just now wants it no more.
            let _ = self.steps.send(Step { notice: notice.clone(), progress: *progress });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_as_small_as_its_documentation_says() {
        assert!(size_of::<Step>() <= 200, "{}", size_of::<Step>());
    }
}
