//! The account side from the command line: the binary against an emulator, over loopback.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vod_refresh::auth::SignatureVersion;
use vod_refresh::emulator::{Emulator, Fault, FaultRule, Quota, Scenario};
use vod_refresh::net::clock::TimerClock;
use vod_refresh::vod::{CallbackType, MessageCallback};

use crate::support::program::{Cloud, Ended, Home};
use crate::support::{client_over, static_key};

const KEY: &str = "Abc123KeyMARK";

/// A cloud on a port of its own, and an empty home for the binary.
struct AccountEnv {
    cloud: Cloud,
    home: Home,
}

impl AccountEnv {
    fn new(scenario: Scenario) -> Self {
        Self { cloud: Cloud::new(scenario), home: Home::new() }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.home.command(&line.split_whitespace().collect::<Vec<_>>());
        command.env("VOD_REFRESH_ENDPOINT", &self.cloud.endpoint);
        command
    }

    fn run(&self, line: &str) -> Ended {
        output(&mut self.command(line))
    }

    fn run_with_key(&self, line: &str, key: &str) -> Ended {
        output(self.command(line).env("VOD_REFRESH_CALLBACK_AUTH_KEY", key))
    }

    fn settings(&self) -> Value {
        self.run("callback get -o json").json()
    }
}

fn output(command: &mut Command) -> Ended {
    let ended = Ended::from(command.output().unwrap());
    for secret in ["testsecret", "MARK"] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{ended:?}");
    }
    ended
}

fn with_settings() -> AccountEnv {
    AccountEnv::new(Scenario::new().with_callback("https://old.test/", Some(KEY)))
}

#[test]
fn settings_are_shown_without_the_key() {
    let env = with_settings();
    let text = env.run("callback get");
    assert_eq!(text.code.unwrap(), 0);
    assert!(text.stdout.contains("signatures      on, a key is set\n"), "{}", text.stdout);
    assert!(text.stdout.ends_with("SubmitMediaRefreshComplete is sent\n"), "{}", text.stdout);
    let json = env.settings();
    assert_eq!((&json["auth_key_set"], &json["refresh_event"]), (&true.into(), &true.into()));
    let none = AccountEnv::new(Scenario::new());
    assert!(none.run("callback get").stdout.ends_with("no event settings: no event is sent\n"));
    assert_eq!(none.settings()["callback_type"], Value::Null);
}

#[test]
fn without_a_terminal_nothing_changes_unless_it_was_allowed() {
    let env = with_settings();
    let refused = env.run("callback set --callback-url https://new.test/");
    assert_eq!(refused.code.unwrap(), 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("`--yes`"), "{}", refused.stderr);
    assert!(refused.stdout.contains("+ url             https://new.test/\n"), "{}", refused.stdout);
    assert_eq!(env.run("callback delete").code.unwrap(), 2);
    assert_eq!(
        (env.cloud.emulator.count("SetMessageCallback"), env.cloud.emulator.count("DeleteMessageCallback")),
        (0, 0)
    );
}

#[test]
fn setting_adds_our_event_keeps_the_rest_and_does_nothing_twice() {
    let env = AccountEnv::new(Scenario::new());
    let set = env.run_with_key("callback set --callback-url https://a.test/ --yes", KEY);
    assert_eq!(
        (set.code.unwrap(), env.settings()["auth_key_set"].as_bool()),
        (0, Some(true)),
        "{}",
        set.stderr
    );
    // Without a key the one that is set stays.
    let moved = env.run("callback set --callback-url https://b.test/ --yes");
    assert_eq!(moved.code.unwrap(), 0, "{}", moved.stderr);
    let settings = env.settings();
    assert_eq!(settings["event_type_list"], serde_json::json!(["SubmitMediaRefreshComplete"]));
    assert_eq!(
        (&settings["callback_url"], &settings["auth_switch"]),
        (&"https://b.test/".into(), &"on".into())
    );
    assert_eq!(settings["auth_key_set"], true);
    let again = env.run("callback set --callback-url https://b.test/");
    assert_eq!((again.code.unwrap(), env.cloud.emulator.count("SetMessageCallback")), (0, 2));
    assert!(again.stdout.starts_with("nothing to change"), "{}", again.stdout);
}

