//! `--verify-edge`: whether a node of the CDN serves the new files, through the real binary.

use vod_refresh::emulator::{EdgeScript, MediaScript, RowSpelling, Telling};
use vod_refresh::net::clock::{Clock as _, SystemClock};

use super::cloud::{Cloud, QUERY_TASKS};
use super::golden_output::settings_of_reports;
use super::scenarios::{open_tasks, quick};
use crate::support::program::until;
use crate::support::raw_server::{RawServer, Then};
use crate::support::scripts::failing_media;

fn line(cloud: &Cloud) -> String {
    format!("--poll-interval 100ms --verify-edge --edge-node {}", cloud.url())
}

#[test]
fn an_old_copy_fails_its_media_and_status_knows_it() {
    let cloud = Cloud::new(quick().with(|s| s.edge = EdgeScript::keeping("/2.mp4")));
    let shell = cloud.shell("refresh m1 --output json").words(&line(&cloud));
    let report = shell.run().exits(7).says("asking the edge for 2 URLs").report();
    let media = &report["media"][0];
    assert_eq!((&media["state"], &media["error"]["code"]), (&"failed".into(), &"StaleAtEdge".into()));
    let verdicts: Vec<_> =
        [0, 1].iter().map(|place| media["tasks"][place]["edge"][0]["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["absent", "stale"], "{media}");
    for field in ["node", "http_status", "cache", "saved_at", "age_s", "reason"] {
        assert!(media["tasks"][1]["edge"][0].get(field).is_some(), "{field}");
    }
    assert_eq!(report["summary"]["media_failed"], 1);
    let again = shell.instead("vod-refresh status --output json").run().exits(0).report();
    assert_eq!((&again["media"], &again["outcome"]), (&report["media"], &report["outcome"]));
}

#[test]
fn what_is_not_certain_changes_no_verdict_and_one_node_is_called_one_node() {
    let cloud = Cloud::new(quick());
    let run = cloud.shell("refresh m1").words(&line(&cloud)).run().exits(0);
    assert!(run.stdout.contains("edge: 2 absent; one node is one node"), "{}", run.stdout);
    // Nobody listens there.
    let run =
        cloud.shell("refresh m1 --poll-interval 100ms --verify-edge --edge-node 127.0.0.1:1").run().exits(0);
    assert!(
        run.stdout.contains("edge: 2 unknown; one node is one node; first unknown: cannot connect"),
        "{}",
        run.stdout
    );
}

/// A miss is what a refresh leaves behind, and not what a preload does.
#[test]
fn of_two_stages_the_node_is_asked_for_what_the_second_one_left() {
    let cloud = Cloud::new(quick());
    let shell = cloud.shell("refresh m1 --then-preload --output json").words(&line(&cloud));
    let report = shell.run().exits(0).says("asking the edge for 2 URLs").report();
    for task in report["media"][0]["tasks"].as_array().unwrap() {
        assert_eq!(task.get("edge").is_some(), task["task_type"] == "preload", "{task}");
    }
}

/// The exit code is the same, and people hear of it.
#[test]
fn a_miss_after_a_preload_is_warned_of() {
    let answer = "HTTP/1.1 200 OK\r\nX-Cache: MISS TCP_MISS dirn:-2:-2\r\ncontent-length: 0\r\n\r\n";
    let (cloud, node) = (Cloud::new(quick()), RawServer::start([Then::say_and_close(answer)]));
    let run = |words: &str| {
        let options = format!("--poll-interval 100ms --verify-edge --edge-node {}", node.url());
        cloud.shell(words).words(&options).run().exits(0)
    };
    let warning = "has no copy of https://";
    for words in ["preload m1", "refresh m1 --then-preload"] {
        run(words).says(warning).says(".mp4 of media m1, although it was preloaded: ");
    }
    run("preload-urls https://a.test/1").says("https://a.test/1, although it was preloaded: ");
    run("refresh m1").does_not_say(warning);
}

#[test]
fn urls_are_asked_for_as_well_and_folders_are_not() {
    let cloud = Cloud::new(quick().with(|s| s.edge = EdgeScript::keeping("/old.jpg")));
    let urls = "refresh-urls https://a.test/old.jpg https://a.test/dir/ --output json";
    let shell = cloud.shell(urls).words(&line(&cloud));
    let left_out = "the edge did not tell of all that is complete (folders and patterns: 1)";
    let report = shell.run().exits(7).says(left_out).report();
    assert_eq!(report["urls"][0]["error"]["code"], "StaleAtEdge");
    assert_eq!(report["urls"][1]["state"], "complete");
    assert!(report["urls"][1]["tasks"][0].get("edge").is_none());
    assert_eq!(report["notes"][0], left_out);
    let again =
        shell.clone().instead("vod-refresh status --output json").run().exits(0).says(left_out).report();
    assert_eq!(again["notes"], report["notes"]);
}

#[test]
fn a_sample_is_told_of() {
    let cloud = Cloud::new(quick());
    let run = cloud.shell("refresh m1 --output json --edge-sample 1").words(&line(&cloud)).run().exits(0);
    let report = run.says("asking the edge for 1 of 2 URLs").report();
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("(beyond the sample of `--edge-sample`: 1)"), "{note}");
}

/// Rows that are spelt so that nothing matches stand for what was named.
fn spelt_otherwise() -> MediaScript {
    MediaScript::default()
        .with(|m| m.telling = Telling { row_spelling: RowSpelling::Other, ..Telling::default() })
}

/// A node that has an old copy of everything but of what only rows name.
fn old_copies() -> RawServer {
    RawServer::answering(|_, request| {
        let old = SystemClock.now() - chrono::TimeDelta::hours(1);
        let told = format!(
            "Date: {0}\r\nX-Swift-SaveTime: {0}\r\nAge: 3600\r\nX-Cache: HIT TCP_HIT dirn:1:1\r\n",
            old.format("%a, %d %b %Y %H:%M:%S GMT")
        );
        let is_of_row = request.first_line().contains("/origin/");
        let (status, told) = if is_of_row { ("404 x", String::new()) } else { ("200 OK", told) };
        Then::say_and_close(format!("HTTP/1.1 {status}\r\n{told}content-length: 0\r\n\r\n"))
    })
}

/// A node with a right clock and a copy of so long ago when it is asked.
fn copy_of(age: i64) -> RawServer {
    RawServer::answering(move |_, _| {
        let stored = SystemClock.now() - chrono::TimeDelta::seconds(age);
        let date = stored.format("%a, %d %b %Y %H:%M:%S GMT");
        let told = format!(
            "Date: {date}\r\nX-Swift-SaveTime: {date}\r\nAli-Swift-Global-Savetime: {}\r\nAge: {age}\r\nX-Cache: HIT TCP_HIT dirn:1:1\r\n",
            stored.timestamp()
        );
        Then::say_and_close(format!("HTTP/1.1 200 OK\r\n{told}content-length: 0\r\n\r\n"))
    })
}

/// The service dates its tasks by its own clock, of which its answers tell.
#[test]
fn copies_are_compared_with_the_submission_though_the_clock_of_the_service_is_off() {
    for (offset, age, expected) in [(60, 1, ["fresh", "unknown"]), (-60, 30, ["stale", "stale"])] {
        let (cloud, node) = (Cloud::new(quick().with(|s| s.clock_offset = offset)), copy_of(age));
        let options = format!("--poll-interval 100ms --output json --verify-edge --edge-node {}", node.url());
        let exit = if expected.contains(&"stale") { 6 } else { 0 };
        let report = cloud.shell("refresh m1").words(&options).run().exits(exit).report();
        let answer = &report["media"][0]["tasks"][0]["edge"][0];
        assert!(expected.contains(&answer["verdict"].as_str().unwrap()), "{answer}");
    }
}

#[test]
fn a_node_is_asked_for_the_url_that_was_named_however_its_row_is_spelt() {
    for (words, kind) in [("refresh m1", "media"), ("refresh-urls https://a.test/old.jpg", "urls")] {
        let (cloud, node) = (Cloud::new(quick().with(|s| s.default_media = spelt_otherwise())), old_copies());
        let options = format!("--poll-interval 100ms --output json --verify-edge --edge-node {}", node.url());
        let report = cloud.shell(words).words(&options).run().exits(6).report();
        let entry = &report[kind][0];
        assert_eq!(entry["error"]["code"], "StaleAtEdge", "{entry}");
        let tasks = entry["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), node.requests().len(), "{entry}");
        assert!(node.requests().iter().all(|request| !request.first_line().contains("/origin/")));
        for task in tasks {
            assert!(task["url"].as_str().unwrap().contains("/origin/"), "{task}");
            let [answer] = &task["edge"].as_array().unwrap()[..] else { panic!("{task}") };
            let reason = answer["reason"].as_str().unwrap();
            assert!(reason.starts_with("asked for https://") && !reason.contains("/origin/"), "{reason}");
        }
    }
}

/// A node that leaves its first request without an answer, and has nothing for the others.
fn silent_at_first() -> RawServer {
    RawServer::answering(|number, _| match number {
        0 => Then::say_and_stall(""),
        _ => Then::say_and_close("HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n"),
    })
}

#[test]
fn a_run_that_is_killed_before_it_asks_the_edge_asks_when_it_is_resumed() {
    let cloud =
        Cloud::new(quick().with_media("m1", open_tasks()).with(|s| s.edge = EdgeScript::keeping("/2.mp4")));
    let shell = cloud.shell("refresh m1").words(&line(&cloud));
    let run = shell.start();
    until("a look", || cloud.count(QUERY_TASKS) > 0);
    run.signal("KILL");
    drop(run);
    for task in ["1", "2"] {
        cloud.emulator.complete_task(task);
    }
    let seen = shell.clone().instead("vod-refresh status --check --output json").run().exits(0).report();
    assert_eq!((&seen["outcome"], cloud.calls("Edge").len()), (&"unfinished".into(), 0));
    let report = shell.clone().instead("vod-refresh resume --output json").run().exits(7).report();
    assert_eq!(report["media"][0]["error"]["code"], "StaleAtEdge");
    assert_eq!(cloud.calls("Edge").len(), 2);
    shell.clone().instead("vod-refresh resume").run().exits(2).says("no run to carry on");
}

#[test]
fn a_run_that_is_killed_while_it_asks_the_edge_is_not_over() {
    let (cloud, node) = (Cloud::new(quick()), silent_at_first());
    let options = format!("--poll-interval 100ms --verify-edge --edge-sample 1 --edge-node {}", node.url());
    let shell = cloud.shell("refresh m1").words(&options).words("--edge-header cookie:MarkOfTheCookie");
    let run = shell.start();
    until("a question", || !node.requests().is_empty());
    run.signal("KILL");
    drop(run);
    for look in ["status", "status --check"] {
        let seen = shell.clone().instead(&format!("vod-refresh {look} --output json")).run().exits(0);
        let next = seen.command_shown();
        assert!(next.contains("resume") && next.contains("--edge-header 'cookie:<secret>'"), "{next}");
        let report = seen.report();
        assert_eq!(
            (&report["outcome"], &report["summary"]["media_complete"]),
            (&"unfinished".into(), &1.into())
        );
    }
    for (path, bytes) in shell.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains("MarkOfTheCookie"), "{}", path.display());
    }
    shell
        .clone()
        .instead("vod-refresh resume")
        .run()
        .exits(3)
        .says("--verify-edge --edge-header 'cookie: VALUE'");
    assert_eq!(node.requests().len(), 1);
    let again = "vod-refresh resume --verify-edge --edge-header cookie:MarkOfTheCookie --output json";
    let report = shell.clone().instead(again).run().exits(0).report();
    assert_eq!(report["outcome"], "complete");
    let requests = node.requests();
    assert_eq!(requests.len(), 2, "the sample is kept as well: {requests:?}");
    assert!(requests[1].text.contains("cookie: MarkOfTheCookie"), "{requests:?}");
    shell.clone().instead("vod-refresh resume").run().exits(2).says("no run to carry on");
}

