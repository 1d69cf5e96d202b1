//! Every mode of a profile and every type of a section: what comes of it, and what was asked for it.

use std::io;

use super::setup::{CONFIG, INI, LogCapture, MARK, ROLE, Setup, config};
use crate::auth::credentials::ProcessOutput;
use crate::error::ErrorKind;
use crate::net::transport::BoxFuture;

const KEYS: &str = r#""access_key_id":"AK","access_key_secret":"MARK-s""#;

fn prints(text: &'static str) -> impl Fn(Vec<String>) -> BoxFuture<'static, io::Result<ProcessOutput>> {
    move |words| {
        assert_eq!(words, ["cred", "vod refresh"]);
        Box::pin(async { Ok(ProcessOutput { success: true, stdout: text.into(), ..Default::default() }) })
    }
}

#[tokio::test(start_paused = true)]
async fn every_mode_of_a_profile_gives_its_credential() {
    let session = r#""sts_token":"MARK-t","sts_expiration":1795573150"#;
    let role = format!(r#""ram_role_arn":"{ROLE}","ram_session_name":"me","expired_seconds":1800"#);
    // Profile, key id, whether it has a token, whether its end is known, whether it renews itself.
    let table = [
        (format!(r#""mode":"AK",{KEYS}"#), "AK", false, false, false),
        (format!(r#""mode":"StsToken",{KEYS},"sts_token":"MARK-t""#), "AK", true, false, false),
        (format!(r#""mode":"RamRoleArn",{KEYS},{role}"#), "STS.role", true, true, true),
        (r#""mode":"EcsRamRole","ram_role_name":"worker""#.to_owned(), "STS.ecs", true, true, true),
        (r#""mode":"EcsRamRole""#.to_owned(), "STS.ecs", true, true, true),
        (
            format!(r#""mode":"RamRoleArnWithRoleName","ram_role_name":"worker",{role}"#),
            "STS.role",
            true,
            true,
            true,
        ),
        (format!(r#""mode":"RamRoleArnWithEcs",{role}"#), "STS.role", true, true, true),
        (
            format!(r#""mode":"OIDC","oidc_provider_arn":"acs:ram::1:x","oidc_token_file":"/token",{role}"#),
            "STS.oidc",
            true,
            true,
            true,
        ),
        (
            r#""mode":"External","process_command":"cred 'vod refresh'""#.to_owned(),
            "STS.p",
            true,
            false,
            true,
        ),
        (
            r#""mode":"CredentialsURI","credentials_uri":"http://127.0.0.1:1/MARK""#.to_owned(),
            "STS.uri",
            true,
            true,
            true,
        ),
        (format!(r#""mode":"CloudSSO",{KEYS},{session}"#), "AK", true, true, false),
        (format!(r#""mode":"OAuth",{KEYS},{session}"#), "AK", true, true, false),
    ];
    // Nothing of it is logged, at the highest level.
    let logs = LogCapture::down_to(tracing::Level::TRACE);
    let _guard = tracing::subscriber::set_default(logs.clone());
    for (profile, key, token, end, renewable) in table {
        let setup = Setup::new()
            .with_file(CONFIG, config(&profile))
            .with_file("/token", "MARK-jwt\n")
            .with_process(prints(
                r#"{"mode":"StsToken","access_key_id":"STS.p","access_key_secret":"MARK","sts_token":"MARK"}"#,
            ));
        let found = setup.find().await.unwrap_or_else(|error| panic!("{profile}: {error}"));
        let facts = (found.key_id.as_str(), found.token.is_some(), found.expires.is_some(), found.renewable);
        assert_eq!(facts, (key, token, end, renewable), "{profile}");
        assert_eq!(found.source, "profile \"p\" of /home/u/.aliyun/config.json");
        assert!(!format!("{found:?}").contains(MARK), "{found:?}");
    }
    let logged = logs.texts().join("\n");
    assert!(logged.contains("config.json") && !logged.contains(MARK), "{logged}");
}

#[tokio::test(start_paused = true)]
async fn a_role_is_asked_for_as_the_profile_says() {
    let profile = format!(
        r#""mode":"RamRoleArn",{KEYS},"sts_token":"MARK-t","ram_role_arn":"{ROLE}","ram_session_name":"me",
           "expired_seconds":1800,"external_id":"partner-7","policy":"{{\"a b\":1}}","sts_region":"cn-shanghai""#
    );
    let setup = Setup::new().with_file(CONFIG, config(&profile));
    setup.find().await.unwrap();
    let sent = &setup.sent()[0];
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://sts.cn-shanghai.aliyuncs.com/"));
    for pair in [
        "Action=AssumeRole&",
        "Version=2015-04-01",
        "AccessKeyId=AK",
        "SecurityToken=MARK-t",
        "RoleArn=acs%3Aram%3A%3A1234567890123456%3Arole%2Freader",
        "RoleSessionName=me",
        "DurationSeconds=1800",
        "ExternalId=partner-7",
        "Policy=%7B%22a%20b%22%3A1%7D",
        "Signature=",
    ] {
        assert!(sent.has(pair), "{} lacks {pair}", sent.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_needs_no_more_than_its_arn() {
    for (variables, url, session) in [
        (&[("ALIBABA_CLOUD_ROLE_ARN", ROLE)][..], "https://sts.aliyuncs.com/", "vod-refresh"),
        (
            &[
                ("ALIBABA_CLOUD_ROLE_ARN", ROLE),
                ("ALIBABA_CLOUD_ROLE_SESSION_NAME", "ci"),
                ("ALIBABA_CLOUD_STS_REGION", "cn-beijing"),
                ("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "true"),
            ],
            "https://sts-vpc.cn-beijing.aliyuncs.com/",
            "ci",
        ),
        (
            &[("ALIBABA_CLOUD_ROLE_ARN", ROLE), ("ALIBABA_CLOUD_STS_ENDPOINT", "sts.example.com/")],
            "https://sts.example.com/",
            "vod-refresh",
        ),
    ] {
        let profile = config(&format!(r#""mode":"RamRoleArn",{KEYS}"#));
        let setup = Setup::new().with(variables).with_file(CONFIG, profile);
        setup.find().await.unwrap();
        let sent = &setup.sent()[0];
        assert_eq!(sent.url, url);
        assert!(sent.has(&format!("RoleSessionName={session}")) && sent.has("DurationSeconds=3600"));
        assert!(!sent.has("Policy=") && !sent.has("ExternalId="));
    }
}

#[tokio::test(start_paused = true)]
async fn roles_are_chained_through_profiles_of_any_mode() {
    let chain = format!(
        r#"{{"current":"top","profiles":[
            {{"name":"top","mode":"ChainableRamRoleArn","source_profile":"middle","ram_role_arn":"{ROLE}"}},
            {{"name":"middle","mode":"ChainableRamRoleArn","source_profile":"base","ram_role_arn":"{ROLE}"}},
            {{"name":"base","mode":"AK",{KEYS}}}]}}"#
    );
    let setup = Setup::new().with_file(CONFIG, chain);
    assert_eq!(setup.find().await.unwrap().source, "profile \"top\" of /home/u/.aliyun/config.json");
    let sent = setup.sent();
    assert!(sent[0].has("AccessKeyId=AK") && !sent[0].has("SecurityToken"));
    assert!(sent[1].has("AccessKeyId=STS.role") && sent[1].has("SecurityToken=MARK-t"));
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_profiles_is_found() {
    for (config, way) in [
        (
            r#"{"current":"a","profiles":[
               {"name":"a","mode":"ChainableRamRoleArn","source_profile":"b","ram_role_arn":"r"},
               {"name":"b","mode":"ChainableRamRoleArn","source_profile":"a","ram_role_arn":"r"}]}"#,
            "a → b → a",
        ),
        (
            r#"{"current":"a","profiles":[
               {"name":"a","mode":"ChainableRamRoleArn","source_profile":"a","ram_role_arn":"r"}]}"#,
            "a → a",
        ),
    ] {
        let error = Setup::new().with_file(CONFIG, config).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(way) && error.message().contains("source_profile"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_type_of_a_section_gives_its_credential() {
    let keys = "access_key_id = AK\naccess_key_secret = MARK\n";
    for (section, key, token) in [
        (format!("type = access_key\n{keys}"), "AK", false),
        (format!("enable = true\ntype = sts\n{keys}security_token = MARK\n"), "AK", true),
        (format!("type = ram_role_arn\n{keys}role_arn = {ROLE}\n"), "STS.role", true),
        ("type = ecs_ram_role\n".to_owned(), "STS.ecs", true),
        (
            format!(
                "type=oidc_role_arn\noidc_provider_arn=x\noidc_token_file_path=/token\nrole_arn={ROLE}\n"
            ),
            "STS.oidc",
            true,
        ),
    ] {
        let setup =
            Setup::new().with_file(INI, format!("[default]\n{section}")).with_file("/token", "MARK-jwt");
        let found = setup.find().await.unwrap();
        assert_eq!((found.key_id.as_str(), found.token.is_some()), (key, token), "{section}");
        assert_eq!(found.source, "section \"default\" of /home/u/.alibabacloud/credentials.ini");
    }
}

#[tokio::test(start_paused = true)]
async fn a_section_that_is_switched_off_is_passed_over_unless_it_was_named() {
    let off = "[default]\nenable = False\ntype = access_key\naccess_key_id = AK\naccess_key_secret = MARK\n";
    let setup = Setup::new().with_file(INI, off);
    assert_eq!(setup.key().await, "STS.ecs");
    assert!(setup.with_profile("default").failure().await.message().contains("switched off"));
}

#[tokio::test(start_paused = true)]
async fn a_stored_session_serves_until_its_end_and_then_names_the_command() {
    for mode in ["CloudSSO", "OAuth"] {
        let profile = |end: i64| {
            config(&format!(r#""mode":"{mode}",{KEYS},"sts_token":"MARK","sts_expiration":{end}"#))
        };
        let now = 1_795_569_550; // 2026-11-25T01:19:10Z
        assert_eq!(Setup::new().with_file(CONFIG, profile(now + 1)).key().await, "AK");
        for end in [now, 0] {
            let error = Setup::new().with_file(CONFIG, profile(end)).failure().await;
            let command = format!("`aliyun configure --profile p --mode {mode}`");
            assert!(error.message().contains(&command), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_fails_or_prints_rubbish_is_named_and_not_quoted() {
    let profile = config(r#""mode":"External","process_command":"cred 'vod refresh' ""#);
    let fails = |_| -> BoxFuture<'static, io::Result<ProcessOutput>> {
        Box::pin(async {
            Ok(ProcessOutput { success: false, stdout: b"MARK".to_vec(), ..Default::default() })
        })
    };
    let missing = |_| -> BoxFuture<'static, io::Result<ProcessOutput>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    };
    for (setup, why) in [
        (Setup::new().with_process(fails), "the process failed"),
        (Setup::new().with_process(missing), "can't be run: entity not found"),
        (Setup::new().with_process(prints("MARK")), "no JSON object"),
        (Setup::new().with(&[("ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS", "1")]), "not run"),
    ] {
        let error = setup.with_file(CONFIG, profile.clone()).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config);
        let place = "process_command of profile \"p\" of /home/u/.aliyun/config.json";
        assert!(error.message().contains(place) && error.message().contains(why), "{error}");
    }
}

/// The other modes that fields tell.
#[tokio::test(start_paused = true)]
async fn h27_a_profile_without_a_mode_has_the_one_that_its_fields_are_for() {
    for (fields, key, has_token) in [
        (KEYS.to_owned(), "AK", false),
        (format!(r#"{KEYS},"sts_token":"MARK-t""#), "AK", true),
        (format!(r#"{KEYS},"ram_role_arn":"{ROLE}""#), "STS.role", true),
        (r#""ram_role_name":"worker""#.to_owned(), "STS.ecs", true),
    ] {
        for mode in [r#""mode":"","#, ""] {
            let setup = Setup::new().with_file(CONFIG, config(&format!("{mode}{fields}")));
            let found = setup.find().await.unwrap_or_else(|error| panic!("{mode}{fields}: {error}"));
            assert_eq!((found.key_id.as_str(), found.token.is_some()), (key, has_token), "{mode}{fields}");
        }
    }
    let half = r#""mode":"","access_key_id":"AK""#;
    let error = Setup::new().with_file(CONFIG, config(half)).failure().await;
    assert!(error.message().ends_with("config.json: field mode is missing"), "{error}");
}
#[tokio::test(start_paused = true)]
async fn h26_a_process_may_take_a_minute_and_no_longer() {
    for (seconds, is_waited_for) in [(12, true), (60, true), (61, false)] {
        let setup = Setup::new()
            .with_file(CONFIG, config(r#""mode":"External","process_command":"cred""#))
            .with_process(move |_| {
                Box::pin(async move {
                    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
                    let stdout = r#"{"mode":"AK","access_key_id":"slow","access_key_secret":"MARK"}"#.into();
                    Ok(ProcessOutput { success: true, stdout, ..Default::default() })
                })
            });
        match is_waited_for {
            true => assert_eq!(setup.key().await, "slow"),
            false => {
                let error = setup.failure().await;
                assert!(error.message().ends_with("did not end within 60 s and was killed"), "{error}");
            }
        }
    }
}
#[tokio::test(start_paused = true)]
async fn h26_a_process_that_fails_is_told_with_its_status_and_its_words() {
    let setup = Setup::new()
        .with_file(CONFIG, config(r#""mode":"External","process_command":"cred""#))
        .with_process(|_| {
            let (status, stderr) = ("exit status: 3".to_owned(), "token: MARK\nrealm x is unknown\n".into());
            Box::pin(async { Ok(ProcessOutput { status, stderr, ..Default::default() }) })
        });
    let error = setup.failure().await;
    let text = "the process failed (exit status: 3); it says: token: <secret> | realm x is unknown";
    assert!(error.message().ends_with(text), "{error}");
}
