//! Codes of our own in a [`ReportedError`](super::ReportedError). Beside them stand the codes of the service, and the kinds of
//! errors that have no code.

/// The service does not know the media. It is the service's own word as well.
pub const NOT_EXISTING: &str = "NonExistMediaId";
/// The service keeps the media from these credentials. It is the service's own word as well.
pub const FORBIDDEN: &str = "ForbiddenMediaId";
/// The answer to its submission was lost, or did not tell what came of it.
pub const OUTCOME_UNKNOWN: &str = "OutcomeUnknown";
/// The deadline passed before it was sent.
pub const TIMEOUT: &str = "Timeout";
/// The run was stopped before it was sent.
pub const INTERRUPTED: &str = "Interrupted";
/// Another media failed before it was sent, and that was to be the end.
pub const FAIL_FAST: &str = "FailFast";
/// It could not be handed to the CDN, and the service gave no code.
pub const SUBMISSION_FAILED: &str = "SubmissionFailed";
/// No playback URL fits: nothing was done.
pub const NO_PLAY_URLS: &str = "NoPlayUrls";
/// The service showed nothing of the job for ten minutes.
pub const JOB_NOT_FOUND: &str = "JobNotFound";
/// The service showed nothing of a task for ten minutes.
pub const TASK_NOT_FOUND: &str = "TaskNotFound";
/// A URL that was named stood in no row of its tasks for ten minutes.
pub const URL_NOT_SHOWN: &str = "UrlNotShown";
/// Rows that may stand for its URLs match none of them, and ended differently.
pub const URL_NOT_MATCHED: &str = "UrlNotMatched";
/// The CDN could not do some of its URLs.
pub const TASK_FAILED: &str = "TaskFailed";
/// The service has forgotten it: it keeps its history for three days.
pub const FORGOTTEN: &str = "Forgotten";
/// A node of the CDN serves a copy that is older than the submission.
pub const STALE_AT_EDGE: &str = "StaleAtEdge";
/// The source of the credentials did not answer in the time that the run had.
pub const CREDENTIAL_TIMEOUT: &str = "CredentialTimeout";
/// The run is driven elsewhere, by another process or another task of this one.
pub const OVERTAKEN: &str = "DrivenElsewhere";
