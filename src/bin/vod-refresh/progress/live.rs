//! The live view: a few lines on a terminal that change in place.

use std::time::Duration;

use crate::printer::Printer;

const FRAME: Duration = Duration::from_millis(150);

/// Draws what `view` gives for a number of columns and rows and a frame, until it is dropped; the printer takes it away.
///
/// On a thread where it may wait: a terminal that was stopped (Ctrl-S) must not stop the run, which has events to answer
/// and a deadline.
pub(super) async fn draw<V>(printer: &Printer, view: V)
where
    V: Fn(usize, usize, usize) -> Vec<String> + Clone + Send + 'static,
{
    let mut frames = tokio::time::interval(FRAME);
    // After a stop (Ctrl-Z) there is nothing to catch up with.
    frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for frame in 0.. {
        frames.tick().await;
        let (printer, view) = (printer.clone(), view.clone());
        let drawn = tokio::task::spawn_blocking(move || {
            printer.draw(|columns, rows| view(columns, rows, frame));
        });
        // Fails when the runtime ends, and then nothing is to be drawn.
        let _ = drawn.await;
    }
}
