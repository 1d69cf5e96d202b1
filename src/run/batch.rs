//! Batches: at most 20 media a call, each marked so that its events can be told from others'.

use serde_json::json;

use crate::auth::request::Operation;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Correlation;
use crate::ids::{MediaId, RunId, is_masked_address};
use crate::model::{RefreshRequest, UrlRequest, check_each_once};
use crate::vod::{MAX_MEDIA_PER_CALL, ObjectAction, RefreshMediaPlayUrls, TaskType, host};

/// Most bytes of `UserData.Extend`, our mark included. Source: "UserData" of the VOD API.
pub const MAX_EXTEND_BYTES: usize = 512;

/// Some media or URLs of a request that go out in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// 1 to 20 media; for URLs one id of our own, which stands for all of them.
    pub media: Vec<MediaId>,
    /// The URLs, where the run is one of URLs.
    pub(crate) urls: Option<UrlBatch>,
}

/// Some URLs with which the same is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlBatch {
    pub(crate) action: ObjectAction,
    pub(crate) urls: Vec<String>,
    /// Where each of them stands in the request.
    pub(crate) places: Vec<u32>,
}

impl Batch {
    /// Splits media into batches, keeping the order.
    pub fn split(media: &[MediaId]) -> Vec<Self> {
        media.chunks(MAX_MEDIA_PER_CALL).map(|chunk| Self { media: chunk.to_vec(), urls: None }).collect()
    }

    /// How many media or URLs it has.
    pub(crate) fn count(&self) -> u64 {
        self.urls.as_ref().map_or(self.media.len(), |urls| urls.urls.len()) as u64
    }
}

impl UrlBatch {
    /// Splits the URLs of a request into batches: one call does one thing with all of its URLs.
    pub(crate) fn split(request: &UrlRequest) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for (url, place) in request.urls.iter().zip(0..) {
            let action = request.action(url);
            let has_room = |batch: &&mut Self| batch.action == action && batch.urls.len() < action.max_urls();
            match batches.iter_mut().rev().find(has_room) {
                Some(batch) => {
                    batch.urls.push(url.clone());
                    batch.places.push(place);
                }
                None => batches.push(Self { action, urls: vec![url.clone()], places: vec![place] }),
            }
        }
        batches
    }

    /// Cuts the batch in two, after the service refused it for something about a URL: by domain, else in the middle. `None`
    /// if there is nothing to be won by it: one URL is left, or one domain, and the domain is what was refused.
    pub(crate) fn cut(&mut self, is_about_domain: bool) -> Option<Self> {
        let first = host(self.urls.first()?).to_owned();
        let is_of_first = |url: &String| host(url).eq_ignore_ascii_case(&first);
        let (is_one_domain, half) = (self.urls.iter().all(is_of_first), self.urls.len() / 2);
        if is_one_domain && (is_about_domain || half == 0) {
            return None;
        }
        let pairs = std::mem::take(&mut self.urls).into_iter().zip(std::mem::take(&mut self.places));
        let (kept, other): (Vec<_>, Vec<_>) = pairs
            .enumerate()
            .partition(|(n, (url, _))| if is_one_domain { *n < half } else { is_of_first(url) });
        let action = self.action;
        let of = |pairs: Vec<(usize, (String, u32))>| {
            let (urls, places) = pairs.into_iter().map(|(_, pair)| pair).unzip();
            Self { action, urls, places }
        };
        *self = of(kept);
        Some(of(other))
    }
}

impl RefreshRequest {
    /// The submissions that a run with this id would make, in order, if each were answered at once.
    ///
    /// Nothing is sent: what a dry run shows, or a caller's own review.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a request that can't be sent: no media, one that stands twice, a slice count out of range, an
    /// extend text that is too long.
    pub fn submissions(&self, run: &RunId) -> Result<Vec<RefreshMediaPlayUrls>> {
        check(self, run)?;
        let batches = Batch::split(&self.media).into_iter().zip(0..);
        Ok(batches.map(|(batch, n)| submission(self, self.task_type, run, n, &batch.media)).collect())
    }
}

impl UrlRequest {
    /// The calls that a run would make, in order, if each were taken as a whole, each with the number of its URLs.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn submissions(&self) -> Result<Vec<(usize, Operation)>> {
        self.check()?;
        let call = |batch: UrlBatch| Ok((batch.urls.len(), batch.action.operation(&batch.urls)?));
        UrlBatch::split(self).into_iter().map(call).collect()
    }
}

/// Checks what can be known to be wrong before anything is sent.
pub(crate) fn check(request: &RefreshRequest, run: &RunId) -> Result<()> {
    if request.media.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "no media id to work on"));
    }
    if request.then_preload && request.task_type != TaskType::Refresh {
        return Err(Error::new(ErrorKind::Usage, "only what was refreshed can be preloaded afterwards"));
    }
    check_each_once("media id", &request.media)?;
    request.filters.check()?;
    check_extend(request, run)
}

