//! The lines of the live view. Pure: what is known and a width in, lines out.
//!
//! ```text
//! ⠹ refreshing 1000 media  1m40s, about 2m left
//!   batches   ████████████████  50 of 50
//!   accepted  ████████████░░░░  750 of 1000 media, by event, 12/s
//!   tasks     ██████░░░░░░░░░░  1200 of 3000 ended, 3 failed, 34/s
//!   media     ████░░░░░░░░░░░░  310 of 1000 complete, 1 failed
//! ```

use std::time::Duration;

use vod_refresh::run::Progress;
use vod_refresh::vod::TaskType;

use super::estimate::{Rates, Tally, TimeLeft, expected_tasks};
use crate::duration;
use crate::formatting::count;

/// No line is wider, however wide the terminal: eyes need not travel, and one that is made narrower breaks no line.
const WIDEST: usize = 96;
const LABEL: usize = 10;
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// What there is to show.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) progress: &'a Progress,
    pub(super) tally: &'a Tally,
    pub(super) rates: Rates,
    pub(super) left: TimeLeft,
    pub(super) elapsed: Duration,
    /// Counts frames.
    pub(super) frame: usize,
}

impl View<'_> {
    /// Returns the lines, none of them wider than `columns` or more of them than `rows`.
    pub(super) fn lines(&self, columns: usize, rows: usize) -> Vec<String> {
        // The last column stays free: some terminals wrap when it is written to.
        let width = columns.saturating_sub(1).min(WIDEST);
        let mut lines = vec![self.head(width)];
        lines.extend(self.bars().map(|bar| bar.line(width)));
        lines.truncate(rows);
        lines
    }

    fn head(&self, width: usize) -> String {
        let spinner = SPINNER[self.frame % SPINNER.len()];
        let media = count(self.progress.media, self.tally.noun());
        let what = match self.tally.task_type {
            Some(TaskType::Refresh) => format!("refreshing {media}"),
            Some(TaskType::Preload) => format!("preloading {media}"),
            None => format!("waiting for {}", count(self.tally.jobs, "job")),
        };
        let elapsed = duration::format(Duration::from_secs(self.elapsed.as_secs()));
        fit(format!("{spinner} {what}  {elapsed}"), &[time_left(self.left)], width)
    }

    fn bars(&self) -> impl Iterator<Item = Bar> {
        let Progress { media, accepted, complete, failed, failed_unaccepted, tasks, tasks_ended, .. } =
            *self.progress;
        let Tally { batches, answered, refused, by_event, by_lookup, tasks_failed, .. } = *self.tally;
        let known_by = match (by_event, by_lookup) {
            (0, 0) => String::new(),
            (0, _) => "by lookup".to_owned(),
            (_, 0) => "by event".to_owned(),
            (events, lookups) => format!("{events} by event, {lookups} by lookup"),
        };
        let some = |n: u64, word| if n == 0 { String::new() } else { format!("{n} {word}") };
        let bar = |label, (done, all), text, more, per_second| {
            // What is done has no rate any more.
            let rate = if done < all { rate(per_second) } else { String::new() };
            Bar { label, done, all, text, more: [more, rate] }
        };
        let Rates { batches: batch_rate, accepted: accepted_rate, tasks: task_rate } = self.rates;
        let taken = media.saturating_sub(failed_unaccepted).max(accepted);
        let all_tasks = expected_tasks(self.progress).max(tasks);
        let text = format!("{answered} of {batches}");
        let first = bar("batches", (answered, batches), text, some(refused, "refused"), batch_rate);
        let nouns = self.tally.nouns();
        let text = format!("{accepted} of {taken} {nouns}");
        let second = bar("accepted", (accepted, taken), text, known_by, accepted_rate);
        let text = format!("{tasks_ended} of {tasks} ended");
        let third = bar("tasks", (tasks_ended, all_tasks), text, some(tasks_failed, "failed"), task_rate);
        let text = format!("{complete} of {media} complete");
        let last = bar(nouns, (complete + failed, media), text, some(failed, "failed"), 0.0);
        // A run that waits for jobs of others submits nothing.
        [first, second, third, last].into_iter().skip(usize::from(batches == 0))
    }
}

/// Says how long it will still take, in words that do not jump about.
pub(super) fn time_left(left: TimeLeft) -> String {
    let seconds = match left {
        TimeLeft::Unknown => return String::new(),
        TimeLeft::Overdue => return "longer than tasks took so far".to_owned(),
        TimeLeft::About(time) => time.as_secs(),
    };
    match seconds {
        0..5 => "a few seconds left".to_owned(),
        s @ 5..20 => format!("about {}s left", s.next_multiple_of(5)),
        s @ 20..120 => format!("about {}s left", s.next_multiple_of(10)),
        s => format!("about {} left", duration::format(Duration::from_secs(s.next_multiple_of(60)))),
    }
}

/// `12/s`, `6/min`; nothing where hardly anything moves.
fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 9.5 => format!("{r:.0}/s"),
        r if r >= 0.95 => format!("{r:.1}/s"),
        r if r * 60.0 >= 0.95 => format!("{:.0}/min", r * 60.0),
        _ => String::new(),
    }
}

