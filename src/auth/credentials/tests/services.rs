//! What is asked over the network: the token service, the instance, a credentials service.

use super::setup::{Answer, ROLE, Sent, Setup, URI, assumed, healthy, session};
use crate::auth::credentials::CredentialProvider as _;
use crate::error::ErrorKind;

fn oidc() -> Setup {
    Setup::new()
        .with(&[
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/x"),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
            ("ALIBABA_CLOUD_ROLE_ARN", ROLE),
        ])
        .with_file("/token", "MARK.a.b\n")
}

#[tokio::test(start_paused = true)]
async fn an_oidc_token_goes_in_the_body_trimmed_unsigned_and_read_anew() {
    let setup = oidc();
    let credentials = setup.credentials();
    let first = credentials.credential().await.unwrap().unwrap();
    assert_eq!(first.source, format!("OIDC role {ROLE} with the token in /token"));
    setup.put("/token", "MARK.second");
    credentials.refused(&first);
    credentials.credential().await.unwrap();
    let sent = setup.sent();
    assert!(sent[0].has("OIDCToken=MARK.a.b&") && sent[1].has("OIDCToken=MARK.second&"));
    assert!(sent[0].method == "POST" && !sent[0].url.contains("MARK"), "{}", sent[0].url);
    assert!(sent[0].url.contains("Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp="));
    for absent in ["Signature", "AccessKeyId"] {
        assert!(!sent[0].has(absent) && !sent[0].url.contains(absent));
    }
}

