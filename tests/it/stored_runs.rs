//! `status` and `runs` of the binary.

use std::time::Duration;

use serde_json::json;

use crate::resume_hints::{half_stuck, timed_out};
use crate::support::program::Home;

#[test]
fn status_shows_the_journal_and_asks_only_when_told_to() {
    let (cloud, home) = (half_stuck(), Home::new());
    let report = timed_out(&cloud, &home, &[]).json();
    let run = report["run_id"].clone();
    cloud.emulator.complete_task("T2");
    let calls = cloud.emulator.calls().len();
    let shown = home.run(&["status", "-o", "json", "--report", "r.json", "--report-html", "r.html"]);
    assert_eq!((shown.code, cloud.emulator.calls().len()), (Some(0), calls), "{shown:?}");
    assert_eq!((&shown.json()["outcome"], &shown.json()["run_id"]), (&json!("unfinished"), &run));
    assert_eq!(std::fs::read_to_string(home.path().join("r.json")).unwrap(), shown.stdout);
    assert_eq!(shown.hint()[0], "resume");
    let taken = &report["summary"]["api_calls"];
    assert_eq!(&shown.json()["summary"]["api_calls"], taken);
    let page = std::fs::read_to_string(home.path().join("r.html")).unwrap();
    assert!(page.contains("Unfinished: the run is still going on") && page.contains("vod-refresh resume"));
    assert!(!page.contains("not counted"));
    for (paths, code) in [(["no/such/r.html", "r.xml"], 3), (["r.xml", "r.xml"], 2)] {
        let [html, junit] = paths;
        let refused = home.run(&["status", "--report-html", html, "--report-junit", junit]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(code), ""), "{}", refused.stderr);
    }
    let line = home.run(&["status", run.as_str().unwrap(), "-o", "ndjson"]).stdout;
    assert_eq!((line.lines().count(), line.contains("\"unfinished\"")), (1, true), "{line}");
    assert!(home.run(&["status"]).stdout.contains("refresh unfinished: 0 of 1 media complete, 1 unfinished"));

    // What the run was told is settled when it is said the same three seconds later.
    std::thread::sleep(Duration::from_secs(3));
    let checked = home.run(&["status", "--check", "-o", "json"]);
    assert_eq!((checked.code, &checked.json()["outcome"]), (Some(0), &json!("complete")), "{checked:?}");
    assert!(cloud.emulator.calls().len() > calls);
    let ended = home.run(&["status", "-o", "json"]).json();
    assert_eq!(ended["outcome"], "complete");
    let looks = |report: &serde_json::Value| {
        report["summary"]["api_calls"]["DescribeVodRefreshTasks"].as_u64().unwrap()
    };
    assert_eq!(looks(&ended), looks(&report) + looks(&checked.json()));
}

#[test]
fn runs_lists_what_there_is_newest_first() {
    let (cloud, home) = (half_stuck(), Home::new());
    let none = home.run(&["runs", "-o", "json"]);
    assert_eq!((none.code, none.json()), (Some(0), json!([])));
    assert!(!home.journal().exists(), "looking makes no journal");

    let first = timed_out(&cloud, &home, &[]).json();
    let done = home.run(&["preload", "m2", "m3", "--endpoint", &cloud.endpoint, "-o", "json"]).json();
    let list = home.run(&["runs", "-o", "json"]);
    let started = |report: &serde_json::Value| report["started_at"].clone();
    assert_eq!(
        list.json(),
        json!([
            {"run_id": done["run_id"], "task_type": "preload", "outcome": "complete", "started_at": started(&done),
             "media": 2},
            {"run_id": first["run_id"], "task_type": "refresh", "outcome": "unfinished",
             "started_at": started(&first), "media": 1},
        ])
    );
    let lines = home.run(&["runs", "-o", "ndjson"]).stdout;
    assert!(
        lines.lines().next().unwrap().starts_with("{\"run_id\":") && lines.lines().count() == 2,
        "{lines}"
    );
    let table = home.run(&["runs"]).stdout;
    let words: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(words[0], ["RUN", "TASK", "OUTCOME", "STARTED", "MEDIA"]);
    assert_eq!(words[2][1..3], ["refresh", "unfinished"]);
}

#[test]
fn runs_that_ended_long_ago_are_forgotten_and_unfinished_ones_are_not() {
    let (cloud, home) = (half_stuck(), Home::new());
    let open = timed_out(&cloud, &home, &[]).json()["run_id"].clone();
    let refresh = ["refresh", "m2", "--endpoint", &cloud.endpoint, "-o", "json"];
    home.run(&refresh);
    std::thread::sleep(Duration::from_millis(1_100));
    let newest = home.run(&[&refresh[..], &["--keep", "10ms"]].concat()).json()["run_id"].clone();
    let runs = home.run(&["runs", "-o", "json"]).json();
    let ids: Vec<_> = runs.as_array().unwrap().iter().map(|run| &run["run_id"]).collect();
    assert_eq!(ids, [&newest, &open]);
}

#[test]
fn a_run_that_is_not_there_is_answered_with_those_that_are() {
    let (cloud, home) = (half_stuck(), Home::new());
    for command in ["resume", "status"] {
        let ended = home.run(&[command]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("no journal at "), "{}", ended.stderr);
    }
    let run = timed_out(&cloud, &home, &[]).json()["run_id"].as_str().unwrap().to_owned();
    let ended = home.run(&["resume", "nowhere"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("no run nowhere") && ended.stderr.contains(&run), "{}", ended.stderr);
}

#[cfg(not(feature = "postgres"))]
#[test]
fn without_its_feature_a_database_is_refused_with_the_way_to_have_it() {
    let (cloud, home) = (half_stuck(), Home::new());
    for line in ["refresh m1", "resume", "runs", "status"] {
        let mut words: Vec<&str> = line.split(' ').chain(["--journal", "postgres://u:secret@h/d"]).collect();
        if line != "runs" {
            words.extend(["--endpoint", &cloud.endpoint]);
        }
        let ended = home.run(&words);
        assert_eq!((ended.code, cloud.emulator.calls().len()), (Some(3), 0), "{ended:?}");
        let way = "this program was built without the feature `postgres`; published binaries and the container have it, \
                   and `cargo install vod-refresh --features postgres`";
        assert!(ended.stderr.contains(way) && !ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[test]
fn a_run_of_urls_is_listed_with_its_urls() {
    let (cloud, home) = (half_stuck(), Home::new());
    let options = ["--endpoint", &cloud.endpoint, "--poll-interval", "100ms"];
    for words in [&["refresh-urls", "https://a.test/1", "https://a.test/2"][..], &["preload", "m2"]] {
        assert_eq!(home.run(&[words, &options].concat()).code, Some(0));
    }
    let list = home.run(&["runs", "-o", "json"]).json();
    let counts = |place: usize| (list[place]["media"].clone(), list[place].get("urls").cloned());
    assert_eq!(counts(0), (json!(1), None));
    assert_eq!(counts(1), (json!(0), Some(json!(2))));
    let table = home.run(&["runs"]).stdout;
    let ends: Vec<&str> = table.lines().map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(ends, ["MEDIA", "1", "2 URLs"], "{table}");
    let absent = home.run(&["status", "no-such-run"]);
    assert!(absent.stderr.contains(", 2 URLs\n") && absent.stderr.contains(", 1 media\n"), "{absent:?}");
}
