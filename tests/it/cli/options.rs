//! What the options change in the requests that go out.

use std::collections::HashSet;

use vod_refresh::emulator::MediaScript;

use super::cloud::{Cloud, QUERY_JOBS, QUERY_TASKS, SUBMIT};
use super::scenarios::quick;
use super::shell::Shell;
use crate::support::raw_server::{FINE, RawServer, Then};
use crate::support::scripts::open_media;

#[test]
fn the_choice_of_urls_reaches_the_service() {
    let cloud = Cloud::new(quick());
    let line = "preload m1 m2 --formats mp4,m3u8 --definitions HD,4K --stream-type video --result-type multiple \
                --slice-count 3 --no-wait";
    cloud.shell(line).run().exits(0);
    let sent = cloud.calls(SUBMIT).remove(0).params;
    for (name, value) in [
        ("MediaIds", "m1,m2"),
        ("TaskType", "Preload"),
        ("Formats", "mp4,m3u8"),
        ("Definitions", "HD,4K"),
        ("StreamType", "video"),
        ("ResultType", "Multiple"),
        ("SliceFlag", "true"),
        ("SliceCount", "3"),
    ] {
        assert_eq!(sent.get(name).map(String::as_str), Some(value), "{name}: {sent:?}");
    }
}

#[test]
fn the_public_url_goes_out_with_the_submission() {
    let cloud = Cloud::new(quick());
    cloud.shell("refresh m1 --no-wait --callback-url https://ci.example.test/vod?x=1").run().exits(0);
    let user_data = &cloud.calls(SUBMIT)[0].params["UserData"];
    let user_data: serde_json::Value = serde_json::from_str(user_data).unwrap();
    assert_eq!(user_data["MessageCallback"]["CallbackURL"], "https://ci.example.test/vod?x=1");
}

#[test]
fn either_signature_version_does_the_whole_job() {
    for (word, version) in [("v1", "1.0"), ("v3", "ACS3")] {
        let cloud = Cloud::new(quick());
        let line = format!("refresh m1 --poll-interval 100ms --signature-version {word}");
        cloud.shell(&line).run().exits(0);
        let used: HashSet<_> = cloud.emulator.calls().iter().map(|call| call.signature_version).collect();
        assert_eq!(used, HashSet::from([version]));
    }
}

#[test]
fn task_queries_go_to_an_endpoint_of_their_own() {
    let cloud = Cloud::new(quick());
    let tasks = RawServer::start([Then::say(FINE)]);
    let line = format!("refresh m1 --poll-interval 100ms --timeout 2s --task-endpoint {}", tasks.url());
    cloud.shell(&line).run().exits(8);
    assert_eq!((cloud.count(SUBMIT), cloud.count(QUERY_TASKS)), (1, 0));
    assert!(cloud.count(QUERY_JOBS) > 0);
    assert!(tasks.requests().iter().any(|request| request.text.contains("Action=DescribeVodRefreshTasks")));
}

#[test]
fn the_region_decides_the_host_and_an_option_goes_before_its_variables() {
    for (option, variable, host) in [
        ("", "", "vod.cn-beijing.aliyuncs.com"),
        ("", "cn-shenzhen", "vod.cn-shenzhen.aliyuncs.com"),
        ("--region ap-southeast-1", "cn-shenzhen", "vod.ap-southeast-1.aliyuncs.com"),
    ] {
        let refusing = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        let proxy = RawServer::start([Then::say_and_close(refusing)]);
        Shell::new("refresh m1 --timeout 1500ms")
            .words(option)
            .with_keys()
            .env("ALIBABA_CLOUD_REGION_ID", "cn-beijing")
            .env("VOD_REFRESH_REGION", variable)
            .env("HTTPS_PROXY", proxy.url())
            .run();
        let asked = proxy.requests();
        assert_eq!(asked[0].first_line(), format!("CONNECT {host}:443 HTTP/1.1"));
    }
}

#[test]
fn fail_fast_does_not_wait_for_the_rest() {
    let slow = open_media();
    let cloud = Cloud::new(quick().with_media("gone", MediaScript::missing()).with_media("slow", slow));
    let run = cloud.shell("refresh slow gone --fail-fast --timeout 10m --output json").run().exits(7);
    let report = run.report();
    let states: Vec<_> = report["media"].as_array().unwrap().iter().map(|media| &media["state"]).collect();
    assert_eq!(states, ["unfinished", "not_found"]);
}
