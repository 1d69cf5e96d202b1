//! Only runs of one account at one service share.

use bytes::Bytes;
use tokio::task::JoinSet;
use vod_refresh::emulator::Scenario;
use vod_refresh::net::transport::{BoxFuture, Transport, TransportResult};
use vod_refresh::{Credential, Refresher, Report, StaticCredentials};

use super::{Fleet, QUERY_TASKS, account, all_complete, ids, process};
use crate::support::scripts::failing_media;
use crate::support::{TestEnv, client_over, request, static_key};

const MEDIA: usize = 100;

/// Session keys, as each process gets its own when it assumes a role.
pub(super) fn with_sessions(scenario: Scenario) -> Scenario {
    (0..3).fold(scenario, |scenario, n| {
        scenario
            .with(|s| s.keys.insert(format!("STS.N{n}"), "secret".into()))
            .with(|s| s.tokens.insert(format!("STS.N{n}"), "token".into()))
    })
}

fn session(number: usize) -> StaticCredentials {
    StaticCredentials(Credential::new(format!("STS.N{number}"), "secret").with_token("token"))
}

/// A process with a session key, at the service of this env, whose address is `endpoint`.
pub(super) async fn with_session(env: &TestEnv, fleet: &Fleet, number: usize, endpoint: &str) -> Refresher {
    let client = client_over(env.cloud.transport(), std::sync::Arc::new(session(number)))
        .with_clock(env.clock())
        .with_endpoint(endpoint)
        .with_jitter_seed(number as u64);
    process(client.build().unwrap(), &fleet.journal()).await
}

#[tokio::test(start_paused = true)]
async fn sessions_of_one_account_find_out_that_they_are_and_share() {
    let one = super::refreshed(account(), 1, 3 * MEDIA).await;
    let fleet = Fleet::new(with_sessions(account()));
    let mut runs = JoinSet::new();
    for number in 0..3 {
        let refresher = with_session(&fleet.env, &fleet, number, "http://127.0.0.1:1").await;
        runs.spawn(async move { refresher.refresh(&request(ids(number, MEDIA))).await.unwrap() });
    }
    all_complete(runs).await;
    let all = fleet.took();
    assert!(all.time.as_secs_f64() < 1.15 * one.time.as_secs_f64(), "{all:?} instead of {one:?}");
    assert!(all.queries as f64 <= 1.2 * one.queries as f64, "{all:?} instead of {one:?}");
}

/// Refreshes media that fail at the second of two services, whose addresses these are. All share a journal. Returns both
/// reports, and the task queries at each service.
async fn at_two_services(endpoints: [&str; 2]) -> ([Report; 2], [usize; 2]) {
    let fleet = Fleet::new(with_sessions(account()));
    let failing = failing_media();
    let other =
        TestEnv::seeded(2, with_sessions(account()).with(|s| s.default_media = failing), |builder| builder);
    let first = with_session(&fleet.env, &fleet, 0, endpoints[0]).await;
    let second = with_session(&other, &fleet, 1, endpoints[1]).await;
    let both = [request(ids(0, MEDIA)), request(ids(1, MEDIA))];
    let (first, second) = tokio::join!(first.refresh(&both[0]), second.refresh(&both[1]));
    let queries = [&fleet.env, &other].map(|env| env.cloud.count(QUERY_TASKS));
    ([first.unwrap(), second.unwrap()], queries)
}

#[tokio::test(start_paused = true)]
async fn rows_of_another_account_or_service_are_not_taken() {
    let alone = super::refreshed(account(), 1, MEDIA).await.queries;
    for endpoints in [["http://127.0.0.1:1"; 2], ["http://127.0.0.1:1", "http://127.0.0.1:2"]] {
        let ([first, second], queries) = at_two_services(endpoints).await;
        let ends = |report: &Report| (report.summary.media_complete, report.summary.media_failed);
        assert_eq!((ends(&first), ends(&second)), ((100, 0), (0, 100)), "{endpoints:?}");
        for queries in queries {
            // Taken for one account, they leave samples to each other, and ask for pages that are not there.
            assert!(queries <= alone + 12, "{endpoints:?}: {queries} queries, alone {alone}");
        }
    }
}

/// A transport whose calls are said to go through a proxy.
#[derive(Debug)]
struct Through<T>(T, &'static str);

impl<T: Transport> Transport for Through<T> {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, TransportResult> {
        self.0.send(request)
    }

    fn proxy_of(&self, _: &http::Uri) -> Option<String> {
        Some(self.1.to_owned())
    }
}

/// Two services have one name, since the proxies differ that lead there, and one of them says of the tasks of both runs that they are
/// complete.
#[tokio::test(start_paused = true)]
async fn pages_that_came_another_way_are_not_taken() {
    let fleet = Fleet::new(account());
    let failing = failing_media();
    let other = TestEnv::seeded(1, account().with(|s| s.default_media = failing), |builder| builder);
    let process_at = async |env: &TestEnv, proxy| {
        let transport = Through(env.cloud.transport(), proxy);
        let client = client_over(transport, static_key()).with_clock(env.clock());
        process(client.with_endpoint("http://127.0.0.1:1").build().unwrap(), &fleet.journal()).await
    };
    let first = process_at(&fleet.env, "http://one.proxy.test:3128/").await;
    let second = process_at(&other, "http://two.proxy.test:3128/").await;
    let order = request(ids(0, MEDIA));
    let (first, second) = tokio::join!(first.refresh(&order), second.refresh(&order));
    let (first, second) = (first.unwrap().summary, second.unwrap().summary);
    assert_eq!((first.media_complete, second.media_failed), (MEDIA as u64, MEDIA as u64));
}
