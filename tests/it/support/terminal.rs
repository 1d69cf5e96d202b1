//! A terminal of so many columns, on which the binary runs as under a shell.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Child, Stdio};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::program::{Home, until};

const ROWS: u16 = 30;
const BINARY: &str = env!("CARGO_BIN_EXE_vod-refresh");

/// The user's side of a terminal. Dropping it closes the terminal.
pub(crate) struct Terminal {
    user: File,
    shown: String,
    screen: vt100::Parser,
    is_over: bool,
}

impl Terminal {
    /// Starts the binary with `arguments`.
    pub(crate) fn start<T: AsRef<str>>(home: &Home, columns: u16, arguments: &[T]) -> (Self, Child) {
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        Self::run(home, columns, &[&[BINARY], &words[..]].concat())
    }

    /// Starts a line of `sh`, in which `$0` is the binary.
    pub(crate) fn shell(home: &Home, columns: u16, line: &str) -> (Self, Child) {
        Self::run(home, columns, &["sh", "-c", line, BINARY])
    }

    /// Starts `command` as the first process on a new terminal.
    fn run(home: &Home, columns: u16, command: &[&str]) -> (Self, Child) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let user = openpt(flags).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let device: File = ioctl_tiocgptpeer(&user, flags).unwrap().into();
        rustix::io::ioctl_fionbio(&user, true).unwrap();
        let screen = vt100::Parser::new(ROWS, columns, 1_000);
        let mut terminal = Self { user: user.into(), shown: String::new(), screen, is_over: false };
        terminal.resize(columns);
        let mut first = home.wrapped("setsid");
        first.arg("--ctty").args(command).env("TERM", "xterm-256color");
        let side = || Stdio::from(device.try_clone().unwrap());
        first.stdin(side()).stdout(side()).stderr(side());
        (terminal, first.spawn().unwrap())
    }

    /// Makes it so many columns wide.
    pub(crate) fn resize(&mut self, columns: u16) {
        // The screen, unlike a real terminal, must have some.
        self.screen.screen_mut().set_size(ROWS, columns.max(1));
        let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.user, size).unwrap();
    }

    /// Types keys: `\u{3}` is Ctrl-C.
    pub(crate) fn types(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    /// Everything that was written so far. A terminal that nobody reads holds its programs up.
    pub(crate) fn shown(&mut self) -> &str {
        let mut piece = [0; 4096];
        loop {
            match self.user.read(&mut piece) {
                Ok(read @ 1..) => {
                    self.shown.push_str(&String::from_utf8_lossy(&piece[..read]));
                    self.screen.process(&piece[..read]);
                }
                // Nothing there for now, or the last program has gone and all that it wrote was read.
                end => {
                    self.is_over = end.is_err_and(|why| why.kind() != ErrorKind::WouldBlock);
                    return &self.shown;
                }
            }
        }
    }

    /// What stands on the screen.
    pub(crate) fn screen(&mut self) -> String {
        self.shown();
        self.screen.screen().contents()
    }

    /// The cells on the screen, row by row: each with its text and its colour.
    pub(crate) fn cells(&mut self) -> Vec<Vec<(String, vt100::Color)>> {
        self.shown();
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let row = |y| (0..columns).filter_map(move |x| screen.cell(y, x));
        (0..rows).map(|y| row(y).map(|cell| (cell.contents().to_owned(), cell.fgcolor())).collect()).collect()
    }

    /// Waits until `part` was written.
    #[track_caller]
    pub(crate) fn waits_for(&mut self, part: &str) {
        until(part, || self.shown().contains(part));
    }

    /// Waits until `part` stands on the screen now.
    #[track_caller]
    pub(crate) fn waits_to_see(&mut self, part: &str) {
        until(part, || self.screen().contains(part));
    }

    /// Waits for the end of `child`; its exit code and what stands on the screen then.
    pub(crate) fn end(mut self, mut child: Child) -> (Option<i32>, String) {
        // What was written last may reach this side after the program has gone.
        until("its end", || {
            self.shown();
            self.is_over
        });
        (child.wait().unwrap().code(), self.screen())
    }
}
