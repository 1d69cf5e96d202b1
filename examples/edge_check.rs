//! Refreshes a media, then asks a node of the CDN whether it serves the new files. One of its copies is stuck.
//!
//! `cargo run --example edge_check`

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vod_refresh::emulator::{EdgeScript, Emulator, Scenario};
use vod_refresh::{Credential, EdgeCheck, EdgeOptions, MediaId, RefreshRequest, Refresher};
use vod_refresh::{StaticCredentials, TaskType, VodClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A pretend cloud with a node of its CDN, which keeps its old copy of one URL.
    let scenario =
        Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO);
    let cloud = Emulator::new(scenario.with(|s| s.edge = EdgeScript::keeping("/2.mp4")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let server = tokio::spawn({
        let (cloud, stop) = (cloud.clone(), stop.clone());
        async move { cloud.serve(listener, stop).await }
    });
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint(format!("http://{address}"))
        .build()?;

    // Without `nodes` it asks the node that DNS gives, as a viewer here would.
    let mut options = EdgeOptions::default();
    options.nodes = vec![format!("http://{address}").parse()?];
    let check = EdgeCheck::new(options)?.with_clock(client.service_clock());
    let request = RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?]);
    let report = Refresher::new(client).with_edge_check(check).refresh(&request).await?;

    println!("every task is Complete, and the verdict is {}", report.outcome.as_str());
    for task in report.media.iter().flat_map(|media| &media.tasks) {
        for answer in &task.edge {
            let url = task.url.as_deref().unwrap_or_default();
            println!("{url}: {}: {}", answer.verdict.as_str(), answer.reason);
        }
    }
    stop.cancel();
    server.await?;
    Ok(())
}
