//! The event receiver mounted in a server of one's own, beside other routes.
//!
//! `cargo run --example receiver` starts the server, lets the emulator send it the events of one run, and ends.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use vod_refresh::auth::callback::CallbackVerifier;
use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::net::transport::ServiceTransport;
use vod_refresh::{
    Credential, EventReceiver, Inbox, MediaId, RefreshRequest, Refresher, StaticCredentials, TaskType,
    VodClient,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The URL as it is configured at VOD: signatures are checked against it, whatever a proxy makes of it.
    let url = "https://deploy.example.com/vod";
    let key = "Abc123Key";
    let inbox = Inbox::new();
    let receiver = EventReceiver::new(inbox.clone(), CallbackVerifier::new(url, vec![key.to_owned().into()]));
    let server = Router::new().route("/health", get(|| async { "fine" })).nest_service("/vod", receiver);

    // In production: axum::serve(listener, server). Here the emulator calls the server without a socket.
    let scenario = Scenario::new().with_callback(url, Some(key));
    let cloud = Emulator::new(
        scenario.with(|s| s.job_delay = Duration::ZERO).with(|s| s.task_duration = Duration::ZERO),
    )
    .with_event_transport(Arc::new(ServiceTransport(server)));
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(cloud.transport())
        .build()?;

    let request = RefreshRequest::new(TaskType::Preload, [MediaId::new("intro")?]);
    let report = Refresher::new(client).with_inbox(inbox).refresh(&request).await?;
    println!("{}, {} event came in", report.outcome.as_str(), report.summary.events_accepted);
    Ok(())
}
