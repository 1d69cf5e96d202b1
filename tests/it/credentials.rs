//! Credentials that end in the middle of a run: renewed once, or refused with nothing lost.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vod_refresh::auth::credentials::{Environment, FileText};
use vod_refresh::emulator::{Emulator, Fault, FaultRule, Metadata, Scenario, Sts};
use vod_refresh::net::clock::TimerClock;
use vod_refresh::{
    Credential, CredentialOptions, CredentialProvider, DefaultCredentials, Outcome, StaticCredentials,
};

use crate::support::{TestEnv, states};

const EXPIRED: &str = "InvalidSecurityToken.Expired";
const ROLE: &str = "acs:ram::1234567890123456:role/vod-refresh";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The chain in a world that has the emulator for a network, and these variables and files.
fn chain(
    variables: &'static [(&'static str, &'static str)],
    file: impl Fn(&Path) -> Option<String> + Send + Sync + 'static,
) -> impl FnOnce(&Emulator, TimerClock) -> Arc<dyn CredentialProvider> {
    move |cloud, clock| {
        let mut world = Environment::empty().with_transport(Arc::new(cloud.transport()));
        world.home = Some("/home/u/".into());
        world.variables =
            Arc::new(|name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()));
        world.files = Arc::new(move |path: &Path| {
            let text = file(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(FileText { text, mode: Some(0o600) })
        });
        world.clock = Arc::new(clock);
        Arc::new(DefaultCredentials::in_environment(world, CredentialOptions::default()))
    }
}

fn role_profile(path: &Path) -> Option<String> {
    path.ends_with(".aliyun/config.json").then(|| {
        format!(
            r#"{{"current":"p","profiles":[{{"name":"p","mode":"RamRoleArn","access_key_id":"testid",
                "access_key_secret":"testsecret","ram_role_arn":"{ROLE}"}}]}}"#
        )
    })
}

fn oidc() -> impl FnOnce(&Emulator, TimerClock) -> Arc<dyn CredentialProvider> {
    let variables = &[
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/ci"),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
        ("ALIBABA_CLOUD_ROLE_ARN", ROLE),
    ];
    chain(variables, |path| (path == Path::new("/token")).then(|| "a.b.c\n".to_owned()))
}

fn refusals(env: &TestEnv) -> usize {
    env.cloud.calls().iter().filter(|call| call.outcome == EXPIRED).count()
}

/// How long an answer takes where that matters: calls that went out before the bad news came back are no fault.
const LATENCY: Duration = Duration::from_millis(300);

/// No key is used again once the service's word that it is dead has arrived.
fn assert_the_dead_stay_dead(env: &TestEnv) {
    let calls = env.cloud.calls();
    for dead in calls.iter().filter(|call| call.outcome == EXPIRED) {
        let told = dead.at + LATENCY;
        let again = calls.iter().filter(|call| call.key_id == dead.key_id && call.at > told);
        assert_eq!(again.count(), 0, "{} was used after its end", dead.key_id);
    }
}

fn short_lived(life: Duration) -> Scenario {
    Scenario::new()
        .with(|s| s.task_duration = seconds(40))
        .with(|s| s.sts = Sts { life: Some(life), ..Sts::default() })
        .with(|s| s.metadata = Metadata { life, ..Metadata::default() })
        .with(|s| s.credentials_uri.life = life)
}

