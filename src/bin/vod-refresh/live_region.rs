//! A few lines at the foot of the terminal that change in place, and what is known of that terminal.
//!
//! Our own, as progress bars of libraries pad their lines to the full width: in a terminal that is made narrower, every
//! padded line wraps, and the old lines stay behind. After Ctrl-Z they would draw over what the shell has written.

use std::time::Duration;

use tokio::time::Instant;

/// The region is drawn several times a second. One that is older was stopped (Ctrl-Z), and what stands above the cursor
/// now is the shell's.
const STALE: Duration = Duration::from_secs(1);

/// Erases the rest of a line. Line by line, as erasing the rest of the screen from its first line on would put the region
/// into the history that some terminals keep.
const ERASE_REST: &str = "\u{1b}[K";

/// What stands on the terminal. The cursor is in the first column below it. The methods return what must be written.
#[derive(Debug, Default)]
pub(crate) struct LiveRegion {
    lines: Vec<String>,
    /// When it was last known to stand there.
    pub(crate) drawn_at: Option<Instant>,
}

impl LiveRegion {
    /// Puts `lines` in the place of those that are shown.
    pub(crate) fn draw(&mut self, lines: Vec<String>, now: Instant) -> String {
        let left_over = self.height(now).saturating_sub(lines.len());
        // Each line is written over: erasing first would flicker.
        let drawn: String = lines.iter().map(|line| format!("{line}{ERASE_REST}\n")).collect();
        let text = self.to_top(now) + &drawn + &erase_lines(left_over);
        (self.lines, self.drawn_at) = (lines, Some(now));
        text
    }

    /// Takes the lines away, so that others can be written there; [`redraw`](Self::redraw) brings them back.
    pub(crate) fn erase(&self, now: Instant) -> String {
        self.to_top(now) + &erase_lines(self.height(now))
    }

    /// Shows erased lines once more, below what was written.
    pub(crate) fn redraw(&mut self, now: Instant) -> String {
        self.drawn_at = Some(now);
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Takes the lines away for good.
    pub(crate) fn clear(&mut self, now: Instant) -> String {
        let text = self.erase(now);
        self.lines.clear();
        text
    }

    /// Goes to the first of the lines that are shown, and erases what was typed meanwhile (`^C`).
    fn to_top(&self, now: Instant) -> String {
        match (self.lines.len(), self.height(now)) {
            (0, _) => String::new(),
            (_, 0) => "\r".to_owned(),
            (_, n) => format!("\r{ERASE_REST}{}", up(n)),
        }
    }

    /// How many of the lines still stand above the cursor: all or none.
    fn height(&self, now: Instant) -> usize {
        let is_fresh = self.drawn_at.is_some_and(|at| now.saturating_duration_since(at) <= STALE);
        if is_fresh { self.lines.len() } else { 0 }
    }
}

fn up(lines: usize) -> String {
    format!("\u{1b}[{lines}A")
}

/// Erases so many lines and comes back to the first of them.
fn erase_lines(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("{ERASE_REST}\n").repeat(lines) + &up(lines) }
}

/// Returns columns and rows of the terminal on stderr; `None` if it is none, or has no size.
pub(crate) fn size() -> Option<(usize, usize)> {
    let (width, height) = terminal_size::terminal_size_of(std::io::stderr())?;
    (width.0 > 0 && height.0 > 0).then_some((width.0.into(), height.0.into()))
}

/// Whether the terminal on stderr listens to this process: not after Ctrl-Z and `bg`.
pub(crate) fn is_foreground() -> bool {
    #[cfg(unix)]
    if let Ok(group) = rustix::termios::tcgetpgrp(std::io::stderr()) {
        return group == rustix::process::getpgrp();
    }
    // Where nobody knows (it is no terminal, or not this session's), nobody is disturbed.
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    /// What stands on a terminal that was fed with `texts`.
    fn screen(texts: &[String]) -> Vec<String> {
        let mut terminal = vt100::Parser::new(10, 20, 100);
        terminal.process(texts.concat().replace('\n', "\r\n").as_bytes());
        let all = terminal.screen().contents();
        all.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn new_lines_are_written_over_the_old_ones() {
        let (mut region, now) = (LiveRegion::default(), Instant::now());
        let first = region.draw(lines(&["before", "b"]), now);
        let second = region.draw(lines(&["c"]), now);
        assert_eq!(screen(&[first.clone(), second.clone()]), ["c"]);
        let third = region.draw(lines(&["d", "e", "f"]), now);
        assert_eq!(screen(&[first.clone(), second.clone(), third.clone()]), ["d", "e", "f"]);
        let gone = region.clear(now);
        assert_eq!(screen(&[first, second, third, gone]), [""; 0]);
        assert_eq!(region.clear(now), "", "what is gone is not taken away again");
    }

    #[test]
    fn other_lines_go_above() {
        let (mut region, now) = (LiveRegion::default(), Instant::now());
        assert_eq!(region.erase(now), "", "nothing is shown yet");
        let mut all = vec!["$ command\n".to_owned(), region.draw(lines(&["a", "b"]), now)];
        for said in ["one\n", "two\n"] {
            all.extend([region.erase(now), said.to_owned(), region.redraw(now)]);
        }
        all.push(region.draw(lines(&["c", "d"]), now));
        assert_eq!(screen(&all), ["$ command", "one", "two", "c", "d"]);
    }

    #[test]
    fn what_the_terminal_echoes_goes_away_with_the_next_frame() {
        let (mut region, now) = (LiveRegion::default(), Instant::now());
        let first = region.draw(lines(&["a"]), now);
        let second = region.draw(lines(&["b"]), now);
        assert_eq!(screen(&[first, "^C".to_owned(), second]), ["b"]);
    }

    #[test]
    fn after_a_stop_nothing_of_the_shell_is_written_over() {
        let (mut region, now) = (LiveRegion::default(), Instant::now());
        let later = now + Duration::from_secs(5);
        let mut all = vec![region.draw(lines(&["a", "b"]), now)];
        all.push("^Z\n[1]+  Stopped\n$ fg\n".to_owned());
        all.extend([region.erase(later), "said\n".to_owned(), region.redraw(later)]);
        all.push(region.draw(lines(&["c", "d"]), later));
        assert_eq!(screen(&all), ["a", "b", "^Z", "[1]+  Stopped", "$ fg", "said", "c", "d"]);
    }

    #[test]
    fn the_history_of_the_terminal_stays_clean() {
        let (mut region, now) = (LiveRegion::default(), Instant::now());
        let texts: Vec<String> = (0..50).map(|n| region.draw(lines(&[&n.to_string()]), now)).collect();
        let mut terminal = vt100::Parser::new(10, 20, 100);
        terminal.process(texts.concat().replace('\n', "\r\n").as_bytes());
        terminal.screen_mut().set_scrollback(100);
        assert_eq!(terminal.screen().scrollback(), 0);
    }
}
