//! No secret leaves the process but inside a signature: not on stdout or stderr at the highest log level, not in files,
//! not in what other processes can see.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use vod_refresh::emulator::{Fault, FaultRule, Scenario};

use super::cloud::{Cloud, LISTENING, LOOK, LOOK_UP, SUBMIT};
use super::process::Finished;
use super::scenes::quick;
use super::shell::Shell;
use crate::raw::Nobody;

/// Marks that look different in every dress.
const SECRET: &str = "sk/Mark+One=77 x";
const TOKEN: &str = "tok/Mark+Two=88~y";
const KEY: &str = "cbk/Mark+Three=99";

fn scenario() -> Scenario {
    quick().with_key("testid", SECRET).with_token("testid", TOKEN)
}

/// Every form in which a mark could show.
fn dresses(mark: &str) -> Vec<String> {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let percent: String = mark.bytes().map(escape).collect();
    let twice: String = percent.bytes().map(escape).collect();
    // Base64 of a part at the start, whatever follows it.
    let base64 = STANDARD.encode(&mark[..mark.len() / 3 * 3]);
    let url_base64 = URL_SAFE_NO_PAD.encode(&mark[..mark.len() / 3 * 3]);
    let hex = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![mark.to_owned(), percent.to_lowercase(), percent, twice, base64, url_base64, hex]
}

/// Runs it with all three marks and searches everything that is left behind.
fn searched(cloud: &Cloud, shell: Shell) -> Finished {
    let shell = shell
        .words(LISTENING)
        .words("-vv --output ndjson --no-journal --poll-interval 100ms")
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
        .env("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN)
        .file("key", KEY)
        .option_at("--callback-auth-key-file", "key")
        .option_at("--report", "r.json")
        .option_at("--report-html", "r.html")
        .option_at("--report-junit", "r.xml")
        .option_at("--metrics-file", "r.prom");
    let run = shell.start();
    cloud.let_events_through(&run);
    let listed = run.as_listed();
    let run = run.finish();
    let mut places = vec![
        ("stdout".to_owned(), run.stdout.clone()),
        ("stderr".to_owned(), run.stderr.clone()),
        ("the list of processes".to_owned(), listed),
    ];
    for (path, bytes) in shell.files() {
        if path.file_name().is_some_and(|name| name != "key") {
            places.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    assert!(places.len() >= 7, "the report files are missing: {places:?}");
    for (place, text) in places {
        for dress in [SECRET, TOKEN, KEY].iter().flat_map(|mark| dresses(mark)) {
            assert!(!text.contains(&dress), "{dress:?} is in {place}:\n{text}");
        }
    }
    run
}

/// C29, happy.
#[test]
fn a_happy_run_shows_none_at_the_highest_log_level() {
    let cloud = Cloud::new(scenario());
    searched(&cloud, cloud.shell("refresh m1 --lookup-after 300ms")).exits(0);
}

/// C29, a refused signature: the service repeats what was signed, token included.
#[test]
fn a_refused_signature_shows_none_of_what_the_service_repeats() {
    let cloud = Cloud::new(scenario().with_key("testid", "another secret"));
    let run = searched(&cloud, cloud.shell("refresh m1"));
    run.exits(4).says("SignatureDoesNotMatch").says("the secret does not belong to key id testid");
}

/// C29, answers without sense on every call.
#[test]
fn garbled_and_broken_answers_show_none() {
    let cloud = Cloud::new(
        scenario()
            .with_fault(FaultRule::on(SUBMIT, Fault::throttle()))
            .with_fault(FaultRule::on(LOOK_UP, Fault::Garbage))
            .with_fault(FaultRule::on(LOOK_UP, Fault::Html { status: 502 }))
            .with_fault(FaultRule::on(LOOK, Fault::HalfBody))
            .with_fault(FaultRule::on(LOOK, Fault::ResetAfter)),
    );
    searched(&cloud, cloud.shell("refresh m1 --lookup-after 300ms")).exits(0);
}

/// C29, a service that nobody reaches: the error is the client's own, which knows the whole signed URL.
#[test]
fn errors_of_the_network_show_none() {
    let cloud = Cloud::new(scenario());
    let nobody = Nobody::new();
    let shell = cloud.shell("wait J1 --timeout 1s").env("VOD_REFRESH_ENDPOINT", nobody.url());
    searched(&cloud, shell).exits(8);
}

/// C29, where a list of processes would show it.
#[test]
fn no_option_takes_a_secret() {
    for option in ["--access-key-secret", "--security-token", "--callback-auth-key"] {
        Shell::new("refresh m1").arg(option).arg("x").run().exits(2);
    }
}
