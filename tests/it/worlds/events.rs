//! Events about a world's media, honest and forged, and who sends them.

use std::time::Duration;

use http::HeaderMap;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use vod_refresh::EventReceiver;
use vod_refresh::net::clock::{Clock as _, TimerClock};

use super::behaviour::{Behaviour, Lookups, Source};
use super::world::{Fate, Media};
use crate::support::random::Rng;
use crate::support::{CALLBACK_KEY, CALLBACK_URL};

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Truth,
    /// The first task and URL alone.
    Part,
    /// Another task, which ended well.
    AnotherTask,
    Failure,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// After the job was made; the answer to the submission may come later.
    pub(super) at: Duration,
    pub(super) claim: Claim,
}

/// The id that forged events claim. It ended well, and belongs to nobody here.
pub(super) const FORGED_TASK: &str = "666000";

/// Where lookups work, events may say anything, since they count for nothing against a lookup (rule 11). Where there are
/// none, nobody can know better than the events, so these are honest, or lost. Where a row `is_missing`, the row of another
/// task that a signature stands for would take its place (rule 3).
pub(super) fn draw_events(
    rng: &mut Rng,
    behaviour: &Behaviour,
    media: &Media,
    is_missing: bool,
) -> Vec<Event> {
    let has_any = !matches!(media.fate, Fate::Missing | Fate::Forbidden);
    if behaviour.source == Source::None || !has_any {
        return Vec::new();
    }
    let mut events = Vec::new();
    let is_lost = rng.percent(15);
    let delay = |rng: &mut Rng| match rng.below(4) {
        0 => Duration::ZERO,
        1 => rng.ms(30_000),
        _ => rng.ms(4_000),
    };
    // Who never shows a media to a lookup sends no word of it either, or a true one.
    if !is_lost && media.fate != Fate::Pending {
        let honest = Event { at: delay(rng), claim: Claim::Truth };
        events.push(honest);
        if rng.percent(20) {
            events.push(Event { at: honest.at + rng.ms(2_000), ..honest });
        }
    }
    if behaviour.source == Source::Signed && media.fate == Fate::Unseen {
        // A verdict may rest on the first signed event, and on no other one.
        if let Some(honest) = events.last().copied() {
            let claim = rng.one_of(&[Claim::Part, if is_missing { Claim::Part } else { Claim::AnotherTask }]);
            events.push(Event { at: honest.at + Duration::from_secs(4) + rng.ms(20_000), claim });
        }
        return events;
    }
    let is_growing = media.steps.len() > 1 && media.steps[0].tasks == 1 && media.steps[0].urls == 1;
    if behaviour.source == Source::Unsigned
        && behaviour.lookups == Lookups::Work
        && is_growing
        && rng.percent(80)
    {
        // It tells just what the first lookup names, before it or after it, and nobody says more.
        let at = if rng.percent(60) { Duration::ZERO } else { rng.ms(2_000) };
        if rng.percent(50) {
            return vec![Event { at, claim: Claim::Part }];
        }
        let after = at + Duration::from_millis(100) + rng.ms(900);
        return vec![Event { at, claim: Claim::Failure }, Event { at: after, claim: Claim::Part }];
    }
    let may_lie = behaviour.lookups == Lookups::Work;
    if may_lie && rng.percent(30) {
        for _ in 0..1 + rng.below(2) {
            let claim = rng.one_of(&[Claim::Part, Claim::AnotherTask, Claim::Failure]);
            events.push(Event { at: delay(rng), claim });
        }
    }
    events.sort_by_key(|event| event.at);
    events
}

/// The body of an event.
pub(super) fn body(
    behaviour: &Behaviour,
    job: &str,
    media: &Media,
    ids: &[&str],
    claim: Claim,
    extend: &Value,
) -> Value {
    let urls: Vec<&str> = media.urls.iter().map(|url| url.spelt.as_str()).collect();
    let (ids, urls, fails) = match claim {
        Claim::Truth => match media.fate {
            Fate::Empty => (Vec::new(), Vec::new(), false),
            fate => (ids.to_vec(), urls, fate == Fate::Fails),
        },
        Claim::Part => (ids[..1].to_vec(), urls[..1].to_vec(), false),
        Claim::AnotherTask => (vec![FORGED_TASK], Vec::new(), false),
        Claim::Failure => (Vec::new(), Vec::new(), true),
    };
    let mut body = json!({
        "EventType": "SubmitMediaRefreshComplete",
        "EventTime": "2026-11-25T01:19:11Z",
        "Status": if fails { "fail" } else { "success" },
        "MediaRefreshJobId": job,
        "MediaId": media.id,
        "TaskType": "refresh",
        "FilterPolicy": "{}",
        "Extend": extend,
    });
    if fails {
        body["ErrorCode"] = json!("InvalidDomain.NotFound");
    } else {
        body["TaskIds"] = behaviour.ids.write(&ids);
        if !behaviour.is_unnamed && claim != Claim::AnotherTask {
            body["SuccessPlayUrls"] = behaviour.urls.unambiguous_for(&urls).write(&urls);
        }
    }
    body
}

/// Sends one event as VOD does, three times at most, a second apart, and gives its timestamp back. A liar knows no key: it
/// has the headers that an honest event of the time `captured` came with, which are right for every body.
pub(super) async fn send(
    receiver: &EventReceiver,
    clock: TimerClock,
    source: Source,
    body: &[u8],
    captured: Option<i64>,
) -> i64 {
    let mut timestamp = 0;
    for _ in 0..3 {
        timestamp = captured.unwrap_or_else(|| clock.now().timestamp());
        let mut headers = HeaderMap::new();
        if source == Source::Signed {
            let signature = signature(CALLBACK_URL, &timestamp.to_string(), CALLBACK_KEY);
            headers.insert("x-vod-timestamp", timestamp.into());
            headers.insert("x-vod-signature", signature.parse().unwrap());
        }
        if receiver.answer(&headers, body).await.is_success() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    timestamp
}

fn signature(url: &str, timestamp: &str, key: &str) -> String {
    let digest = Md5::digest(format!("{url}|{timestamp}|{key}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
