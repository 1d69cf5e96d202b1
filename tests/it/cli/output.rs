//! Where the result goes, and in which form.

use std::fs;

use serde_json::Value;

use super::cloud::Cloud;
use super::scenarios::quick;

#[test]
fn every_line_of_ndjson_is_json_and_the_last_is_the_report() {
    let cloud = Cloud::new(quick());
    let run = cloud.shell("refresh m1 m2 --poll-interval 100ms --output ndjson").run().exits(0);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (report, events) = lines.split_last().unwrap();
    assert_eq!((&report["schema"], &report["outcome"]), (&Value::from(1), &Value::from("complete")));
    assert_eq!(events[0]["event"], "started");
    assert!(events.iter().all(|event| event["at"].is_string() && event["event"].is_string()));
}

#[test]
fn every_report_file_is_written_whole_and_nothing_is_left_beside_it() {
    let cloud = Cloud::new(quick());
    let shell = cloud.shell("refresh m1 --poll-interval 100ms --output json --no-journal");
    let names = [
        ("--report", "r.json"),
        ("--report-html", "r.html"),
        ("--report-junit", "r.xml"),
        ("--metrics-file", "r.prom"),
    ];
    let shell = names.iter().fold(shell, |shell, (option, name)| shell.option_at(option, name));
    fs::write(shell.path("r.json"), "from the last run").unwrap();
    let run = shell.run().exits(0);
    let read = |name| fs::read_to_string(shell.path(name)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read("r.json")).unwrap(), run.report());
    assert!(read("r.html").contains("</html>"));
    assert!(read("r.xml").contains("</testsuites>"));
    assert!(read("r.prom").contains("vod_refresh_"));
    assert_eq!(fs::read_dir(shell.path("")).unwrap().count(), names.len());
}

#[test]
fn a_report_that_cannot_be_written_is_noticed_before_anything_is_submitted() {
    let cloud = Cloud::new(quick());
    for option in ["--report", "--report-html", "--report-junit", "--metrics-file"] {
        let run = cloud.shell("refresh m1").option_at(option, "no/such/folder/r").run();
        run.exits(3).says("cannot write").says("no/such/folder/r");
    }
    let shell = cloud.shell("refresh m1").option_at("--report", "no/a").option_at("--metrics-file", "no/b");
    shell.run().exits(3).says("no/a").says("no/b");
    let shell = cloud.shell("refresh m1").option_at("--report", "r").option_at("--report-html", "r");
    shell.run().exits(2).says("two reports go to the same file");
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let cloud = Cloud::new(quick());
    // As in a script: the reader takes a line, or none at all, and goes.
    for (reader, form) in [("head -n 1", "ndjson"), ("true", "ndjson"), ("true", "json"), ("true", "text")] {
        let line = format!("vod-refresh refresh m1 --poll-interval 100ms --output {form}");
        let line = format!("{{ {line}; echo \"ended with $?\" >&2; }} | {reader}");
        let run = cloud.shell("").instead(&line).run();
        run.exits(0).says("ended with 0").does_not_say("panicked").does_not_say("error");
    }
}

#[test]
fn quiet_says_nothing_and_json_logs_are_json() {
    let cloud = Cloud::new(quick());
    let line = "refresh m1 --poll-interval 100ms";
    let run = cloud.shell(line).arg("-q").run().exits(0);
    assert_eq!(run.stderr, "");
    let run = cloud.shell(line).words("-vv --log-format json").run().exits(0);
    for line in run.stderr.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert!(entry["level"].is_string(), "{line}");
    }
}
