//! The binary, now and then, on the journal that the process under test writes: runs, runs that are interrupted and carried
//! on, and looks at the journal through streams that misbehave.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use vod_refresh::Report;
use vod_refresh::run::MediaState;

use super::check_report::{Asked, Process};
use super::{Epoch, KEEP, Soak};
use crate::support::program::{Ended, Home, end, signal};
use crate::support::random::Rng;

/// A command that has not ended by then is a fault.
const LONGEST: Duration = Duration::from_secs(120);

pub(super) fn one(soak: &Arc<Soak>, epoch: &Epoch, rng: &mut Rng) {
    let home = Home::new();
    match rng.below(6) {
        0 | 1 => refresh(soak, epoch, &home, rng, false),
        2 | 3 => refresh(soak, epoch, &home, rng, true),
        4 => pipes(soak, &home),
        _ => {
            let ended = wait(soak, command(soak, &home, &["status", "--output", "json"]));
            // 3: another process holds the journal. 2: no run is kept yet.
            soak.check(matches!(ended.code, Some(0 | 2 | 3)) || ended.stdout.contains("\"outcome\""), || {
                format!("status: {ended:?}")
            });
        }
    }
}

fn command(soak: &Soak, home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command(arguments);
    command.arg("--journal").arg(&soak.journal);
    command
}

fn refresh(soak: &Arc<Soak>, epoch: &Epoch, home: &Home, rng: &mut Rng, is_cut: bool) {
    let mut asked = Asked::draw(soak, epoch, rng, 12);
    let word = if asked.preload { "preload" } else { "refresh" };
    let mut arguments = vec![word.to_owned(), "--endpoint".to_owned(), soak.gateway.url()];
    let timeout = format!("{}s", asked.timeout.as_secs());
    let keep = format!("{}s", KEEP.as_secs());
    for text in ["--timeout", &timeout, "--keep", &keep, "--poll-interval", "1s", "--output", "json"] {
        arguments.push(text.to_owned());
    }
    arguments.extend(asked.ids());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = command(soak, home, &arguments);
    let mut process = Process::Whole;
    let begun = tokio::time::Instant::now();
    let (mut before, mut carried_on) = (None, String::new());
    let mut ended = if is_cut {
        let child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(50) + rng.ms(soak.shortest_timeout * 250));
        signal(&child, rng.one_of(&["INT", "TERM"]));
        if rng.percent(30) {
            std::thread::sleep(rng.ms(50));
            signal(&child, "INT");
        }
        process = Process::Interrupted;
        wait_child(soak, child)
    } else {
        wait(soak, command)
    };
    if matches!(ended.code, Some(130 | 143))
        && ended.stderr.lines().any(|line| line.starts_with("  vod-refresh "))
    {
        let hint = ended.hint();
        carried_on = hint.join(" ");
        before = serde_json::from_str::<Report>(&ended.stdout).ok().filter(|_| hint[0] == "wait");
        let hint: Vec<&str> = hint.iter().map(String::as_str).collect();
        // The journal is named by the hint as well.
        let mut command = home.command(&hint);
        command.args(["--output", "json"]);
        if !hint.contains(&"--timeout") {
            command.args(["--timeout", &timeout]);
        }
        if !hint.contains(&"--endpoint") {
            command.args(["--endpoint", &soak.gateway.url()]);
        }
        ended = wait(soak, command);
    }
    soak.one_shots.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    soak.over(&asked);
    match serde_json::from_str::<Report>(&ended.stdout) {
        Ok(report) => {
            // Without its journal nobody carries a run on: `wait` tells of what is open in the service, and of nothing else.
            if let Some(before) = before {
                let is_told = |id| report.media.iter().any(|told| told.media_id == id);
                let left: Vec<_> =
                    before.media.into_iter().filter(|one| !is_told(one.media_id.clone())).collect();
                let are_over = left.iter().all(|one| one.state != MediaState::Unfinished);
                soak.check(are_over, || format!("`{carried_on}` forgets some of these: {left:?}"));
                asked.leave_out(&left);
            }
            let is_right = soak.check_report(epoch, &asked, &report, process, begun.elapsed());
            soak.check(is_right || carried_on.is_empty(), || {
                format!("{} came of `{carried_on}`", report.run_id)
            });
        }
        // Killed before its signal handler was there; the journal locked for longer than it waits.
        Err(_) if matches!(ended.code, None | Some(3 | 130 | 143)) => {
            soak.no_report.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        Err(why) => soak.wrong(&format!("{word} gave no report: {why}: {ended:?}")),
    }
}

/// A reader that goes away, and a pipe that somebody has made non-blocking.
fn pipes(soak: &Soak, home: &Home) {
    let mut gone = command(soak, home, &["runs", "--output", "json"]).spawn().unwrap();
    drop(gone.stdout.take());
    let ended = wait_child(soak, gone);
    soak.check(matches!(ended.code, Some(0 | 3)), || format!("runs without a reader: {ended:?}"));

    let (mut reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut command = command(soak, home, &["runs", "--output", "json"]);
    let child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    std::thread::sleep(Duration::from_millis(300));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let ended = wait_child(soak, child);
    let is_whole = ended.code == Some(3) || serde_json::from_str::<serde_json::Value>(&text).is_ok();
    soak.check(is_whole, || format!("{} bytes of `runs` are not whole, {:?}", text.len(), ended.code));
}

fn wait(soak: &Soak, mut command: Command) -> Ended {
    wait_child(soak, command.spawn().unwrap())
}

fn wait_child(soak: &Soak, child: Child) -> Ended {
    let id = child.id();
    let (ended, is_over) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let is_late = is_over.recv_timeout(LONGEST) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if is_late {
            let _ = Command::new("kill").arg("-KILL").arg(id.to_string()).status();
        }
        is_late
    });
    let output = end(child);
    drop(ended);
    if watch.join().unwrap() {
        soak.wrong(&format!("a command did not end: {output:?}"));
    }
    output
}
