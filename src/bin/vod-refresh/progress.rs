//! Hears the run and tells: lines of NDJSON on stdout, a live view on a terminal, sparse lines elsewhere.

mod live;
mod pace;
mod talk;
mod tally;
mod view;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vod_refresh::run::{Notice, Progress};
use vod_refresh::{Error, ErrorKind, Observer};

use self::pace::{Left, Pace, Rates};
use self::talk::Talk;
use self::tally::Tally;
use self::view::View;
use self::writer::Writer;
use crate::exit::Failure;
use crate::formatting::count;
use crate::output::json;
use crate::printer::{Level, Printer};

/// Watches one run. Clones watch the same.
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
    pace: Pace,
    talk: Talk,
    /// Where notices go as lines of NDJSON, if they do.
    ndjson: Option<Writer>,
}

impl RunDisplay {
    /// A watch that begins now.
    pub(crate) fn new(printer: &Printer, ndjson: bool) -> Result<Self, Failure> {
        let failed = |why| Error::new(ErrorKind::Internal, "no thread for stdout").with_source(why);
        let ndjson = ndjson.then(|| Writer::start(printer)).transpose().map_err(failed)?;
        let state = State {
            progress: Progress::default(),
            tally: Tally::default(),
            pace: Pace::default(),
            talk: Talk::new(printer.is_live()),
            ndjson,
        };
        let printer = printer.clone();
        printer.begin_run();
        Ok(Self(Arc::new(Shared { printer, started: Instant::now(), state: Mutex::new(state) })))
    }

    /// Shows life until it is dropped.
    pub(crate) async fn show(&self) {
        if self.0.printer.is_quiet() {
            return std::future::pending().await;
        }
        if self.0.printer.is_live() {
            let view = |columns, rows, frame| self.view(columns, rows, frame);
            return live::draw(&self.0.printer, view).await;
        }
        for at in life_signs() {
            tokio::time::sleep_until(self.0.started + at).await;
            self.0.printer.say(&self.sentence());
        }
    }

    /// The run is over: takes the live view away.
    pub(crate) fn end_live_view(&self) {
        self.0.printer.end_run();
    }

    /// Waits until every notice is written; says what went wrong with stdout, if something did.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        let writer = self.state().ndjson.take();
        writer.map_or(Ok(()), Writer::finish)
    }

    fn view(&self, columns: usize, rows: usize, frame: usize) -> Vec<String> {
        let elapsed = self.0.started.elapsed();
        let mut state = self.state();
        let (rates, left) = state.reckon(elapsed);
        let State { progress, tally, .. } = &*state;
        View { progress, tally, rates, left, elapsed, frame }.lines(columns, rows)
    }

    fn sentence(&self) -> String {
        let elapsed = self.0.started.elapsed();
        let mut state = self.state();
        let (_, left) = state.reckon(elapsed);
        sentence(&state.progress, elapsed, left)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes where the run stands: how fast it goes, and how long it will take.
    fn reckon(&mut self, at: Duration) -> (Rates, Left) {
        let Self { progress, tally, pace, .. } = self;
        pace.note(at, progress, tally);
        let rates = pace.rates();
        (rates, pace::left(at, progress, tally, rates))
    }
}

impl Observer for RunDisplay {
    fn notice(&self, notice: &Notice, progress: &Progress) {
        let Shared { printer, started, .. } = &*self.0;
        let lines = {
            let mut state = self.state();
            let at = started.elapsed();
            state.progress = *progress;
            state.tally.hear(notice, at);
            if let Some(writer) = &state.ndjson {
                writer.put(json::notice(notice));
            }
            state.talk.hear(notice, at)
        };
        for line in lines {
            match line.level {
                Level::Info => printer.say(&line.text),
                Level::Warn | Level::Error => printer.warn(&line.text),
            }
        }
    }
}

/// When a line shows life: soon, so that short runs have one, then every half minute.
fn life_signs() -> impl Iterator<Item = Duration> {
    [5, 15].into_iter().chain((1..).map(|n| n * 30)).map(Duration::from_secs)
}

/// `3 of 45 media complete, 1 failed, 12 of 90 tasks ended, 40s elapsed, about 20s left`.
fn sentence(progress: &Progress, elapsed: Duration, left: Left) -> String {
    let Progress { media, submitted, complete, failed, tasks, tasks_ended, .. } = *progress;
    let mut text = format!("{complete} of {media} media complete");
    if failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    if tasks > 0 {
        text.push_str(&format!(", {tasks_ended} of {} ended", count(tasks, "task")));
    } else if submitted > 0 {
        text.push_str(&format!(", {submitted} submitted"));
    }
    let elapsed = Duration::from_secs(elapsed.as_secs());
    text.push_str(&format!(", {} elapsed", crate::duration::format(elapsed)));
    if let Left::About(_) = left {
        text.push_str(&format!(", {}", view::left(left)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_shows_after_five_seconds_and_then_at_least_every_half_minute() {
        let signs: Vec<_> = life_signs().take(20).map(|at| at.as_secs()).collect();
        assert_eq!(signs[..5], [5, 15, 30, 60, 90]);
        assert!(signs.windows(2).all(|pair| pair[1] - pair[0] <= 30));
    }

    fn told(progress: &Progress, seconds: u64) -> String {
        sentence(progress, Duration::from_millis(seconds * 1_000 + 400), Left::Unknown)
    }

    #[test]
    fn the_sentence_tells_only_what_there_is() {
        let mut progress = Progress::default();
        progress.media = 45;
        assert_eq!(told(&progress, 5), "0 of 45 media complete, 5s elapsed");
        progress.submitted = 20;
        assert_eq!(told(&progress, 0), "0 of 45 media complete, 20 submitted, 0s elapsed");
        (progress.complete, progress.failed, progress.tasks, progress.tasks_ended) = (3, 1, 90, 12);
        assert_eq!(
            told(&progress, 100),
            "3 of 45 media complete, 1 failed, 12 of 90 tasks ended, 1m40s elapsed"
        );
        let left = Left::About(Duration::from_secs(42));
        assert!(sentence(&progress, Duration::ZERO, left).ends_with(", 0s elapsed, about 50s left"));
    }
}
