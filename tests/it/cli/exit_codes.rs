//! The number that a script branches on: every one that the contract names. Partial, timeout and the signals are also
//! met elsewhere.

use vod_refresh::emulator::{Fault, FaultRule, MediaScript};

use super::cloud::{Cloud, SUBMIT};
use super::scenarios::quick;
use super::shell::Shell;
use crate::support::scripts::open_media;

const REFRESH: &str = "refresh m1 m2 --poll-interval 100ms --output json";

fn outcome_of(cloud: &Cloud, line: &str, code: i32) -> String {
    let report = cloud.shell(line).run().exits(code).report();
    report["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn complete_is_0_and_so_is_submitted_without_a_wait() {
    let cloud = Cloud::new(quick());
    assert_eq!(outcome_of(&cloud, REFRESH, 0), "complete");
    assert_eq!(outcome_of(&cloud, "preload m1 --poll-interval 100ms -o json", 0), "complete");
    assert_eq!(outcome_of(&cloud, "refresh m1 --no-wait --output json", 0), "submitted");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_1() {
    let cloud = Cloud::new(quick());
    // Linux has a device that is always full.
    let run = cloud.shell(REFRESH).stdout_to("/dev/full").run();
    run.exits(1).says("cannot write to stdout");
}

#[test]
fn wrong_usage_is_2_and_makes_no_call() {
    let cloud = Cloud::new(quick());
    for line in [
        "refresh",
        "refresh m1 --timeout 30",
        "refresh m1 --tiemout 30s",
        "refresh m1,m2",
        "refresh m1 --lookup-after never",
        "wait",
        "nonsense",
        "",
    ] {
        let run = cloud.shell(line).run().exits(2);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{line}: {run:?}");
    }
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn missing_credentials_and_files_that_cannot_be_used_are_3() {
    let no_key = Shell::new("refresh m1").run().exits(3);
    no_key.says("ALIBABA_CLOUD_ACCESS_KEY_ID");
    for line in [
        "refresh m1 --endpoint http://vod.example.test",
        "refresh m1 --ca-file none.pem",
        "refresh m1 --callback-listen 127.0.0.1:0 --callback-auth-key-file none.txt",
        "refresh m1 --report no/such/folder.json",
        "emulator --scenario none.json",
    ] {
        Shell::new(line).with_keys().run().exits(3).does_not_say("listening on http");
    }
}

#[test]
fn a_refusal_is_4() {
    let cloud = Cloud::new(quick().with(|s| s.deny.push(SUBMIT.into())));
    assert_eq!(outcome_of(&cloud, REFRESH, 4), "refused");
    let wrong = cloud.shell("refresh m1").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "another").run();
    wrong.exits(4).says("SignatureDoesNotMatch").says("hint: check that `ALIBABA_CLOUD_ACCESS_KEY_SECRET`");
}

#[test]
fn a_quota_that_is_used_up_is_5_after_one_request() {
    let fault = Fault::error(400, "QuotaExceeded.Refresh");
    let cloud = Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, fault)));
    assert_eq!(outcome_of(&cloud, REFRESH, 5), "quota");
    assert_eq!(cloud.count(SUBMIT), 1);
}

#[test]
fn everything_failed_is_6_and_some_of_it_7() {
    let cloud = Cloud::new(quick().with_media("m1", MediaScript::missing()));
    assert_eq!(outcome_of(&cloud, REFRESH, 7), "partial");
    assert_eq!(outcome_of(&cloud, "refresh m1 --output json", 6), "failed");
    assert_eq!(outcome_of(&cloud, "refresh m1 m2 --no-wait --output json", 7), "partial");
}

#[test]
fn a_timeout_is_8_or_the_number_that_was_asked_for() {
    let stuck = open_media();
    let cloud = Cloud::new(quick().with(|s| s.default_media = stuck));
    let line = format!("{REFRESH} --timeout 700ms");
    assert_eq!(outcome_of(&cloud, &line, 8), "timeout");
    assert_eq!(outcome_of(&cloud, &format!("{line} --timeout-exit-code 0"), 0), "timeout");
}

#[test]
fn a_service_that_gives_no_sense_is_9() {
    let cloud = Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, Fault::Garbage)));
    assert_eq!(outcome_of(&cloud, &format!("{REFRESH} --no-resubmit"), 9), "unavailable");
}

#[test]
fn a_callback_signature_is_produced_and_checked_from_the_shell() {
    let sign = "callback sign --callback-url https://www.example.com/your/callback --timestamp 1519375990";
    let run = Shell::new(sign).env("VOD_REFRESH_CALLBACK_AUTH_KEY", "test123").run().exits(0);
    assert!(run.stdout.contains("X-VOD-SIGNATURE: c72b60894140fa98920f1279219b7ed4"), "{}", run.stdout);
    let verify = "callback verify --callback-url https://www.example.com/your/callback \
                  --timestamp 1519375990 --signature c72b60894140fa98920f1279219b7ed4";
    let verify = |key| Shell::new(verify).env("VOD_REFRESH_CALLBACK_AUTH_KEY", key).run();
    verify("test123").exits(0).says("whoever receives it now refuses it");
    verify("test124").exits(4).says("the signature fits neither the URL nor the key");
}
