//! No secret leaves the process but inside a signature: not on stdout or stderr at the highest log level, not in files,
//! not in what other processes can see.

use vod_refresh::auth::percent;
use vod_refresh::emulator::{Fault, FaultRule, MediaScript, Scenario, Which};

use super::cloud::{CALLBACK_KEY, Cloud, LISTENING, QUERY_JOBS, QUERY_TASKS, SUBMIT};
use super::planted_secrets::{KEY, SECRET, TOKEN, files_hold_no_secret, holds_no_secret};
use super::process::Finished;
use super::scenarios::{open_tasks, quick};
use super::shell::Shell;
use crate::support::raw_server::{ClosedPort, RawServer, Then};

fn scenario() -> Scenario {
    quick()
        .with(|s| s.keys.insert("testid".into(), SECRET.into()))
        .with(|s| s.tokens.insert("testid".into(), TOKEN.into()))
}

/// The same with all three secrets.
fn with_planted_secrets(shell: Shell) -> Shell {
    shell
        .words("-vv")
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
        .env("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN)
        .secret_file("key", KEY)
        .option_at("--callback-auth-key-file", "key")
}

/// Runs it with all three secrets and searches everything that is left behind.
fn run_and_search(cloud: &Cloud, shell: Shell) -> Finished {
    let shell = with_planted_secrets(shell)
        .words(LISTENING)
        .words("--output ndjson --no-journal --poll-interval 100ms")
        .option_at("--report", "r.json")
        .option_at("--report-html", "r.html")
        .option_at("--report-junit", "r.xml")
        .option_at("--metrics-file", "r.prom");
    let run = shell.start();
    cloud.let_events_through(&run);
    let listed = run.as_listed();
    let run = run.finish();
    holds_no_secret("the list of processes", &listed);
    assert!(files_hold_no_secret(&shell, &["key"]) >= 4, "the report files are missing");
    run.shows_no_secret()
}

/// Happy.
#[test]
fn a_happy_run_shows_no_secret_at_the_highest_log_level() {
    let cloud = Cloud::new(scenario());
    run_and_search(&cloud, cloud.shell("refresh m1 --lookup-after 300ms")).exits(0);
}

/// A refused signature: the service repeats what was signed, token included.
#[test]
fn a_refused_signature_shows_no_secret_that_the_service_repeats() {
    let cloud = Cloud::new(scenario().with(|s| s.keys.insert("testid".into(), "another secret".into())));
    let run = run_and_search(&cloud, cloud.shell("refresh m1"));
    run.exits(4).says("SignatureDoesNotMatch").says("the secret does not belong to key id testid");
}

/// Answers without sense on every call.
#[test]
fn garbled_and_broken_answers_show_no_secret() {
    let cloud = Cloud::new(
        scenario()
            .with_fault(FaultRule::on(SUBMIT, Fault::throttle()))
            .with_fault(FaultRule::on(QUERY_JOBS, Fault::Garbage))
            .with_fault(FaultRule::on(QUERY_JOBS, Fault::Html { status: 502 }))
            .with_fault(FaultRule::on(QUERY_TASKS, Fault::HalfBody))
            .with_fault(FaultRule::on(QUERY_TASKS, Fault::ResetAfter)),
    );
    run_and_search(&cloud, cloud.shell("refresh m1 --lookup-after 300ms")).exits(0);
}

/// A service that nobody reaches: the error is the client's own, which knows the whole signed URL.
#[test]
fn errors_of_the_network_show_no_secret() {
    let cloud = Cloud::new(scenario());
    let nobody = ClosedPort::new();
    let shell = cloud.shell("wait J1 --timeout 1s").env("VOD_REFRESH_ENDPOINT", nobody.url());
    run_and_search(&cloud, shell).exits(8);
}

/// The journal: while the run writes it, and once it has ended.
#[test]
fn the_journal_holds_no_secret_nor_do_the_files_beside_it() {
    let cloud = Cloud::new(scenario().with(|s| s.default_media = open_tasks()));
    let shell = with_planted_secrets(cloud.shell("refresh m1 --lookup-after 0s --poll-interval 100ms"))
        .words(LISTENING);
    let run = shell.start();
    cloud.let_events_through(&run);
    run.wait_for_line("submitted 1 media");
    let names: Vec<_> = shell.files().into_iter().map(|(path, _)| path).collect();
    assert!(names.iter().any(|path| path.ends_with("journal.db-wal")), "{names:?}");
    files_hold_no_secret(&shell, &["key"]);
    cloud.emulator.complete_task("1");
    cloud.emulator.complete_task("2");
    run.finish().exits(0).shows_no_secret();
    assert!(files_hold_no_secret(&shell, &["key"]) > 0);
}

/// A run of which only the request is shown: the token is one of its parameters.
#[test]
fn a_dry_run_shows_no_secret() {
    let cloud = Cloud::new(scenario());
    for version in ["v1", "v3"] {
        let line = format!("refresh m1 --dry-run --signature-version {version}");
        let shell = with_planted_secrets(cloud.shell(&line)).words(LISTENING);
        shell.run().exits(0).shows_no_secret();
        files_hold_no_secret(&shell, &["key"]);
    }
}

/// The settings that hold the key, and the doctor who compares it.
#[test]
fn settings_and_doctor_show_no_secret_though_the_service_returns_the_key() {
    let cloud = Cloud::new(scenario());
    let set = "callback set --callback-url https://cb.example.test/vod/hook --yes";
    with_planted_secrets(cloud.shell(set)).run().exits(0).shows_no_secret();
    for line in ["callback get -vv", "callback get -vv -o json", "callback delete -vv --yes"] {
        let shell = cloud
            .shell(line)
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
            .env("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN);
        shell.run().exits(0).shows_no_secret();
    }
    with_planted_secrets(cloud.shell(set)).run().exits(0).shows_no_secret();
    for form in ["text", "json"] {
        let line = format!("doctor --callback-url {}/hook -o {form}", cloud.url());
        let run = with_planted_secrets(cloud.shell(&line)).run().exits(0).shows_no_secret();
        assert!(run.stdout.contains("event key"), "{}", run.stdout);
    }
}

/// A configuration file with secrets where something else belongs.
#[test]
fn a_broken_configuration_file_shows_no_secret() {
    let cloud = Cloud::new(scenario());
    let profile = |fields: &str| format!(r#"{{"current":"p","profiles":[{{"name":"p",{fields}}}]}}"#);
    let printing = format!(r#""mode":"External","process_command":"/bin/echo '{SECRET}' '{TOKEN}'""#);
    let kinds = [
        format!("{SECRET} {TOKEN}"),
        format!(r#"{{"profiles":[{{"access_key_secret":"{SECRET}","#),
        profile(&format!(r#""mode":"{SECRET}","sts_token":"{TOKEN}""#)),
        profile(&format!(r#""mode":"AK","access_key_id":"a","access_key_secret":["{SECRET}"]"#)),
        profile(&format!(r#""mode":"StsToken","access_key_id":"a","access_key_secret":"{SECRET}""#)),
        profile(&format!(r#""mode":"CredentialsURI","credentials_uri":"{SECRET}""#)),
        profile(&printing),
    ];
    for text in kinds {
        for line in ["refresh m1 -vv", "doctor -vv", "doctor -vv -o json"] {
            let shell = Shell::new(line)
                .env("VOD_REFRESH_ENDPOINT", cloud.url())
                .secret_file(".aliyun/config.json", &text);
            let run = shell.run().exits(3).shows_no_secret();
            let all = run.stdout + &run.stderr;
            assert!(all.contains("/.aliyun/config.json"), "{all}");
            files_hold_no_secret(&shell, &["config.json"]);
        }
    }
}

/// What stands in an error that repeats these parts of a request, as they are and percent-encoded.
fn repeating(secrets: &[&str]) -> String {
    let encoded: Vec<_> = secrets.iter().map(|mark| percent::encode(mark)).collect();
    format!("no route for {} nor {}", secrets.join(" nor "), encoded.join(" nor "))
}

/// Something on the way that repeats the request in its error.
#[test]
fn an_error_that_repeats_the_request_shows_no_secret() {
    let fault = |secrets: &[&str]| Fault::Error {
        status: 400,
        code: "InvalidParameter".into(),
        message: repeating(secrets),
    };
    let cloud = Cloud::new(
        scenario()
            .with_fault(FaultRule::on(SUBMIT, fault(&[SECRET, TOKEN])))
            .with_fault(FaultRule::on(QUERY_JOBS, fault(&[SECRET, TOKEN])))
            .with_fault(FaultRule::on("SetMessageCallback", fault(&[TOKEN, KEY]))),
    );
    let shell = with_planted_secrets(cloud.shell("refresh m1")).option_at("--report", "r.json");
    shell.run().exits(6).shows_no_secret().says("no route for <secret> nor <secret>");
    files_hold_no_secret(&shell, &["key"]);
    with_planted_secrets(cloud.shell("doctor")).run().shows_no_secret();
    let set = with_planted_secrets(cloud.shell("callback set --callback-url https://a.example.test/ --yes"));
    set.run().exits(6).shows_no_secret().says("no route for <secret> nor <secret>");
}

/// The words with which a good answer says what failed.
#[test]
fn reasons_that_repeat_the_request_show_no_secret() {
    let refused = MediaScript::failing("InvalidDomain.NotFound", repeating(&[SECRET, TOKEN]));
    let failed = MediaScript {
        failed_tasks: Which::All(true),
        failed_description: Some(repeating(&[SECRET, TOKEN])),
        ..MediaScript::default()
    };
    for media in [refused, failed] {
        let cloud = Cloud::new(scenario().with_media("m1", media));
        let shell = with_planted_secrets(cloud.shell("refresh m1")).option_at("--report", "r.json");
        let run = shell.run().exits(6).shows_no_secret();
        assert!(run.stdout.contains("no route for <secret> nor <secret>"), "{}", run.stdout);
        files_hold_no_secret(&shell, &["key"]);
    }
}

/// An event that does so, where no lookup comes after it.
#[test]
fn an_event_that_repeats_the_request_shows_no_secret() {
    let refused = MediaScript::failing("InvalidDomain.NotFound", repeating(&[SECRET, TOKEN, KEY]));
    let cloud = Cloud::new(scenario().with_media("m1", refused));
    let shell = with_planted_secrets(cloud.shell("refresh m1 --lookup-after never --output ndjson"))
        .words(LISTENING)
        .secret_file("key", format!("{KEY}\n{CALLBACK_KEY}"))
        .option_at("--report", "r.json");
    let run = shell.start();
    cloud.let_events_through(&run);
    let run = run.finish().exits(6).shows_no_secret();
    assert!(run.stdout.contains("no route for <secret> nor <secret> nor <secret>"), "{}", run.stdout);
    files_hold_no_secret(&shell, &["key"]);
}

/// A token service that takes no key and repeats what it was sent.
#[test]
fn a_token_service_that_repeats_what_it_was_sent_shows_no_secret() {
    const ROLE: &str = "acs:ram::1234567890123456:role/vod-refresh";
    let body = serde_json::json!({"Code": "InvalidParameter", "Message": repeating(&[TOKEN])}).to_string();
    let server = RawServer::start([Then::say_and_close(format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))]);
    let cloud = Cloud::new(scenario().with(|s| s.keys.insert("testid".into(), "another secret".into())));
    let fields = format!(
        r#""mode":"RamRoleArn","access_key_id":"testid","access_key_secret":"{SECRET}","sts_token":"{TOKEN}","ram_role_arn":"{ROLE}""#
    );
    let config = format!(r#"{{"current":"p","profiles":[{{"name":"p",{fields}}}]}}"#);
    for url in [server.url(), cloud.url()] {
        let by_key = Shell::new("refresh m1 -vv")
            .env("VOD_REFRESH_ENDPOINT", cloud.url())
            .env("ALIBABA_CLOUD_STS_ENDPOINT", url);
        let by_oidc = by_key.clone().secret_file("token", TOKEN);
        let token = by_oidc.path("token").display().to_string();
        let by_oidc = by_oidc
            .env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/ci")
            .env("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token)
            .env("ALIBABA_CLOUD_ROLE_ARN", ROLE);
        for shell in [by_key.secret_file(".aliyun/config.json", &config), by_oidc] {
            let run = shell.run().shows_no_secret();
            assert!(matches!(run.code, Some(0 | 3 | 4)), "{run:?}");
            files_hold_no_secret(&shell, &["config.json", "token"]);
        }
    }
}

/// A credentials service whose address is a secret by itself.
#[test]
fn the_address_of_a_credentials_service_does_not_show() {
    let nobody = ClosedPort::new();
    let uri = format!("{}/{}?token={}", nobody.url(), percent::encode(SECRET), percent::encode(TOKEN));
    let uri = uri.replacen("http://", "http://user:cbk%2FMark%2BThree%3D99@", 1);
    for line in ["refresh m1 -vv", "doctor -vv"] {
        Shell::new(line).env("ALIBABA_CLOUD_CREDENTIALS_URI", &uri).run().exits(9).shows_no_secret();
    }
}

/// Where a list of processes would show it.
#[test]
fn no_option_takes_a_secret() {
    for option in ["--access-key-secret", "--security-token", "--callback-auth-key"] {
        Shell::new("refresh m1").arg(option).arg("x").run().exits(2);
    }
}

/// A command line that is refused is told on stderr, and in a pipeline in two files as well.
#[test]
fn a_usage_error_repeats_no_secret_of_the_command_line() {
    const MARK: &str = "MarkOfFour44";
    let url = "https://cdn.a.test/a.mp4";
    let edge = "refresh m1 --verify-edge";
    for (line, value, says) in [
        ("refresh-urls", format!("https://u:{MARK}@cdn.a.test/a"), "names a user"),
        ("preload-urls", format!("{url}?auth_key={MARK}#t=1"), "has a fragment"),
        ("refresh-urls", format!("htps://cdn.a.test/a?Signature={MARK}"), "is neither http nor https"),
        ("refresh-urls --from-file -", format!("{url}?token={MARK}#t=1"), "has a fragment"),
        (edge, format!("--edge-header=Authorization Bearer {MARK}"), "NAME:VALUE"),
        (edge, format!("--edge-header=Authorization Bearer\n{MARK}"), "NAME:VALUE"),
        (edge, format!("--edge-header=Cookie: {MARK}\rx"), "its value is none"),
        (edge, format!("--edge-node=u:{MARK}@192.0.2.1:80"), "no address of a node"),
        ("refresh m1", format!("--callback-listen=u:{MARK}@h:80"), "no IP address"),
    ] {
        let shell = Shell::new(line).env("GITHUB_ACTIONS", "true").file("summary", "").file("output", "");
        let [summary, output] = ["summary", "output"].map(|name| shell.path(name).display().to_string());
        let shell = shell.env("GITHUB_STEP_SUMMARY", summary).env("GITHUB_OUTPUT", output);
        let shell = if line.ends_with('-') { shell.stdin(&*value) } else { shell.arg(&*value) };
        let run = shell.run().exits(2).says(says).does_not_say(MARK).does_not_say("has no host");
        assert!(!run.stdout.contains(MARK), "{value}");
        for (path, bytes) in shell.files() {
            assert!(
                !bytes.is_empty() && !String::from_utf8_lossy(&bytes).contains(MARK),
                "{value}: {path:?}"
            );
        }
    }
}
