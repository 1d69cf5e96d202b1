//! The account side from the command line: the binary against an emulator, over loopback.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vod_refresh::auth::SignatureVersion;
use vod_refresh::emulator::{Emulator, Fault, FaultRule, Quota, Scenario};
use vod_refresh::net::clock::TimerClock;
use vod_refresh::vod::{CallbackType, MessageCallback};

use crate::program::at_home;
use crate::support::{client_over, static_key};

const KEY: &str = "Abc123KeyMARK";

/// An emulator on a port of its own, and an empty home for the binary.
struct Place {
    cloud: Emulator,
    endpoint: String,
    home: tempfile::TempDir,
    stop: CancellationToken,
    _runtime: tokio::runtime::Runtime,
}

/// What the binary did.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {} {}", self.out, self.err))
    }
}

impl Place {
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

    fn run(&self, line: &str) -> Said {
        said(&mut self.command(line))
    }

    fn run_with_key(&self, line: &str, key: &str) -> Said {
        said(self.command(line).env("VOD_REFRESH_CALLBACK_AUTH_KEY", key))
    }

    fn settings(&self) -> Value {
        self.run("callback get -o json").json()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let said = Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) };
    for secret in ["testsecret", "MARK"] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{} {}", said.out, said.err);
    }
    said
}

fn with_settings() -> Place {
    Place::new(Scenario::new().with_callback("https://old.test/", Some(KEY)))
}

#[test]
fn settings_are_shown_without_the_key() {
    let place = with_settings();
    let text = place.run("callback get");
    assert_eq!(text.code, 0);
    assert!(text.out.contains("signatures      on, a key is set\n"), "{}", text.out);
    assert!(text.out.ends_with("SubmitMediaRefreshComplete is sent\n"), "{}", text.out);
    let json = place.settings();
    assert_eq!((&json["auth_key_set"], &json["refresh_event"]), (&true.into(), &true.into()));
    let none = Place::new(Scenario::new());
    assert!(none.run("callback get").out.ends_with("no event settings: no event is sent\n"));
    assert_eq!(none.settings()["callback_type"], Value::Null);
}

#[test]
fn without_a_terminal_nothing_changes_unless_it_was_allowed() {
    let place = with_settings();
    let refused = place.run("callback set --callback-url https://new.test/");
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("`--yes`"), "{}", refused.err);
    assert!(refused.out.contains("+ url             https://new.test/\n"), "{}", refused.out);
    assert_eq!(place.run("callback delete").code, 2);
    assert_eq!((place.cloud.count("SetMessageCallback"), place.cloud.count("DeleteMessageCallback")), (0, 0));
}

#[test]
fn setting_adds_our_event_keeps_the_rest_and_does_nothing_twice() {
    let place = Place::new(Scenario::new());
    let set = place.run_with_key("callback set --callback-url https://a.test/ --yes", KEY);
    assert_eq!((set.code, place.settings()["auth_key_set"].as_bool()), (0, Some(true)), "{}", set.err);
    // Without a key the one that is set stays.
    let moved = place.run("callback set --callback-url https://b.test/ --yes");
    assert_eq!(moved.code, 0, "{}", moved.err);
    let settings = place.settings();
    assert_eq!(settings["event_type_list"], serde_json::json!(["SubmitMediaRefreshComplete"]));
    assert_eq!(
        (&settings["callback_url"], &settings["auth_switch"]),
        (&"https://b.test/".into(), &"on".into())
    );
    assert_eq!(settings["auth_key_set"], true);
    let again = place.run("callback set --callback-url https://b.test/");
    assert_eq!((again.code, place.cloud.count("SetMessageCallback")), (0, 2));
    assert!(again.out.starts_with("nothing to change"), "{}", again.out);
}

#[test]
fn a_queue_is_set_by_its_url_and_settings_are_removed() {
    let place = with_settings();
    let set = place.run("callback set --queue https://1.mns.cn-shanghai.aliyuncs.com/queues/vod -y");
    assert_eq!(set.code, 0, "{}", set.err);
    let settings = place.settings();
    assert_eq!(settings["callback_type"], "MNS");
    assert_eq!(settings["mns_endpoint"], "https://1.mns.cn-shanghai.aliyuncs.com");
    assert_eq!(
        (&settings["mns_queue_name"], &settings["event_type_list"][0]),
        (&"vod".into(), &"ALL".into())
    );
    assert_eq!(place.run("callback delete --yes").code, 0);
    assert_eq!(place.settings()["callback_type"], Value::Null);
    assert!(place.run("callback delete").out.starts_with("nothing to remove"));
}

