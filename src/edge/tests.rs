//! The verdicts: real header sets, clocks that are off, hostile headers.

mod truth;

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::EdgeVerdict::{self, Absent, Fresh, Stale, Unknown};
use super::judge::{Exchange, judge};
use super::refusal;
use super::times::Times;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn headers(lines: &str) -> HeaderMap {
    let pair = |line: &str| {
        let (name, value) = line.trim().split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_bytes(value.trim().as_bytes()).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in lines.lines().filter(|line| !line.trim().is_empty()).map(pair) {
        map.append(name, value);
    }
    map
}

fn verdict(headers: &HeaderMap, submitted_at: DateTime<Utc>, now: DateTime<Utc>) -> (EdgeVerdict, String) {
    let exchange = Exchange { submitted_at, sent_at: now - TimeDelta::milliseconds(80), received_at: now };
    judge(&Times::read(headers), &exchange)
}

/// Header sets as they were published, with the time of the answer; the sources stand in `docs::service`.
const HIT: (&str, &str) = (
    "2019-07-23T06:10:14.800Z",
    "Server: Tengine
     Date: Tue, 23 Jul 2019 05:52:14 GMT
     Last-Modified: Tue, 23 Jul 2019 00:58:00 GMT
     Ali-Swift-Global-Savetime: 1563861134
     Via: cache36.l2cn1818[23,200-0,M], cache14.l2cn1818[39,0], kunlun7.cn1481[0,200-0,H], kunlun7.cn1481[1,0]
     Age: 1080
     X-Cache: HIT TCP_MEM_HIT dirn:-2:-2
     X-Swift-SaveTime: Tue, 23 Jul 2019 05:52:14 GMT
     X-Swift-CacheTime: 1765
     EagleId: 3df09a1b15638622147584175e",
);
const HIT_OVER_TWO_LEVELS: (&str, &str) = (
    "2019-08-20T10:08:00.900Z",
    "date: Thu, 23 May 2019 05:56:00 GMT
     ali-swift-global-savetime: 1558590960
     via: cache15.l2hk71[0,200-0,H], cache16.l2hk71[0,0], cache5.jp3[0,200-0,H], cache12.jp3[0,0]
     age: 7704720
     x-cache: HIT TCP_MEM_HIT dirn:9:280914441
     x-swift-savetime: Thu, 23 May 2019 07:23:54 GMT
     x-swift-cachetime: 31530726
     eagleid: 2ff604a015662956808786212e",
);
const HIT_CONFIRMED_BY_THE_ORIGIN: (&str, &str) = (
    "2019-06-02T09:37:29.050Z",
    "Date: Sat, 01 Jun 2019 12:30:12 GMT
     Via: cache24.l2eu6-1[0,304-0,H], cache5.l2eu6-1[1,0], cache1.cn1157[0,200-0,H], cache19.cn1157[1,0]
     Ali-Swift-Global-Savetime: 1545913552
     Age: 76037
     X-Cache: HIT TCP_MEM_HIT dirn:13:799953991
     X-Swift-SaveTime: Sat, 01 Jun 2019 12:55:02 GMT
     X-Swift-CacheTime: 84910
     EagleId: 755bb3db15594682489974544e",
);
const REFRESH_HIT: (&str, &str) = (
    "2021-04-23T07:36:10.020Z",
    "age: 0
     ali-swift-global-savetime: 1619162787
     date: Fri, 23 Apr 2021 07:36:10 GMT
     eagleid: 3b258ea916191633699787917e
     via: cache45.l2cn1832[38,304-0,M], cache39.l2cn1832[39,0], kunlun15.cn3157[55,55,200-0,H], kunlun19.cn3157[57,0]
     x-cache: HIT TCP_REFRESH_HIT dirn:11:927701954
     x-swift-cachetime: 4
     x-swift-savetime: Fri, 23 Apr 2021 07:36:10 GMT",
);
const HIT_OF_A_RANGE: (&str, &str) = (
    "2018-10-26T01:01:11.700Z",
    "Date: Wed, 22 Aug 2018 12:03:13 GMT
     Via: cache26.l2eu6-1[0,206-0,H], cache19.l2eu6-1[2,0], cache11.cn1412[0,206-0,H], cache7.cn1412[0,0]
     Age: 5576278
     Ali-Swift-Global-Savetime: 1536283886
     X-Cache: HIT TCP_MEM_HIT dirn:12:427765394
     X-Swift-SaveTime: Fri, 07 Sep 2018 01:31:26 GMT
     X-Swift-CacheTime: 7776000
     EagleId: 7ce89e9b15405156713025566e",
);
const MISS: (&str, &str) = (
    "2025-05-15T05:30:38.500Z",
    "Date: Thu, 15 May 2025 05:30:38 GMT
     Via: cache1.l2nu20-3[190,190,206-0,M], cache24.l2nu20-3[191,0], ens-cache9.cn7681[228,228,206-0,M]
     Ali-Swift-Global-Savetime: 1747287038
     X-Cache: MISS TCP_MISS dirn:-2:-2 mlen:524288
     X-Swift-SaveTime: Thu, 15 May 2025 05:30:38 GMT
     EagleId: 679795a517472870384254041e",
);

#[test]
fn real_headers_are_told_apart_by_the_time_of_the_submission() {
    for ((now, lines), submitted_at, expected, why) in [
        (HIT, "2019-07-23T05:40:00Z", Fresh, "stored its copy at 2019-07-23T05:52:14Z, after"),
        (HIT, "2019-07-23T05:52:11Z", Fresh, "after the submission at 2019-07-23T05:52:11Z"),
        (HIT, "2019-07-23T05:52:12Z", Unknown, "too close"),
        (HIT, "2019-07-23T05:52:13Z", Unknown, "too close"),
        (HIT, "2019-07-23T05:52:14Z", Unknown, "too close"),
        (HIT, "2019-07-23T05:52:15Z", Unknown, "too close"),
        (HIT, "2019-07-23T05:52:16Z", Stale, "stored its copy at 2019-07-23T05:52:14Z, before"),
        (HIT, "2019-07-23T06:09:00Z", Stale, "stored its copy"),
        (HIT_OVER_TWO_LEVELS, "2019-05-23T05:00:00Z", Fresh, "stored its copy at 2019-05-23T07:23:54Z"),
        (HIT_OVER_TWO_LEVELS, "2019-05-23T06:30:00Z", Stale, "came into the CDN at 2019-05-23T05:56:00Z"),
        (HIT_OVER_TWO_LEVELS, "2019-08-20T10:00:00Z", Stale, "stored its copy at 2019-05-23T07:23:54Z"),
        (HIT_CONFIRMED_BY_THE_ORIGIN, "2019-06-01T12:00:00Z", Unknown, "confirmed since"),
        (
            HIT_CONFIRMED_BY_THE_ORIGIN,
            "2019-06-01T12:40:00Z",
            Stale,
            "came into the CDN at 2018-12-27T12:25:52Z",
        ),
        (
            HIT_CONFIRMED_BY_THE_ORIGIN,
            "2019-06-02T09:00:00Z",
            Stale,
            "stored its copy at 2019-06-01T12:55:02Z",
        ),
        (HIT_CONFIRMED_BY_THE_ORIGIN, "2018-12-27T12:00:00Z", Fresh, "after"),
        (REFRESH_HIT, "2021-04-23T07:30:00Z", Unknown, "came into the CDN at 2021-04-23T07:26:27Z"),
        (REFRESH_HIT, "2021-04-23T07:00:00Z", Fresh, "after"),
        (HIT_OF_A_RANGE, "2018-08-22T12:00:00Z", Fresh, "stored its copy at 2018-09-07T01:31:26Z"),
        (HIT_OF_A_RANGE, "2018-09-01T12:00:00Z", Unknown, "contradict"),
        (HIT_OF_A_RANGE, "2018-10-01T12:00:00Z", Stale, "stored its copy at 2018-09-07T01:31:26Z"),
        (MISS, "2025-05-15T05:30:00Z", Absent, "no copy"),
        (MISS, "2025-05-15T05:30:38Z", Absent, "no copy"),
    ] {
        let (told, reason) = verdict(&headers(lines), at(submitted_at), at(now));
        assert_eq!(told, expected, "{submitted_at}: {reason}\n{lines}");
        assert!(reason.contains(why), "{submitted_at}: {reason}");
    }
}

/// The headers of a copy that came at 12:00 by way of another node and was stored at 12:10, asked for at 12:30.
fn copy(changes: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = headers(
        "Date: Wed, 25 Nov 2026 12:00:00 GMT
         Ali-Swift-Global-Savetime: 1795608000
         Age: 1800
         X-Cache: HIT TCP_HIT dirn:1:1
         X-Swift-SaveTime: Wed, 25 Nov 2026 12:10:00 GMT
         EagleId: cb00710717956098000004175e",
    );
    for (name, value) in changes {
        map.remove(*name);
        for value in value.split('|').filter(|value| !value.is_empty()) {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
    }
    map
}

#[test]
fn what_contradicts_itself_or_is_not_there_is_unknown() {
    let hour_ahead =
        [("x-swift-savetime", "Wed, 25 Nov 2026 13:10:00 GMT"), ("eagleid", "cb00710717956134000004175e")];
    let hour_behind =
        [("x-swift-savetime", "Wed, 25 Nov 2026 11:10:00 GMT"), ("eagleid", "cb00710717956062000004175e")];
    for (changes, submitted, expected, why) in [
        (&[][..], "11:50", Fresh, "stored its copy"),
        (&[], "12:05", Stale, "came into the CDN"),
        (&[], "12:20", Stale, "stored its copy"),
        // A node with a wrong clock, which its request ids show.
        (&hour_ahead, "10:00", Fresh, "stored its copy"),
        (&hour_ahead, "11:50", Unknown, "off by 3599 s"),
        (&hour_ahead, "12:20", Unknown, "off by 3599 s"),
        (&hour_behind, "12:05", Unknown, "off by 3599 s"),
        (&hour_behind, "11:50", Unknown, "off by 3599 s"),
        // The same without these ids: the other headers speak against it.
        (&[hour_ahead[0], ("eagleid", "")], "12:20", Stale, "came into the CDN"),
        (&[hour_ahead[0], ("eagleid", "")], "11:50", Unknown, "still to come"),
        (&[hour_behind[0], ("eagleid", "")], "11:50", Unknown, "contradict"),
        // Parts of the headers.
        (&[("x-swift-savetime", "")], "11:50", Fresh, "came into the CDN"),
        (&[("x-swift-savetime", "")], "12:05", Stale, "came into the CDN"),
        (&[("age", "")], "11:50", Unknown, "no Age"),
        (&[("age", "")], "12:20", Stale, "stored its copy"),
        (&[("date", "")], "11:50", Unknown, "no Date"),
        (&[("ali-swift-global-savetime", "")], "11:50", Unknown, "no Ali-Swift-Global-Savetime"),
        (&[("ali-swift-global-savetime", "")], "12:05", Unknown, "no Ali-Swift-Global-Savetime"),
        (&[("ali-swift-global-savetime", "")], "12:20", Stale, "stored its copy"),
        (
            &[("ali-swift-global-savetime", ""), ("age", ""), ("eagleid", "")],
            "12:20",
            Unknown,
            "no Ali-Swift",
        ),
        (
            &[("ali-swift-global-savetime", ""), ("x-swift-savetime", "")],
            "12:20",
            Unknown,
            "no header of the CDN",
        ),
        (
            &[("ali-swift-global-savetime", ""), ("x-swift-savetime", "")],
            "11:50",
            Unknown,
            "no header of the CDN",
        ),
        (&[("x-cache", "")], "11:50", Fresh, "stored its copy"),
        (&[("x-cache", "")], "12:20", Stale, "stored its copy"),
        // A miss, also one that another node answers with an old copy.
        (&[("x-cache", "MISS TCP_MISS dirn:-2:-2")], "11:50", Absent, "no copy"),
        (&[("x-cache", "miss")], "11:50", Absent, "no copy"),
        (&[("x-cache", "MISS TCP_MISS dirn:-2:-2")], "12:05", Stale, "came into the CDN"),
        (&[("x-cache", "MISS"), ("age", "")], "12:05", Unknown, "may be older"),
        (
            &[("x-cache", "MISS"), ("age", "0"), ("date", "Wed, 25 Nov 2026 12:30:00 GMT")],
            "12:05",
            Unknown,
            "confirmed since",
        ),
        (&[("x-cache", "MISS"), ("ali-swift-global-savetime", "")], "12:05", Unknown, "may be older"),
        (
            &[("x-cache", "MISS"), ("age", ""), ("ali-swift-global-savetime", "")],
            "12:20",
            Unknown,
            "may be older",
        ),
        (&[("x-cache", "MISS|HIT")], "12:20", Stale, "stored its copy"),
        // Hostile ones.
        (&[("age", "-5")], "11:50", Unknown, "its Age can't be read"),
        (&[("age", "1800, 5")], "11:50", Unknown, "its Age can't be read"),
        (&[("age", "99999999999999999999")], "11:50", Unknown, "its Age can't be read"),
        (&[("age", "315532801")], "11:50", Unknown, "can't be read"),
        (
            &[("age", "315532800")],
            "11:50",
            Unknown,
            "leave it open; the clock of the node, or of the origin, is off by",
        ),
        (&[("age", "1800|90000")], "11:50", Unknown, "contradict"),
        (
            &[("x-swift-savetime", "Wed, 25 Nov 2026 12:10:00 GMT|Wed, 25 Nov 2026 11:00:00 GMT")],
            "11:50",
            Unknown,
            "contradict",
        ),
        (
            &[("x-swift-savetime", "yesterday"), ("date", "\u{ff}")],
            "11:50",
            Unknown,
            "X-Swift-SaveTime and Date can't be read",
        ),
        (&[("x-swift-savetime", "Thu, 01 Jan 1970 00:00:00 GMT")], "11:50", Unknown, "can't be read"),
        (&[("ali-swift-global-savetime", "9223372036854775807")], "11:50", Unknown, "can't be read"),
        (&[("ali-swift-global-savetime", "1e9")], "11:50", Unknown, "can't be read"),
        (&[("ali-swift-global-savetime", "4000000000")], "11:50", Unknown, "still to come"),
        (&[("eagleid", "cb00710799999999999994175e")], "11:50", Fresh, "stored its copy"),
        (&[("eagleid", "cb0071é717956098000004175e")], "11:50", Fresh, "stored its copy"),
    ] {
        let map = copy(changes);
        let submitted_at = at(&format!("2026-11-25T{submitted}:00Z"));
        let (told, reason) = verdict(&map, submitted_at, at("2026-11-25T12:30:00.050Z"));
        assert_eq!(told, expected, "{changes:?} {submitted}: {reason}");
        assert!(reason.contains(why), "{changes:?} {submitted}: {reason}");
    }
}

/// The copy of a node that asked the origin itself and gives all times, that of the answer as well, on a clock that is behind; the
/// age is counted.
fn copy_of_a_lone_node(behind: i64, age: i64, now: DateTime<Utc>) -> HeaderMap {
    let clock = |ago: i64| now - TimeDelta::seconds(behind + ago);
    let date = |ago: i64| clock(ago).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    copy(&[
        ("date", &date(0)),
        ("x-swift-savetime", &date(age)),
        ("ali-swift-global-savetime", &clock(age).timestamp().to_string()),
        ("age", &age.to_string()),
        ("eagleid", ""),
    ])
}

#[test]
fn the_age_of_a_copy_counts_though_the_clock_of_its_node_is_behind() {
    let now = at("2026-11-25T12:30:00.300Z");
    for behind in [0, 2, 5, 60, 280, 86_400] {
        for (age, submitted_ago) in [(2, 3), (2, 4), (0, 1), (1, 7), (100, 101), (100, 110)] {
            let mut map = copy_of_a_lone_node(behind, age, now);
            let submitted_at = now - TimeDelta::seconds(submitted_ago);
            let (told, reason) = verdict(&map, submitted_at, now);
            assert_ne!(told, Stale, "{behind} s, {age} s, {submitted_ago} s: {reason}");
            map.remove("age");
            let (told, reason) = verdict(&map, submitted_at, now);
            assert_eq!(told, Unknown, "{behind} s, {age} s, {submitted_ago} s: {reason}");
        }
        for (age, submitted_ago) in [(7, 2), (100, 60), (259_200, 3), (259_200, 86_400)] {
            let map = copy_of_a_lone_node(behind, age, now);
            let (told, reason) = verdict(&map, now - TimeDelta::seconds(submitted_ago), now);
            assert_eq!(told, Stale, "{behind} s, {age} s, {submitted_ago} s: {reason}");
        }
    }
}

#[test]
fn times_at_the_ends_of_the_calendar_are_no_trouble() {
    let map = copy(&[]);
    for submitted_at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let told = verdict(&map, submitted_at, at("2026-11-25T12:30:00Z")).0;
        assert_eq!(told, if submitted_at == DateTime::<Utc>::MIN_UTC { Fresh } else { Stale });
    }
}

#[test]
fn a_refusal_says_which_option_helps() {
    for (status, lines, is_signed, words) in [
        (
            403,
            "X-Tengine-Error: denied by req auth: no url arg auth_key",
            false,
            &["`--edge-auth-key-file`"][..],
        ),
        (
            403,
            "X-Tengine-Error: denied by req auth: invalid md5hash=de7bfdc915ced05e17380a149bd760be",
            true,
            &["refused the signature", "type A", "invalid md5hash\""],
        ),
        (403, "X-Tengine-Error: denied by Referer ACL", false, &["`--edge-header 'Referer: URL'`"]),
        (403, "X-Tengine-Error: denied by UA ACL", false, &["User-Agent"]),
        (403, "X-Tengine-Error: denied by IP ACL = not in whitelist", false, &["address of this machine"]),
        (403, "X-Tengine-Bf-Error: non-existent domain", false, &["does not know the domain"]),
        (403, "X-Tengine-Error: denied by bot", false, &["403, saying \"denied by bot\""]),
        (403, "Server: x", false, &["does not say why", "--edge-auth-key-file", "--edge-header"]),
        (
            302,
            "Location: https://u:p@h.test/login?token=abc",
            false,
            &["redirects to https://<secret>@h.test/login?", "not followed"],
        ),
        (304, "Server: x", false, &["answers 304, not modified"]),
        (404, "Server: x", false, &["the file is not there"]),
        (416, "Server: x", false, &["answers 416"]),
        (429, "Server: x", false, &["too many requests"]),
        (503, "Server: x", false, &["in trouble"]),
        (403, "X-Tengine-Error: \tdenied by Key9Secret and more", false, &["denied by <secret>"]),
    ] {
        let hidden = |text: &str| crate::auth::redact::hidden(text, ["Key9Secret"]);
        let reason =
            refusal::reason(StatusCode::from_u16(status).unwrap(), &headers(lines), is_signed, &hidden);
        for word in words {
            assert!(reason.contains(word), "{reason} lacks {word:?}");
        }
        for secret in ["de7bfdc9", "abc", "Key9Secret"] {
            assert!(!reason.contains(secret), "{reason}");
        }
    }
}
