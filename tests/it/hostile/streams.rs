//! Pipes that nobody reads, that do not block, or that are gone; signals that come twice.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vod_refresh::emulator::{Fault, FaultRule, Scenario};

use crate::support::action::QUERY_TASKS;
use crate::support::program::exit_code;
use crate::support::program::{Cloud, Home, SUBMIT, end, signal, until};
use crate::support::scripts::open_media;

/// A cloud whose tasks never end by themselves.
fn open_cloud() -> Cloud {
    let open = open_media();
    Cloud::new(
        Scenario::new().with(|s| s.job_delay = Duration::from_millis(50)).with(|s| s.default_media = open),
    )
}

/// A pipe whose writing end does not block, as another process may have left it.
fn unblocking() -> (PipeReader, Stdio) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    (reader, writer.into())
}

/// All that comes through a pipe, slowly.
fn read_slowly(mut pipe: PipeReader) -> String {
    let (mut text, mut piece) = (Vec::new(), [0; 8 * 1024]);
    std::thread::sleep(Duration::from_millis(300));
    while let Ok(read @ 1..) = pipe.read(&mut piece) {
        text.extend_from_slice(&piece[..read]);
        std::thread::sleep(Duration::from_millis(5));
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn h06_a_stderr_that_nobody_reads_holds_up_neither_deadline_nor_events() {
    let (cloud, home) = (open_cloud(), Home::new());
    let (mut stderr, theirs) = std::io::pipe().unwrap();
    let ids: Vec<String> = (0..60).map(|n| format!("m{n}")).collect();
    let mut command = home.command(&["refresh", "--endpoint", &cloud.endpoint, "-vv", "-o", "json"]);
    command.args(["--timeout", "6s", "--poll-interval", "20ms", "--max-rps", "1000", "--report", "r.json"]);
    command.args(["--callback-listen", "127.0.0.1:0"]).args(&ids).stderr(theirs);
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    drop(command);
    // The port is said first; then nobody reads any more.
    let (mut said, mut piece) = (String::new(), [0; 512]);
    while !said.contains("listening for callbacks on ") || !said.ends_with('\n') {
        let read = stderr.read(&mut piece).unwrap();
        said.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    let port = said.split("listening for callbacks on 127.0.0.1:").nth(1).unwrap().lines().next().unwrap();
    cloud.wait_for(SUBMIT, 3);
    // Each is a line of the log, of which there is room for 64 KiB in the pipe and 1,024 behind it.
    let event = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..700 {
                    let mut stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                    stream.write_all(event.as_bytes()).unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
                    if begun.elapsed() > Duration::from_secs(5) {
                        break;
                    }
                }
            });
        }
    });
    let reading = std::thread::spawn({
        let mut stdout = child.stdout.take().unwrap();
        move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        }
    });
    until("the report", || home.path().join("r.json").exists());
    assert!(begun.elapsed() < Duration::from_secs(12), "the deadline has waited: {:?}", begun.elapsed());
    // Somebody reads it at last, and is told what is missing.
    let said = read_slowly(stderr);
    assert_eq!(exit_code(&mut child), Some(8));
    assert!(
        said.contains("nobody read stderr: ") && said.contains(" dropped"),
        "{}",
        &said[said.len() - 900..]
    );
    let report: Value = serde_json::from_str(&reading.join().unwrap()).unwrap();
    assert_eq!(report["outcome"], "timeout");
}

/// Fills a pipe, so that nothing more goes in until somebody reads.
fn fill(mut writer: &PipeWriter) {
    // As much as a pipe holds on Linux.
    writer.write_all(&[b'\n'; 64 * 1024]).unwrap();
}

#[test]
fn h06_a_process_ends_though_nobody_ever_reads_its_stderr() {
    for more in [&["-v"][..], &[], &["-q"]] {
        let (cloud, home) = (open_cloud(), Home::new());
        let (stderr, theirs) = std::io::pipe().unwrap();
        fill(&theirs);
        let mut command = home.command(&["refresh", "m1", "--endpoint", &cloud.endpoint, "-o", "json"]);
        command.args(["--report", "r.json", "--timeout", "1s"]).args(more).stderr(theirs);
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(exit_code(&mut child), Some(8), "{more:?}");
        drop(stderr);
        for text in [&out, &std::fs::read_to_string(home.path().join("r.json")).unwrap()] {
            assert!(text.contains("\"outcome\": \"timeout\""), "{more:?}: {text}");
        }
    }
}

