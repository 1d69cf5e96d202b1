//! A worker that gets its events from a queue, which others may share. It needs no public address.
//!
//! `cargo run --example queue_worker`

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use tokio::sync::mpsc;
use vod_refresh::emulator::{Emulator, QueueScript, Scenario};
use vod_refresh::{
    Credential, Inbox, MediaId, QueueClient, QueueConsumer, RefreshRequest, Refresher, StaticCredentials,
    TaskType, VodClient,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cloud = Emulator::new(
        Scenario::new()
            .with(|s| s.queue = Some(QueueScript::named("vod-events")))
            .with(|s| s.job_delay = Duration::ZERO)
            .with(|s| s.task_duration = Duration::ZERO),
    );
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(cloud.transport())
        .with_max_rps(50)
        .build()?;
    // In production: https://ACCOUNT.mns.cn-shanghai.aliyuncs.com/queues/vod-events
    let queue = QueueClient::builder(client.credentials(), "http://127.0.0.1:1/queues/vod-events")
        .with_transport(cloud.transport())
        .build()?;

    // One consumer for the process, one inbox for all runs: each run takes what is its own.
    let inbox = Inbox::new();
    let consumer = QueueConsumer::new(queue, inbox.clone()).spawn();
    let refresher = Refresher::new(client).with_inbox(inbox);

    // The work: whatever your service puts into this channel.
    let (work, mut jobs) = mpsc::channel::<Vec<MediaId>>(16);
    work.send(vec![MediaId::new("intro")?, MediaId::new("lesson")?]).await?;
    work.send(vec![MediaId::new("trailer")?]).await?;
    drop(work);

    let mut runs = Vec::new();
    while let Some(media) = jobs.recv().await {
        // Runs go side by side; they share the client's pace. The steps are of no interest here.
        let (run, _) = refresher.start_refresh(RefreshRequest::new(TaskType::Refresh, media));
        runs.push(run);
    }
    for run in runs {
        let report = run.await?;
        let summary = &report.summary;
        println!(
            "{}: {} events for {} media",
            report.outcome.as_str(),
            summary.events_accepted,
            summary.media
        );
    }
    consumer.close().await?;
    // Ours were deleted once they were understood. Other people's would be released at once, and never deleted.
    println!("{} messages are left in the queue", cloud.queue_messages().len());
    Ok(())
}
