//! The names of the service's actions that the tests speak of most.

pub(crate) const SUBMIT: &str = "RefreshMediaPlayUrls";
pub(crate) const QUERY_JOBS: &str = "GetMediaRefreshJobs";
pub(crate) const QUERY_TASKS: &str = "DescribeVodRefreshTasks";
