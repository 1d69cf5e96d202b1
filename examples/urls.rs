//! Purges a cover, a folder and a file that the CDN can't do: URLs that are no media.
//!
//! `cargo run --example urls`

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use vod_refresh::emulator::{Emulator, MediaScript, Scenario, Which};
use vod_refresh::{Credential, Refresher, StaticCredentials, TaskType, UrlRequest, VodClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A pretend cloud inside this process, in which one URL fails.
    let bad = "https://cdn.example.com/bad.vtt";
    let failing = MediaScript { failed_tasks: Which::All(true), ..MediaScript::default() };
    let scenario = Scenario::new().with(|s| s.task_duration = Duration::ZERO).with_media(bad, failing);
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1") // never called: the transport goes straight into the emulator
        .with_transport(Emulator::new(scenario).transport())
        .build()?;

    // A URL that ends with a slash is a folder. `TaskType::Preload` prefetches.
    let urls = ["https://cdn.example.com/cover.jpg", "https://cdn.example.com/subtitles/", bad];
    let report = Refresher::new(client).refresh_urls(&UrlRequest::new(TaskType::Refresh, urls)).await?;

    println!("{}", report.outcome.as_str());
    for url in &report.urls {
        let why = url.error.as_ref().map_or(String::new(), |error| format!(" ({})", error.message));
        println!("{}: {}{why}", url.url, url.state.as_str());
    }
    Ok(())
}
