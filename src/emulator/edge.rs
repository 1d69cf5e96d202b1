//! A pretend node of the CDN: it serves playback URLs from copies that tasks drop or store, with the headers of a real one.
//!
//! What the headers mean stands in `docs::service`. Nothing here is shared with the code that reads them.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use md5::{Digest as _, Md5};

use super::answer::{Reply, http_date, put};
use super::log::Call;
use super::scenario::duration::LONGEST;
use super::scenario::{EdgeScript, MAX_CLOCK_OFFSET};
use super::shared::Shared;
use super::state::State;
use super::store::{StoredCopy, domain_of};

/// The file behind every URL.
const FILE: &[u8] = b"a pretend file!!";
/// How long a signed URL is good.
const VALIDITY: i64 = 1_800;

/// Answers a request for a playback URL; `None` for all others.
pub(super) fn answer(shared: &Shared, request: &Request<Bytes>) -> Option<Reply> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return None;
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()))?;
    let domain = domain_of(host).to_ascii_lowercase();
    // Addresses are the emulator's own.
    if domain == "localhost" || domain.parse::<std::net::Ipv4Addr>().is_ok() {
        return None;
    }
    let mut state = shared.opened();
    if !state.store.has_domain(&domain) {
        return None;
    }
    let place = format!("{domain}{}", request.uri().path());
    let (answer, outcome) = serve(&mut state, request, &place);
    let request_id = state.ids.request();
    let at = state.now;
    state.record(Call {
        at,
        action: "Edge".into(),
        method: request.method().to_string(),
        params: [("Place".to_owned(), place)].into(),
        key_id: String::new(),
        nonce: String::new(),
        signature_version: "",
        request_id,
        outcome,
    });
    Some(Reply::Answer(answer))
}

fn serve(state: &mut State, request: &Request<Bytes>, place: &str) -> (Response<Bytes>, String) {
    let (now, script) = (state.now, state.scenario.edge.clone());
    let offset = TimeDelta::seconds(script.clock_offset.clamp(-MAX_CLOCK_OFFSET, MAX_CLOCK_OFFSET));
    let node = Node { now, its_now: now.checked_add_signed(offset).unwrap_or(now) };
    if let Some(status) = script.head_refused.filter(|_| request.method() == Method::HEAD) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::METHOD_NOT_ALLOWED);
        return (node.refusal(status, None), status.as_str().to_owned());
    }
    if let Some(why) = refused(&script, request, now) {
        return (node.refusal(StatusCode::FORBIDDEN, Some(&why)), why);
    }
    let Some((copy, word)) = copy_of(state, &script, place) else {
        return (node.refusal(StatusCode::NOT_FOUND, None), "404".into());
    };
    let is_range = request.method() == Method::GET && request.headers().contains_key(header::RANGE);
    let mut answer = Response::new(Bytes::from_static(if is_range { &FILE[..1] } else { FILE }));
    if is_range {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        put(answer.headers_mut(), "content-range", format!("bytes 0-0/{}", FILE.len()));
    }
    if request.method() == Method::HEAD {
        put(answer.headers_mut(), "content-length", FILE.len().to_string());
        *answer.body_mut() = Bytes::new();
    }
    node.describe(answer.headers_mut(), copy, word, script.bare);
    (answer, word.to_owned())
}

/// Why the node's rules refuse a request, in the words of `X-Tengine-Error`.
fn refused(script: &EdgeScript, request: &Request<Bytes>, now: DateTime<Utc>) -> Option<String> {
    if !script.referers.is_empty() {
        let referer = request.headers().get(header::REFERER).and_then(|referer| referer.to_str().ok());
        let host = referer.map(domain_of).unwrap_or_default();
        if !script.referers.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
            return Some("denied by Referer ACL".into());
        }
    }
    let key = script.auth_key.as_ref()?;
    let query = request.uri().query().unwrap_or_default();
    let Some(given) = query.split('&').find_map(|pair| pair.strip_prefix("auth_key=")) else {
        return Some("denied by req auth: no url arg auth_key".into());
    };
    let mut parts = given.rsplitn(2, '-');
    let (hash, signed) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let time: i64 = signed.split('-').next().unwrap_or_default().parse().unwrap_or_default();
    if time.saturating_add(VALIDITY) < now.timestamp() {
        return Some(format!("denied by req auth: expired timestamp={time}"));
    }
    let expected = Md5::digest(format!("{}-{signed}-{key}", request.uri().path()));
    let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    // A real node names the hash, which makes the header a secret.
    (hash != expected).then(|| format!("denied by req auth: invalid md5hash={expected}"))
}