#[tokio::test(start_paused = true)]
async fn short_lived_keys_of_every_kind_are_renewed_ahead_of_their_end() {
    type Make = Box<dyn FnOnce(&Emulator, TimerClock) -> Arc<dyn CredentialProvider>>;
    let uri = &[("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1:1/credentials")];
    let kinds: [(&str, Make); 4] = [
        ("AssumeRole", Box::new(chain(&[], role_profile))),
        ("AssumeRoleWithOIDC", Box::new(oidc())),
        ("CredentialsUri", Box::new(chain(uri, |_| None))),
        ("MetadataCredentials", Box::new(chain(&[], |_| None))),
    ];
    for (asked, credentials) in kinds {
        let env = TestEnv::with_credentials(short_lived(seconds(20)), credentials);
        let report = env.refresh(["m1"]).await;
        assert_eq!((report.outcome, env.submits(), refusals(&env)), (Outcome::Complete, 1, 0), "{asked}");
        assert!(env.cloud.count(asked) >= 3, "{asked}: {}", env.cloud.count(asked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_key_is_revoked_renews_it_once_and_submits_once() {
    let scenario = Scenario::new()
        .with(|s| s.urls_per_media = 30)
        .with(|s| s.task_duration = seconds(60))
        .with(|s| s.latency = LATENCY);
    let env = TestEnv::with_credentials(scenario, oidc());
    let revoke = async {
        tokio::time::sleep(seconds(20)).await;
        env.cloud.revoke_sessions();
    };
    let (report, ()) = tokio::join!(env.refresh(["m1"]), revoke);
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 1));
    assert_eq!(env.cloud.count("AssumeRoleWithOIDC"), 2, "one to begin with and one renewal");
    assert!(refusals(&env) > 0);
    assert_the_dead_stay_dead(&env);
}

#[tokio::test(start_paused = true)]
async fn thirty_calls_at_once_with_a_dead_key_cause_one_renewal() {
    let env = TestEnv::build(Scenario::new().with(|s| s.latency = LATENCY), oidc(), |client| {
        client.with_max_rps(1_000)
    });
    let client = env.client();
    let job = vod_refresh::JobId::new("J").unwrap();
    client.get_media_refresh_jobs(&job).await.unwrap();
    env.cloud.revoke_sessions();
    let calls = (0..30).map(|_| {
        let (client, job) = (client.clone(), job.clone());
        tokio::spawn(async move { client.get_media_refresh_jobs(&job).await.map(|_| ()) })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!((refusals(&env), env.lookups()), (30, 61));
    assert_eq!(env.cloud.count("AssumeRoleWithOIDC"), 2);
    assert_the_dead_stay_dead(&env);
}

#[tokio::test(start_paused = true)]
async fn a_token_in_a_file_is_read_again_when_the_service_refuses_it() {
    let token = Arc::new(Mutex::new("T1"));
    let file = token.clone();
    let profile = move |path: &Path| {
        let token = *file.lock().unwrap();
        path.ends_with(".aliyun/config.json").then(|| {
            format!(
                r#"{{"current":"p","profiles":[{{"name":"p","mode":"StsToken","access_key_id":"testid",
                    "access_key_secret":"testsecret","sts_token":"{token}"}}]}}"#
            )
        })
    };
    let scenario = Scenario::new()
        .with(|s| s.tokens.insert("testid".into(), "T1".into()))
        .with(|s| s.task_duration = seconds(8));
    let env = TestEnv::with_credentials(scenario, chain(&[], profile));
    let renew = async {
        tokio::time::sleep(seconds(3)).await;
        *token.lock().unwrap() = "T2";
        env.cloud.set_token("testid", "T2");
    };
    let (report, ()) = tokio::join!(env.refresh(["m1"]), renew);
    assert_eq!((report.outcome, env.submits(), refusals(&env)), (Outcome::Complete, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_nobody_renews_ends_as_refused_with_the_job_known() {
    let variables = &[
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ("ALIBABA_CLOUD_SECURITY_TOKEN", "T1"),
    ];
    let fixed = |_: &Emulator, _| -> Arc<dyn CredentialProvider> {
        Arc::new(StaticCredentials(Credential::new("testid", "testsecret").with_token("T1")))
    };
    type Make = Box<dyn FnOnce(&Emulator, TimerClock) -> Arc<dyn CredentialProvider>>;
    let kinds: [Make; 2] = [Box::new(chain(variables, |_| None)), Box::new(fixed)];
    for credentials in kinds {
        let scenario = Scenario::new()
            .with(|s| s.tokens.insert("testid".into(), "T1".into()))
            .with(|s| s.task_duration = seconds(8));
        let env = TestEnv::with_credentials(scenario, credentials);
        let expire = async {
            tokio::time::sleep(seconds(3)).await;
            env.cloud.set_token("testid", "T2");
        };
        let (report, ()) = tokio::join!(env.refresh(["m1"]), expire);
        assert_eq!((report.outcome, env.submits()), (Outcome::Refused, 1));
        assert!(report.media[0].job_id.is_some());
        let printed = serde_json::to_string(&report).unwrap();
        assert!(!printed.contains("testsecret") && !printed.contains("T1"), "{printed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_again_and_again_is_renewed_each_time() {
    let scenario = Scenario::new().with(|s| s.task_duration = seconds(100)).with(|s| s.latency = LATENCY);
    let env = TestEnv::with_credentials(scenario, chain(&[], role_profile));
    let revoke = async {
        for _ in 0..3 {
            tokio::time::sleep(seconds(25)).await;
            env.cloud.revoke_sessions();
        }
    };
    let (report, ()) = tokio::join!(env.refresh(["m1"]), revoke);
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 1));
    assert_eq!(env.cloud.count("AssumeRole"), 4);
    assert_the_dead_stay_dead(&env);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_token_service_is_waited_out_while_the_old_key_serves_and_after() {
    let down = Fault::error(503, "ServiceUnavailable");
    let scenario = short_lived(seconds(20)).with_fault(FaultRule::on("AssumeRole", down).skip(1).times(12));
    let env = TestEnv::with_credentials(scenario, chain(&[], role_profile));
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits(), refusals(&env)), (Outcome::Complete, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_role_that_may_not_be_assumed_is_refused_before_anything_is_sent() {
    for (scenario, code) in [
        (Scenario::new().with(|s| s.deny.push("AssumeRole".into())), "NoPermission"),
        (
            Scenario::new().with(|scenario| {
                scenario.sts = Sts { roles: vec!["acs:ram::1:role/x".into()], ..Sts::default() }
            }),
            "EntityNotExist.Role",
        ),
    ] {
        let env = TestEnv::with_credentials(scenario, chain(&[], role_profile));
        let error = env.refresher().refresh(&crate::support::request(["m1"])).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (vod_refresh::ErrorKind::Refused, Some(code)));
        assert!(error.message().contains(ROLE), "{error}");
        assert_eq!(env.submits(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_service_does_not_know_is_refused_after_one_look_for_another() {
    let fixed = |_: &Emulator, _| -> Arc<dyn CredentialProvider> {
        Arc::new(StaticCredentials(Credential::new("nobody", "x")))
    };
    let env = TestEnv::with_credentials(Scenario::new(), fixed);
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Refused, 1));
    assert_eq!(states(&report)[0].2.as_deref(), Some("InvalidAccessKeyId.NotFound"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_does_not_keep_a_role_from_being_assumed() {
    let env =
        TestEnv::with_credentials(Scenario::new().with(|s| s.clock_offset = 3_600), chain(&[], role_profile));
    let report = env.refresh(["m1"]).await;
    assert_eq!((report.outcome, env.submits()), (Outcome::Complete, 2), "one for each clock");
}

#[tokio::test]
async fn the_real_network_reaches_the_services_of_an_emulator_on_this_machine() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let cloud = Emulator::new(Scenario::new());
    let stop = tokio_util::sync::CancellationToken::new();
    let served = tokio::spawn({
        let (cloud, stop) = (cloud.clone(), stop.clone());
        async move { cloud.serve(listener, stop).await }
    });
    let mut options = CredentialOptions::default();
    options.sts_endpoint = Some(base.clone());
    options.metadata_endpoint = Some(base.clone());
    let uri = format!("{base}/credentials");
    for (name, value, source) in [
        ("ALIBABA_CLOUD_CREDENTIALS_URI", uri.as_str(), format!("the credentials service {base}")),
        ("UNSET", "", "instance role \"emulator-role\"".to_owned()),
        ("ROLE", "", "profile \"p\" of /home/u/.aliyun/config.json".to_owned()),
    ] {
        let (name, value) = (name.to_owned(), value.to_owned());
        let with_role = name == "ROLE";
        let mut world = Environment::of_process(&options.http);
        world.home = Some("/home/u/".into());
        world.variables = Arc::new(move |asked: &str| (asked == name).then(|| value.clone()));
        world.files = Arc::new(move |path: &Path| {
            let text = role_profile(path).filter(|_| with_role).ok_or(io::ErrorKind::NotFound)?;
            Ok(FileText { text, mode: Some(0o600) })
        });
        let found =
            DefaultCredentials::in_environment(world, options.clone()).credential().await.unwrap().unwrap();
        assert_eq!(found.source, source);
        assert!(found.key_id.starts_with("STS."));
    }
    stop.cancel();
    served.await.unwrap();
}

/// A program that asks for a code reaches the person at the terminal, on its standard input and at `/dev/tty`.
#[cfg(target_os = "linux")]
#[test]
fn h26_a_program_that_asks_for_a_code_reaches_the_terminal() {
    use crate::support::program::{Cloud, Home};
    use crate::support::terminal::Terminal;
    for (ask, read) in
        [("printf 'code? ' >&2", "read code"), ("printf 'code? ' > /dev/tty", "read code < /dev/tty")]
    {
        let (cloud, home) = (Cloud::new(Scenario::new()), Home::new());
        let printed = r#"{"mode":"AK","access_key_id":"testid","access_key_secret":"'$code'"}"#;
        let script = format!("{ask}\n{read}\necho '{printed}'\n");
        std::fs::write(home.path().join("keys.sh"), script).unwrap();
        std::fs::create_dir(home.path().join(".aliyun")).unwrap();
        let command = format!("/bin/sh {}", home.path().join("keys.sh").display());
        let config =
            serde_json::json!({"profiles": [{"name": "p", "mode": "External", "process_command": command}]});
        std::fs::write(home.path().join(".aliyun/config.json"), config.to_string()).unwrap();
        let line = ["refresh", "m1", "--no-wait", "--profile", "p", "--endpoint", &cloud.endpoint];
        let (mut terminal, child) = Terminal::start(&home, 100, &line);
        terminal.waits_for("code? ");
        terminal.types("testsecret\n");
        let (code, screen) = terminal.end(child);
        assert_eq!(code, Some(0), "{ask}: {screen}");
    }
}