#[test]
fn h11_a_stdout_that_does_not_block_gets_the_whole_output() {
    let (cloud, home) = (open_cloud(), Home::new());
    let ids: Vec<String> = (0..600).map(|n| format!("media-with-a-long-name-{n}")).collect();
    let submit = ["refresh", "--endpoint", &cloud.endpoint, "--no-wait", "--max-rps", "1000", "-o", "json"];
    let line: Vec<&str> = submit.into_iter().chain(ids.iter().map(String::as_str)).collect();
    let status = ["status", "-o", "json"];
    let text = ["status"];
    let completions = ["completions", "bash"];
    for line in [&line[..], &status, &text, &completions, &["man"], &["refresh", "--help"]] {
        let (reader, theirs) = unblocking();
        let mut command = home.command(line);
        let mut child = command.stdout(theirs).spawn().unwrap();
        drop(command);
        let out = read_slowly(reader);
        assert_eq!(exit_code(&mut child), Some(0), "{:?}", &line[..1]);
        if line.contains(&"json") {
            let report: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(report["media"].as_array().unwrap().len(), 600);
            assert!(out.len() > 64 * 1024);
        }
        assert!(out.ends_with('\n'), "{:?}", &line[..1]);
    }
}

#[test]
fn h11_a_stderr_that_does_not_block_gets_the_last_words() {
    let (cloud, home) = (open_cloud(), Home::new());
    let (reader, theirs) = std::io::pipe().unwrap();
    fill(&theirs);
    rustix::io::ioctl_fionbio(&theirs, true).unwrap();
    let line = ["refresh", "m1", "--endpoint", &cloud.endpoint, "--timeout", "1s"];
    let mut child = home.command(&line).stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
    // It is at its end by then, or nearly so.
    std::thread::sleep(Duration::from_secs(3));
    let said = read_slowly(reader);
    assert_eq!(exit_code(&mut child), Some(8));
    assert!(said.contains("refreshing 1 media") && said.contains("  vod-refresh resume "), "{}", said.trim());
}

#[test]
fn h13_two_signals_at_once_are_one_interruption() {
    for (first, second) in [("INT", "INT"), ("INT", "TERM"), ("TERM", "INT")] {
        // A call on its way gets a second and a half after the first.
        let stall = FaultRule::on(QUERY_TASKS, Fault::Stall { done: false });
        let (cloud, home) = (Cloud::new(Scenario::new().with_fault(stall)), Home::new());
        let line = ["refresh", "m1", "--endpoint", &cloud.endpoint, "-o", "json", "--report", "r.json"];
        let child = home.start(&line);
        cloud.wait_for(QUERY_TASKS, 1);
        signal(&child, first);
        std::thread::sleep(Duration::from_millis(20));
        signal(&child, second);
        let ended = end(child);
        // Which of two came first is not known where the machine is busy.
        let codes = if first == second { &[130][..] } else { &[130, 143] };
        assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{ended:?}");
        assert_eq!(ended.json()["outcome"], "interrupted");
        assert!(home.path().join("r.json").exists());
        assert_eq!(ended.hint()[0], "resume");
        cloud.complete(&["m1"]);
        assert_eq!(home.run(&ended.hint()).code, Some(0));
    }
}

#[test]
fn results_that_cannot_be_written_are_told_and_a_reader_that_has_gone_is_no_error() {
    let (cloud, home) = (open_cloud(), Home::new());
    let run = ["refresh", "m1", "--endpoint", &cloud.endpoint, "--no-wait"];
    assert_eq!(home.run(&run).code, Some(0));
    let dry = ["refresh", "m1", "--dry-run"];
    let quota = ["quota", "--endpoint", &cloud.endpoint];
    let lines: [&[&str]; 9] = [
        &["refresh", "m1", "--endpoint", &cloud.endpoint, "--no-wait", "-o", "json"],
        &["refresh", "m1", "--endpoint", &cloud.endpoint, "--no-wait", "-o", "ndjson"],
        &run,
        &["runs"],
        &["status"],
        &dry,
        &quota,
        &["completions", "zsh"],
        &["man"],
    ];
    for line in lines {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended: crate::support::program::Ended = home.command(line).stdout(full).output().unwrap().into();
        assert_eq!(ended.code, Some(1), "{line:?}: {ended:?}");
        assert_eq!(ended.stderr.matches("cannot write to stdout").count(), 1, "{line:?}: {}", ended.stderr);
        let (reader, gone) = std::io::pipe().unwrap();
        drop(reader);
        let ended: crate::support::program::Ended = home.command(line).stdout(gone).output().unwrap().into();
        assert_eq!(ended.code, Some(0), "{line:?}: {ended:?}");
        assert!(!ended.stderr.contains("error"), "{line:?}: {}", ended.stderr);
    }
}
