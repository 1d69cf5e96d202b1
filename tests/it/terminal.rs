//! A real terminal that is closed, resized or suspended in mid-run: nothing is lost, and the exit code stays true.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use tokio::time::Instant;
use vod_refresh::emulator::{MediaScript, Scenario, Which};

use crate::program::{Cloud, Home, SUBMIT, signal, until};

const LOOK: &str = "DescribeVodRefreshTasks";
const BINARY: &str = env!("CARGO_BIN_EXE_vod-refresh");

/// The user's side of a terminal. Dropping it closes the terminal.
struct Terminal {
    user: File,
    shown: String,
}

impl Terminal {
    /// Starts a line of `sh`, in which `$0` is the binary, as the first process on a new terminal.
    fn start(home: &Home, line: &str) -> (Self, Child) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let user = openpt(flags).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let device: File = ioctl_tiocgptpeer(&user, flags).unwrap().into();
        rustix::io::ioctl_fionbio(&user, true).unwrap();
        let terminal = Self { user: user.into(), shown: String::new() };
        terminal.resize(100);
        let mut command: Command = home.wrapped("setsid");
        command.args(["--ctty", "sh", "-c", line, BINARY]).env("TERM", "xterm");
        let side = || Stdio::from(device.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        (terminal, command.spawn().unwrap())
    }

    fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.user, size).unwrap();
    }

    fn types(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    /// What was shown so far. A terminal that nobody reads holds its programs up.
    fn shown(&mut self) -> &str {
        let mut piece = [0; 4096];
        loop {
            match self.user.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => self.shown.push_str(&String::from_utf8_lossy(&piece[..read])),
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                // The last program has gone.
                Err(_) => break,
            }
        }
        &self.shown
    }

    #[track_caller]
    fn waits_for(&mut self, part: &str) {
        let begun = Instant::now();
        while !self.shown().contains(part) {
            assert!(begun.elapsed() < Duration::from_secs(20), "no {part:?} in {}", self.shown);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A cloud whose tasks end when a test says so.
fn open_cloud() -> Cloud {
    let open = MediaScript { never_complete: Which::All(true), ..MediaScript::default() };
    Cloud::new(Scenario::new().with_default_media(open))
}

fn refresh(cloud: &Cloud, more: &str) -> String {
    format!("\"$0\" refresh m1 --endpoint {} --poll-interval 50ms --report r.json {more}", cloud.endpoint)
}

/// Waits for the `count`th look at a task while the terminal is read.
fn looked(cloud: &Cloud, terminal: &mut Terminal, count: usize) {
    until("a look", || {
        terminal.shown();
        cloud.emulator.count(LOOK) >= count
    });
}

fn complete(cloud: &Cloud) {
    for job in cloud.emulator.job_ids() {
        for task in cloud.emulator.task_ids(&job, "m1") {
            cloud.emulator.complete_task(&task);
        }
    }
}

/// Waits for the end. A program that a terminal holds up would wait for ever.
#[track_caller]
fn code(mut child: Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn outcome(home: &Home) -> Value {
    let text = std::fs::read_to_string(home.path().join("r.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["outcome"].clone()
}

#[track_caller]
fn carries_on(cloud: &Cloud, home: &Home) {
    complete(cloud);
    let resumed = home.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(cloud.emulator.count(SUBMIT), 1, "something was submitted twice");
}

#[test]
fn a_closed_terminal_ends_the_run_in_good_order() {
    for form in ["text", "ndjson"] {
        let (cloud, home) = (open_cloud(), Home::new());
        let line = format!("exec {}", refresh(&cloud, &format!("--output {form}")));
        let (mut terminal, child) = Terminal::start(&home, &line);
        looked(&cloud, &mut terminal, 1);
        let closed = Instant::now();
        drop(terminal);
        assert_eq!(code(child), Some(143), "{form}");
        let took = closed.elapsed();
        assert!(took < Duration::from_secs(2), "{form}: {took:?}");
        assert_eq!(outcome(&home), "interrupted", "{form}");
        carries_on(&cloud, &home);
    }
}

#[test]
fn a_terminal_that_was_stopped_keeps_no_signal_from_ending_the_run() {
    let (cloud, home) = (open_cloud(), Home::new());
    let (mut terminal, child) = Terminal::start(&home, &format!("exec {}", refresh(&cloud, "")));
    looked(&cloud, &mut terminal, 1);
    // Ctrl-S: from now on every write waits.
    terminal.types("\u{13}");
    until("the run to wait for its terminal", || {
        let before = cloud.emulator.count(LOOK);
        std::thread::sleep(Duration::from_secs(1));
        cloud.emulator.count(LOOK) == before
    });
    signal(&child, "TERM");
    assert_eq!(code(child), Some(143));
    carries_on(&cloud, &home);
}

#[test]
fn a_run_that_ignores_the_hangup_outlives_its_terminal() {
    for form in ["text", "json", "ndjson"] {
        let (cloud, home) = (open_cloud(), Home::new());
        let line = format!("trap '' HUP; exec {}", refresh(&cloud, &format!("--output {form}")));
        let (mut terminal, child) = Terminal::start(&home, &line);
        looked(&cloud, &mut terminal, 1);
        drop(terminal);
        // The signal has come by the time of another look, and once more by name.
        signal(&child, "HUP");
        let before = cloud.emulator.count(LOOK);
        cloud.wait_for(LOOK, before + 2);
        complete(&cloud);
        assert_eq!(code(child), Some(0), "{form}");
        assert_eq!(outcome(&home), "complete", "{form}");
    }
}

#[test]
fn a_run_that_is_suspended_goes_on_when_it_is_woken() {
    let (cloud, home) = (open_cloud(), Home::new());
    let line = format!("set -m; {}; echo stopped=$?; read key; fg; echo ended=$?", refresh(&cloud, ""));
    let (mut terminal, child) = Terminal::start(&home, &line);
    looked(&cloud, &mut terminal, 1);
    terminal.types("\u{1a}");
    // 128 and SIGTSTP.
    terminal.waits_for("stopped=148");
    complete(&cloud);
    terminal.types("\n");
    terminal.waits_for("ended=0");
    code(child);
    assert_eq!((outcome(&home), cloud.emulator.count(SUBMIT)), ("complete".into(), 1));
}

#[test]
fn time_that_a_run_sleeps_counts_for_its_deadline() {
    let (cloud, home) = (open_cloud(), Home::new());
    let line = refresh(&cloud, "--timeout 2s");
    let line = format!("set -m; {line}; echo stopped=$?; read key; fg; echo ended=$?");
    let (mut terminal, child) = Terminal::start(&home, &line);
    looked(&cloud, &mut terminal, 1);
    terminal.types("\u{1a}");
    terminal.waits_for("stopped=148");
    std::thread::sleep(Duration::from_millis(3_200));
    terminal.types("\n");
    terminal.waits_for("ended=8");
    assert!(terminal.shown().contains("vod-refresh resume "), "{}", terminal.shown);
    code(child);
    carries_on(&cloud, &home);
}

#[test]
fn a_terminal_may_change_its_size_at_any_time() {
    for last in [0, 1, 60] {
        let (cloud, home) = (open_cloud(), Home::new());
        let (mut terminal, child) =
            Terminal::start(&home, &format!("exec {}", refresh(&cloud, "--color never")));
        for (n, columns) in [200, 10, 0, 1, 500, 80, last].into_iter().enumerate() {
            looked(&cloud, &mut terminal, n + 1);
            terminal.resize(columns);
        }
        complete(&cloud);
        terminal.waits_for(" calls\r\n");
        assert_eq!(code(child), Some(0), "{last}");
        let shown = terminal.shown();
        // No room for a row in a line: a media has one of its own.
        assert_eq!(shown.contains("m1  complete\r\n"), last == 60 || last == 1, "{last}: {shown}");
    }
}
