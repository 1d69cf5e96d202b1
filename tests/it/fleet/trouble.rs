//! No process depends on another, nor on what they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection;
use sha2::Sha256;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use vod_refresh::Journal;
use vod_refresh::emulator::{EmulatorTransport, Fault, FaultRule, MediaScript, Which};
use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};

use super::accounts::{with_session, with_sessions};
use super::{Fleet, QUERY_TASKS, account, all_complete, ids, process};
use crate::support::{RecordedNotices, client_over, request, static_key};

const MEDIA: usize = 150;

/// The transport of a process that may be cut off from the cloud.
#[derive(Debug, Clone)]
struct CuttableTransport {
    to: EmulatorTransport,
    is_cut: Arc<AtomicBool>,
}

impl Transport for CuttableTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            if self.is_cut.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            self.to.send(request).await
        })
    }
}

/// How long two processes take, while a third one with as much work is cut off from the service in the middle of a round, and
/// perhaps killed a second later.
async fn beside_one_that_fails(is_cut: bool, is_killed: bool) -> Duration {
    let fleet = Fleet::new(account().with(|s| s.latency = Duration::from_millis(100)));
    let mut runs = JoinSet::new();
    let transport = CuttableTransport { to: fleet.env.cloud.transport(), is_cut: Arc::default() };
    let client =
        client_over(transport.clone(), static_key()).with_clock(fleet.env.clock()).with_jitter_seed(9);
    let refresher = process(client.build().unwrap(), &fleet.journal()).await;
    let failing = tokio::spawn(async move { refresher.refresh(&request(ids(2, MEDIA))).await });
    for number in [0, 1] {
        fleet.begin(&mut runs, number, MEDIA).await;
    }
    let in_mid_round = Duration::from_secs(24);
    tokio::spawn(async move {
        sleep(in_mid_round).await;
        transport.is_cut.store(is_cut, Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
        if is_killed {
            failing.abort();
        }
    });
    all_complete(runs).await;
    fleet.env.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_or_hangs_in_the_middle_of_a_round_holds_others_up_for_seconds() {
    let well = beside_one_that_fails(false, false).await;
    for (is_killed, longest) in [(true, 4), (false, 11)] {
        let took = beside_one_that_fails(true, is_killed).await;
        let late = took.saturating_sub(well);
        assert!(late <= Duration::from_secs(longest), "killed: {is_killed}: {took:?} instead of {well:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_locked_or_gone_costs_no_run_more_than_what_it_shares() {
    let alone = {
        let fleet = Fleet::new(account());
        let mut runs = JoinSet::new();
        for number in [0, 1, 2] {
            let refresher = vod_refresh::Refresher::new(fleet.client(number));
            runs.spawn(async move { refresher.refresh(&request(ids(number, 20))).await.unwrap() });
        }
        all_complete(runs).await;
        fleet.env.elapsed()
    };
    for is_removed in [false, true] {
        let fleet = Fleet::new(account());
        let mut runs = JoinSet::new();
        for number in [0, 1, 2] {
            fleet.begin(&mut runs, number, 20).await;
        }
        sleep(Duration::from_secs(15)).await;
        let holder = Connection::open(fleet.journal()).unwrap();
        if is_removed {
            std::fs::remove_file(fleet.journal()).unwrap();
        } else {
            holder.execute_batch("BEGIN IMMEDIATE").unwrap();
            // The ends of runs wait for the journal, but not for ever.
            tokio::spawn(async move {
                sleep(Duration::from_secs(8)).await;
                drop(holder);
            });
        }
        let ended = async {
            while let Some(report) = runs.join_next().await {
                let report = report.unwrap();
                assert_eq!(report.summary.media_complete, 20);
                assert_eq!(!report.notes.is_empty(), is_removed, "{:?}", report.notes);
            }
        };
        timeout(Duration::from_secs(120), ended).await.unwrap();
        let took = fleet.env.elapsed();
        assert!(took < alone + Duration::from_secs(10), "removed: {is_removed}: {took:?}, alone {alone:?}");
    }
}

/// What a run writes before a text; of sessions, which have no secret in common, anybody can make it.
fn seal(topic: &str, name: &str, text: &str) -> String {
    let kind = if name.starts_with("run ") { "run " } else { name };
    let mut mac = Hmac::<Sha256>::new_from_slice(b"").unwrap();
    mac.update(format!("{topic} {kind}\n{text}").as_bytes());
    let letters = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{letters} {text}")
}

#[tokio::test(start_paused = true)]
async fn nonsense_in_the_shared_texts_spoils_no_run() {
    for has_sessions in [false, true] {
        nonsense_spoils_nothing(has_sessions).await;
    }
}

async fn nonsense_spoils_nothing(has_sessions: bool) {
    let fleet = Fleet::new(with_sessions(account()));
    let mut runs = JoinSet::new();
    for number in [0, 1, 2] {
        if has_sessions {
            let refresher = with_session(&fleet.env, &fleet, number, "http://127.0.0.1:1").await;
            runs.spawn(async move { refresher.refresh(&request(ids(number, 50))).await.unwrap() });
        } else {
            fleet.begin(&mut runs, number, 50).await;
        }
    }
    let path = fleet.journal();
    let vandal = tokio::spawn(async move {
        let journal = Connection::open(path).unwrap();
        journal.busy_timeout(Duration::from_secs(5)).unwrap();
        let endless = format!("{{\"read\": \"{}\"}}", "x".repeat(2_000_000));
        let texts = [
            "",
            "{",
            "null",
            r#"{"rate":1e308,"hurt":-1,"next":{"secs":18446744073709551615,"nanos":0},"paused_until":{"secs":9999999999,"nanos":0},"halved":null}"#,
            r#"{"rate":-5.0,"hurt":0.0,"next":{"secs":0,"nanos":0},"paused_until":{"secs":0,"nanos":0},"halved":null}"#,
            r#"{"read":{"at":{"secs":1,"nanos":0},"key":"","total":0,"rows":[[{"task":"a b"}]]}}"#,
            r#"{"claimed":{"by":"x","key":"","since":{"secs":1,"nanos":0},"until":{"secs":99999999999,"nanos":0}}}"#,
            r#"{"claimed":{"by":"x","key":"","since":{"secs":18446744073709551615,"nanos":0},"until":{"secs":18446744073709551615,"nanos":0}}}"#,
            r#"{"a_newer_version":true}"#,
            endless.as_str(),
        ];
        let mut written = 0;
        for text in texts.iter().cycle() {
            sleep(Duration::from_millis(700)).await;
            let rows: Vec<(String, String)> = journal
                .prepare("SELECT topic, name FROM shared")
                .unwrap()
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            for (topic, name) in &rows {
                let spoil = "UPDATE shared SET value = ? WHERE topic = ? AND name = ?";
                written += journal.execute(spoil, (seal(topic, name, text), topic, name)).unwrap();
            }
            let member = r#"{"run":"R9","kind":"Refresh","from":-9223372036854775808,"to":9223372036854775807,
                "known":18446744073709551615,"open":18446744073709551615,
                "estimate":{"ended":9,"mean":-1e300,"deviation":1e300}}"#;
            let add = "INSERT OR REPLACE INTO shared SELECT topic, 'run R9', at_ms, ? FROM shared LIMIT 1";
            journal.execute(add, [seal(&rows[0].0, "run R9", member)]).unwrap();
            assert!(written > 0, "there was nothing to spoil");
        }
    });
    timeout(Duration::from_secs(300), all_complete(runs)).await.unwrap();
    assert!(!vandal.is_finished(), "it has failed: {has_sessions}");
    vandal.abort();
}

/// Who can write to the journal, and has no key, can't make a media complete that has failed.
#[tokio::test(start_paused = true)]
async fn pages_that_somebody_has_forged_count_for_nothing() {
    let failing = MediaScript { failed_tasks: Which::All(true), ..MediaScript::default() };
    let fleet = Fleet::new(account().with(|s| s.default_media = failing));
    let mut runs = JoinSet::new();
    for number in [0, 1, 2] {
        let refresher = fleet.process(number).await;
        runs.spawn(async move { refresher.refresh(&request(ids(number, 50))).await.unwrap() });
    }
    let path = fleet.journal();
    let forger = tokio::spawn(async move {
        let journal = Connection::open(path).unwrap();
        journal.busy_timeout(Duration::from_secs(5)).unwrap();
        let forge = "UPDATE shared SET value = replace(replace(value, 'Processing', 'Complete'), 'Failed', 'Complete')
            WHERE name LIKE 'page %' AND (value LIKE '%Processing%' OR value LIKE '%Failed%')";
        let mut forged = 0;
        loop {
            sleep(Duration::from_millis(20)).await;
            forged += journal.execute(forge, []).unwrap();
            FORGED.store(forged, Ordering::Relaxed);
        }
    });
    while let Some(report) = runs.join_next().await {
        let report = report.unwrap();
        assert_eq!((report.summary.media_failed, report.summary.media_complete), (50, 0));
    }
    assert!(FORGED.load(Ordering::Relaxed) > 3, "there was nothing to forge");
    forger.abort();
}

static FORGED: AtomicUsize = AtomicUsize::new(0);

#[tokio::test(start_paused = true)]
async fn throttling_of_one_process_slows_all() {
    let scenario = account()
        .with(|s| s.rates.insert(QUERY_TASKS.into(), 0.0))
        .with_fault(FaultRule::on(QUERY_TASKS, Fault::throttle()).skip(40).times(1));
    let fleet = Fleet::new(scenario);
    let mut runs = JoinSet::new();
    for number in [0, 1, 2] {
        fleet.begin(&mut runs, number, 100).await;
    }
    all_complete(runs).await;
    let calls = fleet.env.cloud.calls();
    let queries: Vec<_> = calls.iter().filter(|call| call.action == QUERY_TASKS).collect();
    let place = queries.iter().position(|call| call.outcome != "ok").unwrap();
    let pause = (queries[place + 1].at - queries[place].at).to_std().unwrap();
    assert!(pause >= Duration::from_millis(990), "somebody went on after {pause:?}");
    let pace = |place: usize| (queries[place + 8].at - queries[place].at).as_seconds_f64() / 8.0;
    let (before, after) = (pace(place - 8), pace(place + 1));
    assert!(after > before * 1.5, "{before} s between calls before, {after} s after");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_after_others_read_for_it_is_carried_on_from_what_they_read() {
    let fleet = Fleet::new(account().with(|account| account.task_jitter = Duration::from_secs(20)));
    let mut runs = JoinSet::new();
    fleet.begin(&mut runs, 0, 300).await;
    let refresher = fleet.process(1).await;
    let dying = tokio::spawn(async move { refresher.refresh(&request(ids(1, 10))).await });
    // After the first rounds, and before the last tasks have ended.
    sleep(Duration::from_secs(39)).await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled(), "it was through before it could die");
    let journal = Journal::open(fleet.journal()).await.unwrap();
    let stored = journal.runs().await.unwrap().into_iter().find(|run| run.media == 10).unwrap();
    let stored = journal.load(Some(stored.run_id)).await.unwrap().unwrap();
    let known = stored.report().summary.tasks_complete;
    assert!((1..40).contains(&known), "{known} of 40 tasks were known to have ended");
    let submits = fleet.env.submits();
    let report = fleet.process(1).await.resume(stored).await.unwrap();
    assert_eq!((report.summary.media_complete, report.summary.tasks_complete), (10, 40));
    assert_eq!(fleet.env.submits(), submits, "it was submitted again");
    all_complete(runs).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_that_another_run_caused_is_told_once_and_why() {
    let long = Fault::Throttle {
        code: "Throttling".into(),
        status: 503,
        retry_after_ms: None,
        retry_after_s: Some(20),
    };
    let fleet = Fleet::new(account().with_fault(FaultRule::on(QUERY_TASKS, long)));
    let (mut runs, notices) = (JoinSet::new(), RecordedNotices::default());
    for number in [0, 1] {
        let refresher = fleet.process(number).await.with_observer(notices.clone());
        runs.spawn(async move { refresher.refresh(&request(ids(number, 20))).await.unwrap() });
    }
    all_complete(runs).await;
    let warnings = notices.warnings();
    let [told] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(told.starts_with("another run of this account was told to slow down"), "{told}");
    let seconds: u64 = told.rsplit(' ').nth(1).unwrap().parse().unwrap();
    assert!((10..=40).contains(&seconds), "{told}");
}
