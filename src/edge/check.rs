//! Asks nodes for URLs, a few at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::answer::{EdgeAnswer, EdgeVerdict};
use super::ask::{ask, is_ours};
use super::judge::{Exchange, judge};
use super::node::EdgeNode;
use super::refusal;
use super::sign::auth_key;
use super::target::Target;
use super::times::{Times, tells_nothing};
use crate::auth::{redact, request::fresh_nonce};
use crate::client::quoted;
use crate::error::{Error, ErrorKind, Result};
use crate::net::clock::{Clock, SystemClock};
use crate::net::connector::Connector;
use crate::net::transport::{Phase, TransportError};

/// URLs that are asked for, where there are more.
pub const DEFAULT_SAMPLE: usize = 200;
/// Requests for one host that are on their way at once.
pub const PER_HOST: usize = 4;
/// Hosts that are asked for at once.
const HOSTS: usize = 8;
/// Why there is no answer where the time was over.
pub(crate) const NO_TIME: &str = "the time of the run was over before the node had answered";
/// How long a signed URL is good where its time is taken as that of its end. The CDN adds the domain's own validity, half an hour
/// by default.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(5);

/// Settings of an [`EdgeCheck`].
#[derive(Clone)]
#[non_exhaustive]
pub struct EdgeOptions {
    /// The nodes to ask, each for every URL; empty: the one that DNS gives, as a viewer on this machine gets it.
    pub nodes: Vec<EdgeNode>,
    /// Headers of the requests, as `Referer`. `Host`, `Range`, and those about the connection can't be given.
    pub headers: HeaderMap,
    /// The key of the domain's URL authentication, type A; the URLs that are asked for are signed with it.
    pub auth_key: Option<SecretString>,
    /// So many URLs are asked for at most, spread evenly over all of them; [`DEFAULT_SAMPLE`] by default.
    pub sample: usize,
    /// How long one question to one node may take, with name lookup, connection and a second request; 10 s by default.
    pub timeout: Duration,
    /// Certificates (PEM) to trust beside the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count. A proxy is only asked to pass bytes on (`CONNECT` or
    /// SOCKS), also for plain HTTP, since one that reads requests may answer from a cache of its own. Where it is given the name
    /// of the host, the node is of its choice.
    pub proxy_from_environment: bool,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            headers: HeaderMap::new(),
            auth_key: None,
            sample: DEFAULT_SAMPLE,
            timeout: Duration::from_secs(10),
            extra_roots: Vec::new(),
            proxy_from_environment: true,
        }
    }
}

/// Without the key and the values of headers, which may be cookies.
impl fmt::Debug for EdgeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("EdgeOptions")
            .field("nodes", &self.nodes)
            .field("headers", &headers)
            .field("auth_key", &self.auth_key.as_ref().map(|_| "<secret>"))
            .field("sample", &self.sample)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A URL to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeUrl {
    /// With or without a scheme. Without one HTTPS is tried, then HTTP where HTTPS can't be spoken.
    pub url: String,
    /// When it was handed in for a refresh or preload, by the service's clock.
    pub submitted_at: DateTime<Utc>,
}

impl EdgeUrl {
    /// A URL that was handed in at `submitted_at`.
    pub fn new(url: impl Into<String>, submitted_at: DateTime<Utc>) -> Self {
        Self { url: url.into(), submitted_at }
    }
}

/// Asks nodes of the CDN whether their copies are newer than the submission.
///
/// It makes one `HEAD` for each URL and node, then a `GET` of one byte where that says nothing; each over a connection of its
/// own, [`PER_HOST`] at once for a host. Redirects are not followed, bodies not read. A request for a file that the node does not
/// have may make it fetch the file.
#[derive(Debug, Clone)]
pub struct EdgeCheck {
    options: EdgeOptions,
    connector: Connector,
    clock: Arc<dyn Clock>,
}

