//! `RefreshVodObjectCaches` and `PreloadVodObjectCaches`: hand URLs and folders to the CDN, of media or not.
//!
//! Source: the pages of the same names of the VOD API (2017-03-21). Both are served by cn-shanghai only.

use serde::{Deserialize, Serialize};

use super::actions::{Action, PRELOAD_OBJECTS, REFRESH_OBJECTS};
use super::client::VodClient;
use super::lenient::Fields;
use super::service::Body;
use crate::auth::request::Operation;
use crate::auth::rpc::{self, Params};
use crate::client::{Answer, quoted};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{RequestId, TaskId, masked_address};

/// Most URLs in one call that purges. Source: the console's page "Refresh and prefetch", 1,000 a submission.
const MAX_URLS_TO_REFRESH: usize = 1_000;
/// Most URLs in one call that prefetches. Source: the same page, 100 a submission.
const MAX_URLS_TO_PRELOAD: usize = 100;

/// What a URL that is to be purged stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ObjectType {
    /// One file.
    File,
    /// All that is below a folder; the URL ends with a slash.
    Directory,
    /// All URLs that a regular expression matches.
    Regex,
    /// One file, whatever its query.
    IgnoreParams,
}

impl ObjectType {
    /// What a URL is that nobody said anything about: a folder if it ends with a slash, else a file.
    pub fn of(url: &str) -> Self {
        if url.ends_with('/') { Self::Directory } else { Self::File }
    }

    /// The word of the call.
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Directory => "Directory",
            Self::Regex => "Regex",
            Self::IgnoreParams => "IgnoreParams",
        }
    }
}

/// Where the CDN prefetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Area {
    /// The Chinese mainland.
    Domestic,
    /// Everywhere else.
    Overseas,
}

/// What is done with the URLs of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObjectAction {
    /// `RefreshVodObjectCaches`.
    Refresh {
        /// What the URLs stand for.
        object_type: ObjectType,
        /// Of a folder: drops everything, and not only what has changed at the origin.
        force: bool,
    },
    /// `PreloadVodObjectCaches`.
    Preload {
        /// Where; `None` for the area of the domain.
        area: Option<Area>,
        /// Into the nodes of the second level, which stand between the edge and the origin.
        l2: bool,
    },
}

impl ObjectAction {
    /// Most URLs of one call: 1,000 that are purged, 100 that are prefetched.
    pub fn max_urls(self) -> usize {
        match self {
            Self::Refresh { .. } => MAX_URLS_TO_REFRESH,
            Self::Preload { .. } => MAX_URLS_TO_PRELOAD,
        }
    }

    /// Brings a URL into the form that the call takes: blanks and letters outside of ASCII are percent-encoded, and what is
    /// encoded already stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a URL without a host, with a user or a fragment, a control character or another scheme than `http` and
    /// `https`, a folder without a slash at its end, or a folder that is to be prefetched.
    pub fn check(self, url: &str) -> Result<String> {
        let object_type = match self {
            Self::Refresh { object_type, .. } => object_type,
            Self::Preload { .. } => ObjectType::File,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric());
        // What stands before "://" may be a path as well.
        let rest = if is_scheme { rest } else { url };
        let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:*".contains(c);
        let is_regex = object_type == ObjectType::Regex;
        let faults = [
            (is_scheme && !is_http, "is neither http nor https"),
            (url.chars().any(char::is_control), "holds a control character"),
            (host.contains('@'), "names a user, and a user and password have no place there: leave them out"),
            (!host.is_ascii(), "has a host that is not ASCII: write it in its other form, as xn--…"),
            (
                !host.contains('.') || host.starts_with('.') || !host.chars().all(is_host),
                "has no host: give a whole URL, as https://HOST/PATH",
            ),
            (!is_regex && url.contains('#'), "has a fragment, which no CDN is told of"),
            (
                object_type == ObjectType::Directory && !rest.ends_with('/'),
                "is no folder: its URL has to end with a slash",
            ),
            (
                matches!(self, Self::Preload { .. }) && rest.ends_with('/'),
                "is a folder, and only files can be prefetched",
            ),
        ];
        if let Some((_, why)) = faults.into_iter().find(|(is_so, _)| *is_so) {
            return Err(Error::new(ErrorKind::Usage, format!("{:?} {why}", masked_address(url))));
        }
        // What no request line may hold.
        const BLANK: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b' ');
        Ok(percent_encoding::utf8_percent_encode(url, BLANK).to_string())
    }
}

