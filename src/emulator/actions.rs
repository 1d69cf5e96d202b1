//! The names of everything that can be asked of the emulator. Scenarios are checked against them.

use http::Method;

/// The signed actions of VOD and of the token service, with the methods they take.
const ACTIONS: &[(&str, &[Method])] = &[
    ("RefreshMediaPlayUrls", &[Method::GET, Method::POST]),
    // Documented for GET only.
    ("GetMediaRefreshJobs", &[Method::GET]),
    ("DescribeVodRefreshTasks", &[Method::GET, Method::POST]),
    ("RefreshVodObjectCaches", &[Method::GET, Method::POST]),
    ("PreloadVodObjectCaches", &[Method::GET, Method::POST]),
    ("DescribeVodRefreshQuota", &[Method::GET, Method::POST]),
    ("GetMessageCallback", &[Method::GET, Method::POST]),
    ("SetMessageCallback", &[Method::GET, Method::POST]),
    ("DeleteMessageCallback", &[Method::GET, Method::POST]),
    (ASSUME_ROLE, &[Method::GET, Method::POST]),
    (ASSUME_ROLE_WITH_OIDC, &[Method::GET, Method::POST]),
];
const ASSUME_ROLE: &str = "AssumeRole";
/// The one action that is not signed: its token says who asks.
pub(super) const ASSUME_ROLE_WITH_OIDC: &str = "AssumeRoleWithOIDC";

/// Requests of the metadata service and of the credentials service, which are known by their paths.
const PATHS: [&str; 4] = ["MetadataToken", "MetadataRole", "MetadataCredentials", "CredentialsUri"];

const QUEUE_OPERATIONS: [&str; 9] = [
    "ReceiveMessage",
    "BatchReceiveMessage",
    "PeekMessage",
    "BatchPeekMessage",
    "DeleteMessage",
    "BatchDeleteMessage",
    "ChangeMessageVisibility",
    "SendMessage",
    "GetQueueAttributes",
];

/// The methods that an action takes; `None`: there is no such action.
pub(super) fn methods(action: &str) -> Option<&'static [Method]> {
    ACTIONS.iter().find(|(name, _)| *name == action).map(|(_, methods)| *methods)
}

/// The API version that requests of an action must name.
pub(super) fn version(action: &str) -> &'static str {
    if is_sts(action) { "2015-04-01" } else { "2017-03-21" }
}

pub(super) fn is_sts(action: &str) -> bool {
    action == ASSUME_ROLE || action == ASSUME_ROLE_WITH_OIDC
}

/// Whether scenarios may name it in faults, rates and denials.
pub(super) fn is_known(name: &str) -> bool {
    methods(name).is_some() || PATHS.contains(&name) || QUEUE_OPERATIONS.contains(&name)
}
