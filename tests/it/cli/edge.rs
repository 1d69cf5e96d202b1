//! `--verify-edge`: whether a node of the CDN serves the new files, through the real binary.

use vod_refresh::emulator::{EdgeScript, MediaScript, Which};

use super::cloud::Cloud;
use super::scenarios::quick;
use super::words::settings_of_reports;

fn line(cloud: &Cloud) -> String {
    format!("--poll-interval 100ms --verify-edge --edge-node {}", cloud.url())
}

#[test]
fn an_old_copy_fails_its_media_and_status_knows_it() {
    let cloud = Cloud::new(quick().with_edge(EdgeScript::keeping("/2.mp4")));
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

#[test]
fn urls_are_asked_for_as_well_and_folders_are_not() {
    let cloud = Cloud::new(quick().with_edge(EdgeScript::keeping("/old.jpg")));
    let urls = "refresh-urls https://a.test/old.jpg https://a.test/dir/ --output json";
    let report = cloud.shell(urls).words(&line(&cloud)).run().exits(7).report();
    assert_eq!(report["urls"][0]["error"]["code"], "StaleAtEdge");
    assert_eq!(report["urls"][1]["state"], "complete");
    assert!(report["urls"][1]["tasks"][0].get("edge").is_none());
}

#[test]
fn urls_and_nodes_stand_in_every_form_of_the_report() {
    let failing = MediaScript { failed_tasks: Which::All(true), ..MediaScript::default() };
    let cloud = Cloud::new(
        quick()
            .with_media("https://a.test/bad.mp4", failing)
            .with_media("off.test", MediaScript::forbidden())
            .with_edge(EdgeScript::keeping("/old.jpg")),
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