#[tokio::test(start_paused = true)]
async fn an_oidc_token_file_that_is_missing_or_empty_is_named() {
    for (setup, why) in [
        (oidc().with(&[("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/gone")]), "/gone does not exist"),
        (oidc().with_file("/token", " \n"), "/token is empty"),
    ] {
        let error = setup.failure().await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(why), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_may_not_be_assumed_is_refused_and_a_stale_token_too() {
    for code in ["NoPermission", "EntityNotExist.Role", "AuthenticationFail.OIDCToken.Expired"] {
        let body = format!(r#"{{"Code":"{code}","Message":"token MARK.a.b is bad","RequestId":"R-1"}}"#);
        let error = oidc().answering(move |_| Some((403, body.clone()))).failure().await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)));
        assert_eq!(error.action(), Some("AssumeRoleWithOIDC"));
        assert!(error.message().contains(ROLE) && error.message().contains("/token"), "{error}");
        assert_eq!(error.request_id().unwrap().as_str(), "R-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_service_out_of_reach_is_unavailable_after_a_few_tries() {
    let setup = oidc().answering(|_| None);
    let start = tokio::time::Instant::now();
    let error = setup.failure().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("cannot connect to sts.aliyuncs.com"), "{error}");
    assert!(setup.sent().len() > 1 && start.elapsed().as_secs() <= 3, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_instance_is_asked_for_a_token_then_its_role_then_the_key() {
    let setup = Setup::new();
    assert_eq!(setup.find().await.unwrap().source, "instance role \"worker\"");
    let sent = setup.sent();
    let lines: Vec<String> = sent.iter().map(|sent| format!("{} {}", sent.method, sent.url)).collect();
    let path = "http://100.100.100.200/latest/meta-data/ram/security-credentials/";
    assert_eq!(
        lines,
        [
            "PUT http://100.100.100.200/latest/api/token".to_owned(),
            format!("GET {path}"),
            format!("GET {path}worker")
        ]
    );
    assert!(sent[0].headers.contains_key("x-aliyun-ecs-metadata-token-ttl-seconds"));
    assert!(sent[1..].iter().all(|sent| sent.headers["x-aliyun-ecs-metadata-token"] == "IMDS"));
    let named = Setup::new().with(&[("ALIBABA_CLOUD_ECS_METADATA", "boss")]);
    named.find().await.unwrap();
    assert!(named.sent()[1].url.ends_with("/boss"));
}

fn has_token(sent: &Sent) -> bool {
    sent.headers.contains_key("x-aliyun-ecs-metadata-token")
}

#[tokio::test(start_paused = true)]
async fn version_1_of_the_metadata_service_is_the_way_back_unless_it_is_switched_off() {
    let no_token =
        |sent: &Sent| if sent.method == "PUT" { Some((404, String::new())) } else { healthy(sent) };
    let bad_token = |sent: &Sent| if has_token(sent) { Some((401, String::new())) } else { healthy(sent) };
    let off = &[("ALIBABA_CLOUD_IMDSV1_DISABLED", "true")];
    let ways: [Answer; 2] = [no_token, bad_token];
    for respond in ways {
        let setup = Setup::new().answering(respond);
        assert_eq!(setup.key().await, "STS.ecs");
        let setup = setup.answering(respond).with(off);
        setup.failure().await;
        assert!(setup.sent().iter().all(|sent| sent.method == "PUT" || has_token(sent)));
    }
}

#[tokio::test(start_paused = true)]
async fn no_instance_and_no_role_are_no_error_unless_they_were_asked_for() {
    let none = |_: &Sent| None;
    let no_role = |sent: &Sent| {
        if sent.method == "PUT" { healthy(sent) } else { Some((404, String::new())) }
    };
    // Another network's router may answer at this address.
    let stranger = |_: &Sent| Some((200, "<html>".to_owned()));
    let ways: [Answer; 3] = [none, no_role, stranger];
    for respond in ways {
        let error = Setup::new().answering(respond).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("no credentials found"), "{error}");
    }
    let meant = Setup::new().answering(none).with(&[("ALIBABA_CLOUD_ECS_METADATA", "boss")]).failure().await;
    assert_eq!(meant.kind(), ErrorKind::Unavailable);
    let wrong =
        Setup::new().answering(no_role).with(&[("ALIBABA_CLOUD_ECS_METADATA", "boss")]).failure().await;
    assert!(wrong.kind() == ErrorKind::Config && wrong.message().contains("no such role"), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_gave_a_role_once_is_out_of_order_and_not_gone() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let down = Arc::new(AtomicBool::new(false));
    let switch = down.clone();
    let setup =
        Setup::new().answering(move |sent| if switch.load(Ordering::Relaxed) { None } else { healthy(sent) });
    let credentials = setup.credentials();
    let found = credentials.credential().await.unwrap().unwrap();
    down.store(true, Ordering::Relaxed);
    credentials.refused(&found);
    assert_eq!(credentials.credential().await.unwrap_err().kind(), ErrorKind::Unavailable);
    down.store(false, Ordering::Relaxed);
    assert_eq!(credentials.credential().await.unwrap().unwrap().key_id, "STS.ecs");
}

#[tokio::test(start_paused = true)]
async fn a_credentials_service_is_named_without_what_its_url_hides() {
    let answers: &[(u16, &str, ErrorKind, &str)] = &[
        (500, "MARK", ErrorKind::Unavailable, "HTTP 500"),
        (403, "MARK", ErrorKind::Refused, "HTTP 403"),
        (200, "MARK", ErrorKind::Config, "no usable AccessKeyId"),
        (200, r#"{"Code":"MARK"}"#, ErrorKind::Refused, "Code that is not Success"),
        (200, r#"{"AccessKeyId":"MARK"}"#, ErrorKind::Config, "no usable AccessKeySecret"),
    ];
    for (status, body, kind, why) in answers {
        let (status, body) = (*status, (*body).to_owned());
        let setup = Setup::new().with(&[URI]).answering(move |_| Some((status, body.clone())));
        let error = setup.failure().await;
        assert_eq!(error.kind(), *kind);
        let place = "credentials service http://127.0.0.1:6666 (ALIBABA_CLOUD_CREDENTIALS_URI)";
        assert!(error.message().contains(place) && error.message().contains(why), "{error}");
    }
    let down = Setup::new().with(&[URI]).answering(|_| None).failure().await;
    assert_eq!(down.kind(), ErrorKind::Unavailable);
    let hidden = [("ALIBABA_CLOUD_CREDENTIALS_URI", "https://user:MARK@cred.test/MARK")];
    let found = Setup::new().with(&hidden).find().await.unwrap();
    assert_eq!(found.source, "the credentials service https://<secret>@cred.test");
}

#[tokio::test(start_paused = true)]
async fn a_code_is_not_needed_where_the_key_is_whole() {
    let body = session("STS.plain").replace(r#""Code":"Success","#, "");
    let setup = Setup::new().with(&[URI]).answering(move |_| Some((200, body.clone())));
    assert_eq!(setup.key().await, "STS.plain");
}

#[tokio::test(start_paused = true)]
async fn a_hiccup_of_the_token_service_is_waited_out() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let asked = AtomicU32::new(0);
    let setup = oidc().answering(move |_| {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        Some(if first { (503, String::new()) } else { (200, assumed("STS.late")) })
    });
    assert_eq!(setup.key().await, "STS.late");
}
