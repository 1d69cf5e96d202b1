//! Filters of task listings: as documented, and as a scenario has them misbehave.

use super::env::{TestEnv, sleep};
use crate::emulator::{Filtering, MediaScript, Scenario};

#[tokio::test(start_paused = true)]
async fn filters_misbehave_as_told_and_never_for_a_single_task() {
    let file = ("ObjectType", "file");
    let domain = ("DomainName", "media.example.test");
    let other = ("DomainName", "other.test");
    let table = [
        (Filtering::Works, &[file, domain][..], 4),
        (Filtering::Works, &[file, other], 0),
        (Filtering::ShowsNothing, &[file], 0),
        (Filtering::ShowsNothing, &[], 4),
        (Filtering::KnowsNoDomain, &[file, domain], 0),
        (Filtering::KnowsNoDomain, &[file], 4),
        (Filtering::HidesHalf, &[file], 2),
        (Filtering::HidesHalf, &[], 4),
        (Filtering::Ignored, &[file, other], 4),
        (Filtering::Ignored, &[file, ("TaskId", "T1")], 1),
        (Filtering::HidesHalf, &[file, ("TaskId", "T1")], 1),
    ];
    for (filtering, given, expected) in table {
        let ids = ["T1", "T2", "T3", "T4"].map(String::from).to_vec();
        let media = MediaScript { url_count: Some(4), task_ids: ids, ..MediaScript::default() };
        let env = TestEnv::new(
            Scenario::new().with(|s| s.default_media = media).with(|s| s.task_filters = filtering),
        );
        env.submit("m1").await;
        sleep(1000).await;
        let (found, total) = env.tasks(given).await;
        assert_eq!((found.len(), total), (expected, expected as u64), "{filtering:?} {given:?}");
    }
    let env = TestEnv::new(Scenario::new().with(|s| s.task_filters = Filtering::Refused));
    let (status, body) = env.call("DescribeVodRefreshTasks", &[file]).await;
    assert_eq!((status, body["Code"].as_str().unwrap()), (400, "InvalidObjectType.ValueNotSupported"));
}

#[tokio::test(start_paused = true)]
async fn a_bad_filter_is_refused_by_its_own_code() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("PageSize", "51")], "InvalidParameter"),
        (&[("PageSize", "0")], "InvalidParameter"),
        (&[("PageNumber", "0")], "InvalidParameter"),
        (&[("TaskId", "T1,T2")], "InvalidTaskId.Malformed"),
        (&[("DomainName", "a.test")], "MissingParameter.ObjectType"),
        (&[("Status", "Complete")], "MissingParameter.ObjectType"),
        (&[("Status", "Pending"), ("ObjectType", "file")], "InvalidStatus.ValueNotSupported"),
        (&[("ObjectType", "path")], "InvalidObjectType.ValueNotSupported"),
        (&[("StartTime", "2025-06-15T15:06:40Z")], "MissingParameter"),
        (&[("EndTime", "2025-06-15T15:06:40Z")], "MissingParameter"),
        (&[("StartTime", "2025-06-15"), ("EndTime", "2025-06-15T15:06:40Z")], "InvalidStartTime.Malformed"),
        (&[("StartTime", "2025-06-15T15:06:40Z"), ("EndTime", "now")], "InvalidEndTime.Malformed"),
        (
            &[("StartTime", "2025-06-15T15:06:40Z"), ("EndTime", "2025-06-15T15:06:39Z")],
            "InvalidEndTime.Mismatch",
        ),
        (&[("StartTime", "2025-06-12T15:06:39Z"), ("EndTime", "2025-06-15T15:06:40Z")], "InvalidTime"),
    ];
    let env = TestEnv::new(Scenario::new());
    for (given, expected) in table {
        let (status, body) = env.call("DescribeVodRefreshTasks", given).await;
        assert_eq!((status, body["Code"].as_str().unwrap()), (400, *expected), "{given:?}");
    }
}
