//! What users of other tools have met: events that never come, tokens that die, logs in CI.

use std::net::TcpStream;
use std::time::Duration;

use vod_refresh::emulator::Scenario;

use crate::support::program::{Cloud, Home, SUBMIT, end};
use crate::support::scripts::open_media;

#[test]
fn where_the_event_never_comes_the_job_is_looked_up_and_the_port_is_closed() {
    let (cloud, home) = (Cloud::new(Scenario::new()), Home::new());
    let mut command = home.command(&["refresh", "m1", "--endpoint", &cloud.endpoint]);
    command.args(["--callback-listen", "127.0.0.1:0", "--lookup-after", "500ms"]);
    let ended = end(command.env("VOD_REFRESH_CALLBACK_AUTH_KEY", "Abc123Key").spawn().unwrap());
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{ended:?}");
    assert!(ended.stderr.contains("no event came for 1 media"), "{}", ended.stderr);
    let address =
        ended.stderr.lines().find_map(|line| line.strip_prefix("listening for callbacks on ")).unwrap();
    assert!(TcpStream::connect(address).is_err(), "{address} is still open");
}

#[test]
fn a_token_that_dies_in_mid_wait_costs_no_second_submit() {
    let stuck = open_media();
    let scenario = Scenario::new()
        .with(|s| s.tokens.insert("testid".into(), "first".into()))
        .with(|s| s.job_ids = vec!["J1".into()]);
    let (cloud, home) = (Cloud::new(scenario.with(|s| s.default_media = stuck)), Home::new());
    let with_token = |line: &[&str], token| {
        let mut command = home.command(line);
        command.env("ALIBABA_CLOUD_SECURITY_TOKEN", token).spawn().unwrap()
    };
    let line = ["refresh", "m1", "--endpoint", &cloud.endpoint, "--poll-interval", "100ms", "-o", "json"];
    let child = with_token(&line, "first");
    cloud.wait_for("DescribeVodRefreshTasks", 2);
    cloud.emulator.set_token("testid", "second");
    let ended = end(child);
    assert_eq!((ended.code, cloud.emulator.count(SUBMIT)), (Some(4), 1), "{ended:?}");
    assert_eq!(ended.json()["media"][0]["job_id"], "J1");
    for task in cloud.emulator.task_ids("J1", "m1") {
        cloud.emulator.complete_task(&task);
    }
    let hint = ended.hint();
    let resumed = end(with_token(&hint.iter().map(String::as_str).collect::<Vec<_>>(), "second"));
    assert_eq!((resumed.code, cloud.emulator.count(SUBMIT)), (Some(0), 1), "{resumed:?}");
}

#[test]
fn logs_without_a_terminal_are_clean_and_show_life() {
    let cloud = Cloud::new(Scenario::new().with(|s| s.task_duration = Duration::from_secs(7)));
    let line = ["refresh", "m1", "m2", "--endpoint", &cloud.endpoint];
    let surroundings: [&[(&str, &str)]; 3] = [&[], &[("CI", "true")], &[("NO_COLOR", "1"), ("TERM", "dumb")]];
    let homes = surroundings.map(|_| Home::new());
    let start = |(home, variables): (&Home, &[(&'static str, &'static str)])| {
        home.command(&line).envs(variables.iter().copied()).spawn().unwrap()
    };
    let children: Vec<_> = homes.iter().zip(surroundings).map(start).collect();
    for child in children {
        let ended = end(child);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!(ended.stdout.clone() + &ended.stderr).contains(['\u{1b}', '\r']), "{ended:?}");
        assert!(ended.stderr.lines().count() <= 20, "{ended:?}");
        assert!(ended.stderr.contains("elapsed"), "no sign of life: {ended:?}");
        assert!(ended.stdout.starts_with("MEDIA"), "{ended:?}");
    }
}

#[test]
fn the_demo_leaves_nothing_behind() {
    let home = Home::new();
    let ended = home.run(&["demo", "--output", "json"]);
    assert_eq!((ended.code, &ended.json()["outcome"]), (Some(0), &"complete".into()), "{ended:?}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}
