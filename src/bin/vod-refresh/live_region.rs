//! A few lines at the foot of the terminal that change in place, and what is known of that terminal.
//!
//! Our own, as progress bars of libraries pad their lines to the full width: in a terminal that is made narrower, every
//! padded line wraps, and the old block stays behind. After Ctrl-Z they would draw over what the shell has written.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

/// A block is drawn several times a second. One that is older was stopped (Ctrl-Z), and what stands above the cursor now
/// is the shell's.
const STALE: Duration = Duration::from_secs(1);

/// What stands on the terminal. The cursor is in the first column below it.
#[derive(Debug, Default)]
pub(crate) struct Block {
    lines: Vec<String>,
    drawn_at: Option<Instant>,
}

impl Block {
    /// What puts `lines` in the place of those that are shown.
    pub(crate) fn draw(&mut self, lines: Vec<String>, now: Instant) -> String {
        let mut text = self.to_top(now);
        // Each line is written over: erasing first would flicker.
        for line in &lines {
            let _ = writeln!(text, "{line}{REST}");
        }
        if !self.is_stale(now) {
            text.push_str(&empty(self.lines.len().saturating_sub(lines.len())));
        }
        (self.lines, self.drawn_at) = (lines, Some(now));
        text
    }

    /// All of it stands there now.
    pub(crate) fn stands(&mut self, now: Instant) {
        self.drawn_at = Some(now);
    }

    /// What takes the lines away, so that others can be written there; [`again`](Self::again) brings them back.
    pub(crate) fn erase(&self, now: Instant) -> String {
        let lines = if self.is_stale(now) { 0 } else { self.lines.len() };
        self.to_top(now) + &empty(lines)
    }

    /// What shows erased lines once more, below what was written.
    pub(crate) fn again(&mut self, now: Instant) -> String {
        self.drawn_at = Some(now);
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// What takes the lines away for good.
    pub(crate) fn clear(&mut self, now: Instant) -> String {
        let text = self.erase(now);
        self.lines.clear();
        text
    }

    /// Leaves what is shown where it is.
    pub(crate) fn forget(&mut self) {
        self.lines.clear();
    }

    /// To the first of the lines that are shown, without what was typed meanwhile (`^C`).
    fn to_top(&self, now: Instant) -> String {
        match self.lines.len() {
            0 => String::new(),
            _ if self.is_stale(now) => "\r".to_owned(),
            n => format!("\r{REST}{}", up(n)),
        }
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.drawn_at.is_none_or(|at| now.saturating_duration_since(at) > STALE)
    }
}

/// Erases the rest of a line. Line by line, as erasing the rest of the screen from its first line on would put the block
/// into the history that some terminals keep.
const REST: &str = "\u{1b}[K";

fn up(lines: usize) -> String {
    format!("\u{1b}[{lines}A")
}

/// Empties so many lines and comes back to the first of them.
fn empty(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("{REST}\n").repeat(lines) + &up(lines) }
}

/// Columns and rows of the terminal on stderr; `None` if it is none.
#[cfg(unix)]
pub(crate) fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Whether the terminal on stderr listens to this process: not after Ctrl-Z and `bg`.
#[cfg(unix)]
pub(crate) fn is_ours() -> bool {
    // Where nobody knows (it is no terminal, or not this session's), nobody is disturbed.
    rustix::termios::tcgetpgrp(std::io::stderr()).map_or(true, |group| group == rustix::process::getpgrp())
}

/// Not asked for on this system.
#[cfg(not(unix))]
pub(crate) fn size() -> Option<(usize, usize)> {
    None
}

/// Not asked for on this system.
#[cfg(not(unix))]
pub(crate) fn is_ours() -> bool {
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
        let (mut block, now) = (Block::default(), Instant::now());
        let first = block.draw(lines(&["before", "b"]), now);
        let second = block.draw(lines(&["c"]), now);
        assert_eq!(screen(&[first.clone(), second.clone()]), ["c"]);
        let third = block.draw(lines(&["d", "e", "f"]), now);
        assert_eq!(screen(&[first.clone(), second.clone(), third.clone()]), ["d", "e", "f"]);
        let gone = block.clear(now);
        assert_eq!(screen(&[first, second, third, gone]), [""; 0]);
        assert_eq!(block.clear(now), "", "what is gone is not taken away again");
    }

    #[test]
    fn other_lines_go_above() {
        let (mut block, now) = (Block::default(), Instant::now());
        assert_eq!(block.erase(now), "", "nothing is shown yet");
        let mut all = vec!["$ command\n".to_owned(), block.draw(lines(&["a", "b"]), now)];
        for said in ["one\n", "two\n"] {
            all.extend([block.erase(now), said.to_owned(), block.again(now)]);
        }
        all.push(block.draw(lines(&["c", "d"]), now));
        assert_eq!(screen(&all), ["$ command", "one", "two", "c", "d"]);
    }

    #[test]
    fn what_the_terminal_echoes_goes_away_with_the_next_frame() {
        let (mut block, now) = (Block::default(), Instant::now());
        let first = block.draw(lines(&["a"]), now);
        let second = block.draw(lines(&["b"]), now);
        assert_eq!(screen(&[first, "^C".to_owned(), second]), ["b"]);
    }

    #[test]
    fn after_a_stop_nothing_of_the_shell_is_written_over() {
        let (mut block, now) = (Block::default(), Instant::now());
        let later = now + Duration::from_secs(5);
        let mut all = vec![block.draw(lines(&["a", "b"]), now)];
        all.push("^Z\n[1]+  Stopped\n$ fg\n".to_owned());
        all.extend([block.erase(later), "said\n".to_owned(), block.again(later)]);
        all.push(block.draw(lines(&["c", "d"]), later));
        assert_eq!(screen(&all), ["a", "b", "^Z", "[1]+  Stopped", "$ fg", "said", "c", "d"]);
    }

    #[test]
    fn the_history_of_the_terminal_stays_clean() {
        let (mut block, now) = (Block::default(), Instant::now());
        let texts: Vec<String> = (0..50).map(|n| block.draw(lines(&[&n.to_string()]), now)).collect();
        let mut terminal = vt100::Parser::new(10, 20, 100);
        terminal.process(texts.concat().replace('\n', "\r\n").as_bytes());
        terminal.screen_mut().set_scrollback(100);
        assert_eq!(terminal.screen().scrollback(), 0);
    }
}