#[test]
fn a_signal_while_the_edge_is_asked_ends_at_once_and_leaves_it_to_a_resume() {
    let (cloud, node) = (Cloud::new(quick()), silent_at_first());
    let options = format!("--poll-interval 100ms --verify-edge --edge-node {} --output json", node.url());
    let shell = cloud.shell("refresh m1").words(&options);
    let run = shell.start();
    until("a question", || !node.requests().is_empty());
    let begun = tokio::time::Instant::now();
    run.signal("INT");
    let run = run.finish().exits(130);
    assert!(begun.elapsed().as_secs() < 5, "the node would have had ten seconds");
    assert_eq!(run.report()["outcome"], "interrupted");
    let report =
        shell.clone().instead(&format!("{} --output json", run.command_shown())).run().exits(0).report();
    assert_eq!(report["media"][0]["tasks"][0]["edge"][0]["http_status"], 404);
}

#[test]
fn urls_and_nodes_stand_in_every_form_of_the_report() {
    let failing = failing_media();
    let cloud = Cloud::new(
        quick()
            .with_media("https://a.test/bad.mp4", failing)
            .with_media("off.test", MediaScript::forbidden())
            .with(|s| s.edge = EdgeScript::keeping("/old.jpg")),
    );
    let urls = "https://a.test/1.mp4 https://a.test/bad.mp4 https://a.test/old.jpg https://a.test/dir/ https://off.test/x";
    let shell = cloud.shell(&format!("refresh-urls {urls}")).words(&line(&cloud));
    let files = [
        ("--report", "r.json"),
        ("--report-junit", "r.xml"),
        ("--report-html", "r.html"),
        ("--metrics-file", "r.prom"),
    ];
    let shell = files.into_iter().fold(shell, |shell, (option, name)| shell.option_at(option, name));
    let run = shell.run().exits(7);
    let read = |name: &str| std::fs::read_to_string(shell.path(name)).unwrap();
    settings_of_reports().bind(|| {
        insta::assert_snapshot!("urls_text", run.stdout);
        insta::assert_snapshot!("urls_json", read("r.json"));
        insta::assert_snapshot!("urls_junit", read("r.xml"));
        insta::assert_snapshot!("urls_metrics", read("r.prom"));
    });
    let page = read("r.html");
    for part in [
        "Refresh of 5 URLs",
        "At the edge",
        "1 stale",
        "StaleAtEdge",
        "https://off.test/x",
        "one node is one node",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn options_of_the_edge_are_checked_before_anything_is_submitted() {
    let cloud = Cloud::new(quick());
    for (options, code, part) in [
        ("--edge-node 127.0.0.1", 2, "--verify-edge"),
        ("--verify-edge --edge-node example.com", 2, "--edge-node"),
        ("--verify-edge --edge-header Referer", 2, "NAME:VALUE"),
        ("--verify-edge --edge-header Host:x", 2, "host"),
        ("--verify-edge --edge-sample 0", 2, "--edge-sample"),
        ("--verify-edge --edge-auth-key-file /nonexistent/key", 3, "URL authentication key file"),
    ] {
        cloud.shell("refresh m1").words(options).run().exits(code).says(part);
    }
    assert_eq!(cloud.count(super::cloud::SUBMIT), 0);
}