/// The copy that the node serves, and what `X-Cache` says of it; `None` if there is no such file.
fn copy_of(state: &mut State, script: &EdgeScript, place: &str) -> Option<(StoredCopy, &'static str)> {
    let now = state.now;
    let is_among = |ends: &[String]| ends.iter().any(|end| place.ends_with(end.as_str()));
    let tasks = state.store.tasks_of_place(place);
    let first = tasks.iter().map(|task| task.created).min()?;
    let old = {
        let at = first - script.copy_age.min(LONGEST);
        StoredCopy { came: at, confirmed: at, stored: at }
    };
    let known = state.store.copies.get(place).copied();
    let mut last = known.unwrap_or(old);
    let mut copy = known.or((!script.cold).then_some(old));
    let mut ends: Vec<_> =
        tasks.iter().filter_map(|task| Some((task.completed(now)?, task.is_preload()))).collect();
    ends.sort_unstable();
    for (end, is_preload) in ends.into_iter().filter(|_| !is_among(&script.kept)) {
        if copy.is_none_or(|copy| copy.stored < end) {
            copy = is_preload.then_some(StoredCopy { came: end, confirmed: end, stored: end });
            last = copy.unwrap_or(last);
        }
    }
    if let Some(copy) = copy {
        return Some((copy, "HIT TCP_MEM_HIT dirn:11:927701954"));
    }
    let (new, word) = if is_among(&script.kept_above) {
        (StoredCopy { stored: now, ..last }, "MISS TCP_MISS dirn:-2:-2")
    } else if is_among(&script.unchanged) {
        (StoredCopy { came: last.came, confirmed: now, stored: now }, "HIT TCP_REFRESH_HIT dirn:11:927701954")
    } else {
        (StoredCopy { came: now, confirmed: now, stored: now }, "MISS TCP_MISS dirn:-2:-2")
    };
    state.store.keep_copy(place, new);
    Some((new, word))
}

/// The node at this moment.
struct Node {
    now: DateTime<Utc>,
    /// By its own clock.
    its_now: DateTime<Utc>,
}

impl Node {
    /// Writes the headers of a copy.
    fn describe(&self, headers: &mut HeaderMap, copy: StoredCopy, word: &str, is_bare: bool) {
        put(headers, "server", "Tengine");
        put(headers, "content-type", "video/mp4");
        // The origin's, not the node's.
        put(headers, "date", http_date(copy.confirmed));
        if is_bare {
            return;
        }
        let is_hit = word.starts_with("HIT");
        let age = (self.now - copy.confirmed).num_seconds();
        if is_hit || age > 0 {
            put(headers, "age", age.max(0).to_string());
        }
        let mark = if is_hit { "H" } else { "M" };
        put(
            headers,
            "via",
            format!(
                "cache12.l2cn3051[0,0,200-0,{mark}], cache4.l2cn3051[1,0], kunlun6.cn3145[0,0,200-0,{mark}], kunlun3.cn3145[2,0]"
            ),
        );
        put(headers, "ali-swift-global-savetime", copy.came.timestamp().to_string());
        put(headers, "x-cache", word);
        put(headers, "x-swift-savetime", http_date(copy.stored + (self.its_now - self.now)));
        put(headers, "x-swift-cachetime", "2592000");
        self.sign(headers);
    }

    fn refusal(&self, status: StatusCode, why: Option<&str>) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        put(headers, "server", "Tengine");
        put(headers, "date", http_date(self.its_now));
        put(headers, "via", format!("kunlun3.cn3145[,{0}0]", status.as_u16()));
        if let Some(why) = why {
            put(headers, "x-tengine-error", why);
        }
        self.sign(headers);
        answer
    }

    /// The request's id: an address, the time, a number.
    fn sign(&self, headers: &mut HeaderMap) {
        put(headers, "timing-allow-origin", "*");
        put(headers, "eagleid", format!("cb007107{:013}4175e", self.its_now.timestamp_millis().max(0)));
    }
}
