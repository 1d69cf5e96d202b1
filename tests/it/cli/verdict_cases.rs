//! Verdicts that version 0.1.0 got wrong, each with the right one: `tests/fixtures/verdict-cases.json`.
//!
//! `file` is the shape of that list, `world` a service that tells what a case says. Every case goes through the binary,
//! all of them side by side; those that take minutes go through the library in paused time as well.

mod file;
mod world;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tokio::time::Instant;
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::net::clock::{SystemClock, TimerClock};
use vod_refresh::{EventReceiver, Inbox, RunOptions};

use self::file::{Expect, File};
use self::world::{JOB, Script, World};
use super::cloud::SUBMIT;
use super::process::{Finished, Running};
use super::shell::Shell;
use crate::schema::Refresher;
use crate::support::program::until;
use crate::support::{client_over, request, static_key};

/// The exit codes of runs, and their names.
const NAMES: [(i32, &str); 9] = [
    (0, "complete"),
    (1, "internal"),
    (3, "config"),
    (4, "refused"),
    (5, "quota"),
    (6, "failed"),
    (7, "partial"),
    (8, "timeout"),
    (9, "unavailable"),
];

#[test]
fn every_verdict_is_the_right_one() {
    let cases = File::read().cases;
    side_by_side(&cases, |case| {
        let (script, id) = (Script::of(case), case.id.as_str());
        let world = World::new(script.clone(), SystemClock);
        let ended = match id {
            "V15" => return unsigned_events(&script, &case.expect),
            "V13" => run(&format!("wait {JOB}"), "40s", &world).finish(),
            // Right is here to wait for the deadline.
            _ if case.expect.exits() == [8] => run(&refresh(&script), "6s", &world).finish(),
            _ => run(&refresh(&script), "40s", &world).finish(),
        };
        judged(id, &ended, &world, &script, &case.expect)
    })
    .unwrap_or_else(|faults| panic!("{faults}"));
}