#[test]
fn a_change_that_does_not_stay_is_told() {
    let place = with_settings();
    // Somebody answers that all is well, and the old settings are still there.
    place.cloud.add_fault(FaultRule::on("SetMessageCallback", Fault::error(200, "OK")));
    let set = place.run("callback set --callback-url https://new.test/ --yes");
    assert_eq!(set.code, 6, "{}", set.err);
    assert!(set.err.contains("another writer"), "{}", set.err);
}

#[test]
fn the_quota_is_shown_in_numbers() {
    let place = Place::new(Scenario::new().with(|scenario| scenario.quota = Quota::with_left(1_996, 3)));
    let text = place.run("quota");
    assert_eq!(text.code, 0);
    assert!(text.out.contains("URLs to preload         3 of 500 left\n"), "{}", text.out);
    assert!(!text.out.contains("block"), "{}", text.out);
    let json = place.run("quota --output json").json();
    assert_eq!((&json["url_remain"], &json["preload_quota"]), (&1_996.into(), &500.into()));
    assert_eq!((json.get("block_quota"), json.as_object().unwrap().len()), (Some(&Value::Null), 8));
}

#[test]
fn too_little_quota_ends_it_before_or_after_one_submit() {
    let place = Place::new(Scenario::new().with(|scenario| scenario.quota = Quota::with_left(2_000, 3)));
    let checked = place.run("preload m1 m2 m3 m4 m5 --check-quota");
    assert_eq!((checked.code, place.cloud.count("RefreshMediaPlayUrls")), (5, 0), "{}", checked.err);
    assert!(checked.err.contains("3 URLs left to preload today, for 5 media"), "{}", checked.err);
    assert!(checked.err.contains("can't be known"), "{}", checked.err);
    let unchecked = place.run("preload m1 m2 m3 m4 m5 --no-journal");
    assert_eq!((unchecked.code, place.cloud.count("RefreshMediaPlayUrls")), (5, 1), "{}", unchecked.err);
}

#[test]
fn a_dry_run_shows_every_request_and_makes_no_call() {
    let place = Place::new(Scenario::new());
    let ids: Vec<String> = (0..21).map(|n| format!("m{n}")).collect();
    let line = format!("refresh {} --dry-run --extend a~b --formats mp4,m3u8 -vv", ids.join(" "));
    let text = place.run(&line);
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
    let json = place.run(&format!("{line} --output json")).json();
    assert_eq!(json[1]["parameters"]["MediaIds"], "m20");
    let user_data: Value = serde_json::from_str(json[0]["parameters"]["UserData"].as_str().unwrap()).unwrap();
    assert_eq!(user_data["Extend"]["text"], "a~b");
    let v3 = place.run(&format!("{line} --signature-version v3 --output ndjson"));
    let first: Value = serde_json::from_str(v3.out.lines().next().unwrap()).unwrap();
    assert!(
        first["headers"]["authorization"].as_str().unwrap().ends_with("Signature=<signature>"),
        "{first}"
    );
    assert!(place.cloud.calls().is_empty());
    assert_eq!(std::fs::read_dir(place.home.path()).unwrap().count(), 0, "nothing is written down");
}

