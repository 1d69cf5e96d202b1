//! A run that dies in the middle and is carried on from its journal, with nothing submitted twice.
//!
//! `cargo run --example resume`

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::run::Notice;
use vod_refresh::{
    Credential, Journal, MediaId, RefreshRequest, Refresher, StaticCredentials, TaskType, VodClient,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cloud = Emulator::new(
        Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO),
    );
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("journal.db");

    // The first process. Each fact is in the journal before it is acted upon.
    {
        let journal = Journal::open(&file).await?;
        let request =
            RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?, MediaId::new("lesson")?]);
        let (run, mut steps) = refresher(&cloud, &journal)?.start_refresh(request);
        while let Some(step) = steps.next().await {
            if let Notice::Submitted { media, .. } = step.notice {
                println!("{media} media submitted; now the process dies");
                break;
            }
        }
        // As good as `kill -9`: no farewell, no report. The service works on.
        drop(run);
    }

    // The second process finds the newest run that has not ended.
    let journal = Journal::open(&file).await?;
    let stored = journal.load(None).await?.ok_or("no run to carry on")?;
    println!("carrying on run {}", stored.record.run);
    let report = refresher(&cloud, &journal)?.resume(stored).await?;

    println!("{}: {} URLs", report.outcome.as_str(), report.summary.tasks_complete);
    println!("submitted {} time", cloud.count("RefreshMediaPlayUrls"));
    Ok(())
}

fn refresher(cloud: &Emulator, journal: &Journal) -> vod_refresh::Result<Refresher> {
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(cloud.transport())
        .with_max_rps(50)
        .build()?;
    // What you would want back on resume, such as the region, goes in place of Null.
    Ok(Refresher::new(client).with_journal(journal.clone(), serde_json::Value::Null))
}
