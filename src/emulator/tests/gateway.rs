use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;

use super::env::{TestEnv, answer, get, json, signed};
use crate::emulator::{Reply, Scenario};

type Pairs<'a> = &'a [(&'a str, &'a str)];

const JOB: (&str, &str) = ("MediaRefreshJobId", "J");

pub(super) fn code(reply: Reply) -> String {
    let (status, body) = json(reply);
    format!("{status} {}", body["Code"].as_str().unwrap_or("ok"))
}

#[tokio::test(start_paused = true)]
async fn each_slip_is_refused_by_its_own_code() {
    let table: &[(&str, Pairs<'_>, &str)] = &[
        ("GetMediaRefreshJobs", &[JOB], "200 ok"),
        ("GetMediaRefreshJobs", &[], "400 MissingParameter"),
        ("GetMediaRefreshJobs", &[("Action", "-"), JOB], "400 MissingParameter"),
        ("GetMediaRefreshJobs", &[("Version", "-"), JOB], "400 MissingParameter"),
        ("GetMediaRefreshJobs", &[("AccessKeyId", "-"), JOB], "400 MissingParameter"),
        ("GetMediaRefreshJobs", &[("SignatureNonce", "-"), JOB], "400 MissingParameter"),
        ("GetMediaRefreshJobs", &[("SignatureMethod", "HMAC-SHA256"), JOB], "400 InvalidParameter"),
        ("GetMediaRefreshJobs", &[("SignatureVersion", "2.0"), JOB], "400 InvalidParameter"),
        ("GetMediaRefreshJobs", &[("AccessKeyId", "nobody"), JOB], "404 InvalidAccessKeyId.NotFound"),
        ("GetMediaRefreshJobs", &[("Timestamp", "2025-06-15 15:06:40"), JOB], "400 InvalidTimeStamp.Format"),
        (
            "GetMediaRefreshJobs",
            &[("Timestamp", "2025-06-15T14:51:39Z"), JOB],
            "400 InvalidTimeStamp.Expired",
        ),
        ("GetMediaRefreshJobs", &[("Timestamp", "2025-06-15T14:51:40Z"), JOB], "200 ok"),
        (
            "GetMediaRefreshJobs",
            &[("Timestamp", "2025-06-15T15:21:41Z"), JOB],
            "400 InvalidTimeStamp.Expired",
        ),
        ("GetMediaRefreshJobs", &[("Version", "2014-05-26"), JOB], "400 InvalidVersion"),
        ("GetVideoInfo", &[], "404 InvalidAction.NotFound"),
        (
            "GetMediaRefreshJobs",
            &[("SecurityToken", "t"), JOB],
            "400 InvalidSecurityToken.MismatchWithAccessKey",
        ),
        ("GetMediaRefreshJobs", &[("SignatureType", ""), JOB], "200 ok"),
    ];
    let env = TestEnv::new(Scenario::new());
    for (action, given, expected) in table {
        assert_eq!(code(env.reply(action, given).await), *expected, "{action} {given:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_gets_the_servers_string_to_sign() {
    let env = TestEnv::new(Scenario::new());
    let params = env.params("GetMediaRefreshJobs", &[JOB]);
    let (status, body) = json(env.emulator.handle(get(&params, "wrong")).await);
    assert_eq!((status, body["Code"].as_str().unwrap()), (400, "SignatureDoesNotMatch"));
    let text = body["Message"].as_str().unwrap();
    let expected = "Specified signature is not matched with our calculation. \
                    server string to sign is:GET&%2F&AccessKeyId%3Dtestid%26Action%3DGetMediaRefreshJobs";
    assert!(text.starts_with(expected), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_is_none_is_incomplete() {
    let env = TestEnv::new(Scenario::new());
    let query = crate::auth::rpc::canonical_query(&env.params("GetMediaRefreshJobs", &[JOB]));
    for (signature, expected) in [
        ("", "400 MissingParameter"),
        ("&Signature=abc", "400 IncompleteSignature"),
        ("&Signature=YWJj", "400 IncompleteSignature"),
    ] {
        let request = Request::get(format!("/?{query}{signature}")).body(Bytes::new()).unwrap();
        let reply = env.emulator.handle(request).await;
        let text = String::from_utf8(answer(reply).body().to_vec()).unwrap();
        assert!(text.contains(expected.split_once(' ').unwrap().1), "{signature}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nonce_is_good_for_one_request_and_only_a_signed_one_uses_it() {
    let env = TestEnv::new(Scenario::new());
    let params = env.params("GetMediaRefreshJobs", &[JOB]);
    assert_eq!(code(env.emulator.handle(get(&params, "wrong")).await), "400 SignatureDoesNotMatch");
    assert_eq!(code(env.emulator.handle(get(&params, "testsecret")).await), "200 ok");
    assert_eq!(code(env.emulator.handle(get(&params, "testsecret")).await), "400 SignatureNonceUsed");
    tokio::time::sleep(Duration::from_secs(901)).await;
    let again = env.params("GetMediaRefreshJobs", &[JOB, ("SignatureNonce", "0")]);
    assert_eq!(code(env.emulator.handle(get(&again, "testsecret")).await), "200 ok");
}

#[tokio::test(start_paused = true)]
async fn a_key_with_a_token_needs_that_token() {
    let env = TestEnv::new(Scenario::new().with(|s| s.tokens.insert("testid".into(), "T/1+=".into())));
    let table = [
        (None, "400 MissingSecurityToken"),
        (Some("other"), "400 InvalidSecurityToken.Malformed"),
        (Some("T/1+="), "200 ok"),
    ];
    for (token, expected) in table {
        let given = [JOB, ("SecurityToken", token.unwrap_or("-"))];
        assert_eq!(code(env.reply("GetMediaRefreshJobs", &given).await), expected);
    }
    env.emulator.set_token("testid", "T2");
    let old = env.reply("GetMediaRefreshJobs", &[JOB, ("SecurityToken", "T/1+=")]).await;
    assert_eq!(code(old), "400 InvalidSecurityToken.Expired");
    assert_eq!(code(env.reply("GetMediaRefreshJobs", &[JOB, ("SecurityToken", "T2")]).await), "200 ok");
    let calls = format!("{:?}", env.emulator.calls());
    assert!(!calls.contains("T/1+="), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn parameters_come_by_query_or_by_form() {
    let env = TestEnv::new(Scenario::new());
    let given = [("MediaIds", "m1"), ("TaskType", "Refresh"), ("UserData", r#"{"Extend":"a~b *+/%中 文"}"#)];
    // Everything in the form, as the Node SDK; everything in the query of a POST, as the Python core.
    for in_form in [true, false] {
        let query = signed(&Method::POST, &env.params("RefreshMediaPlayUrls", &given), "testsecret");
        let (target, body) =
            if in_form { ("/".to_owned(), query) } else { (format!("/?{query}"), String::new()) };
        let request = Request::post(target)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .unwrap();
        assert_eq!(code(env.emulator.handle(request).await), "200 ok");
    }
    for call in env.emulator.calls() {
        assert_eq!(call.params["UserData"], r#"{"Extend":"a~b *+/%中 文"}"#);
        assert!(!call.params.contains_key("Signature"));
        assert_eq!(
            (call.method.as_str(), call.key_id.as_str(), call.outcome.as_str()),
            ("POST", "testid", "ok")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn methods_that_an_action_does_not_take_are_refused() {
    let env = TestEnv::new(Scenario::new());
    for (method, action) in [
        (Method::POST, "GetMediaRefreshJobs"),
        (Method::PUT, "GetMediaRefreshJobs"),
        (Method::DELETE, "DescribeVodRefreshTasks"),
    ] {
        let query = signed(&method, &env.params(action, &[JOB]), "testsecret");
        let request =
            Request::builder().method(&method).uri(format!("/?{query}")).body(Bytes::new()).unwrap();
        assert_eq!(code(env.emulator.handle(request).await), "403 UnsupportedHTTPMethod", "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_format_the_answer_is_xml() {
    let env = TestEnv::new(Scenario::new());
    let reply = env.reply("DescribeVodRefreshTasks", &[("Format", "-")]).await;
    let text = String::from_utf8(answer(reply).body().to_vec()).unwrap();
    assert!(text.contains("<DescribeVodRefreshTasksResponse>"), "{text}");
    let reply = env.reply("GetMediaRefreshJobs", &[("Format", "XML")]).await;
    let text = String::from_utf8(answer(reply).body().to_vec()).unwrap();
    assert!(text.contains("<Error>") && text.contains("<Code>MissingParameter</Code>"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_the_clouds_date_and_a_request_id() {
    let env = TestEnv::new(Scenario::new().with(|s| s.clock_offset = 1200));
    let reply = env.reply("GetMediaRefreshJobs", &[JOB]).await;
    let refused = answer(reply);
    assert_eq!(refused.headers()["date"], "Sun, 15 Jun 2025 15:26:40 GMT");
    let body: Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!(body["Code"], "InvalidTimeStamp.Expired");
    assert_eq!(refused.headers()["x-acs-request-id"], body["RequestId"].as_str().unwrap());
    for name in ["HostId", "Message", "Recommend"] {
        assert!(body[name].is_string(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_names_the_ram_action() {
    let env = TestEnv::new(Scenario::new().with(|s| s.deny.push("GetMediaRefreshJobs".into())));
    let (status, body) = env.call("GetMediaRefreshJobs", &[JOB]).await;
    assert_eq!((status, body["Code"].as_str().unwrap()), (403, "Forbidden.RAM"));
    assert_eq!(body["AccessDeniedDetail"]["AuthAction"], "vod:GetMediaRefreshJobs");
}

#[tokio::test(start_paused = true)]
async fn unsigned_requests_do_not_use_up_the_rate() {
    let env = TestEnv::new(Scenario::new().with(|s| s.rates.insert("GetMediaRefreshJobs".into(), 1.0)));
    for _ in 0..5 {
        let params = env.params("GetMediaRefreshJobs", &[JOB]);
        assert_eq!(code(env.emulator.handle(get(&params, "wrong")).await), "400 SignatureDoesNotMatch");
    }
    assert_eq!(code(env.reply("GetMediaRefreshJobs", &[JOB]).await), "200 ok");
    assert_eq!(code(env.reply("GetMediaRefreshJobs", &[JOB]).await), "400 Throttling.User");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(code(env.reply("GetMediaRefreshJobs", &[JOB]).await), "200 ok");
}