#[test]
fn a_dry_run_needs_no_credentials_and_refuses_what_a_run_would() {
    let place = Place::new(Scenario::new());
    let mut command = place.command("preload m1 --dry-run");
    let bare =
        said(command.env_remove("ALIBABA_CLOUD_ACCESS_KEY_ID").env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET"));
    assert_eq!(bare.code, 0, "{}", bare.err);
    assert!(bare.out.contains("AccessKeyId=<access key id>\n"), "{}", bare.out);
    assert!(bare.err.contains("no key in the environment"), "{}", bare.err);
    assert_eq!(place.run(&format!("refresh m1 --dry-run --extend {}", "x".repeat(600))).code, 2);
}

/// Status and remedy of one of the doctor's checks.
fn finding(said: &Said, check: &str) -> (String, Value) {
    let all = said.json();
    let row = all.as_array().unwrap().iter().find(|row| row["check"] == check);
    let row = row.unwrap_or_else(|| panic!("{check} is not in {all}"));
    (row["status"].as_str().unwrap().to_owned(), row["remedy"].clone())
}

#[test]
fn a_doctor_finds_nothing_wrong_where_nothing_is() {
    let place = with_settings();
    let text = place.run("doctor");
    assert_eq!(text.code, 0, "{}{}", text.out, text.err);
    assert!(text.out.starts_with("ok    credentials "), "{}", text.out);
    assert!(!text.out.contains("fail"), "{}", text.out);
    let json = place.run("doctor -o json");
    for check in
        ["clock", "vod:GetMediaRefreshJobs", "vod:DescribeVodRefreshTasks", "quota", "event settings"]
    {
        assert_eq!(finding(&json, check).0, "ok", "{check}: {}", json.out);
    }
    let (status, remedy) = finding(&json, "vod:RefreshMediaPlayUrls");
    assert!(status == "warn" && remedy.is_string(), "{}", json.out);
    assert_eq!(place.cloud.count("RefreshMediaPlayUrls"), 0);
}

#[test]
fn a_doctor_names_what_is_missing_with_its_remedy_and_its_code() {
    let denied = |action: &str| Place::new(Scenario::new().with_denied(action));
    for (action, code, status) in [
        ("GetMediaRefreshJobs", 4, "fail"),
        ("DescribeVodRefreshTasks", 4, "fail"),
        ("DescribeVodRefreshQuota", 0, "warn"),
        ("GetMessageCallback", 0, "warn"),
    ] {
        let said = denied(action).run("doctor -o json");
        let (found, remedy) = finding(&said, &format!("vod:{action}"));
        assert_eq!((said.code, found.as_str()), (code, status), "{action}: {}", said.out);
        assert!(remedy.as_str().unwrap().contains(action), "{action}: {remedy}");
    }
    let empty = Place::new(Scenario::new().with(|scenario| scenario.quota = Quota::with_left(0, 3)))
        .run("doctor -o json");
    assert_eq!((empty.code, finding(&empty, "quota").0.as_str()), (5, "fail"));
    let fast = Place::new(Scenario::new().with_clock_offset(3 * 3_600)).run("doctor -o json");
    assert_eq!((fast.code, finding(&fast, "clock").0.as_str()), (0, "warn"), "{}", fast.out);
    assert!(fast.out.contains("time zone"), "{}", fast.out);
}

#[test]
fn a_doctor_tells_who_we_are_before_what_that_breaks() {
    let place = Place::new(Scenario::new());
    let wrong = said(place.command("doctor -o json").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "other"));
    assert_eq!((wrong.code, finding(&wrong, "service").0.as_str()), (4, "fail"), "{}", wrong.out);
    let nobody = said(place.command("doctor -o json").env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET"));
    assert_eq!((nobody.code, finding(&nobody, "credentials").0.as_str()), (3, "fail"), "{}", nobody.out);
}

#[test]
fn a_doctor_compares_the_accounts_key_and_url_with_ours() {
    let place = with_settings();
    let good = place.run_with_key("doctor -o json --callback-url https://old.test/", KEY);
    assert_eq!(
        (finding(&good, "event key").0.as_str(), finding(&good, "event address").0.as_str()),
        ("ok", "ok")
    );
    let bad = place.run_with_key("doctor -o json --callback-url http://127.0.0.1:9/", "Another1Key");
    for check in ["event key", "event address", "callback url"] {
        assert_eq!(finding(&bad, check).0, "warn", "{check}: {}", bad.out);
    }
    assert_eq!(bad.code, 0);
}

#[test]
fn nobody_there_is_found_out_in_seconds() {
    let place = Place::new(Scenario::new());
    let started = tokio::time::Instant::now();
    let said = place.run("doctor -o json --endpoint http://127.0.0.1:1");
    assert_eq!((said.code, finding(&said, "service").0.as_str()), (9, "fail"), "{}", said.out);
    assert!(said.out.contains("cannot connect to 127.0.0.1:1"), "{}", said.out);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn settings_go_there_and_back_at_the_documented_pace_however_they_are_signed() {
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
