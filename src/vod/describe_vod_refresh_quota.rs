//! `DescribeVodRefreshQuota`: what is left of the day's purges and prefetches.
//!
//! Source: "DescribeVodRefreshQuota" of the VOD API (2017-03-21). Its service address is cn-shanghai only.

use serde::Serialize;

use super::actions::QUERY_QUOTA;
use super::client::VodClient;
use super::lenient::Fields;
use super::refresh_media_play_urls::TaskType;
use crate::auth::rpc::Params;
use crate::error::Result;

/// The day's quota of an account, as counts. What the service does not say is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefreshQuota {
    /// URLs that may be purged in a day.
    pub url_quota: Option<u64>,
    /// Of these, how many are left.
    pub url_remain: Option<u64>,
    /// Directories that may be purged in a day.
    pub dir_quota: Option<u64>,
    /// Of these, how many are left.
    pub dir_remain: Option<u64>,
    /// URLs that may be prefetched in a day.
    pub preload_quota: Option<u64>,
    /// Of these, how many are left.
    pub preload_remain: Option<u64>,
    /// URLs that may be blocked.
    pub block_quota: Option<u64>,
    /// Of these, how many are left.
    pub block_remain: Option<u64>,
}

impl RefreshQuota {
    /// How many URLs can still be purged or prefetched today.
    pub fn remaining(&self, task_type: TaskType) -> Option<u64> {
        match task_type {
            TaskType::Refresh => self.url_remain,
            TaskType::Preload => self.preload_remain,
        }
    }

    fn read(fields: Fields<'_>) -> Self {
        // The service writes decimal texts, and one name with a small letter: `blockRemain`.
        Self {
            url_quota: fields.number("UrlQuota"),
            url_remain: fields.number("UrlRemain"),
            dir_quota: fields.number("DirQuota"),
            dir_remain: fields.number("DirRemain"),
            preload_quota: fields.number("PreloadQuota"),
            preload_remain: fields.number("PreloadRemain"),
            block_quota: fields.number("BlockQuota"),
            block_remain: fields.number("blockRemain"),
        }
    }
}

impl VodClient {
    /// What is left of the day's quota. An answer without any quota is an error
    /// ([`ErrorKind::Garbled`](crate::ErrorKind::Garbled)).
    pub async fn describe_vod_refresh_quota(&self) -> Result<RefreshQuota> {
        self.call(&QUERY_QUOTA, Params::new(), |answer| {
            let quota = RefreshQuota::read(Fields(&answer.body));
            if quota == RefreshQuota::default() {
                return Err(answer.garbled("the answer has no quota in it"));
            }
            Ok(quota)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_as_texts_and_as_numbers_and_may_be_missing() {
        let value = serde_json::json!({
            "UrlQuota": "2000", "UrlRemain": 1996, "PreloadRemain": "3", "BlockQuota": "300", "blockRemain": "299",
            "DirRemain": "many"
        });
        let quota = RefreshQuota::read(Fields::of(&value).unwrap());
        assert_eq!((quota.url_quota, quota.remaining(TaskType::Refresh)), (Some(2_000), Some(1_996)));
        assert_eq!((quota.preload_quota, quota.remaining(TaskType::Preload)), (None, Some(3)));
        assert_eq!((quota.block_quota, quota.block_remain, quota.dir_remain), (Some(300), Some(299), None));
    }
}