impl EdgeCheck {
    /// Takes the settings. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a certificate is none, [`ErrorKind::Usage`] for a header that can't be given.
    pub fn new(options: EdgeOptions) -> Result<Self> {
        if let Some(name) = options.headers.keys().find(|name| is_ours(name)) {
            let message = format!("the header {name} can't be given for the requests to nodes");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let connector =
            Connector::new(&options.extra_roots, options.proxy_from_environment, options.timeout)?;
        Ok(Self { options, connector, clock: Arc::new(SystemClock) })
    }

    /// Sets the clock: the service's time, as well as it is known. The submission's time is by the same clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The places of the URLs that are asked for, where there are `count` of them.
    pub fn sample(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let taken = count.min(self.options.sample);
        (0..taken).map(move |n| usize::try_from(n as u128 * count as u128 / taken as u128).unwrap_or(n))
    }

    /// Asks for `urls`, or for a sample of them. Gives the answers for each URL, in the order given: one for each node, none for
    /// a URL that was not asked for. It never fails: what goes wrong is [`EdgeVerdict::Unknown`], with its reason.
    ///
    /// Cancel safety: dropping the future closes all connections; nothing is left behind.
    pub async fn check(&self, urls: &[EdgeUrl]) -> Vec<Vec<EdgeAnswer>> {
        self.check_until(urls, None).await
    }

    /// The same, within a time: what has no answer by then is [`EdgeVerdict::Unknown`], because of [`NO_TIME`].
    pub(crate) async fn check_until(&self, urls: &[EdgeUrl], until: Option<Instant>) -> Vec<Vec<EdgeAnswer>> {
        let nodes: Vec<Option<&EdgeNode>> = match &self.options.nodes[..] {
            [] => vec![None],
            nodes => nodes.iter().map(Some).collect(),
        };
        let mut by_host: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
        for place in self.sample(urls.len()) {
            let host = Target::read(&urls[place].url).map(|target| target.host).unwrap_or_default();
            by_host.entry(host).or_default().extend((0..nodes.len()).map(|node| (place, node)));
        }
        let hosts = by_host.into_values().map(|questions| {
            let questions = questions.into_iter().map(|(place, node)| {
                let answer = self.question(&urls[place], nodes[node], until);
                async move { (place, node, answer.await) }
            });
            stream::iter(questions).buffer_unordered(PER_HOST).boxed()
        });
        let mut all: Vec<_> = stream::iter(hosts).flatten_unordered(HOSTS).collect().await;
        all.sort_by_key(|(place, node, _)| (*place, *node));
        let mut answers = vec![Vec::new(); urls.len()];
        for (place, _, answer) in all {
            answers[place].push(answer);
        }
        answers
    }

    /// One URL at one node.
    async fn question(&self, url: &EdgeUrl, node: Option<&EdgeNode>, until: Option<Instant>) -> EdgeAnswer {
        let unknown = |node: String, reason: String| EdgeAnswer {
            node,
            http_status: None,
            cache: None,
            saved_at: None,
            age_s: None,
            verdict: EdgeVerdict::Unknown,
            reason,
        };
        let Some(target) = Target::read(&url.url) else {
            let node = node.map_or_else(|| "no node".to_owned(), ToString::to_string);
            return unknown(node, "this is no URL that a node can be asked for".to_owned());
        };
        let peer = node.map_or_else(|| target.authority(), ToString::to_string);
        let now = Instant::now();
        if until.is_some_and(|until| until <= now) {
            return unknown(peer, NO_TIME.to_owned());
        }
        let left = until.map_or(Duration::MAX, |until| until - now);
        let mut question = Question { target, submitted_at: url.submitted_at, node, peer };
        let asked = self.ask_in_each_way(&mut question);
        let asked = tokio::time::timeout(left.min(self.options.timeout), asked).await;
        let peer = question.peer;
        match asked {
            Ok(Ok(answer)) => EdgeAnswer { node: peer, ..answer },
            Ok(Err(failure)) => {
                let text = failure.to_string();
                let text = redact::hidden(&text, self.secrets("")).unwrap_or(text);
                unknown(peer, text.replace(char::is_control, " "))
            }
            Err(_) if left <= self.options.timeout => unknown(peer, NO_TIME.to_owned()),
            Err(_) => unknown(peer, format!("no answer within {} s", self.options.timeout.as_secs_f64())),
        }
    }

    async fn ask_in_each_way(&self, question: &mut Question<'_>) -> Result<EdgeAnswer, TransportError> {
        let scheme_of_node = question.node.and_then(EdgeNode::scheme);
        let schemes = scheme_of_node.as_ref().map_or(question.target.schemes, std::slice::from_ref);
        let mut first_failure = None;
        for scheme in schemes {
            match self.ask_as(scheme, question).await {
                // Nobody listens there, or nobody who speaks TLS.
                Err(failure) if failure.phase == Phase::Connect => {
                    first_failure.get_or_insert(failure);
                }
                answer => return answer,
            }
        }
        let none = || TransportError::new(Phase::Connect, question.target.authority(), String::new());
        Err(first_failure.unwrap_or_else(none))
    }

    async fn ask_as(
        &self,
        scheme: &str,
        Question { target, submitted_at, node, peer }: &mut Question<'_>,
    ) -> Result<EdgeAnswer, TransportError> {
        let signature = self.options.auth_key.as_ref().map(|key| {
            // Where the system has no random numbers the field is still allowed to be 0.
            let rand = fresh_nonce().unwrap_or_else(|_| "0".to_owned());
            let good_until = self.clock.now().timestamp() + GOOD_FOR.num_seconds();
            auth_key(target.path.path(), good_until, &rand, key)
        });
        let no_url = || TransportError::new(Phase::Connect, target.authority(), "this is no URL".to_owned());
        let uri = target.uri(scheme, signature.as_deref()).ok_or_else(no_url)?;
        let address = node.map(|node| node.address(scheme, target.port));
        let given = &self.options.headers;
        let mut last = None;
        for method in [Method::HEAD, Method::GET] {
            let sent_at = self.clock.now();
            let answer = ask(&self.connector, method, &uri, address, given, self.options.timeout, peer).await;
            let received_at = self.clock.now();
            last = match (answer, last) {
                (Ok((status, headers)), _) => {
                    let says_enough = !tells_nothing(status, &headers);
                    let exchange = Exchange { submitted_at: *submitted_at, sent_at, received_at };
                    let answer = self.read(status, &headers, &exchange, signature.as_deref());
                    if says_enough {
                        return Ok(answer);
                    }
                    Some(Ok(answer))
                }
                (Err(failure), None) if failure.phase == Phase::Answer => Some(Err(failure)),
                (Err(failure), None) => return Err(failure),
                // What the first one said is better than nothing.
                (Err(_), Some(first)) => Some(first),
            };
        }
        last.unwrap_or_else(|| Err(no_url()))
    }

    /// Reads the head of an answer.
    fn read(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        exchange: &Exchange,
        signature: Option<&str>,
    ) -> EdgeAnswer {
        let secrets = self.secrets(signature.unwrap_or_default());
        let hidden = |text: &str| redact::hidden(text, secrets.iter().copied());
        let times = Times::read(headers);
        let (verdict, reason) = match status.as_u16() {
            200 | 206 => judge(&times, exchange),
            _ => {
                let reason = refusal::reason(status, headers, signature.is_some(), &hidden);
                (EdgeVerdict::Unknown, reason)
            }
        };
        let cache = headers.get_all("X-Cache").iter();
        let cache: Vec<_> = cache.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        EdgeAnswer {
            node: String::new(),
            http_status: Some(status.as_u16()),
            cache: (!cache.is_empty()).then(|| quoted(&cache.join(", "), hidden)),
            saved_at: times.saved_at(),
            age_s: times.age_s(),
            verdict,
            reason,
        }
    }

    /// What no text may show: the key, what was signed with it, and the hash in there.
    fn secrets<'a>(&'a self, signature: &'a str) -> Vec<&'a str> {
        let key = self.options.auth_key.as_ref().map(|key| key.expose_secret());
        let hash = signature.rsplit('-').next();
        let headers = self.options.headers.iter();
        let headers = headers.filter(|(name, value)| {
            value.is_sensitive() || matches!(name.as_str(), "cookie" | "authorization")
        });
        let headers = headers.filter_map(|(_, value)| value.to_str().ok());
        key.into_iter().chain([signature]).chain(hash).chain(headers).collect()
    }
}

/// One URL at one node.
struct Question<'a> {
    target: Target,
    submitted_at: DateTime<Utc>,
    node: Option<&'a EdgeNode>,
    /// Whom it was asked of in the end.
    peer: String,
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks through a proxy that answers CONNECT with `word`; gives what came of it, what the proxy was told, and its address.
    async fn through_a_proxy(node: &str, word: &'static str) -> (EdgeAnswer, Vec<String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap().to_string();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            for answer in [word, "HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n"] {
                let mut bytes = vec![0; 4_096];
                let read = stream.read(&mut bytes).await.unwrap();
                let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                heard.extend(text.lines().next().map(str::to_owned));
                stream.write_all(answer.as_bytes()).await.unwrap();
                if !word.contains("200") {
                    break;
                }
            }
            heard
        });
        let nodes = (!node.is_empty()).then(|| node.parse().unwrap()).into_iter().collect();
        let check = EdgeCheck {
            options: EdgeOptions { nodes, ..EdgeOptions::default() },
            connector: Connector::behind(&[("ALL_PROXY", &format!("http://{proxy}"))]),
            clock: Arc::new(SystemClock),
        };
        let urls = [EdgeUrl::new("http://media.example.test/a.mp4", SystemClock.now())];
        let answer = check.check(&urls).await.remove(0).remove(0);
        (answer, served.await.unwrap(), proxy)
    }

    #[tokio::test]
    async fn a_proxy_only_passes_bytes_on_and_is_named() {
        let (answer, heard, proxy) = through_a_proxy("203.0.113.7", "HTTP/1.1 200 x\r\n\r\n").await;
        assert_eq!(heard, ["CONNECT 203.0.113.7:80 HTTP/1.1", "HEAD /a.mp4 HTTP/1.1"]);
        assert_eq!(answer.node, format!("203.0.113.7:80, through the proxy {proxy}"));
        assert_eq!(answer.http_status, Some(404));
        let (answer, heard, proxy) = through_a_proxy("", "HTTP/1.1 200 x\r\n\r\n").await;
        assert_eq!(heard[0], "CONNECT media.example.test:80 HTTP/1.1");
        assert_eq!(answer.node, format!("chosen by the proxy {proxy}"));
        let refusal = "HTTP/1.1 403 x\r\ncontent-length: 0\r\n\r\n";
        let (answer, _, proxy) = through_a_proxy("203.0.113.7", refusal).await;
        assert_eq!((answer.verdict, answer.http_status), (EdgeVerdict::Unknown, None));
        assert!(answer.reason.contains(&format!("through the proxy {proxy}: it answered 403")), "{answer:?}");
    }
}
