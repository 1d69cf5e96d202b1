//! The account side from the command line: the binary against an emulator, over loopback.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vod_refresh::auth::SignatureVersion;
use vod_refresh::emulator::{Emulator, Fault, FaultRule, Quota, Scenario};
use vod_refresh::net::clock::TimerClock;
use vod_refresh::vod::{CallbackType, MessageCallback};

use crate::support::program::at_home;
use crate::support::{client_over, static_key};

const KEY: &str = "Abc123KeyMARK";

/// An emulator on a port of its own, and an empty home for the binary.
struct AccountEnv {
    cloud: Emulator,
    endpoint: String,
    home: tempfile::TempDir,
    stop: CancellationToken,
    _runtime: tokio::runtime::Runtime,
}

/// What the binary did.
struct Output {
    code: i32,
    out: String,
    err: String,
}

impl Output {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {} {}", self.out, self.err))
    }
}

impl AccountEnv {
    fn new(scenario: Scenario) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (cloud, stop) = (Emulator::new(scenario), CancellationToken::new());
        runtime.spawn({
            let (cloud, stop) = (cloud.clone(), stop.clone());
            async move { cloud.serve(listener, stop).await }
        });
        Self { cloud, endpoint, home: tempfile::tempdir().unwrap(), stop, _runtime: runtime }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vod-refresh"));
        at_home(&mut command, self.home.path()).args(line.split_whitespace()).stdin(Stdio::null());
        command.env("VOD_REFRESH_ENDPOINT", &self.endpoint);
        command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid");
        command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret");
        command
    }

    fn run(&self, line: &str) -> Output {
        output(&mut self.command(line))
    }

    fn run_with_key(&self, line: &str, key: &str) -> Output {
        output(self.command(line).env("VOD_REFRESH_CALLBACK_AUTH_KEY", key))
    }

    fn settings(&self) -> Value {
        self.run("callback get -o json").json()
    }
}

impl Drop for AccountEnv {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn output(command: &mut Command) -> Output {
    let std::process::Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let output = Output { code: status.code().unwrap(), out: text(stdout), err: text(stderr) };
    for secret in ["testsecret", "MARK"] {
        assert!(
            !output.out.contains(secret) && !output.err.contains(secret),
            "{} {}",
            output.out,
            output.err
        );
    }
    output
}

fn with_settings() -> AccountEnv {
    AccountEnv::new(Scenario::new().with_callback("https://old.test/", Some(KEY)))
}

#[test]
fn settings_are_shown_without_the_key() {
    let env = with_settings();
    let text = env.run("callback get");
    assert_eq!(text.code, 0);
    assert!(text.out.contains("signatures      on, a key is set\n"), "{}", text.out);
    assert!(text.out.ends_with("SubmitMediaRefreshComplete is sent\n"), "{}", text.out);
    let json = env.settings();
    assert_eq!((&json["auth_key_set"], &json["refresh_event"]), (&true.into(), &true.into()));
    let none = AccountEnv::new(Scenario::new());
    assert!(none.run("callback get").out.ends_with("no event settings: no event is sent\n"));
    assert_eq!(none.settings()["callback_type"], Value::Null);
}

#[test]
fn without_a_terminal_nothing_changes_unless_it_was_allowed() {
    let env = with_settings();
    let refused = env.run("callback set --callback-url https://new.test/");
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("`--yes`"), "{}", refused.err);
    assert!(refused.out.contains("+ url             https://new.test/\n"), "{}", refused.out);
    assert_eq!(env.run("callback delete").code, 2);
    assert_eq!((env.cloud.count("SetMessageCallback"), env.cloud.count("DeleteMessageCallback")), (0, 0));
}

#[test]
fn setting_adds_our_event_keeps_the_rest_and_does_nothing_twice() {
    let env = AccountEnv::new(Scenario::new());
    let set = env.run_with_key("callback set --callback-url https://a.test/ --yes", KEY);
    assert_eq!((set.code, env.settings()["auth_key_set"].as_bool()), (0, Some(true)), "{}", set.err);
    // Without a key the one that is set stays.
    let moved = env.run("callback set --callback-url https://b.test/ --yes");
    assert_eq!(moved.code, 0, "{}", moved.err);
    let settings = env.settings();
    assert_eq!(settings["event_type_list"], serde_json::json!(["SubmitMediaRefreshComplete"]));
    assert_eq!(
        (&settings["callback_url"], &settings["auth_switch"]),
        (&"https://b.test/".into(), &"on".into())
    );
    assert_eq!(settings["auth_key_set"], true);
    let again = env.run("callback set --callback-url https://b.test/");
    assert_eq!((again.code, env.cloud.count("SetMessageCallback")), (0, 2));
    assert!(again.out.starts_with("nothing to change"), "{}", again.out);
}

