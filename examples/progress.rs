//! Progress in your own interface: here a bar of characters, fed by the stream of steps.
//!
//! `cargo run --example progress`

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use vod_refresh::emulator::{Emulator, MediaScript, Scenario};
use vod_refresh::run::{Notice, Progress};
use vod_refresh::{
    Credential, MediaId, RefreshRequest, Refresher, RunOptions, StaticCredentials, TaskType, VodClient,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scenario = Scenario::new()
        .with(|s| s.job_delay = Duration::ZERO)
        .with(|s| s.task_duration = Duration::from_millis(200))
        .with_media("broken", MediaScript::failing("InvalidDomain.NotFound", "Can't find domain."));
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(Emulator::new(scenario).transport())
        .with_max_rps(50)
        .build()?;
    // Quick looks suit the emulator. With the real service leave this as it is.
    let mut options = RunOptions::default();
    options.poll_interval = Some(Duration::from_millis(50));

    let media = ["intro", "lesson-01", "lesson-02", "broken"].into_iter().map(MediaId::new);
    let request = RefreshRequest::new(TaskType::Preload, media.collect::<Result<Vec<_>, _>>()?);

    // The run goes on by itself. `steps` may be read here, in another task, or not at all.
    let (run, mut steps) = Refresher::new(client).with_options(options).start_refresh(request);
    while let Some(step) = steps.next().await {
        match step.notice {
            Notice::Submitted { media, .. } => println!("{media} media handed in"),
            Notice::MediaEnded { media_id, error: Some(error), .. } => println!("{media_id}: {}", error.code),
            // The bar moves with every task; other notices do not matter here.
            Notice::TaskEnded { .. } => println!("{}", bar(&step.progress)),
            _ => {}
        }
    }
    // The stream has ended, so the report is there.
    let report = run.await?;
    println!("{}: {} of {}", report.outcome.as_str(), report.summary.media_complete, report.summary.media);
    Ok(())
}

fn bar(progress: &Progress) -> String {
    let filled = (progress.tasks_ended * 20 / progress.tasks.max(1)) as usize;
    format!("[{:<20}] {} of {} URLs", "#".repeat(filled), progress.tasks_ended, progress.tasks)
}