#[test]
fn an_answer_that_is_no_word_of_the_service_costs_a_call_and_no_verdict() {
    let answers = File::read().answers;
    side_by_side(&answers, |answer| {
        let script = Script::but_for(answer);
        let world = World::new(script.clone(), SystemClock);
        let ended = run(&refresh(&script), "40s", &world).finish();
        let name = format!("{} {} {} {}", answer.action, answer.nth, answer.status, answer.body);
        let was_given = world.count(&answer.action) >= answer.nth;
        let given = if was_given { Ok(()) } else { Err(format!("{name}: the answer was never given")) };
        all_of(vec![judged(&name, &ended, &world, &script, &answer.expect), given])
    })
    .unwrap_or_else(|faults| panic!("{faults}"));
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_for_twenty_minutes_and_never_decided_waits_for_the_deadline() {
    let judged = in_process("V14", Duration::from_secs(20 * 60), None).await;
    judged.unwrap_or_else(|faults| panic!("{faults}"));
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_event_decides_nothing_in_ninety_seconds_of_empty_words() {
    let [success, failure] = events().map(|event| in_process("V15", Duration::from_secs(90), Some(event)));
    all_of(vec![success.await, failure.await]).unwrap_or_else(|faults| panic!("{faults}"));
}

/// Through the library, with a service in this process and an event in the first second.
async fn in_process(id: &str, timeout: Duration, event: Option<Value>) -> Result<(), String> {
    let case = File::read().cases.into_iter().find(|case| case.id == id).unwrap();
    let clock = TimerClock::starting_at("2026-11-25T01:19:10Z".parse().unwrap());
    let (script, started) = (Script::of(&case), Instant::now());
    let world = World::new(script.clone(), clock);
    let client = client_over(world.clone(), static_key()).with_clock(clock).with_jitter_seed(1);
    let mut options = RunOptions::default();
    options.timeout = timeout;
    let mut refresher = Refresher::new(client.build().unwrap()).with_options(options);
    let inbox = Inbox::new();
    let receiver = EventReceiver::new(inbox.clone(), CallbackVerifier::new("http://127.0.0.1:1/", vec![]));
    if event.is_some() {
        refresher = refresher.with_inbox(inbox);
    }
    let tell = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Some(event) = &event {
            receiver.answer(&HeaderMap::new(), event.to_string().as_bytes()).await;
        }
    };
    let asked = request(script.media());
    let (report, ()) = tokio::join!(refresher.refresh(&asked), tell);
    let report = serde_json::to_value(report.unwrap()).unwrap();
    let code = NAMES.iter().find(|(_, name)| report["outcome"] == **name).map(|(code, _)| *code);
    let name = format!("{id}, told {}, after {:?}", event.unwrap_or_default(), started.elapsed());
    faults_of(&name, code, &report, &world, &script, &case.expect)?;
    if started.elapsed() < timeout { Err(format!("{name}: it did not wait")) } else { Ok(()) }
}

/// Runs the binary, and sends it each unsigned event in its first second.
fn unsigned_events(script: &Script, expect: &Expect) -> Result<(), String> {
    side_by_side(&events(), |event| {
        let world = World::new(script.clone(), SystemClock);
        let run = run(&format!("{} --callback-listen 127.0.0.1:0", refresh(script)), "8s", &world);
        let address = run.listening_on();
        until("a submission", || world.count(SUBMIT) > 0);
        post(address, &event.to_string());
        judged(&format!("V15, told {event}"), &run.finish(), &world, script, expect)
    })
}

/// What an event may claim of a media that no lookup decides: that it went to a task which is done, and that it failed.
fn events() -> [Value; 2] {
    let event = json!({
        "EventType": "SubmitMediaRefreshComplete", "EventTime": "2026-11-25T01:19:11Z", "MediaRefreshJobId": JOB,
        "MediaId": "m1", "TaskType": "refresh", "Status": "success", "TaskIds": "777",
        "SuccessPlayUrls": "https://else.example.test/x.mp4",
    });
    let failed = json!({
        "EventType": "SubmitMediaRefreshComplete", "EventTime": "2026-11-25T01:19:11Z", "MediaRefreshJobId": JOB,
        "MediaId": "m1", "TaskType": "refresh", "Status": "fail", "ErrorCode": "InvalidDomain.NotFound",
        "ErrorMessage": "Can't find domain.",
    });
    [event, failed]
}

fn post(address: SocketAddr, body: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

fn refresh(script: &Script) -> String {
    format!("refresh {}", script.media().join(" "))
}

fn run(line: &str, timeout: &str, world: &World) -> Running {
    let shell = Shell::new(line).with_keys().env("VOD_REFRESH_ENDPOINT", world.serve());
    shell.words("--poll-interval 200ms --output json --timeout").arg(timeout).start()
}

/// Does the same with all of them at once, and names everything that is wrong.
fn side_by_side<T: Sync>(cases: &[T], judge: impl Fn(&T) -> Result<(), String> + Sync) -> Result<(), String> {
    let judge = &judge;
    all_of(std::thread::scope(|scope| {
        let threads: Vec<_> = cases.iter().map(|case| scope.spawn(move || judge(case))).collect();
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.unwrap_or_else(|_| Err("one panicked: see above".to_owned()))).collect()
    }))
}

fn all_of(results: Vec<Result<(), String>>) -> Result<(), String> {
    let faults: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn judged(
    name: &str,
    ended: &Finished,
    world: &World,
    script: &Script,
    expect: &Expect,
) -> Result<(), String> {
    let report = serde_json::from_str(&ended.stdout)
        .map_err(|why| format!("{name}: exit {:?}, no report: {why}: {}", ended.code, ended.stderr))?;
    faults_of(name, ended.code, &report, world, script, expect)
}

/// Everything that is wrong with the end of a run.
fn faults_of(
    name: &str,
    code: Option<i32>,
    report: &Value,
    world: &World,
    script: &Script,
    expect: &Expect,
) -> Result<(), String> {
    let mut faults = Vec::new();
    let mut must = |is_so: bool, what: String| {
        if !is_so {
            faults.push(what);
        }
    };
    let media = report["media"].as_array().map_or(&[][..], Vec::as_slice);
    let line = |media: &Value| format!("{} {} {}", media["media_id"], media["state"], media["error"]);
    let told = media.iter().map(line).collect::<Vec<_>>().join(", ");
    let right = expect.exits();
    must(
        code.is_some_and(|code| right.contains(&code)),
        format!("exit {code:?}, right is {right:?}: {told}"),
    );
    let outcome = NAMES.iter().find(|(number, _)| Some(*number) == code).map(|(_, name)| *name);
    must(report["outcome"].as_str() == outcome, format!("exit {code:?}, reported as {}", report["outcome"]));
    for (id, right) in &expect.states {
        let state = media.iter().find(|media| media["media_id"] == **id).map(|media| &media["state"]);
        must(state.is_some_and(|state| state == right), format!("{id} is {state:?}, right is {right}"));
    }
    for media in media.iter().filter(|media| media["state"] == "complete") {
        let tasks = media["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        let is_done = !tasks.is_empty() && tasks.iter().all(|task| task["status"] == "Complete");
        must(is_done, format!("{} is called complete with the tasks {tasks:?}", media["media_id"]));
    }
    must(
        outcome != Some("complete") || script.is_all_complete(),
        "called complete, and a row failed or runs".into(),
    );
    must(world.count(SUBMIT) <= 1, format!("submitted {} times", world.count(SUBMIT)));
    if faults.is_empty() { Ok(()) } else { Err(format!("{name}: {}", faults.join("; "))) }
}