#[test]
fn a_queue_is_set_by_its_url_and_settings_are_removed() {
    let env = with_settings();
    let set = env.run("callback set --queue https://1.mns.cn-shanghai.aliyuncs.com/queues/vod -y");
    assert_eq!(set.code.unwrap(), 0, "{}", set.stderr);
    let settings = env.settings();
    assert_eq!(settings["callback_type"], "MNS");
    assert_eq!(settings["mns_endpoint"], "https://1.mns.cn-shanghai.aliyuncs.com");
    assert_eq!(
        (&settings["mns_queue_name"], &settings["event_type_list"][0]),
        (&"vod".into(), &"ALL".into())
    );
    assert_eq!(env.run("callback delete --yes").code.unwrap(), 0);
    assert_eq!(env.settings()["callback_type"], Value::Null);
    assert!(env.run("callback delete").stdout.starts_with("nothing to remove"));
}

#[test]
fn a_change_that_does_not_stay_is_told() {
    let env = with_settings();
    // Somebody answers that all is well, and the old settings are still there.
    env.cloud.emulator.add_fault(FaultRule::on("SetMessageCallback", Fault::error(200, "OK")));
    let set = env.run("callback set --callback-url https://new.test/ --yes");
    assert_eq!(set.code.unwrap(), 6, "{}", set.stderr);
    assert!(set.stderr.contains("another writer"), "{}", set.stderr);
}

#[test]
fn the_quota_is_shown_in_numbers() {
    let env = AccountEnv::new(Scenario::new().with(|s| s.quota = Quota::with_left(1_996, 3)));
    let text = env.run("quota");
    assert_eq!(text.code.unwrap(), 0);
    assert!(text.stdout.contains("URLs to preload         3 of 500 left\n"), "{}", text.stdout);
    assert!(!text.stdout.contains("block"), "{}", text.stdout);
    let json = env.run("quota --output json").json();
    assert_eq!((&json["url_remain"], &json["preload_quota"]), (&1_996.into(), &500.into()));
    assert_eq!((json.get("block_quota"), json.as_object().unwrap().len()), (Some(&Value::Null), 8));
}

#[test]
fn too_little_quota_ends_it_before_or_after_one_submit() {
    let env = AccountEnv::new(Scenario::new().with(|s| s.quota = Quota::with_left(2_000, 3)));
    let checked = env.run("preload m1 m2 m3 m4 m5 --check-quota");
    assert_eq!(
        (checked.code.unwrap(), env.cloud.emulator.count("RefreshMediaPlayUrls")),
        (5, 0),
        "{}",
        checked.stderr
    );
    assert!(checked.stderr.contains("3 URLs left to preload today, for 5 media"), "{}", checked.stderr);
    assert!(checked.stderr.contains("can't be known"), "{}", checked.stderr);
    let unchecked = env.run("preload m1 m2 m3 m4 m5 --no-journal");
    assert_eq!(
        (unchecked.code.unwrap(), env.cloud.emulator.count("RefreshMediaPlayUrls")),
        (5, 1),
        "{}",
        unchecked.stderr
    );
}