#[test]
fn a_queue_is_set_by_its_url_and_settings_are_removed() {
    let env = with_settings();
    let set = env.run("callback set --queue https://1.mns.cn-shanghai.aliyuncs.com/queues/vod -y");
    assert_eq!(set.code, 0, "{}", set.err);
    let settings = env.settings();
    assert_eq!(settings["callback_type"], "MNS");
    assert_eq!(settings["mns_endpoint"], "https://1.mns.cn-shanghai.aliyuncs.com");
    assert_eq!(
        (&settings["mns_queue_name"], &settings["event_type_list"][0]),
        (&"vod".into(), &"ALL".into())
    );
    assert_eq!(env.run("callback delete --yes").code, 0);
    assert_eq!(env.settings()["callback_type"], Value::Null);
    assert!(env.run("callback delete").out.starts_with("nothing to remove"));
}

#[test]
fn a_change_that_does_not_stay_is_told() {
    let env = with_settings();
    // Somebody answers that all is well, and the old settings are still there.
    env.cloud.add_fault(FaultRule::on("SetMessageCallback", Fault::error(200, "OK")));
    let set = env.run("callback set --callback-url https://new.test/ --yes");
    assert_eq!(set.code, 6, "{}", set.err);
    assert!(set.err.contains("another writer"), "{}", set.err);
}

#[test]
fn the_quota_is_shown_in_numbers() {
    let env = AccountEnv::new(Scenario::new().with(|s| s.quota = Quota::with_left(1_996, 3)));
    let text = env.run("quota");
    assert_eq!(text.code, 0);
    assert!(text.out.contains("URLs to preload         3 of 500 left\n"), "{}", text.out);
    assert!(!text.out.contains("block"), "{}", text.out);
    let json = env.run("quota --output json").json();
    assert_eq!((&json["url_remain"], &json["preload_quota"]), (&1_996.into(), &500.into()));
    assert_eq!((json.get("block_quota"), json.as_object().unwrap().len()), (Some(&Value::Null), 8));
}

#[test]
fn too_little_quota_ends_it_before_or_after_one_submit() {
    let env = AccountEnv::new(Scenario::new().with(|s| s.quota = Quota::with_left(2_000, 3)));
    let checked = env.run("preload m1 m2 m3 m4 m5 --check-quota");
    assert_eq!((checked.code, env.cloud.count("RefreshMediaPlayUrls")), (5, 0), "{}", checked.err);
    assert!(checked.err.contains("3 URLs left to preload today, for 5 media"), "{}", checked.err);
    assert!(checked.err.contains("can't be known"), "{}", checked.err);
    let unchecked = env.run("preload m1 m2 m3 m4 m5 --no-journal");
    assert_eq!((unchecked.code, env.cloud.count("RefreshMediaPlayUrls")), (5, 1), "{}", unchecked.err);
}

#[test]
fn a_dry_run_shows_every_request_and_makes_no_call() {
    let env = AccountEnv::new(Scenario::new());
    let ids: Vec<String> = (0..21).map(|n| format!("m{n}")).collect();
    let line = format!("refresh {} --dry-run --extend a~b --formats mp4,m3u8 -vv", ids.join(" "));
    let text = env.run(&line);
    assert_eq!(text.code, 0, "{}", text.err);
    assert!(text.out.contains("batch 2 of 2: POST http://127.0.0.1:"), "{}", text.out);
    for part in [
        "Formats=mp4%2Cm3u8\n",
        "Signature=<signature>\n",
        "SignatureNonce=<nonce>\n",
        "AccessKeyId=te***id\n",
    ] {
        assert!(text.out.contains(part), "{part} {}", text.out);
    }
    let json = env.run(&format!("{line} --output json")).json();
    assert_eq!(json[1]["parameters"]["MediaIds"], "m20");
    let user_data: Value = serde_json::from_str(json[0]["parameters"]["UserData"].as_str().unwrap()).unwrap();
    assert_eq!(user_data["Extend"]["text"], "a~b");
    let v3 = env.run(&format!("{line} --signature-version v3 --output ndjson"));
    let first: Value = serde_json::from_str(v3.out.lines().next().unwrap()).unwrap();
    assert!(
        first["headers"]["authorization"].as_str().unwrap().ends_with("Signature=<signature>"),
        "{first}"
    );
    assert!(env.cloud.calls().is_empty());
    assert_eq!(std::fs::read_dir(env.home.path()).unwrap().count(), 0, "nothing is written down");
}

