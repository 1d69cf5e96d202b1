//! A terminal of so many columns, on which the binary runs as under a shell.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Child;
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::program::{Home, until};

const ROWS: u16 = 30;

/// A terminal with one program on it.
pub(crate) struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<vt100::Parser>>,
    pub(crate) child: Child,
}

impl Terminal {
    /// Starts the binary with `arguments` in `home`, on a terminal of its own.
    pub(crate) fn start<T: AsRef<str>>(home: &Home, columns: u16, arguments: &[T]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        resize(&ours, columns);
        // `--ctty`: signals that are typed go to the program, as under a shell.
        let mut command = home.wrapped("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_vod-refresh")]);
        command.args(arguments.iter().map(AsRef::as_ref)).env("TERM", "xterm-256color");
        let stdio = || theirs.try_clone().unwrap();
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, columns, 1_000)));
        let (mut output, shown) = (File::from(ours.try_clone().unwrap()), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // Ends with an error when the program has closed the terminal.
            while let Ok(n) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..n]);
            }
        });
        Self { keyboard: ours.into(), screen, child }
    }

    /// What stands on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// The rows that stand on the screen.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.text().trim_end().lines().map(str::to_owned).collect()
    }

    /// Waits until the screen says so.
    pub(crate) fn wait_for(&self, text: &str) {
        until(&format!("{text:?} on the screen:\n{}", self.text()), || self.text().contains(text));
    }

    /// Makes it so many columns wide.
    pub(crate) fn resize(&self, columns: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(ROWS, columns);
        resize(&self.keyboard, columns);
    }

    /// Types keys: `\u{3}` is Ctrl-C.
    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end of the program; its exit code and what stands on the screen then.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        // The last of what it wrote may still be under way.
        until("the screen is at rest", || {
            let before = self.text();
            std::thread::sleep(std::time::Duration::from_millis(50));
            before == self.text()
        });
        (code, self.text())
    }
}

fn resize(terminal: impl std::os::fd::AsFd, columns: u16) {
    let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal.as_fd(), size).unwrap();
}
