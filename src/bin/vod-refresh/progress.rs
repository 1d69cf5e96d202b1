//! Follows a run and shows it: lines of NDJSON on stdout, a live view on a terminal, sparse lines elsewhere.

mod estimate;
mod notices;
mod view;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use vod_refresh::run::{Notice, Progress};
use vod_refresh::{Error, ErrorKind, Observer};

use self::estimate::{Rates, Tally, Throughput, TimeLeft};
use self::notices::NoticeLines;
use self::view::View;
use crate::duration;
use crate::exit::Failure;
use crate::formatting::count;
use crate::output::json;
use crate::printer::{Level, Printer};

/// Time between two frames of the live view.
const FRAME: Duration = Duration::from_millis(150);

/// Shows one run. Clones show the same.
#[derive(Clone)]
pub(crate) struct RunDisplay(Arc<Shared>);

struct Shared {
    printer: Printer,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    progress: Progress,
    tally: Tally,
    throughput: Throughput,
    notices: NoticeLines,
    /// Where notices go as lines of NDJSON, if that was asked for.
    ndjson: Option<NdjsonWriter>,
}

/// The queue of a thread that writes lines to stdout, and that thread: a reader that pauses must not hold up the run, which
/// has events to answer within a second. What waits is bounded by the notices of the run.
type NdjsonWriter = (Sender<String>, JoinHandle<Result<(), Failure>>);

impl RunDisplay {
    /// Begins now.
    pub(crate) fn new(printer: &Printer, ndjson: bool) -> Result<Self, Failure> {
        let failed = |why| Error::new(ErrorKind::Internal, "no thread for stdout").with_source(why);
        let writer = || {
            let (lines, waiting) = channel::<String>();
            let printer = printer.clone();
            // After a failure the receiver is gone, and later lines are dropped.
            let write = move || waiting.iter().try_for_each(|line| printer.out(&line));
            Ok((lines, thread::Builder::new().name("stdout".into()).spawn(write).map_err(failed)?))
        };
        let state = State {
            progress: Progress::default(),
            tally: Tally::default(),
            throughput: Throughput::default(),
            notices: NoticeLines::new(printer.is_live()),
            ndjson: ndjson.then(writer).transpose().map_err(|error: Error| error)?,
        };
        let state = Mutex::new(state);
        Ok(Self(Arc::new(Shared { printer: printer.clone(), started: Instant::now(), state })))
    }

    /// Shows that the run goes on, until the future is dropped.
    pub(crate) async fn show(&self) {
        let Shared { printer, started, .. } = &*self.0;
        if printer.is_quiet() {
            return std::future::pending().await;
        }
        if !printer.is_live() {
            for at in line_times() {
                tokio::time::sleep_until(*started + at).await;
                printer.say(&self.sentence());
            }
        }
        let mut frames = tokio::time::interval(FRAME);
        // After a stop (Ctrl-Z) there is nothing to catch up with.
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for frame in 0.. {
            frames.tick().await;
            printer.draw(|columns, rows| self.view(columns, rows, frame));
        }
    }

    /// Takes the live view away: the run is over.
    pub(crate) fn end_live_view(&self) {
        self.0.printer.end_run();
    }

    /// Waits until every notice is written; says what went wrong with stdout, if something did.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        let Some((lines, thread)) = self.state().ndjson.take() else { return Ok(()) };
        drop(lines);
        thread.join().unwrap_or(Ok(()))
    }

    fn view(&self, columns: usize, rows: usize, frame: usize) -> Vec<String> {
        let elapsed = self.0.started.elapsed();
        let mut state = self.state();
        let (rates, left) = state.estimate(elapsed);
        let State { progress, tally, .. } = &*state;
        View { progress, tally, rates, left, elapsed, frame }.lines(columns, rows)
    }

    fn sentence(&self) -> String {
        let elapsed = self.0.started.elapsed();
        let mut state = self.state();
        let (_, left) = state.estimate(elapsed);
        sentence(&state.progress, state.tally.nouns(), elapsed, left)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Samples the counts, and estimates how fast the run goes and how long it will take.
    fn estimate(&mut self, at: Duration) -> (Rates, TimeLeft) {
        self.throughput.sample(at, &self.progress, &self.tally);
        let rates = self.throughput.rates();
        (rates, estimate::time_left(at, &self.progress, &self.tally, rates))
    }
}

impl Observer for RunDisplay {
    fn notice(&self, notice: &Notice, progress: &Progress) {
        let Shared { printer, started, .. } = &*self.0;
        let line = {
            let mut state = self.state();
            let at = started.elapsed();
            state.progress = *progress;
            state.tally.count(notice, at);
            if let Some((lines, _)) = &state.ndjson {
                // Fails after a failure to write, which `finish` returns.
                let _ = lines.send(json::notice(notice));
            }
            let State { notices, tally, .. } = &mut *state;
            notices.line(notice, at, tally)
        };
        match line {
            Some(line) if line.level == Level::Info => printer.say(&line.text),
            Some(line) => printer.warn(&line.text),
            None => {}
        }
    }
}

/// When a line shows that the run goes on: soon, so that short runs have one, then every half minute.
fn line_times() -> impl Iterator<Item = Duration> {
    [5, 15].into_iter().chain((1..).map(|n| n * 30)).map(Duration::from_secs)
}

/// `3 of 45 media complete, 1 failed, 12 of 90 tasks ended, 40s elapsed, about 20s left`.
fn sentence(progress: &Progress, nouns: &str, elapsed: Duration, left: TimeLeft) -> String {
    let Progress { media, submitted, complete, failed, tasks, tasks_ended, .. } = *progress;
    let mut text = format!("{complete} of {media} {nouns} complete");
    if failed > 0 {
        text += &format!(", {failed} failed");
    }
    if tasks > 0 {
        text += &format!(", {tasks_ended} of {} ended", count(tasks, "task"));
    } else if submitted > 0 {
        text += &format!(", {submitted} submitted");
    }
    text += &format!(", {} elapsed", duration::format(Duration::from_secs(elapsed.as_secs())));
    if let TimeLeft::About(_) = left {
        text += &format!(", {}", view::time_left(left));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_shows_after_five_seconds_and_then_at_least_every_half_minute() {
        let signs: Vec<_> = line_times().take(20).map(|at| at.as_secs()).collect();
        assert_eq!(signs[..5], [5, 15, 30, 60, 90]);
        assert!(signs.windows(2).all(|pair| pair[1] - pair[0] <= 30));
    }

    fn text_of(progress: &Progress, seconds: u64) -> String {
        sentence(progress, "media", Duration::from_millis(seconds * 1_000 + 400), TimeLeft::Unknown)
    }

    #[test]
    fn the_sentence_has_only_what_there_is() {
        let mut progress = Progress::default();
        progress.media = 45;
        assert_eq!(text_of(&progress, 5), "0 of 45 media complete, 5s elapsed");
        progress.submitted = 20;
        assert_eq!(text_of(&progress, 0), "0 of 45 media complete, 20 submitted, 0s elapsed");
        (progress.complete, progress.failed, progress.tasks, progress.tasks_ended) = (3, 1, 90, 12);
        assert_eq!(
            text_of(&progress, 100),
            "3 of 45 media complete, 1 failed, 12 of 90 tasks ended, 1m40s elapsed"
        );
        let left = TimeLeft::About(Duration::from_secs(42));
        assert!(sentence(&progress, "media", Duration::ZERO, left).ends_with(", 0s elapsed, about 50s left"));
    }
}
