//! Tests a deploy script with the emulator: does it get through when a connection breaks and a URL fails?
//!
//! `cargo run --example deploy_test -- sh deploy.sh` runs your script with the emulator in its environment (there is one to
//! try it with: `examples/deploy.sh`). Without a command it makes the equivalent call itself.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::net::{HttpOptions, HttpTransport};
use vod_refresh::{Credential, MediaId, RefreshRequest, Refresher, StaticCredentials, TaskType, VodClient};

/// The weather that the script must stand. The same text in a file suits `vod-refresh emulator --scenario FILE`.
const SCENARIO: &str = r#"{
    "job_delay": "0s",
    "task_duration": "0s",
    "media": {"half": {"url_count": 2, "failed_tasks": [1], "failed_description": "Origin Timeout"}},
    "faults": [{"action": "GetMediaRefreshJobs", "times": 1, "fault": "reset_before"}]
}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cloud = Emulator::new(Scenario::from_json(SCENARIO)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let server = tokio::spawn({
        let cloud = cloud.clone();
        async move { cloud.serve(listener, CancellationToken::new()).await }
    });

    let mut command = std::env::args_os().skip(1);
    match command.next() {
        Some(program) => {
            let status = tokio::process::Command::new(program)
                .args(command)
                .env("VOD_REFRESH_ENDPOINT", &endpoint)
                .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid")
                .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")
                .status()
                .await?;
            println!("the script ended with {}", status.code().unwrap_or(-1));
        }
        None => println!("the call ended as {}", call(&endpoint).await?),
    }
    server.abort();

    // What the cloud saw is what there is to check.
    assert_eq!(cloud.count("RefreshMediaPlayUrls"), 1, "submitted once, in spite of the fault");
    assert_eq!(cloud.unused_faults(), Vec::<String>::new(), "the fault struck");
    println!("submitted once, {} lookups", cloud.count("GetMediaRefreshJobs"));
    Ok(())
}

/// What the script does, in Rust.
async fn call(endpoint: &str) -> Result<&'static str, Box<dyn std::error::Error>> {
    let mut http = HttpOptions::default();
    http.proxy_from_environment = false;
    let client = VodClient::builder(Arc::new(StaticCredentials(Credential::new("testid", "testsecret"))))
        .with_endpoint(endpoint)
        .with_transport(HttpTransport::new(&http)?)
        .build()?;
    let request = RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?, MediaId::new("half")?]);
    Ok(Refresher::new(client).refresh(&request).await?.outcome.as_str())
}