/// The answer to URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectTasks {
    /// The tasks of all URLs together. URLs of one domain and second share a task, up to 2,000 of them; which belongs to
    /// which, their rows tell.
    pub tasks: Vec<TaskId>,
    /// What of the list can't be read, quoted.
    pub unread: Vec<String>,
    /// The id of the request.
    pub request_id: Option<RequestId>,
}

impl VodClient {
    /// Hands URLs to the CDN, to be purged or prefetched.
    ///
    /// Not repeated after a lost answer, since a repeat spends quota twice; such an error has
    /// [`Fate::Unknown`](crate::error::Fate::Unknown).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for no URL, more than [`ObjectAction::max_urls`], or one that [`ObjectAction::check`] refuses;
    /// otherwise what the call met, of which [`ErrorKind::Garbled`] may mean that it was acted upon.
    pub async fn hand_over_urls(&self, action: ObjectAction, urls: &[String]) -> Result<ObjectTasks> {
        let (call, id_field) = action.call();
        let params = params(action, urls).map_err(|error| error.with_action(call.name))?;
        self.call(call, params, |answer| decode(answer, id_field, |text| self.hidden(text))).await
    }
}

impl ObjectAction {
    /// The call that carries these URLs, before it is signed.
    ///
    /// # Errors
    ///
    /// As [`VodClient::hand_over_urls`].
    pub fn operation(self, urls: &[String]) -> Result<Operation> {
        params(self, urls).map(|params| self.call().0.operation(params))
    }

    /// What rows of the tasks that the call makes say as their type; nothing where a row does not say all that was asked for, so
    /// that what it shows may be a lesser task of somebody else. No row tells of force, area or second level, and what rows of
    /// patterns say is not documented: they may look as those of files do. Source: "DescribeVodRefreshTasks", `ObjectType`.
    pub(crate) fn row_types(self) -> &'static [&'static str] {
        match self {
            Self::Refresh { object_type: ObjectType::File, force: false } => &["file"],
            Self::Refresh { object_type: ObjectType::Directory, force: false } => &["directory", "path"],
            Self::Preload { area: None, l2: false } => &["preload"],
            Self::Refresh { .. } | Self::Preload { .. } => &[],
        }
    }

    /// The action, and the field of its answer that names the tasks.
    fn call(self) -> (&'static Action, &'static str) {
        match self {
            Self::Refresh { .. } => (&REFRESH_OBJECTS, "RefreshTaskId"),
            Self::Preload { .. } => (&PRELOAD_OBJECTS, "PreloadTaskId"),
        }
    }
}

fn params(action: ObjectAction, urls: &[String]) -> Result<Params> {
    let (found, most) = (urls.len(), action.max_urls());
    if !(1..=most).contains(&found) {
        return Err(Error::new(ErrorKind::Usage, format!("{found} URLs in a call, 1 to {most} are allowed")));
    }
    let paths = urls.iter().map(|url| action.check(url)).collect::<Result<Vec<_>>>()?;
    let (one, other) = match action {
        ObjectAction::Refresh { object_type, force } => {
            (Some(("ObjectType", object_type.as_str())), force.then_some(("Force", "true")))
        }
        ObjectAction::Preload { area, l2 } => {
            let area = area.map(|area| if area == Area::Domestic { "domestic" } else { "overseas" });
            (area.map(|area| ("Area", area)), l2.then_some(("L2Preload", "true")))
        }
    };
    Ok(rpc::params([("ObjectPath", &*paths.join("\n"))].into_iter().chain(one).chain(other)))
}

