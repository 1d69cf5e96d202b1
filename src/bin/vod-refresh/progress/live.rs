//! The live line: one line on a terminal that changes in place.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::printer::Printer;

const FRAME: Duration = Duration::from_millis(120);

/// Draws `sentence` until it is dropped; the printer takes the line away.
pub(super) async fn draw(printer: &Printer, sentence: impl Fn() -> String) {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        // `--progress always`: somebody wants to see it in a file or through a pipe.
        ProgressDrawTarget::term_like(Box::new(Forced))
    };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    printer.show_bar(bar.clone());
    let mut frames = tokio::time::interval(FRAME);
    loop {
        frames.tick().await;
        bar.set_message(sentence());
        bar.tick();
    }
}

/// A terminal that is none.
#[derive(Debug)]
struct Forced;

impl Forced {
    fn put(text: &str) -> io::Result<()> {
        io::stderr().lock().write_all(text.as_bytes())
    }

    /// To a terminal, a count of zero means one.
    fn go(n: usize, way: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { Self::put(&format!("\u{1b}[{n}{way}")) }
    }
}

impl TermLike for Forced {
    fn width(&self) -> u16 {
        100
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        Self::go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        Self::put(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        Self::put(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        Self::put("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
