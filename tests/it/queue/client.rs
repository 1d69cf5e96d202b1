//! The queue's calls one by one, and the keys that sign them.

use tokio::time::Instant;
use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::smq::{Deleted, ReceiptHandle};
use vod_refresh::{Credential, CredentialProvider, ErrorKind, QueueClient, StaticCredentials};

use super::*;

#[tokio::test(start_paused = true)]
async fn every_call_is_answered_as_the_service_would() {
    let env = env(scenario(queue()));
    let client = env.queue_client();
    let start = Instant::now();
    assert!(client.batch_receive_message(16, secs(10)).await.unwrap().is_empty());
    assert_eq!(start.elapsed(), secs(10));
    for n in 0..3 {
        env.cloud.put_message(format!("<{n}> & \u{4e2d}"));
    }
    let messages = client.batch_receive_message(2, secs(30)).await.unwrap();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].body.ends_with("> & \u{4e2d}") && messages[0].dequeue_count == 1);
    let hidden = client.change_message_visibility(&messages[0].handle, secs(60)).await.unwrap().unwrap();
    assert_eq!(client.delete_message(&messages[0].handle).await.unwrap(), Deleted::HandleExpired);
    let handles = [hidden, messages[0].handle.clone(), messages[1].handle.clone()];
    let expected = [Deleted::Now, Deleted::HandleExpired, Deleted::Now];
    assert_eq!(client.batch_delete_message(&handles).await.unwrap(), expected);
    assert_eq!(client.batch_delete_message(&handles[..2]).await.unwrap(), [Deleted::HandleExpired; 2]);
    assert_eq!(client.change_message_visibility(&handles[0], secs(1)).await.unwrap(), None);
    let malformed = ReceiptHandle::new("x");
    assert_eq!(client.delete_message(&malformed).await.unwrap(), Deleted::HandleExpired);
    assert_eq!(env.cloud.queue_messages().len(), 1);
    let attributes = client.get_queue_attributes().await.unwrap();
    assert_eq!(attributes.visibility_timeout, Some(secs(30)));
}

#[tokio::test(start_paused = true)]
async fn a_missing_queue_is_a_matter_of_configuration() {
    let env = TestEnv::new(Scenario::new());
    let error = env.queue_client().batch_receive_message(1, secs(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some("QueueNotExist")));
    assert!(error.request_id().is_some());
}

fn client(cloud: &Emulator, credential: Credential) -> QueueClient {
    QueueClient::builder(StaticCredentials(credential), "http://127.0.0.1:1/queues/events")
        .with_transport(cloud.transport())
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn temporary_keys_bring_their_token_and_a_wrong_clock_is_corrected() {
    let cloud = Emulator::new(
        scenario(queue())
            .with(|s| s.tokens.insert("testid".into(), "tok".into()))
            .with(|s| s.clock_offset = 7_200),
    );
    let whole = Credential::new("testid", "testsecret").with_token("tok");
    assert!(client(&cloud, whole).batch_receive_message(1, Duration::ZERO).await.unwrap().is_empty());
    let outcomes: Vec<String> = cloud.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["TimeExpired", "ok"]);
    let half = client(&cloud, Credential::new("testid", "testsecret"));
    let error = half.batch_receive_message(1, Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("MissingSecurityToken")));
    let blank = client(&cloud, Credential::new("testid", "testsecret\n").with_token("tok"));
    let error = blank.get_queue_attributes().await.unwrap_err();
    assert!(error.message().contains("blank or line break"), "{error}");
}

#[tokio::test]
async fn over_a_real_socket_handles_arrive_as_they_were_signed() {
    let cloud = Emulator::new(scenario(queue()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/queues/events", listener.local_addr().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let served = tokio::spawn({
        let (cloud, stop) = (cloud.clone(), stop.clone());
        async move { cloud.serve(listener, stop).await }
    });
    let credentials = StaticCredentials(Credential::new("testid", "testsecret"));
    let client = QueueClient::builder(credentials, url).build().unwrap();
    (0..20).for_each(|n| drop(cloud.put_message(n.to_string())));
    // Twenty handles hold every letter that a URL library might want to change.
    let mut letters = String::new();
    for _ in 0..20 {
        let message = client.batch_receive_message(1, secs(1)).await.unwrap().remove(0);
        letters.push_str(message.handle.as_str());
        let hidden = client.change_message_visibility(&message.handle, secs(60)).await.unwrap().unwrap();
        assert_eq!(client.delete_message(&hidden).await.unwrap(), Deleted::Now);
    }
    assert!(letters.contains('+') && letters.contains('/') && letters.contains('='));
    stop.cancel();
    served.await.unwrap();
}

/// Gives another token once the first was refused.
#[derive(Debug, Default)]
struct TwoTokens(std::sync::atomic::AtomicUsize);

impl CredentialProvider for TwoTokens {
    fn credential(
        &self,
    ) -> vod_refresh::net::transport::BoxFuture<'_, vod_refresh::Result<Option<Credential>>> {
        let token = format!("tok-{}", self.0.load(std::sync::atomic::Ordering::Relaxed));
        Box::pin(async { Ok(Some(Credential::new("testid", "testsecret").with_token(token))) })
    }

    fn refused(&self, _: &Credential) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ran_out_is_replaced_in_the_middle() {
    let cloud = Emulator::new(scenario(queue()).with(|s| s.tokens.insert("testid".into(), "tok-0".into())));
    let client = QueueClient::builder(TwoTokens::default(), "http://127.0.0.1:1/queues/events")
        .with_transport(cloud.transport())
        .build()
        .unwrap();
    client.get_queue_attributes().await.unwrap();
    cloud.set_token("testid", "tok-1");
    client.get_queue_attributes().await.unwrap();
    let outcomes: Vec<String> = cloud.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["ok", "InvalidSecurityToken.Expired", "ok"]);
}
