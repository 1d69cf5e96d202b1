//! `RefreshMediaPlayUrls`: hands up to 20 media to the CDN, to be purged or prefetched.
//!
//! Source: "RefreshMediaPlayUrls" of the VOD API (2017-03-21); limits as printed there.

use serde::{Deserialize, Serialize};

use super::actions::SUBMIT;
use super::client::VodClient;
use super::lenient::Fields;
use super::service::Body;
use crate::auth::request::Operation;
use crate::auth::rpc::{self, Params};
use crate::client::{Answer, quoted};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, MediaId, RequestId};

/// Most media in one call. Source: "RefreshMediaPlayUrls", parameter `MediaIds`.
pub const MAX_MEDIA_PER_CALL: usize = 20;
/// Most TS segments of each m3u8. Source: the same page, parameter `SliceCount`.
pub(crate) const MAX_SLICE_COUNT: u8 = 20;

/// What is done with the URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskType {
    /// Purge: the CDN drops its copies.
    Refresh,
    /// Prefetch: the CDN fetches copies ahead of the first viewer.
    Preload,
}

impl TaskType {
    /// The type as requests have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "Refresh",
            Self::Preload => "Preload",
        }
    }

    /// Reads the type in any case: the documented event sample says `refresh`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        [Self::Refresh, Self::Preload].into_iter().find(|t| t.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

/// Which streams of a definition and format are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ResultType {
    /// The newest one.
    Single,
    /// All of them.
    Multiple,
}

/// Narrows the URLs of a media. Empty lists mean all. Values that are not known here are passed on. Source:
/// "RefreshMediaPlayUrls" of the VOD API, the parameters of the same names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Filters {
    /// `mp4`, `m3u8`, `mp3`, `flv`, `webm`, `ts`.
    pub formats: Vec<String>,
    /// `FD`, `LD`, `SD`, `HD`, `OD`, `2K`, `4K`, `SQ`, `HQ`, `AUTO`; others are passed on.
    pub definitions: Vec<String>,
    /// `video`, `audio`.
    pub stream_types: Vec<String>,
    /// The service's default is `Single`.
    pub result_type: Option<ResultType>,
    /// Also the first so many (1 to 20) TS segments of each m3u8.
    pub slice_count: Option<u8>,
}

impl Filters {
    /// Checks the numbers that the service limits: [`ErrorKind::Usage`] if the slice count is not 1 to 20.
    pub fn check(&self) -> Result<()> {
        match self.slice_count {
            Some(n) if !(1..=MAX_SLICE_COUNT).contains(&n) => {
                Err(Error::new(ErrorKind::Usage, format!("slice count {n} is not in 1 to {MAX_SLICE_COUNT}")))
            }
            _ => Ok(()),
        }
    }