#[test]
fn a_dry_run_shows_every_request_and_makes_no_call() {
    let env = AccountEnv::new(Scenario::new());
    let ids: Vec<String> = (0..21).map(|n| format!("m{n}")).collect();
    let line = format!("refresh {} --dry-run --extend a~b --formats mp4,m3u8 -vv", ids.join(" "));
    let text = env.run(&line);
    assert_eq!(text.code.unwrap(), 0, "{}", text.stderr);
    assert!(text.stdout.contains("batch 2 of 2: POST http://127.0.0.1:"), "{}", text.stdout);
    for part in [
        "Formats=mp4%2Cm3u8\n",
        "Signature=<signature>\n",
        "SignatureNonce=<nonce>\n",
        "AccessKeyId=te***id\n",
    ] {
        assert!(text.stdout.contains(part), "{part} {}", text.stdout);
    }
    let json = env.run(&format!("{line} --output json")).json();
    assert_eq!(json[1]["parameters"]["MediaIds"], "m20");
    let user_data: Value = serde_json::from_str(json[0]["parameters"]["UserData"].as_str().unwrap()).unwrap();
    assert_eq!(user_data["Extend"]["text"], "a~b");
    let v3 = env.run(&format!("{line} --signature-version v3 --output ndjson"));
    let first: Value = serde_json::from_str(v3.stdout.lines().next().unwrap()).unwrap();
    assert!(
        first["headers"]["authorization"].as_str().unwrap().ends_with("Signature=<signature>"),
        "{first}"
    );
    assert!(env.cloud.emulator.calls().is_empty());
    assert_eq!(std::fs::read_dir(env.home.path()).unwrap().count(), 0, "nothing is written down");
}

#[test]
fn a_dry_run_needs_no_credentials_and_refuses_what_a_run_would() {
    let env = AccountEnv::new(Scenario::new());
    let mut command = env.command("preload m1 --dry-run");
    let bare = output(
        command.env_remove("ALIBABA_CLOUD_ACCESS_KEY_ID").env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
    );
    assert_eq!(bare.code.unwrap(), 0, "{}", bare.stderr);
    assert!(bare.stdout.contains("AccessKeyId=<access key id>\n"), "{}", bare.stdout);
    assert!(bare.stderr.contains("no key in the environment"), "{}", bare.stderr);
    assert_eq!(env.run(&format!("refresh m1 --dry-run --extend {}", "x".repeat(600))).code.unwrap(), 2);
}

/// Status and remedy of one of the doctor's checks.
fn finding(output: &Ended, check: &str) -> (String, Value) {
    let all = output.json();
    let row = all.as_array().unwrap().iter().find(|row| row["check"] == check);
    let row = row.unwrap_or_else(|| panic!("{check} is not in {all}"));
    (row["status"].as_str().unwrap().to_owned(), row["remedy"].clone())
}

#[test]
fn a_doctor_finds_nothing_wrong_where_nothing_is() {
    let env = with_settings();
    let text = env.run("doctor");
    assert_eq!(text.code.unwrap(), 0, "{}{}", text.stdout, text.stderr);
    assert!(text.stdout.starts_with("ok    credentials "), "{}", text.stdout);
    assert!(!text.stdout.contains("fail"), "{}", text.stdout);
    let json = env.run("doctor -o json");
    for check in
        ["clock", "vod:GetMediaRefreshJobs", "vod:DescribeVodRefreshTasks", "quota", "event settings"]
    {
        assert_eq!(finding(&json, check).0, "ok", "{check}: {}", json.stdout);
    }
    let (status, remedy) = finding(&json, "vod:RefreshMediaPlayUrls");
    assert!(status == "warn" && remedy.is_string(), "{}", json.stdout);
    assert_eq!(env.cloud.emulator.count("RefreshMediaPlayUrls"), 0);
}

#[test]
fn a_doctor_names_what_is_missing_with_its_remedy_and_its_code() {
    let denied = |action: &str| AccountEnv::new(Scenario::new().with(|s| s.deny.push(action.into())));
    for (action, code, status) in [
        ("GetMediaRefreshJobs", 4, "fail"),
        ("DescribeVodRefreshTasks", 4, "fail"),
        ("DescribeVodRefreshQuota", 0, "warn"),
        ("GetMessageCallback", 0, "warn"),
    ] {
        let output = denied(action).run("doctor -o json");
        let (found, remedy) = finding(&output, &format!("vod:{action}"));
        assert_eq!((output.code.unwrap(), found.as_str()), (code, status), "{action}: {}", output.stdout);
        assert!(remedy.as_str().unwrap().contains(action), "{action}: {remedy}");
    }
    let empty =
        AccountEnv::new(Scenario::new().with(|s| s.quota = Quota::with_left(0, 3))).run("doctor -o json");
    assert_eq!((empty.code.unwrap(), finding(&empty, "quota").0.as_str()), (5, "fail"));
    let fast = AccountEnv::new(Scenario::new().with(|s| s.clock_offset = 3 * 3_600)).run("doctor -o json");
    assert_eq!((fast.code.unwrap(), finding(&fast, "clock").0.as_str()), (0, "warn"), "{}", fast.stdout);
    assert!(fast.stdout.contains("time zone"), "{}", fast.stdout);
}

