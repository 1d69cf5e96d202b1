//! The journal and the machine: disks that fill up, several processes, no secrets.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use vod_refresh::emulator::Scenario;
use vod_refresh::{Journal, Outcome};

use crate::program::{Cloud, HOME, Home, SUBMIT, end};
use crate::support::{Bed, request};

fn quick() -> Scenario {
    let quick = Duration::from_millis(100);
    Scenario::new().with_job_delay(quick).with_task_duration(quick).with_urls_per_media(1)
}

#[test]
fn a_journal_that_cannot_be_used_ends_it_before_anything_is_submitted() {
    let (cloud, home) = (Cloud::new(quick()), Home::new());
    std::fs::write(home.path().join("text"), "no database, and long enough to be sure of it".repeat(40))
        .unwrap();
    for place in ["text", "text/journal.db", "."] {
        let ended = home.run(&["refresh", "m1", "--endpoint", &cloud.endpoint, "--journal", place]);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let path = home.path().join(place);
        assert!(ended.stderr.contains(path.to_str().unwrap().trim_end_matches("/.")), "{}", ended.stderr);
        assert!(ended.stderr.contains("--no-journal"), "{}", ended.stderr);
    }
    let mut nowhere = home.command(&["refresh", "m1", "--endpoint", &cloud.endpoint]);
    let ended: crate::program::Ended = nowhere.env_remove(HOME).output().unwrap().into();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("--journal") && ended.stderr.contains("--no-journal"), "{}", ended.stderr);
    assert_eq!(cloud.emulator.calls().len(), 0);
}

/// Files of this process may not grow beyond 64 KiB: what a full disk looks like, for the journal's log alone.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_in_mid_run_costs_one_warning() {
    let (cloud, home) = (Cloud::new(quick()), Home::new());
    let mut shell = home.wrapped("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_vod-refresh")]);
    shell.args(["refresh", "--endpoint", &cloud.endpoint, "-o", "json", "--max-rps", "100"]);
    shell.args((0..200).map(|n| format!("media-with-a-long-id-{n}")));
    let ended: crate::program::Ended = shell.output().unwrap().into();
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 10), "{ended:?}");
    assert_eq!(ended.stderr.matches("the run goes on in memory").count(), 1, "{}", ended.stderr);
    let notes = &ended.json()["notes"];
    assert!(notes[0].as_str().unwrap().contains(home.journal().to_str().unwrap()), "{notes}");
    // Half a run must not be carried on, by default or by name: what went out unnoticed would go out again.
    let run = ended.json()["run_id"].as_str().unwrap().to_owned();
    for line in [vec!["resume"], vec!["resume", &run]] {
        let ended = home.run(&line);
        assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(2), 10), "{ended:?}");
        assert!(ended.stderr.contains("the journal failed in mid-run"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("no unfinished run"), "it says that it is: {}", ended.stderr);
    }
    let status = home.run(&["status", "-o", "json"]);
    assert!(status.json().get("resumable").is_none());
    assert!(status.stderr.contains("warning: the journal failed in mid-run"), "{}", status.stderr);
}

/// Whoever changes a shared text has the journal's connection meanwhile: so it hangs for as long as that takes.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_call_and_what_was_learned_meanwhile_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).await.unwrap();
    let bed = Bed::new(quick());
    let refresher = bed.refresher().with_journal(journal.clone(), serde_json::Value::Null);
    let (answer, hanging) = std::sync::mpsc::channel::<()>();
    let holder = journal.clone();
    let hold = async {
        while bed.submits() < 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let hang = move |_: Option<&str>, _| (None, hanging.recv_timeout(Duration::from_secs(30)).is_ok());
        holder.update_shared("topic", "name", bed.client.service_time(), hang).await
    };
    let free = async {
        while bed.cloud.count("DescribeVodRefreshTasks") < 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        answer.send(()).unwrap();
    };
    let order = request(["m1"]);
    let run = async { tokio::join!(refresher.refresh(&order), hold, free) };
    let (report, held, ()) = tokio::time::timeout(Duration::from_secs(20), run).await.unwrap();
    let report = report.unwrap();
    assert_eq!(held.unwrap_err().message().rsplit(": ").next(), Some("its disk does not answer"));
    assert_eq!((report.outcome, report.notes.len()), (Outcome::Complete, 0), "{:?}", report.notes);
    let stored = journal.load(Some(report.run_id.clone())).await.unwrap().unwrap();
    assert_eq!((stored.outcome, stored.lost), (Some(Outcome::Complete), false));
    let facts: Vec<_> = stored.facts.iter().map(|(_, fact)| serde_json::to_string(fact).unwrap()).collect();
    let submissions =
        facts.iter().filter(|fact| fact.contains("Submitt") || fact.contains("submitt")).count();
    assert_eq!(submissions, 2, "sent and answered: {facts:?}");
}

