//! Files that are broken in every way we could think of.

use super::setup::{CONFIG, INI, LogCapture, Setup, config};
use crate::error::ErrorKind;

#[tokio::test(start_paused = true)]
async fn a_broken_config_names_file_profile_and_field() {
    let table: &[(&str, &[&str])] = &[
        ("MARK", &["not JSON", "line 1"]),
        ("[]", &["no object"]),
        ("", &["it is empty"]),
        ("\u{feff}\r\n", &["it is empty"]),
        ("// MARK\n{}", &["not JSON", "line 1"]),
        (r#"{"profiles":{"MARK":1}}"#, &["profiles is no list"]),
        (r#"{"current":"gone","profiles":[]}"#, &["current", "\"gone\""]),
        (&config(r#""mode":"ak","access_key_id":"MARK""#), &["profile \"p\"", "mode"]),
        (&config(r#""mode":"MARK""#), &["profile \"p\"", "mode"]),
        (&config(r#""access_key_id":"MARK""#), &["profile \"p\"", "field mode is missing"]),
        (&config(r#""mode":7"#), &["field mode is no text"]),
        (&config(r#""mode":"AK","access_key_id":"a""#), &["field access_key_secret is missing"]),
        (&config(r#""mode":"AK","access_key_secret":"MARK""#), &["field access_key_id is missing"]),
        (
            &config(r#""mode":"AK","access_key_id":"a","access_key_secret":["MARK"]"#),
            &["field access_key_secret is no text"],
        ),
        (
            &config(r#""mode":"StsToken","access_key_id":"a","access_key_secret":"MARK""#),
            &["field sts_token is missing"],
        ),
        (
            &config(r#""mode":"RamRoleArn","access_key_id":"a","access_key_secret":"MARK""#),
            &["field ram_role_arn is missing"],
        ),
        (
            &config(
                r#""mode":"RamRoleArn","access_key_id":"a","access_key_secret":"MARK","ram_role_arn":"r","expired_seconds":899"#,
            ),
            &["field expired_seconds is less than 900"],
        ),
        (&config(r#""mode":"ChainableRamRoleArn""#), &["field source_profile is missing"]),
        (
            &config(r#""mode":"ChainableRamRoleArn","source_profile":"gone""#),
            &["source_profile", "\"gone\"", "does not exist"],
        ),
        (&config(r#""mode":"OIDC""#), &["field oidc_provider_arn is missing"]),
        (&config(r#""mode":"External""#), &["field process_command is missing"]),
        (&config(r#""mode":"External","process_command":"MARK 'x""#), &["a single quote is not closed"]),
        (&config(r#""mode":"CredentialsURI""#), &["field credentials_uri is missing"]),
        (&config(r#""mode":"CredentialsURI","credentials_uri":"MARK""#), &["is no URL"]),
        (
            &config(r#""mode":"CredentialsURI","credentials_uri":"http://10.0.0.1/MARK""#),
            &["credentials_uri of profile \"p\"", "plain HTTP"],
        ),
        (&config(r#""mode":"RsaKeyPair""#), &["mode RsaKeyPair is not supported"]),
    ];
    for (text, words) in table {
        let error = Setup::new().with_file(CONFIG, *text).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        for word in words.iter().chain([&CONFIG]) {
            assert!(error.message().contains(word), "{error} lacks {word:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_credentials_file_names_file_section_and_key() {
    for (text, words) in [
        ("MARK", &["line 1"][..]),
        ("[default]\ntype = MARK\n", &["\"default\"", "key type"]),
        ("[default]\naccess_key_id = MARK\n", &["key type is missing"]),
        ("[default]\ntype = access_key\naccess_key_id = MARK\n", &["key access_key_secret is missing"]),
        ("[default]\ntype = rsa_key_pair\n", &["not supported"]),
    ] {
        let error = Setup::new().with_file(INI, text).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        for word in words.iter().chain([&INI]) {
            assert!(error.message().contains(word), "{error} lacks {word:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_or_that_was_named_and_is_not_there_is_an_error() {
    for path in [CONFIG, INI] {
        let error = Setup::new().with_unreadable(path).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(path) && error.message().contains("can't be read"), "{error}");
    }
    for variable in ["ALIBABA_CLOUD_CONFIG_FILE", "ALIBABA_CLOUD_CREDENTIALS_FILE"] {
        let error = Setup::new().with(&[(variable, "/no/file")]).failure().await;
        assert!(error.message().contains("/no/file") && error.message().contains(variable), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_empty_profile_that_aliyun_begins_with_is_no_credential() {
    for profile in [r#""mode":"AK","access_key_id":"","access_key_secret":"""#, r#""mode":"""#] {
        let setup = Setup::new().with_file(CONFIG, config(profile));
        assert_eq!(setup.key().await, "STS.ecs");
        assert_eq!(setup.with_profile("p").failure().await.kind(), ErrorKind::Config);
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_order_mark_and_a_missing_current_are_fine() {
    let text =
        r#"{"profiles":[{"name":"default","mode":"AK","access_key_id":"AK","access_key_secret":"MARK"}]}"#;
    assert_eq!(Setup::new().with_file(CONFIG, format!("\u{feff}{text}")).key().await, "AK");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_others_can_read_is_warned_of_once() {
    for (mode, warnings) in [(0o100_600, 0), (0o100_640, 1), (0o100_644, 1)] {
        let logs = LogCapture::down_to(tracing::Level::WARN);
        let profile = config(r#""mode":"AK","access_key_id":"AK","access_key_secret":"MARK""#);
        let credentials = Setup::new().with_file(CONFIG, profile).with_mode(CONFIG, mode).credentials();
        let _guard = tracing::subscriber::set_default(logs.clone());
        for _ in 0..2 {
            credentials.explain().await.outcome.unwrap();
        }
        let logs = logs.texts();
        assert_eq!(logs.len(), warnings, "{logs:?}");
        assert!(logs.iter().all(|text| text.contains(CONFIG) && text.contains("chmod 600")), "{logs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn odd_files_that_can_be_read_are_read() {
    let profile = |more: &str| {
        format!(
            r#"{{"name":"default","mode":"AK","access_key_id":"first","access_key_secret":"MARK"{more}}}"#
        )
    };
    let one = profile("");
    let twice = format!(r#"{{"profiles":[{one},{}]}}"#, one.replace("first", "second"));
    let logs = LogCapture::down_to(tracing::Level::WARN);
    let _guard = tracing::subscriber::set_default(logs.clone());
    for text in [
        format!("\u{feff}{{\r\n\"profiles\":\r\n[{one}]}}\r\n"),
        format!(r#"{{"current":"","profiles":[7,null,{one}]}}"#),
        format!(
            r#"{{"current":null,"profiles":[{}]}}"#,
            profile(r#","expired_seconds":"3600","retry_count":"x""#)
        ),
    ] {
        assert_eq!(Setup::new().with_file(CONFIG, &*text).key().await, "first", "{text}");
    }
    assert!(logs.texts().is_empty());
    let credentials = Setup::new().with_file(CONFIG, twice).credentials();
    for _ in 0..2 {
        assert_eq!(credentials.explain().await.outcome.unwrap().key_id, "first");
    }
    let logged = logs.texts();
    assert!(logged.len() == 1 && logged[0].contains("has profile \"default\" twice"), "{logged:?}");
}

#[tokio::test(start_paused = true)]
async fn a_number_in_quotes_is_a_number() {
    for (seconds, is_good) in [("\"1800\"", true), ("\"899\"", false), ("\"soon\"", false), ("1.5", false)] {
        let fields = format!(
            r#""mode":"RamRoleArn","access_key_id":"a","access_key_secret":"MARK","ram_role_arn":"r","expired_seconds":{seconds}"#
        );
        let found = Setup::new().with_file(CONFIG, config(&fields)).find().await;
        assert_eq!(found.is_ok(), is_good, "{seconds}");
    }
}
