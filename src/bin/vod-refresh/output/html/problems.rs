//! What failed and what is still under way: first on the page, grouped by reason, so that advice is given once.

use std::collections::HashMap;

use vod_refresh::run::MediaState;

use super::super::markup::{escape, escape_start};
use super::super::report_view::{MediaView, Rank, ReportView, TaskView};
use super::format::{class, entries, grouped, request_id, signed};

/// Media of a group that are shown at once; the others are folded.
const OPEN: usize = 20;
/// URLs that are shown of one media.
const URLS: usize = 10;
/// Longest text of an error, in characters.
const TEXT: usize = 300;
/// Bytes that a section may take. The page has to open fast, whatever failed.
const BYTES: usize = 400_000;

pub(super) fn failed(view: &ReportView<'_>) -> String {
    let failed: Vec<&MediaView<'_>> = view.failed().collect();
    if failed.is_empty() {
        return String::new();
    }
    let (mut out, mut listed) = (String::new(), 0);
    for group in by_reason(&failed) {
        if out.len() > BYTES {
            break;
        }
        let first = group[0];
        let reason = escape_start(&reason(first), TEXT);
        out += &format!(
            "<div class=\"reason\"><h3><span class=\"{}\">{}</span>{} {reason} ({})</h3>\n",
            class(first.rank),
            signed(first.rank, first.state()),
            if reason.is_empty() { "" } else { ":" },
            entries(group.len(), view),
        );
        // The same text under every media is noise.
        let shared = message(first).filter(|text| group.iter().all(|media| message(media) == Some(text)));
        if let Some(text) = shared {
            out += &format!("<p>{}</p>\n", escape_start(text, TEXT));
        }
        let advice = escape(first.advice());
        out += &format!("<p class=\"advice\"><strong>What to do:</strong> {advice}</p>\n");
        listed += list(&mut out, &group, |media| {
            let own = message(media).filter(|_| shared.is_none());
            let own = own.map(|text| format!(": {}", escape_start(text, TEXT))).unwrap_or_default();
            let id = media.report.error.as_ref().map(request_id).unwrap_or_default();
            format!("{own}{id}{}", urls(media))
        });
        out.push_str("</div>\n");
    }
    section("What failed", &failed, &out, listed)
}

pub(super) fn unfinished(view: &ReportView<'_>) -> String {
    let open: Vec<&MediaView<'_>> =
        view.media.iter().filter(|media| media.rank == Rank::Unfinished).collect();
    if open.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    let listed = list(&mut out, &open, urls);
    section("Still under way", &open, &out, listed)
}

fn section(heading: &str, media: &[&MediaView<'_>], content: &str, listed: usize) -> String {
    let rest = match media.len() - listed {
        0 => String::new(),
        n => {
            format!("<p>{} more are not listed here; the JSON report has them all.</p>\n", grouped(n as u64))
        }
    };
    format!("<h2>{heading} ({})</h2>\n{content}{rest}", grouped(media.len() as u64))
}

/// Groups in the order in which their reasons appear.
fn by_reason<'a>(media: &[&'a MediaView<'a>]) -> Vec<Vec<&'a MediaView<'a>>> {
    let mut places: HashMap<(MediaState, String), usize> = HashMap::new();
    let mut groups: Vec<Vec<&MediaView<'_>>> = Vec::new();
    for media in media {
        let place = *places.entry((media.report.state, reason(media))).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(media);
    }
    groups
}

fn reason(media: &MediaView<'_>) -> String {
    let code = media.report.error.as_ref().map(|error| error.code.as_str());
    [code, media.cause].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn message<'a>(media: &MediaView<'a>) -> Option<&'a str> {
    media.report.error.as_ref().map(|error| error.message.as_str())
}

/// Appends the media, each with its `details`, until the section is full. Returns how many it listed.
fn list(out: &mut String, media: &[&MediaView<'_>], details: impl Fn(&MediaView<'_>) -> String) -> usize {
    let mut listed = 0;
    out.push_str("<ul class=\"rows\">\n");
    for row in media {
        if out.len() > BYTES {
            break;
        }
        if listed == OPEN {
            let more = grouped((media.len() - OPEN) as u64);
            *out += &format!("</ul><details><summary>{more} more</summary><ul class=\"rows\">\n");
        }
        *out += &format!("<li><span class=\"id\">{}</span>{}</li>\n", escape(row.name()), details(row));
        listed += 1;
    }
    out.push_str(if listed > OPEN { "</ul></details>\n" } else { "</ul>\n" });
    listed
}

/// The first of the media's URLs that failed or are unfinished.
fn urls(media: &MediaView<'_>) -> String {
    let lines: String = media.decisive_tasks().take(URLS).map(url).collect();
    match media.decisive_tasks().skip(URLS).count() {
        _ if lines.is_empty() => String::new(),
        0 => format!("<ul>{lines}</ul>"),
        more => format!("<ul>{lines}<li>{more} more</li></ul>"),
    }
}

fn url(task: &TaskView<'_>) -> String {
    let description = task.report.description.as_deref();
    format!(
        r#"<li><code>{}</code>: {}, {}%{}, task <span class="id">{}</span></li>"#,
        escape_start(task.report.url.as_deref().unwrap_or("(URL not known)"), TEXT),
        escape_start(&task.status(), 40),
        task.report.progress,
        description.map(|text| format!(", {}", escape_start(text, TEXT))).unwrap_or_default(),
        escape(task.report.task_id.as_str())
    )
}