#[test]
fn four_processes_share_one_journal() {
    let (cloud, home) = (Cloud::new(quick()), Home::new());
    let start = |first: usize| {
        let mut line = vec!["refresh".to_owned(), "--endpoint".into(), cloud.endpoint.clone()];
        line.extend((first..first + 40).map(|n| format!("m{n}")));
        home.start(&line)
    };
    let children = [start(0), start(100), start(200), start(300)];
    for child in children {
        let ended = end(child);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let runs = home.run(&["runs", "-o", "json"]).json();
    assert_eq!(
        runs.as_array().unwrap().iter().filter(|run| run["outcome"] == "complete").count(),
        4,
        "{runs}"
    );
    assert_eq!(cloud.emulator.count(SUBMIT), 8);
}

/// Every way in which a mark could stand in a file.
fn dresses(mark: &str) -> Vec<Vec<u8>> {
    let percent =
        |c: u8| if c.is_ascii_alphanumeric() { (c as char).to_string() } else { format!("%{c:02X}") };
    let mut dresses = vec![mark.to_owned(), mark.bytes().map(percent).collect()];
    // Base64 of a text depends on where in a group of three it begins; the ends depend on the neighbours.
    for shift in 0..3 {
        let padded = format!("{}{mark}", "x".repeat(shift));
        for text in [STANDARD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            dresses.push(text[4..text.len() - 4].to_owned());
        }
    }
    dresses.into_iter().map(String::into_bytes).collect()
}

#[test]
fn no_secret_is_ever_in_the_journal() {
    let (secret, token, key) = ("Secret+Mark/4711==zz", "Token+Mark/4712==zz", "Key+Mark/4713==zz");
    let scenario = quick().with_key("markid", secret).with_token("markid", token);
    let (cloud, home) = (Cloud::new(scenario), Home::new());
    std::fs::write(home.path().join("key.txt"), key).unwrap();
    let marked = |command: &mut Command| {
        command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "markid").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret);
        command.env("ALIBABA_CLOUD_SECURITY_TOKEN", token).env("VOD_REFRESH_CALLBACK_AUTH_KEY", key);
        command.args(["--callback-listen", "127.0.0.1:0", "--lookup-after", "1s", "-vv"]).spawn().unwrap()
    };
    let endpoint = cloud.endpoint.as_str();
    let whole = ["refresh", "m1", "--endpoint", endpoint, "--callback-auth-key-file", "key.txt"];
    let ended = end(marked(&mut home.command(&whole)));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // One that is killed leaves the write-ahead log behind.
    let mut child = marked(&mut home.command(&["preload", "m2", "--endpoint", endpoint]));
    cloud.wait_for(SUBMIT, 2);
    child.kill().unwrap();
    end(child);
    let folder = home.journal().parent().unwrap().to_owned();
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.iter().any(|file| file.to_string_lossy().ends_with("-wal")), "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for mark in [secret, token, key] {
            for dress in dresses(mark) {
                let found = bytes.windows(dress.len()).any(|window| window == dress);
                assert!(!found, "{} is in {}", String::from_utf8_lossy(&dress), file.display());
            }
        }
    }
}
