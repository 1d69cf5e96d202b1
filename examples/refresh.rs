//! The smallest whole run: three media against the emulator, no account needed.
//!
//! `cargo run --example refresh`

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use vod_refresh::emulator::{Emulator, MediaScript, Scenario};
use vod_refresh::{Credential, MediaId, RefreshRequest, Refresher, StaticCredentials, TaskType, VodClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A pretend cloud inside this process. It is quick, and does not know the media "gone".
    let scenario =
        Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO);
    let cloud = Emulator::new(scenario.with_media("gone", MediaScript::missing()));
    // With an account: VodClient::builder(DefaultCredentials::new(CredentialOptions::default())).build()?
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1") // never called: the transport goes straight into the emulator
        .with_transport(cloud.transport())
        .build()?;

    let media = [MediaId::new("intro")?, MediaId::new("lesson")?, MediaId::new("gone")?];
    let report = Refresher::new(client).refresh(&RefreshRequest::new(TaskType::Refresh, media)).await?;

    println!("{}", report.outcome.as_str());
    for media in &report.media {
        let id = media.media_id.as_ref().map_or("?", MediaId::as_str);
        println!("{id}: {} ({} URLs)", media.state.as_str(), media.tasks.len());
    }
    Ok(())
}
