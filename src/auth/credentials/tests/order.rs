//! Who is asked first, and what ends the search.

use super::setup::{CONFIG, INI, LogCapture, PLAIN_INI, ROLE, Setup, URI, config};
use crate::auth::credentials::{CredentialProvider as _, KEY_ID_VARIABLE, SECRET_VARIABLE};
use crate::error::ErrorKind;

const PAIR: &[(&str, &str)] = &[(KEY_ID_VARIABLE, "env"), (SECRET_VARIABLE, "MARK")];
const OIDC: &[(&str, &str)] = &[
    ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/x"),
    ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
    ("ALIBABA_CLOUD_ROLE_ARN", ROLE),
];

fn aliyun(name: &str) -> String {
    config(&format!(r#""mode":"AK","access_key_id":"{name}","access_key_secret":"MARK""#))
}

fn ini(name: &str) -> String {
    format!("[default]\ntype = access_key\naccess_key_id = {name}\naccess_key_secret = MARK\n")
}

#[tokio::test(start_paused = true)]
async fn the_first_source_that_is_there_wins() {
    let steps: [fn(Setup) -> Setup; 6] = [
        |setup| setup.with(PAIR),
        |setup| setup.with(OIDC).with_file("/token", "MARK"),
        |setup| setup.with_file(CONFIG, aliyun("cli")),
        |setup| setup.with_file(INI, ini("ini")),
        |setup| setup.with_file(PLAIN_INI, ini("plain")),
        |setup| setup.with(&[URI]),
    ];
    let expected = ["env", "STS.oidc", "cli", "ini", "plain", "STS.uri", "STS.ecs"];
    for (first, key) in expected.iter().enumerate() {
        let setup = steps[first.min(6)..].iter().fold(Setup::new(), |setup, step| step(setup));
        assert_eq!(setup.key().await, *key);
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_an_option_names_goes_before_everything_and_is_never_passed_over() {
    let all = Setup::new().with(PAIR).with(&[URI]).with_file(CONFIG, aliyun("cli"));
    assert_eq!(all.clone().with_profile("p").key().await, "cli");
    let both = all.clone().with(&[("ALIBABA_CLOUD_PROFILE", "q")]).with_profile("p");
    assert_eq!(both.key().await, "cli", "the option goes before the variable");
    let in_ini = all.clone().with_file(INI, ini("ini")).with_profile("default");
    assert_eq!(in_ini.key().await, "ini");
    let error = all.with_profile("q").failure().await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("no profile \"q\""), "{error}");
}
#[tokio::test(start_paused = true)]
async fn h25_a_profile_that_a_variable_names_comes_after_keys_in_the_environment_and_before_all_else() {
    let named =
        |name| Setup::new().with(&[URI, ("ALIBABA_CLOUD_PROFILE", name)]).with_file(CONFIG, aliyun("cli"));
    let logs = LogCapture::down_to(tracing::Level::DEBUG);
    let guard = tracing::subscriber::set_default(logs.clone());
    for left_over in ["p", "q"] {
        assert_eq!(named(left_over).with(PAIR).key().await, "env");
        let said =
            format!("environment goes before profile {left_over:?}, which ALIBABA_CLOUD_PROFILE names");
        assert!(logs.texts().iter().any(|text| text.contains(&said)), "{:?}", logs.texts());
    }
    drop(guard);
    assert_eq!(named("q").with(OIDC).with_file("/token", "MARK").key().await, "STS.oidc");
    assert_eq!(named("p").key().await, "cli");
    assert_eq!(named("").with(PAIR).key().await, "env");
    let error = named("q").failure().await;
    assert!(error.message().contains("no profile \"q\", which ALIBABA_CLOUD_PROFILE names"), "{error}");
}
#[tokio::test(start_paused = true)]
async fn h24_the_region_is_that_of_the_profile_that_signs() {
    let text =
        config(r#""mode":"AK","region_id":"cn-beijing","access_key_id":"cli","access_key_secret":"MARK""#);
    let setup = Setup::new().with_file(CONFIG, text);
    let region = |setup: &Setup| setup.credentials().region();
    assert_eq!(region(&setup).as_deref(), Some("cn-beijing"));
    assert_eq!(region(&setup.clone().with(PAIR).with_profile("p")).as_deref(), Some("cn-beijing"));
    for other in [setup.clone().with(PAIR), setup.clone().with(OIDC), setup.clone().with_profile("q")] {
        assert_eq!(region(&other), None, "another key signs, or none");
    }
    assert_eq!(region(&Setup::new().with_file(CONFIG, aliyun("cli"))), None);
    assert!(setup.sent().is_empty(), "nobody is asked");
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_stops_the_search() {
    let half = Setup::new().with(&[(KEY_ID_VARIABLE, "env")]).with_file(CONFIG, aliyun("cli"));
    assert!(half.failure().await.message().contains("ALIBABA_CLOUD_ACCESS_KEY_SECRET is not"));
    for missing in OIDC.iter().map(|(name, _)| *name) {
        let some: Vec<_> = OIDC.iter().filter(|(name, _)| *name != missing).copied().collect();
        let error = Setup::new().with(&some).with_file(CONFIG, aliyun("cli")).failure().await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(&format!("but {missing} is not")), "{error}");
    }
    let broken = Setup::new().with_file(CONFIG, "{").with(&[URI]);
    assert!(broken.failure().await.message().contains("it is not JSON"));
}

#[tokio::test(start_paused = true)]
async fn a_role_beside_a_key_pair_is_not_taken_on() {
    let setup = Setup::new().with(PAIR).with(&[("ALIBABA_CLOUD_ROLE_ARN", ROLE)]);
    assert_eq!(setup.key().await, "env");
    assert!(setup.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn sources_can_be_switched_off() {
    let off =
        [("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "True"), ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
    let setup = Setup::new().with(&off).with_file(CONFIG, aliyun("cli"));
    let error = setup.failure().await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(setup.sent().is_empty(), "nobody is asked");
}

#[tokio::test(start_paused = true)]
async fn finding_nothing_says_where_one_looked_and_what_was_there() {
    let error = Setup::new().answering(|_| None).failure().await;
    assert_eq!(error.kind(), ErrorKind::Config);
    for words in [
        "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        CONFIG,
        INI,
        PLAIN_INI,
        "ALIBABA_CLOUD_CREDENTIALS_URI is not set",
        "no metadata service: cannot connect to 100.100.100.200",
    ] {
        assert!(error.to_string().contains(words), "{error} lacks {words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_chain_explains_itself() {
    let explanation = Setup::new().with_file(CONFIG, aliyun("cli")).credentials().explain().await;
    let lines = explanation.steps;
    assert_eq!(
        lines,
        [
            "environment: none, ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set",
            "OIDC: none, ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE are not set",
            "config.json: key id cli from profile \"p\" of /home/u/.aliyun/config.json",
            "credentials file: not asked",
            "credentials URI: not asked",
            "instance role: not asked",
        ]
    );
    assert_eq!(explanation.outcome.unwrap().key_id, "cli");
    let broken = Setup::new().with(&[URI]).with_file(CONFIG, "[]").credentials().explain().await;
    let step = &broken.steps[2];
    assert!(step.contains(": broken, ") && step.contains("no object"), "{step}");
    assert!(broken.outcome.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_reads_the_sources_again() {
    let setup = Setup::new().with_file(CONFIG, aliyun("old"));
    let credentials = setup.credentials();
    let old = credentials.credential().await.unwrap().unwrap();
    setup.put(CONFIG, aliyun("new"));
    assert_eq!(credentials.credential().await.unwrap().unwrap().key_id, "old", "it names no end");
    credentials.refused(&old);
    assert_eq!(credentials.clone().credential().await.unwrap().unwrap().key_id, "new");
}
