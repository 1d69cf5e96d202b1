//! The pretend cloud behind a real port, and the proxy that stands before a run's callback listener.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vod_refresh::emulator::{Call, Emulator, EventSignature, Scenario};
use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};
use vod_refresh::net::{HttpOptions, HttpTransport};

use super::process::Running;
use super::shell::Shell;
pub(super) use crate::support::action::{QUERY_JOBS, QUERY_TASKS, SUBMIT};
use crate::support::program::wait_for;

/// Where the cloud believes that events go, and what it signs over.
pub(super) const PUBLIC_URL: &str = "https://cb.example.test/vod/hook";
pub(super) const CALLBACK_KEY: &str = "Abc123Key";
/// Options of a run that takes events by way of [`PUBLIC_URL`].
pub(super) const LISTENING: &str =
    "--callback-listen 127.0.0.1:0 --callback-url https://cb.example.test/vod/hook";

/// An emulator on a runtime of its own. Dropping it fails the test if a scripted fault never struck.
pub(super) struct Cloud {
    pub(super) emulator: Emulator,
    address: SocketAddr,
    inside: watch::Sender<Option<SocketAddr>>,
    runtime: Option<Runtime>,
}

impl Cloud {
    pub(super) fn new(scenario: Scenario) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (inside, told) = watch::channel(None);
        let proxy = Proxy { http: plain_http(), inside: told };
        let emulator =
            Emulator::new(scenario.with(|s| s.seed = Some(1)).with_callback(PUBLIC_URL, Some(CALLBACK_KEY)))
                .with_event_transport(Arc::new(proxy));
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = emulator.clone();
        runtime.spawn(async move { serving.serve(listener, CancellationToken::new()).await });
        Self { emulator, address, inside, runtime: Some(runtime) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A command line, cut at blanks, with the test keys and this cloud as the endpoint.
    pub(super) fn shell(&self, line: &str) -> Shell {
        Shell::new(line).with_keys().env("VOD_REFRESH_ENDPOINT", self.url())
    }

    /// Starts `line` with the callback key and a listener, and lets the cloud's events through to it.
    pub(super) fn listening(&self, line: &str) -> Running {
        let run =
            self.shell(line).words(LISTENING).env("VOD_REFRESH_CALLBACK_AUTH_KEY", CALLBACK_KEY).start();
        self.let_events_through(&run);
        run
    }

    /// Tells the proxy where the run listens; until then events wait at it.
    pub(super) fn let_events_through(&self, run: &Running) {
        self.inside.send_replace(Some(run.listening_on()));
    }

    /// Runs async work of the test on the cloud's runtime.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("it is there until the drop").block_on(work)
    }

    /// Posts an event by hand to the run that listens, rightly signed; gives back the answer's status.
    pub(super) fn post(&self, body: &str) -> Option<u16> {
        self.post_signed(body, EventSignature::Right)
    }

    pub(super) fn post_signed(&self, body: &str, signature: EventSignature) -> Option<u16> {
        self.block_on(self.emulator.send_event(None, body, signature))
    }

    /// The first job, as soon as it is there.
    pub(super) fn first_job(&self) -> String {
        wait_for("a job", || self.emulator.job_ids().into_iter().next())
    }

    pub(super) fn calls(&self, action: &str) -> Vec<Call> {
        self.emulator.calls().into_iter().filter(|call| call.action == action).collect()
    }

    pub(super) fn count(&self, action: &str) -> usize {
        self.emulator.count(action)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if !std::thread::panicking() {
            assert_eq!(self.emulator.unused_faults(), Vec::<String>::new(), "faults that never struck");
        }
    }
}

/// Stands at [`PUBLIC_URL`] and passes on to the run's listener. It waits until that is known, so no event is early by
/// accident.
#[derive(Debug)]
struct Proxy {
    http: HttpTransport,
    inside: watch::Receiver<Option<SocketAddr>>,
}

impl Transport for Proxy {
    fn send(
        &self,
        mut request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let mut inside = self.inside.clone();
        Box::pin(async move {
            let known = inside.wait_for(Option::is_some).await.map(|address| *address);
            // The sender is gone only with the whole cloud.
            let Ok(Some(address)) = known else { return std::future::pending().await };
            *request.uri_mut() = format!("http://{address}/behind/the/proxy").parse().unwrap();
            self.http.send(request).await
        })
    }
}

/// A client for the loopback.
pub(super) fn plain_http() -> HttpTransport {
    let mut options = HttpOptions::default();
    options.proxy_from_environment = false;
    HttpTransport::new(&options).unwrap()
}
