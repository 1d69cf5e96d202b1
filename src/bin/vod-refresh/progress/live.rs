//! The live view: a few lines on a terminal that change in place.

use std::time::Duration;

use crate::printer::Printer;

const FRAME: Duration = Duration::from_millis(150);

/// Draws what `view` gives for a number of columns and rows and a frame, until it is dropped; the printer takes it away.
pub(super) async fn draw(printer: &Printer, view: impl Fn(usize, usize, usize) -> Vec<String>) {
    let mut frames = tokio::time::interval(FRAME);
    // After a stop (Ctrl-Z) there is nothing to catch up with.
    frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for frame in 0.. {
        frames.tick().await;
        printer.draw(|columns, rows| view(columns, rows, frame));
    }
}
