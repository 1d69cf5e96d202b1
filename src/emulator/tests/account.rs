//! The account's calls: event settings and quota.

use std::time::Duration;

use serde_json::Value;

use super::env::TestEnv;
use crate::emulator::{Quota, Scenario};

const HTTP: [(&str, &str); 4] = [
    ("CallbackType", "HTTP"),
    ("CallbackURL", "https://cb.test/"),
    ("EventTypeList", "UploadByURLComplete"),
    ("AuthSwitch", "off"),
];

async fn settings(env: &TestEnv, app: &[(&str, &str)]) -> Value {
    env.call("GetMessageCallback", app).await.1["MessageCallback"].clone()
}

#[tokio::test(start_paused = true)]
async fn setting_replaces_everything_and_deleting_leaves_nothing() {
    let env = TestEnv::new(Scenario::new().with_callback("http://h/", Some("Abc123Key")));
    let before = settings(&env, &[]).await;
    assert_eq!(
        (before["EventTypeList"].as_str(), before["AuthKey"].as_str()),
        (Some("ALL"), Some("Abc123Key"))
    );
    assert_eq!(env.call("SetMessageCallback", &HTTP).await.0, 200);
    let after = settings(&env, &[]).await;
    assert_eq!((after["CallbackURL"].as_str(), after.get("AuthKey")), (Some("https://cb.test/"), None));
    assert_eq!(after["AppId"], "app-1000000");
    assert_eq!(env.call("DeleteMessageCallback", &[]).await.0, 200);
    assert_eq!(settings(&env, &[]).await.as_object().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn applications_have_settings_of_their_own() {
    let env = TestEnv::new(Scenario::new());
    let mut other = HTTP.to_vec();
    other.push(("AppId", "app-2"));
    env.call("SetMessageCallback", &other).await;
    assert_eq!(settings(&env, &[]).await.get("CallbackURL"), None);
    assert_eq!(settings(&env, &[("AppId", "app-2")]).await["CallbackURL"], "https://cb.test/");
}

#[tokio::test(start_paused = true)]
async fn settings_that_make_no_sense_are_refused() {
    let env = TestEnv::new(Scenario::new());
    let long = format!("https://h/{}", "x".repeat(247));
    let table = [
        (("CallbackType", "SMS"), "InvalidParameter"),
        (("CallbackType", "-"), "MissingParameter"),
        (("CallbackURL", "-"), "MissingParameter"),
        (("CallbackURL", &long), "InvalidParameter"),
        (("CallbackURL", "https://a/,https://b/"), "InvalidParameter"),
        (("CallbackType", "MNS"), "MissingParameter"),
        (("EventTypeList", "A,,B"), "InvalidParameter"),
        (("AuthSwitch", "on"), "MissingParameter"),
        (("AuthSwitch", "yes"), "InvalidParameter"),
    ];
    for ((name, value), code) in table {
        let mut params = HTTP.to_vec();
        params.retain(|(n, _)| *n != name);
        params.push((name, value));
        let (status, body) = env.call("SetMessageCallback", &params).await;
        assert_eq!((status, body["Code"].as_str()), (400, Some(code)), "{name}={value}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_of_calls_holds_no_key() {
    let env = TestEnv::new(Scenario::new());
    let mut params = HTTP.to_vec();
    params.extend([("AuthSwitch", "on"), ("AuthKey", "Abc123Key")]);
    assert_eq!(env.call("SetMessageCallback", &params).await.0, 200);
    assert!(!format!("{:?}", env.emulator.calls()).contains("Abc123Key"));
}

#[tokio::test(start_paused = true)]
async fn each_url_counts_and_what_is_used_up_is_refused_until_the_day_turns() {
    let scenario =
        Scenario::new().with(|s| s.urls_per_media = 3).with(|s| s.quota = Quota::with_left(7, 500));
    let env = TestEnv::new(scenario);
    env.submit("m1,m2").await;
    let left = async || env.call("DescribeVodRefreshQuota", &[]).await.1["UrlRemain"].clone();
    assert_eq!(left().await, "1");
    let params = [("MediaIds", "m3"), ("TaskType", "Refresh")];
    let (status, body) = env.call("RefreshMediaPlayUrls", &params).await;
    assert_eq!((status, body["Code"].as_str()), (400, Some("QuotaExceeded.Refresh")));
    assert_eq!(left().await, "1", "all or nothing");
    tokio::time::sleep(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(left().await, "2000");
    env.submit("m3").await;
}

#[tokio::test(start_paused = true)]
async fn quotas_are_decimal_texts_and_blocks_have_a_small_letter() {
    let quota = Quota { block_quota: Some(300), block_remain: Some(299), ..Quota::with_left(2_000, 3) };
    let body =
        TestEnv::new(Scenario::new().with(|s| s.quota = quota)).call("DescribeVodRefreshQuota", &[]).await.1;
    assert_eq!((&body["PreloadRemain"], &body["blockRemain"]), (&"3".into(), &"299".into()));
    let body = TestEnv::new(Scenario::new()).call("DescribeVodRefreshQuota", &[]).await.1;
    assert_eq!((body.get("BlockQuota"), body.get("blockRemain")), (None, None));
}
