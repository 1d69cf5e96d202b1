//! Credentials from a source of your own: a vault that hands out temporary keys.
//!
//! `cargo run --example credentials`

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use vod_refresh::auth::CachedCredentials;
use vod_refresh::emulator::{Emulator, Scenario};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::net::transport::BoxFuture;
use vod_refresh::{
    Credential, CredentialProvider, MediaId, RefreshRequest, Refresher, Result, TaskType, VodClient,
};

/// Stands for your vault's client.
#[derive(Debug, Default)]
struct Vault {
    asked: AtomicU32,
}

impl CredentialProvider for Vault {
    // `Ok(None)` would mean "I have none", `Err` "I am broken"; the run tells the user which.
    fn credential(&self) -> BoxFuture<'_, Result<Option<Credential>>> {
        Box::pin(async {
            // The second question finds what was rotated in meanwhile.
            let token = format!("token-{}", self.asked.fetch_add(1, Ordering::Relaxed) + 1);
            let end = SystemClock.now() + TimeDelta::hours(1);
            let key = Credential::new("testid", "testsecret").with_token(token);
            Ok(Some(key.with_renewal_at(end).with_source("the vault")))
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    // The cloud takes the second token only, as if the first had been revoked.
    let cloud = Emulator::new(
        Scenario::new()
            .with(|s| s.tokens.insert("testid".into(), "token-2".into()))
            .with(|s| s.job_delay = Duration::ZERO)
            .with(|s| s.task_duration = Duration::ZERO),
    );
    let vault = Arc::new(Vault::default());
    // Cached: one question an hour, and another when the service refuses what it got.
    let client = VodClient::builder(CachedCredentials::new(vault.clone()))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(cloud.transport())
        .build()?;

    let request = RefreshRequest::new(TaskType::Refresh, [MediaId::new("intro")?]);
    let report = Refresher::new(client).refresh(&request).await?;
    let asked = vault.asked.load(Ordering::Relaxed);
    println!("{}, the vault was asked {asked} times", report.outcome.as_str());
    Ok(())
}