fn decode(
    answer: &Answer<Body>,
    id_field: &str,
    hidden: impl Fn(&str) -> Option<String>,
) -> Result<ObjectTasks> {
    let list = Fields(&answer.body).list(id_field, usize::MAX);
    let (mut tasks, mut unread) = (Vec::new(), list.unread);
    for text in list.entries {
        match TaskId::new(&text) {
            Ok(id) if !tasks.contains(&id) => tasks.push(id),
            Ok(_) => {}
            Err(_) => unread.push(text),
        }
    }
    if tasks.is_empty() {
        return Err(answer.garbled(format!("the answer names no task in {id_field}")));
    }
    let unread = unread.iter().map(|text| quoted(text, &hidden)).collect();
    Ok(ObjectTasks { tasks, unread, request_id: answer.request_id.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vod::service::answer_of;

    const FILES: ObjectAction = ObjectAction::Refresh { object_type: ObjectType::File, force: false };
    const FOLDERS: ObjectAction = ObjectAction::Refresh { object_type: ObjectType::Directory, force: true };
    const REGEX: ObjectAction = ObjectAction::Refresh { object_type: ObjectType::Regex, force: false };
    const PRELOAD: ObjectAction = ObjectAction::Preload { area: Some(Area::Overseas), l2: true };

    #[test]
    fn urls_are_checked_and_encoded_once() {
        for (action, url, sent) in [
            (FILES, "https://a.example/1.mp4", "https://a.example/1.mp4"),
            (FILES, "a.example/1.mp4?x=1&y=%20", "a.example/1.mp4?x=1&y=%20"),
            (FILES, "https://a.example/中 文.mp4", "https://a.example/%E4%B8%AD%20%E6%96%87.mp4"),
            (FILES, "http://10.0.0.1:8080/x", "http://10.0.0.1:8080/x"),
            (FOLDERS, "https://a.example/dir/", "https://a.example/dir/"),
            (REGEX, "https://a.example/.*\\.ts#?$", "https://a.example/.*\\.ts#?$"),
            (PRELOAD, "HTTPS://a.example/1.mp4", "HTTPS://a.example/1.mp4"),
        ] {
            assert_eq!(action.check(url).unwrap(), sent);
        }
        for (action, url, why) in [
            (FILES, "/1.mp4", "no host"),
            (FILES, "1", "no host"),
            (FILES, "https:///1.mp4", "no host"),
            (FILES, "https://me:word@a.example/1.mp4", "\"https://<secret>@a.example/1.mp4\" names a user"),
            (FILES, "ftp://a.example/1.mp4", "neither http nor https"),
            (FILES, "htps://a.example/1.mp4?auth_key=word", "\"htps://a.example/1.mp4?<secret>\" is neither"),
            (FILES, "://a.example/1.mp4", "neither http nor https"),
            (FILES, "https://a.example/1.mp4#t=1", "fragment"),
            (
                FILES,
                "https://a.example/1.mp4?token=word#t=1",
                "\"https://a.example/1.mp4?<secret>\" has a fragment",
            ),
            (FILES, "https://a.example/1\n2", "control character"),
            (FOLDERS, "https://a.example/dir", "slash"),
            (PRELOAD, "https://a.example/dir/", "only files"),
        ] {
            let error = action.check(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn a_call_has_its_parameters_and_its_limit() {
        let urls = |count: usize| (0..count).map(|n| format!("a.example/{n}")).collect::<Vec<_>>();
        let given = |action, count| params(action, &urls(count));
        let params = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Params>()
        };
        let both = ("ObjectPath", "a.example/0\na.example/1");
        assert_eq!(given(FILES, 2).unwrap(), params(&[both, ("ObjectType", "File")]));
        assert_eq!(given(PRELOAD, 2).unwrap(), params(&[both, ("Area", "overseas"), ("L2Preload", "true")]));
        for (action, most) in [(FILES, MAX_URLS_TO_REFRESH), (PRELOAD, MAX_URLS_TO_PRELOAD)] {
            assert!(
                given(action, most).is_ok() && given(action, most + 1).is_err() && given(action, 0).is_err()
            );
        }
    }

    #[test]
    fn task_ids_are_read_in_any_notation_and_none_leaves_the_outcome_open() {
        let read = |body| decode(&answer_of(body), "RefreshTaskId", |_| None);
        let ids = |body| read(body).unwrap().tasks.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ids(json!({"RefreshTaskId": "1,2, 1"})), ["1", "2"]);
        assert_eq!(ids(json!({"refreshTaskId": 7})), ["7"]);
        assert_eq!(ids(json!({"RefreshTaskId": ["1", "2"]})), ["1", "2"]);
        for body in [json!({}), json!({"RefreshTaskId": ""})] {
            let error = read(body).unwrap_err();
            assert_eq!((error.kind(), error.fate()), (ErrorKind::Garbled, crate::error::Fate::Unknown));
        }
    }
}