/// The call for batch `batch` of `request`, which may be one of its preload.
pub(crate) fn submission(
    request: &RefreshRequest,
    task_type: TaskType,
    run: &RunId,
    batch: u32,
    media: &[MediaId],
) -> RefreshMediaPlayUrls {
    let mut submission = RefreshMediaPlayUrls::new(task_type, media.to_vec());
    submission.filters = request.filters.clone();
    submission.user_data = Some(user_data(request, run, batch));
    submission
}

/// `UserData` of batch `batch`: our mark and the caller's text, and the callback URL if there is one.
pub(crate) fn user_data(request: &RefreshRequest, run: &RunId, batch: u32) -> String {
    let mut user_data = json!({ "Extend": extend(request, run, batch) });
    if let Some(url) = request.callback_url.as_ref().filter(|url| !is_masked_address(url)) {
        user_data["MessageCallback"] = json!({ "CallbackURL": url, "CallbackType": "http" });
    }
    user_data.to_string()
}

fn extend(request: &RefreshRequest, run: &RunId, batch: u32) -> serde_json::Value {
    let mark = Correlation { run: run.clone(), batch };
    let mut extend = json!(mark);
    if let Some(text) = &request.extend {
        extend["text"] = json!(text);
    }
    extend
}

/// Checks that the caller's text leaves room for our mark.
///
/// # Errors
///
/// [`ErrorKind::Usage`], with how many bytes it is over.
pub(crate) fn check_extend(request: &RefreshRequest, run: &RunId) -> Result<()> {
    // Of what is preloaded afterwards, each media may have a batch of its own.
    let preloads = if request.then_preload { request.media.len() } else { 0 };
    let batches = (request.media.len().div_ceil(MAX_MEDIA_PER_CALL) + preloads) as u32;
    let bytes = extend(request, run, batches).to_string().len();
    let text = request.extend.as_deref().map_or(0, |text| json!(text).to_string().len());
    if bytes > MAX_EXTEND_BYTES {
        let room = MAX_EXTEND_BYTES.saturating_sub(bytes - text + 2);
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "the extend text has {} bytes as JSON; {room} are left of the {MAX_EXTEND_BYTES} that the service \
                 takes, the rest holds the run's own mark",
                text.saturating_sub(2)
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(count: usize) -> Vec<MediaId> {
        (0..count).map(|n| MediaId::new(format!("m{n}")).unwrap()).collect()
    }

    #[test]
    fn splitting_keeps_the_order_and_loses_none() {
        for (count, sizes) in [(0, &[][..]), (1, &[1]), (20, &[20]), (21, &[20, 1]), (45, &[20, 20, 5])] {
            let ids = media(count);
            let batches = Batch::split(&ids);
            assert_eq!(batches.iter().map(|b| b.media.len()).collect::<Vec<_>>(), sizes);
            assert_eq!(batches.into_iter().flat_map(|b| b.media).collect::<Vec<_>>(), ids);
        }
    }

    #[test]
    fn urls_are_split_by_what_is_done_with_them_and_cut_where_one_is_refused() {
        let urls =
            (0..1_001).map(|n| format!("https://a.test/{n}")).chain(["https://a.test/dir/".to_owned()]);
        let batches = UrlBatch::split(&UrlRequest::new(TaskType::Refresh, urls));
        assert_eq!(batches.iter().map(|b| b.urls.len()).collect::<Vec<_>>(), [1_000, 1, 1]);
        assert_eq!(batches[2].places, [1_001]);
        let urls = ["a.test/0", "b.test/1", "A.test/2", "a.test/3"];
        let mut batch = UrlBatch::split(&UrlRequest::new(TaskType::Preload, urls)).remove(0);
        let other = batch.cut(true).unwrap();
        assert_eq!((&batch.places[..], &other.places[..]), (&[0, 2, 3][..], &[1][..]));
        assert_eq!(batch.clone().cut(true), None, "the domain is refused, whichever URL it is");
        let other = batch.cut(false).unwrap();
        assert_eq!((&batch.urls[..], &other.places[..]), (&["a.test/0".to_owned()][..], &[2, 3][..]));
        assert_eq!(batch.cut(false), None);
    }

    #[test]
    fn our_mark_and_the_callers_text_go_out_together() {
        let request = RefreshRequest::new(TaskType::Refresh, media(1))
            .with_extend("a~b *+/%中 文")
            .with_callback_url("https://cb.example.test/hook");
        let text = user_data(&request, &RunId::new("r1").unwrap(), 7);
        assert_eq!(
            text,
            r#"{"Extend":{"batch":7,"run":"r1","text":"a~b *+/%中 文"},"MessageCallback":{"CallbackType":"http","CallbackURL":"https://cb.example.test/hook"}}"#
        );
    }

    #[test]
    fn a_text_too_long_says_what_is_left() {
        let run = RunId::fresh();
        let fits = |text: &str| {
            check_extend(&RefreshRequest::new(TaskType::Refresh, media(1)).with_extend(text), &run)
        };
        let error = fits(&"x".repeat(600)).unwrap_err();
        assert!(error.message().contains("has 600 bytes as JSON"), "{error}");
        let room: usize =
            error.message().split("; ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(fits(&"x".repeat(room)).is_ok());
        assert!(fits(&"x".repeat(room + 1)).is_err());
    }
}