    fn params(&self) -> impl Iterator<Item = (&'static str, String)> {
        let list = |values: &[String]| (!values.is_empty()).then(|| values.join(","));
        let result_type = self.result_type.map(|result_type| match result_type {
            ResultType::Single => "Single".to_owned(),
            ResultType::Multiple => "Multiple".to_owned(),
        });
        let given = [
            ("Formats", list(&self.formats)),
            ("Definitions", list(&self.definitions)),
            ("StreamType", list(&self.stream_types)),
            ("ResultType", result_type),
            ("SliceFlag", self.slice_count.map(|_| "true".to_owned())),
            ("SliceCount", self.slice_count.map(|count| count.to_string())),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// One submission.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RefreshMediaPlayUrls {
    /// 1 to [`MAX_MEDIA_PER_CALL`] media.
    pub media: Vec<MediaId>,
    /// Purge or prefetch.
    pub task_type: TaskType,
    /// Which URLs of them.
    pub filters: Filters,
    /// `UserData`, a JSON text, if any.
    pub user_data: Option<String>,
}

impl RefreshMediaPlayUrls {
    /// A submission of `media` without filters or user data.
    pub fn new(task_type: TaskType, media: Vec<MediaId>) -> Self {
        Self { media, task_type, filters: Filters::default(), user_data: None }
    }

    /// The call that carries it, before it is signed.
    pub fn operation(&self) -> Operation {
        SUBMIT.operation(self.params())
    }

    pub(crate) fn params(&self) -> Params {
        let ids: Vec<&str> = self.media.iter().map(MediaId::as_str).collect();
        let fixed = [("MediaIds", ids.join(",")), ("TaskType", self.task_type.as_str().to_owned())];
        let user_data = self.user_data.clone().map(|data| ("UserData", data));
        rpc::params(fixed.into_iter().chain(user_data).chain(self.filters.params()))
    }
}

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submission {
    /// The job; `None` where the service gave none, which it may do when it refused every media.
    pub job: Option<JobId>,
    /// Those of the request's ids that do not exist.
    pub not_found: Vec<String>,
    /// Those of the request's ids that the caller may not use.
    pub forbidden: Vec<String>,
    /// What the two lists of refused ids name besides, quoted with at most 80 characters each; the first 20. So a media of the
    /// request may be refused that is in neither list.
    pub unrecognised: Vec<String>,
    /// The id of the request.
    pub request_id: Option<RequestId>,
}

impl VodClient {
    /// Hands up to 20 media to the CDN. Source: "RefreshMediaPlayUrls" of the VOD API (2017-03-21).
    ///
    /// Not repeated after a lost answer, since a repeat makes a second job and spends quota twice; such an error has
    /// [`Fate::Unknown`](crate::error::Fate::Unknown).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for no or more than 20 media, or a slice count that is not 1 to 20; otherwise what the call
    /// met, of which [`ErrorKind::Garbled`] may mean that it was acted upon: also an answer that names no job and does not
    /// refuse each media of the request by name.
    pub async fn refresh_media_play_urls(&self, request: &RefreshMediaPlayUrls) -> Result<Submission> {
        let found = request.media.len();
        if !(1..=MAX_MEDIA_PER_CALL).contains(&found) {
            let message = format!("{found} media in a call, 1 to {MAX_MEDIA_PER_CALL} are allowed");
            return Err(Error::new(ErrorKind::Usage, message).with_action(SUBMIT.name));
        }
        request.filters.check()?;
        let decode = |answer: &_| decode(answer, &request.media, |text| self.hidden(text));
        self.call(&SUBMIT, request.params(), decode).await
    }
}

fn decode(
    answer: &Answer<Body>,
    media: &[MediaId],
    hidden: impl Fn(&str) -> Option<String>,
) -> Result<Submission> {
    let fields = Fields(&answer.body);
    let jobs = fields.list("MediaRefreshJobId", usize::MAX);
    if jobs.entries.len() > 1 || !jobs.unread.is_empty() {
        return Err(answer.garbled("MediaRefreshJobId is not one id"));
    }
    let job = jobs.entries.into_iter().next().map(JobId::new).transpose();
    let job = job.map_err(|why| answer.garbled(format!("MediaRefreshJobId {why}")))?;
    let mut unrecognised = Vec::new();
    let mut refused = |name| {
        let is_requested = |id: &String| media.iter().any(|media| media.as_str() == id);
        let mut list = fields.list(name, usize::MAX);
        // An id may hold any separator but the comma, and no other list holds ids that are known beforehand.
        let text = fields.text(name).unwrap_or_default();
        let commas: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
        if commas.iter().any(is_requested) {
            let entries = commas.into_iter().filter(|id| !id.is_empty()).collect();
            (list.entries, list.unread) = (entries, Vec::new());
        }
        let (requested, others): (Vec<_>, Vec<_>) = list.entries.into_iter().partition(is_requested);
        unrecognised.extend(others.into_iter().chain(list.unread));
        requested
    };
    let (not_found, forbidden) = (refused("NonExistMediaIds"), refused("ForbiddenMediaIds"));
    let is_refused = |media: &&MediaId| not_found.iter().chain(&forbidden).any(|id| media.as_str() == id);
    let refused = media.iter().filter(is_refused).count();
    if job.is_none() && refused < media.len() {
        let why = format!("the answer names no job, and refuses {refused} of {} media", media.len());
        return Err(answer.garbled(why));
    }
    unrecognised.truncate(MAX_MEDIA_PER_CALL);
    let unrecognised = unrecognised.iter().map(|text| quoted(text, &hidden)).collect();
    Ok(Submission { job, not_found, forbidden, unrecognised, request_id: answer.request_id.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Fate;
    use crate::vod::service::answer_of;

    fn read(body: Value) -> Result<Submission> {
        let media = ["m1", "m2"].map(|id| MediaId::new(id).unwrap());
        decode(&answer_of(body), &media, |text| text.contains("MARK").then(|| "<secret>".into()))
    }

    #[test]
    fn an_answer_without_a_job_that_does_not_refuse_each_media_leaves_the_outcome_open() {
        let table = [
            json!({}),
            json!({"MediaRefreshJobId": ""}),
            json!({"MediaRefreshJobId": ["J", "K"]}),
            json!({"MediaRefreshJobId": [{}]}),
            json!({"MediaRefreshJobId": "J 1"}),
            json!({"NonExistMediaIds": "m3"}),
            json!({"MediaRefreshJobId": "", "NonExistMediaIds": "m1"}),
        ];
        for body in table {
            let error = read(body.clone()).unwrap_err();
            assert_eq!((error.kind(), error.fate()), (ErrorKind::Garbled, Fate::Unknown), "{body}");
        }
        assert_eq!(read(json!({"MediaRefreshJobId": ["J"]})).unwrap().job.unwrap().as_str(), "J");
        let odd = MediaId::new("m[3;\"").unwrap();
        let body = json!({"NonExistMediaIds": "m[3;\", m1"});
        let refused = decode(&answer_of(body), &[odd], |_| None).unwrap();
        assert_eq!(
            (refused.not_found, refused.unrecognised),
            (vec!["m[3;\"".to_owned()], vec!["m1".to_owned()])
        );
        let refused = read(json!({"NonExistMediaIds": "m1", "ForbiddenMediaIds": ["m2"]})).unwrap();
        assert_eq!(
            (refused.job, refused.not_found, refused.forbidden),
            (None, vec!["m1".to_owned()], vec!["m2".to_owned()])
        );
    }

    #[test]
    fn refused_ids_that_nobody_asked_for_are_quoted() {
        let long = "x".repeat(100);
        let body = json!({
            "MediaRefreshJobId": " J ", "NonExistMediaIds": "m1; m3", "ForbiddenMediaIds": ["m2", "\u{7}", "MARK", long]
        });
        let submission = read(body).unwrap();
        assert_eq!(submission.job.unwrap().as_str(), "J");
        assert_eq!((submission.not_found, submission.forbidden), (vec!["m1".into()], vec!["m2".into()]));
        let cut = "x".repeat(79) + "…";
        assert_eq!(submission.unrecognised, ["m3", "\\u{7}", "<secret>", &cut]);
        let many: Vec<_> = (0..100).map(|n| format!("x{n}")).collect();
        let body = json!({"MediaRefreshJobId": "J", "NonExistMediaIds": many});
        assert_eq!(read(body).unwrap().unrecognised.len(), MAX_MEDIA_PER_CALL);
    }
}