#[test]
fn a_dry_run_needs_no_credentials_and_refuses_what_a_run_would() {
    let env = AccountEnv::new(Scenario::new());
    let mut command = env.command("preload m1 --dry-run");
    let bare = output(
        command.env_remove("ALIBABA_CLOUD_ACCESS_KEY_ID").env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
    );
    assert_eq!(bare.code, 0, "{}", bare.err);
    assert!(bare.out.contains("AccessKeyId=<access key id>\n"), "{}", bare.out);
    assert!(bare.err.contains("no key in the environment"), "{}", bare.err);
    assert_eq!(env.run(&format!("refresh m1 --dry-run --extend {}", "x".repeat(600))).code, 2);
}

/// Status and remedy of one of the doctor's checks.
fn finding(output: &Output, check: &str) -> (String, Value) {
    let all = output.json();
    let row = all.as_array().unwrap().iter().find(|row| row["check"] == check);
    let row = row.unwrap_or_else(|| panic!("{check} is not in {all}"));
    (row["status"].as_str().unwrap().to_owned(), row["remedy"].clone())
}

#[test]
fn a_doctor_finds_nothing_wrong_where_nothing_is() {
    let env = with_settings();
    let text = env.run("doctor");
    assert_eq!(text.code, 0, "{}{}", text.out, text.err);
    assert!(text.out.starts_with("ok    credentials "), "{}", text.out);
    assert!(!text.out.contains("fail"), "{}", text.out);
    let json = env.run("doctor -o json");
    for check in
        ["clock", "vod:GetMediaRefreshJobs", "vod:DescribeVodRefreshTasks", "quota", "event settings"]
    {
        assert_eq!(finding(&json, check).0, "ok", "{check}: {}", json.out);
    }
    let (status, remedy) = finding(&json, "vod:RefreshMediaPlayUrls");
    assert!(status == "warn" && remedy.is_string(), "{}", json.out);
    assert_eq!(env.cloud.count("RefreshMediaPlayUrls"), 0);
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
        assert_eq!((output.code, found.as_str()), (code, status), "{action}: {}", output.out);
        assert!(remedy.as_str().unwrap().contains(action), "{action}: {remedy}");
    }
    let empty =
        AccountEnv::new(Scenario::new().with(|s| s.quota = Quota::with_left(0, 3))).run("doctor -o json");
    assert_eq!((empty.code, finding(&empty, "quota").0.as_str()), (5, "fail"));
    let fast = AccountEnv::new(Scenario::new().with(|s| s.clock_offset = 3 * 3_600)).run("doctor -o json");
    assert_eq!((fast.code, finding(&fast, "clock").0.as_str()), (0, "warn"), "{}", fast.out);
    assert!(fast.out.contains("time zone"), "{}", fast.out);
}

#[test]
fn a_doctor_tells_who_we_are_before_what_that_breaks() {
    let env = AccountEnv::new(Scenario::new());
    let wrong = output(env.command("doctor -o json").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "other"));
    assert_eq!((wrong.code, finding(&wrong, "service").0.as_str()), (4, "fail"), "{}", wrong.out);
    let nobody = output(env.command("doctor -o json").env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET"));
    assert_eq!((nobody.code, finding(&nobody, "credentials").0.as_str()), (3, "fail"), "{}", nobody.out);
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
        assert_eq!(finding(&bad, check).0, "warn", "{check}: {}", bad.out);
    }
    assert_eq!(bad.code, 0);
}

#[test]
fn a_doctor_notices_in_seconds_that_nobody_listens() {
    let env = AccountEnv::new(Scenario::new());
    let started = tokio::time::Instant::now();
    let output = env.run("doctor -o json --endpoint http://127.0.0.1:1");
    assert_eq!((output.code, finding(&output, "service").0.as_str()), (9, "fail"), "{}", output.out);
    assert!(output.out.contains("cannot connect to 127.0.0.1:1"), "{}", output.out);
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