struct Bar {
    label: &'static str,
    done: u64,
    all: u64,
    text: String,
    /// What is said as well where there is room.
    more: [String; 2],
}

impl Bar {
    fn line(&self, width: usize) -> String {
        let cells = (width / 5).clamp(6, 20);
        // Full only when all is done.
        let filled = (self.done.min(self.all) as usize * cells).checked_div(self.all as usize).unwrap_or(0);
        let bar = "█".repeat(filled) + &"░".repeat(cells - filled);
        fit(format!("  {:LABEL$}{bar}  {}", self.label, self.text), &self.more, width)
    }
}

/// Returns `text`, and those of `more` that fit; what does not fit at all is cut.
fn fit(mut text: String, more: &[String], width: usize) -> String {
    for part in more.iter().filter(|part| !part.is_empty()) {
        if text.chars().count() + 2 + part.chars().count() <= width {
            text.push_str(", ");
            text.push_str(part);
        }
    }
    text.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> (Progress, Tally) {
        let mut progress = Progress::default();
        (progress.media, progress.accepted, progress.complete, progress.failed) = (10_000, 7_500, 3_100, 12);
        (progress.tasks, progress.tasks_ended) = (30_000, 12_345);
        let tally = Tally {
            task_type: Some(TaskType::Refresh),
            batches: 500,
            answered: 420,
            refused: 1,
            by_event: 7_400,
            by_lookup: 100,
            tasks_failed: 31,
            ..Tally::default()
        };
        (progress, tally)
    }

    fn lines(columns: usize, rows: usize) -> Vec<String> {
        let (progress, tally) = busy();
        let rates = Rates { batches: 4.0, accepted: 81.3, tasks: 0.2 };
        let (left, elapsed) = (TimeLeft::About(Duration::from_secs(130)), Duration::from_secs(100));
        View { progress: &progress, tally: &tally, rates, left, elapsed, frame: 2 }.lines(columns, rows)
    }

    #[test]
    fn a_wide_terminal_shows_all() {
        let shown = lines(200, 50).join("\n");
        insta::assert_snapshot!(shown, @"
        ⠹ refreshing 10000 media  1m40s, about 3m left
          batches   ███████████████░░░░  420 of 500, 1 refused, 4.0/s
          accepted  ██████████████░░░░░  7500 of 10000 media, 7400 by event, 100 by lookup, 81/s
          tasks     █████░░░░░░░░░░░░░░  12345 of 30000 ended, 31 failed, 12/min
          media     █████░░░░░░░░░░░░░░  3100 of 10000 complete, 12 failed
        ");
    }

    #[test]
    fn a_narrow_terminal_shows_what_matters() {
        let shown = lines(60, 50).join("\n");
        insta::assert_snapshot!(shown, @"
        ⠹ refreshing 10000 media  1m40s, about 3m left
          batches   █████████░░  420 of 500, 1 refused, 4.0/s
          accepted  ████████░░░  7500 of 10000 media, 81/s
          tasks     ███░░░░░░░░  12345 of 30000 ended, 31 failed
          media     ███░░░░░░░░  3100 of 10000 complete, 12 failed
        ");
    }

    #[test]
    fn no_line_is_wider_and_no_block_higher_than_the_terminal() {
        for (columns, rows) in [(0, 0), (1, 1), (10, 3), (40, 2), (60, 24), (79, 24), (500, 100)] {
            let lines = lines(columns, rows);
            assert!(lines.len() <= rows);
            for line in lines {
                assert!(line.chars().count() < columns.max(1), "{columns}: {line}");
            }
        }
    }

    #[test]
    fn the_bars_of_a_run_that_waits_for_jobs_have_no_batches() {
        let (progress, tally) = (Progress::default(), Tally { jobs: 3, ..Tally::default() });
        let view = View {
            progress: &progress,
            tally: &tally,
            rates: Rates::default(),
            left: TimeLeft::Unknown,
            elapsed: Duration::ZERO,
            frame: 0,
        };
        insta::assert_snapshot!(view.lines(80, 24).join("\n"), @"
        ⠋ waiting for 3 jobs  0s
          accepted  ░░░░░░░░░░░░░░░  0 of 0 media
          tasks     ░░░░░░░░░░░░░░░  0 of 0 ended
          media     ░░░░░░░░░░░░░░░  0 of 0 complete
        ");
    }

    #[test]
    fn estimates_are_rounded_up_and_calm() {
        for (seconds, text) in [
            (0, "a few seconds left"),
            (7, "about 10s left"),
            (61, "about 70s left"),
            (119, "about 120s left"),
            (121, "about 3m left"),
            (7_000, "about 1h57m left"),
        ] {
            assert_eq!(time_left(TimeLeft::About(Duration::from_secs(seconds))), text);
        }
        assert_eq!(time_left(TimeLeft::Unknown), "");
    }

    #[test]
    fn rates_have_the_unit_that_reads_best() {
        for (per_second, text) in [(34.2, "34/s"), (4.0, "4.0/s"), (0.1, "6/min"), (0.001, ""), (0.0, "")] {
            assert_eq!(rate(per_second), text);
        }
    }
}
