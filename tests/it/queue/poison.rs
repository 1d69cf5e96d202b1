//! Messages that nobody can read: the others of their batch are handled, and they are left as they are.

use bytes::Bytes;
use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};

use super::*;
use crate::support::program::{Cloud, Home};

/// Puts bytes into answers that no emulator would write.
#[derive(Debug)]
struct Tampering<T>(T);

const TAMPERED: [(&str, &[u8]); 4] = [
    ("MARK-BYTES", b"{\"a\": \"\xff\xfe\x80"),
    ("MARK-TAGS", b"<a><b></a> & &nothing; </MessageBody>"),
    ("MARK-COMMENT", b"<!-- <![CDATA["),
    ("MARK-HANDLE", b"\xc3\x28 +/=?&amp;#%\xe4\xb8\xad"),
];

fn replaced(mut body: Vec<u8>) -> Vec<u8> {
    for (mark, bytes) in TAMPERED {
        while let Some(at) = body.windows(mark.len()).position(|part| part == mark.as_bytes()) {
            body.splice(at..at + mark.len(), bytes.iter().copied());
        }
    }
    body
}

impl<T: Transport> Transport for Tampering<T> {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let answer = self.0.send(request).await?;
            Ok(answer.map(|body| replaced(body.to_vec()).into()))
        })
    }
}

/// Bodies that are no events, and how a person hears of them.
fn bodies() -> Vec<(String, &'static str)> {
    let no_json = "neither JSON nor JSON in Base64";
    let of_others = "its JSON has no EventType";
    vec![
        (String::new(), no_json),
        (" ".into(), no_json),
        ("no Base64 ===".into(), no_json),
        ("AAEC".into(), no_json),
        ("<a><b></a>".into(), no_json),
        ("x".repeat(64 * 1_024), no_json),
        (format!("{{\"x\":\"{}\"}}", "\"".repeat(64 * 1_024)), "its JSON can't be read"),
        (format!("{{\"x\":{}", "[".repeat(60_000)), "its JSON can't be read"),
        (r#"{"order": 17, "unknown": {"fields": []}}"#.into(), of_others),
        (r#"{"EventType":"SubmitMediaRefreshComplete","MediaId":"m1"}"#.into(), "it names no job"),
    ]
}

fn is_told_once(warnings: &str) {
    for (_, why) in bodies() {
        assert_eq!(warnings.matches(why).count(), 1, "{why}: {warnings}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_left_alone_and_its_batch_is_handled() {
    // They come first, and are received again and again.
    let queue = QueueScript { visibility_timeout: secs(5), ..queue() };
    let env = env(scenario(queue).with(|s| s.event_delay = secs(7)).with(|s| s.task_duration = secs(60)))
        .with_options(|o| o.lookup_after = Some(vod_refresh::LookupAfter::After(secs(90))));
    for (body, _) in bodies() {
        env.cloud.put_message(body);
    }
    for (mark, _) in &TAMPERED[..3] {
        env.cloud.put_message(*mark);
    }
    let consumer =
        QueueConsumer::new(env.queue_client_over(Tampering(env.cloud.transport())), env.inbox.clone());
    let listener = consumer.spawn();
    let theirs = ids(&env.cloud.queue_messages());
    let report = env.refresh(["m1", "m2"]).await;
    assert_eq!((report.outcome, report.summary.events_accepted), (Outcome::Complete, 2));
    assert!(by_queue(&report));
    assert_eq!(ids(&env.cloud.queue_messages()), theirs, "ours deleted, all others still there");
    assert_eq!(
        env.cloud.count("ChangeMessageVisibility"),
        0,
        "the time for which they are hidden is the queue's"
    );
    is_told_once(&env.notices.warnings().join("\n"));
    assert!(!listener.is_finished());
    listener.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn thousands_of_unreadable_messages_are_told_once_and_given_up_like_other_foreign_messages() {
    let env = env(scenario(queue()).with(|s| s.task_duration = secs(400)));
    for n in 0..1_000 {
        env.cloud.put_message(format!("no event {n}"));
    }
    let theirs = ids(&env.cloud.queue_messages());
    let listener = env.consume_queue();
    let report = env.refresh(["m1"]).await;
    assert_eq!(report.outcome, Outcome::Complete);
    let warnings = env.notices.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[1].contains("in a row were not ours"), "{warnings:?}");
    let left = ids(&env.cloud.queue_messages());
    assert!(theirs.iter().all(|id| left.contains(id)));
    assert!(listener.close().await.is_err());
}

/// Handles are signed and sent as they came.
#[tokio::test(start_paused = true)]
async fn a_handle_of_odd_letters_spoils_no_other_one() {
    use vod_refresh::smq::{Deleted, ReceiptHandle};
    let env = env(scenario(queue()));
    let client = env.queue_client_over(Tampering(env.cloud.transport()));
    let odd =
        ["MARK-HANDLE", "a b\t\u{7}c", "%2F%zz", "<&>'\"", "\u{4e2d}\u{1f600}", "../../x?y=z#", "\u{0}"];
    env.cloud.put_message("ours");
    let good = client.batch_receive_message(16, secs(1)).await.unwrap().remove(0).handle;
    for text in odd {
        let handle = ReceiptHandle::new(text);
        assert_eq!(client.delete_message(&handle).await.unwrap(), Deleted::HandleExpired, "{text:?}");
        assert_eq!(client.change_message_visibility(&handle, secs(1)).await.unwrap(), None, "{text:?}");
    }
    let all: Vec<_> = odd[1..6].iter().map(|text| ReceiptHandle::new(*text)).chain([good]).collect();
    let deleted = client.batch_delete_message(&all).await.unwrap();
    assert_eq!(deleted.iter().filter(|deleted| **deleted == Deleted::Now).count(), 1, "{deleted:?}");
    assert_eq!(env.cloud.queue_messages().len(), 0);
}

/// The command, over a socket.
#[test]
fn the_command_goes_on_beside_messages_that_nobody_can_read() {
    let quick = Duration::from_millis(100);
    let scenario = Scenario::new().with(|s| s.job_delay = quick).with(|s| s.task_duration = quick);
    let (cloud, home) = (Cloud::new(scenario.with(|s| s.queue = Some(queue()))), Home::new());
    for (body, _) in bodies() {
        cloud.emulator.put_message(body);
    }
    let (endpoint, queue) = (&cloud.endpoint, format!("{}/queues/events", cloud.endpoint));
    let line =
        ["refresh", "m1", "--endpoint", endpoint, "--queue", &queue, "--lookup-after", "20s", "-o", "ndjson"];
    let ended = home.run(&line);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["media"][0]["confirmed_by"], "queue", "{report}");
    assert_eq!(cloud.emulator.queue_messages().len(), bodies().len());
    assert_eq!(cloud.emulator.count("ChangeMessageVisibility"), 0);
    is_told_once(&ended.stderr);
}
