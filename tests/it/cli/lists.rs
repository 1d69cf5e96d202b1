//! Lists of ids from files, stdin and pipes.

use serde_json::Value;

use super::cloud::{Cloud, SUBMIT};
use super::scenarios::quick;
use super::shell::Shell;

const OPTIONS: &str = "--poll-interval 100ms --max-rps 100 --output json";

/// 45 ids as a Windows editor saves them, five of them twice.
fn list() -> String {
    let mut text = String::from("\u{feff}m0\r\n\r\n# note, with m99 in it\r\n");
    for n in 1..45 {
        text.push_str(&match n % 3 {
            0 => format!("m{n}   \r\n"),
            1 => format!("m{n}, "),
            _ => format!("m{n}\r\n"),
        });
    }
    text.push_str("m0,m7,m14,m21 m28\r\n");
    text
}

/// The report without what differs from run to run.
fn without_the_run(mut report: Value) -> Value {
    fn blank(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    let own = ["run_id", "job_id", "task_id", "api_calls"].contains(&name.as_str());
                    if own || name.ends_with("_at") {
                        *value = Value::Null;
                    } else {
                        blank(value);
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(blank),
            _ => {}
        }
    }
    blank(&mut report);
    report
}

fn batches(cloud: &Cloud) -> Vec<Vec<String>> {
    let ids = |text: &String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut batches: Vec<_> = cloud.calls(SUBMIT).iter().map(|call| ids(&call.params["MediaIds"])).collect();
    batches.sort_by_key(|ids| std::cmp::Reverse(ids.len()));
    batches
}

/// One way to hand the list over, against a cloud of its own.
fn report_of(hand_over: impl FnOnce(&Cloud) -> Shell) -> Value {
    let cloud = Cloud::new(quick().with(|s| s.urls_per_media = 1));
    let report = hand_over(&cloud).words(OPTIONS).run().exits(0).report();
    let batches = batches(&cloud);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 5]);
    let mut sent: Vec<_> = batches.concat();
    sent.sort_unstable();
    let mut expected: Vec<_> = (0..45).map(|n| format!("m{n}")).collect();
    expected.sort_unstable();
    assert_eq!(sent, expected, "each id once, the first without its BOM");
    without_the_run(report)
}
#[test]
fn file_stdin_and_pipe_give_the_same_report() {
    let from_file = report_of(|cloud| cloud.shell("refresh --from-file list.txt").file("list.txt", list()));
    let from_stdin = report_of(|cloud| cloud.shell("refresh --from-file -").stdin(list()));
    let from_pipe = report_of(|cloud| {
        let shell = cloud.shell("refresh --from-file pipe").file("list.txt", list());
        // The writer is there before the reader and waits for it.
        let line = "mkfifo pipe && { cat list.txt > pipe & } && exec \"$0\" \"$@\"";
        shell.through(&["sh", "-c", line]).env("PATH", std::env::var("PATH").unwrap())
    });
    assert_eq!(from_file["summary"]["media_complete"], 45);
    assert_eq!(from_file, from_stdin);
    assert_eq!(from_file, from_pipe);
}
#[test]
fn an_empty_list_is_wrong_usage_and_makes_no_request() {
    let cloud = Cloud::new(quick());
    for text in ["", "\u{feff}", "# nothing\r\n\r\n , ,\n"] {
        let run = cloud.shell("refresh --from-file list.txt").file("list.txt", text).run();
        run.exits(2).says("the list of media ids is empty");
    }
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn all_bad_ids_are_named_at_once_with_file_and_line() {
    let cloud = Cloud::new(quick());
    let long = "x".repeat(65);
    let text = format!("good\nbe\u{7}ll\n{long} fine\n");
    let run = cloud
        .shell("refresh fine a,b --from-file list.txt --from-file gone.txt")
        .arg("")
        .file("list.txt", text)
        .run()
        .exits(2);
    for part in [
        "error: the list of media ids has 5 faults",
        "argument 2: \"a,b\" has a comma",
        "argument 3: \"\" is empty",
        "list.txt:2:1: \"be\\u{7}ll\"",
        "list.txt:3:1: \"xxxxx",
        "65 bytes",
        "gone.txt: cannot be read",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert!(run.stdout.is_empty());
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn the_media_of_a_job_are_read_as_those_of_a_refresh_are() {
    let cloud = Cloud::new(quick().with(|s| s.urls_per_media = 1).with(|s| s.job_ids = vec!["J1".into()]));
    cloud.shell("refresh --from-file - --no-wait").stdin("m0 m1 m2").run().exits(0);
    let list = "\u{feff}m0\r\n# m99 is none of it\r\nm1, m0\r\n";
    for way in ["--media-file list.txt --media m2", "--media-file - --media m2,m1 --expect 3"] {
        let shell = cloud.shell("wait J1 --output json --poll-interval 100ms --timeout 30s").words(way);
        let shell = shell.file("list.txt", list).stdin(list);
        let report = shell.run().exits(0).report();
        assert_eq!(report["summary"]["media_complete"], 3, "{way}");
        let runs: Value =
            serde_json::from_str(&shell.instead("vod-refresh runs -o json").run().stdout).unwrap();
        assert_eq!(runs[0]["media"], 3, "{way}");
    }
}

#[test]
fn what_cannot_be_true_of_the_media_of_a_job_is_wrong_usage_and_makes_no_request() {
    let cloud = Cloud::new(quick());
    for (line, parts) in [
        ("wait", &["<JOB_ID>..."][..]),
        ("wait --media m1", &["<JOB_ID>..."]),
        ("wait J1 --expect 0", &["--expect"]),
        ("wait J1 --media m1,m2 --expect 1", &["1 media are expected, and 2 are named"]),
        ("wait J1 --media= --media-file gone.txt", &["--media 1: \"\" is empty", "gone.txt: cannot be read"]),
        ("wait J1 --media-file list.txt", &["a media id is not usable", "list.txt:2:1: \"be\\u{7}ll\""]),
        ("wait J1 --media-file empty.txt", &["the list of media ids is empty"]),
    ] {
        let shell =
            cloud.shell(line).file("list.txt", "good\r\nbe\u{7}ll\r\n").file("empty.txt", "# no one\n");
        let run = shell.run().exits(2);
        for part in parts {
            assert!(run.stderr.contains(part), "{line}: {part}: {}", run.stderr);
        }
    }
    assert_eq!(cloud.emulator.calls().len(), 0);
}