#[test]
fn a_doctor_tells_who_we_are_before_what_that_breaks() {
    let env = AccountEnv::new(Scenario::new());
    let wrong = output(env.command("doctor -o json").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "other"));
    assert_eq!((wrong.code.unwrap(), finding(&wrong, "service").0.as_str()), (4, "fail"), "{}", wrong.stdout);
    let nobody = output(env.command("doctor -o json").env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET"));
    assert_eq!(
        (nobody.code.unwrap(), finding(&nobody, "credentials").0.as_str()),
        (3, "fail"),
        "{}",
        nobody.stdout
    );
}

#[test]
fn a_doctor_compares_the_accounts_key_and_url_with_ours() {
    let env = with_settings();
    let good = env.run_with_key("doctor -o json --callback-url https://old.test/", KEY);
    assert_eq!(
        (finding(&good, "event key").0.as_str(), finding(&good, "event address").0.as_str()),
        ("ok", "ok")
    );
    let bad = env.run_with_key("doctor -o json --callback-url http://127.0.0.1:9/", "Another1Key");
    for check in ["event key", "event address", "callback url"] {
        assert_eq!(finding(&bad, check).0, "warn", "{check}: {}", bad.stdout);
    }
    assert_eq!(bad.code.unwrap(), 0);
}

#[test]
fn a_doctor_notices_in_seconds_that_nobody_listens() {
    let env = AccountEnv::new(Scenario::new());
    let started = tokio::time::Instant::now();
    let output = env.run("doctor -o json --endpoint http://127.0.0.1:1");
    assert_eq!(
        (output.code.unwrap(), finding(&output, "service").0.as_str()),
        (9, "fail"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("cannot connect to 127.0.0.1:1"), "{}", output.stdout);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn settings_are_written_and_read_back_at_the_documented_pace_with_either_signature() {
    for version in [SignatureVersion::V1, SignatureVersion::V3] {
        let clock = TimerClock::starting_at("2026-11-25T01:19:10Z".parse().unwrap());
        let cloud = Emulator::new(Scenario::new()).with_clock(std::sync::Arc::new(clock));
        let client = client_over(cloud.transport(), static_key())
            .with_signature_version(version)
            .with_clock(clock)
            .build()
            .unwrap();
        assert!(client.get_message_callback(None).await.unwrap().is_none());
        let mut settings = MessageCallback::new(CallbackType::Http);
        settings.callback_url = Some("https://cb.test/a?b=c&d=%20~*".into());
        settings.events = vec!["SubmitMediaRefreshComplete".into(), "UploadByURLComplete".into()];
        (settings.auth_switch, settings.auth_key) = (true, Some("Abc123Key+/= ".into()));
        let started = tokio::time::Instant::now();
        for _ in 0..16 {
            client.set_message_callback(&settings).await.unwrap();
        }
        assert!((1_000..1_020).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
        let found = client.get_message_callback(None).await.unwrap().unwrap();
        assert!(found.is_same_as(&settings), "{found:?}");
        assert_eq!(client.describe_vod_refresh_quota().await.unwrap().dir_remain, Some(100));
        assert!(client.measured_skew().unwrap().num_seconds().abs() <= 1);
        client.delete_message_callback(None).await.unwrap();
        assert!(client.get_message_callback(None).await.unwrap().is_none());
    }
}
