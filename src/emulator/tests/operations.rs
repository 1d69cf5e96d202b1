use std::time::Duration;

use serde_json::{Value, json};

use super::env::{TestEnv, sleep};
use crate::emulator::{JobScript, MediaScript, Scenario, Which};

#[tokio::test(start_paused = true)]
async fn a_submission_is_checked_to_the_letter() {
    let twenty_one = vec!["m"; 21].join(",");
    let long = format!("{{\"Extend\":\"{}\"}}", "é".repeat(257));
    let fits = format!("{{\"Extend\":\"{}\"}}", "é".repeat(256));
    let ids = ("MediaIds", "m1");
    let refresh = ("TaskType", "Refresh");
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[ids, refresh], "ok"),
        (&[("MediaIds", "m1, m2 ,m3"), refresh], "ok"),
        (&[ids, refresh, ("SliceFlag", "True"), ("SliceCount", "20"), ("ResultType", "Multiple")], "ok"),
        (&[ids, refresh, ("UserData", &fits), ("Formats", "mp4,m3u8"), ("Definitions", "8K")], "ok"),
        (&[refresh], "MissingParameter MediaIds"),
        (&[ids], "MissingParameter TaskType"),
        (&[("MediaIds", "m1,,m2"), refresh], "InvalidParameter MediaIds"),
        (&[("MediaIds", &twenty_one), refresh], "InvalidParameter MediaIds"),
        (&[ids, ("TaskType", "refresh")], "InvalidParameter TaskType"),
        (&[ids, refresh, ("ResultType", "All")], "InvalidParameter ResultType"),
        (&[ids, refresh, ("SliceFlag", "yes")], "InvalidParameter SliceFlag"),
        (&[ids, refresh, ("SliceCount", "21")], "InvalidParameter SliceCount"),
        (&[ids, refresh, ("SliceCount", "0")], "InvalidParameter SliceCount"),
        (&[ids, refresh, ("Formats", "avi")], "InvalidParameter Formats"),
        (&[ids, refresh, ("StreamType", "both")], "InvalidParameter StreamType"),
        (&[ids, refresh, ("UserData", "text")], "InvalidParameter UserData"),
        (&[ids, refresh, ("UserData", "[]")], "InvalidParameter UserData"),
        (&[ids, refresh, ("UserData", &long)], "InvalidParameter UserData"),
    ];
    let env = TestEnv::new(Scenario::new());
    for (given, expected) in table {
        let (_, body) = env.call("RefreshMediaPlayUrls", given).await;
        let mut words = expected.split(' ');
        assert_eq!(body["Code"].as_str().unwrap_or("ok"), words.next().unwrap(), "{given:?}");
        if let Some(name) = words.next() {
            assert!(body["Message"].as_str().unwrap().contains(name), "{body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_media_are_listed_and_the_rest_goes_on() {
    let scenario = Scenario::new()
        .with_media("gone1", MediaScript::missing())
        .with_media("gone2", MediaScript::missing())
        .with_media("secret", MediaScript::forbidden());
    let env = TestEnv::new(scenario);
    let env = &env;
    let submit = |ids: &'static str| async move {
        env.call("RefreshMediaPlayUrls", &[("MediaIds", ids), ("TaskType", "Refresh")]).await
    };
    let (_, body) = env
        .call("RefreshMediaPlayUrls", &[("MediaIds", "gone1,ok,secret,gone2"), ("TaskType", "Preload")])
        .await;
    assert_eq!(body["NonExistMediaIds"], "gone1,gone2");
    assert_eq!(body["ForbiddenMediaIds"], "secret");
    assert_eq!(body["MediaRefreshJobId"].as_str().unwrap().len(), 32);
    let (status, body) = submit("gone1,secret").await;
    assert_eq!(status, 200);
    assert_eq!(body.get("MediaRefreshJobId"), None);
    let (_, body) = submit("ok").await;
    assert_eq!(body.get("NonExistMediaIds"), None);
}

#[tokio::test(start_paused = true)]
async fn a_job_shows_its_media_once_the_cdn_has_their_urls() {
    let scenario = Scenario::new()
        .with_media("bad", MediaScript::failing("PreloadQueueFull", "full"))
        .with_media("empty", MediaScript { no_urls: true, ..MediaScript::default() });
    let env = TestEnv::new(scenario);
    let given = [
        ("MediaIds", "m1,bad,empty"),
        ("TaskType", "Preload"),
        ("SliceFlag", "true"),
        ("UserData", "{\"Extend\":{\"run\":\"1\"}}"),
    ];
    let (_, body) = env.call("RefreshMediaPlayUrls", &given).await;
    let job = body["MediaRefreshJobId"].as_str().unwrap();
    assert!(env.lookup(job).await.is_empty());
    assert!(env.lookup("unknown").await.is_empty());
    sleep(300).await;
    let rows = env.lookup(job).await;
    assert_eq!(rows.len(), 3);
    let first = &rows[0];
    assert_eq!(first["Status"], "success");
    assert_eq!(first["TaskType"], "Preload");
    assert_eq!(first["MediaRefreshJobId"], job);
    assert_eq!(first["GmtCreate"], "2025-06-15 15:06:40");
    assert_eq!(first["UserData"], "{\"Extend\":{\"run\":\"1\"}}");
    let policy: Value = serde_json::from_str(first["FilterPolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy, json!({"SliceFlag": true, "ResultType": "Single"}));
    assert_eq!(first["SuccessPlayUrls"].as_str().unwrap().split(',').count(), 2);
    assert_eq!(first["TaskIds"].as_str().unwrap().split(',').count(), 2);
    assert_eq!(rows[1]["Status"], "fail");
    assert_eq!(rows[1]["ErrorCode"], "PreloadQueueFull");
    assert_eq!(rows[1].get("TaskIds"), None);
    assert_eq!((&rows[2]["Status"], &rows[2]["TaskIds"]), (&json!("success"), &json!("")));
    let (_, one) = env.call("GetMediaRefreshJobs", &[("MediaRefreshJobId", job), ("MediaId", "bad")]).await;
    assert_eq!(one["MediaRefreshJobs"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_can_stay_empty_for_a_while_or_for_some_looks() {
    let late = MediaScript { lookup_empty_for: Duration::from_secs(2), ..MediaScript::default() };
    let shy = MediaScript { lookup_empty_looks: 2, ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with_media("late", late).with_media("shy", shy));
    let (late, shy) = (env.submit("late").await, env.submit("shy").await);
    assert!(env.lookup(&shy).await.is_empty(), "before the CDN has it, a look does not count");
    sleep(300).await;
    for expected in [0, 0, 1] {
        assert_eq!(env.lookup(&shy).await.len(), expected);
        assert_eq!(env.lookup(&late).await.len(), 0);
    }
    sleep(2000).await;
    assert_eq!(env.lookup(&late).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_progress_to_their_end_with_time() {
    let script = MediaScript {
        urls: vec!["https://a.test/1,2.mp4".into(), "https://a.test/b".into(), "https://a.test/c".into()],
        task_ids: vec!["T1".into(), "T2".into(), "T3".into()],
        pending_for: Some(Duration::from_secs(1)),
        task_duration: Some(Duration::from_secs(10)),
        failed_tasks: Which::At(vec![1]),
        failed_description: Some("Origin Timeout".into()),
        never_complete: Which::At(vec![2]),
        ..MediaScript::default()
    };
    let env = TestEnv::new(Scenario::new().with_media("m1", script));
    env.submit("m1").await;
    let env = &env;
    let state = |id: &'static str| async move { env.tasks(&[("TaskId", id)]).await.0.join(",") };
    assert_eq!(state("T1").await, "", "not there before the CDN has the URL");
    sleep(300).await;
    assert_eq!(state("T1").await, "T1 Pending");
    sleep(4000).await;
    let (_, body) = env.call("DescribeVodRefreshTasks", &[("TaskId", "T1")]).await;
    assert_eq!(
        body["Tasks"]["Task"][0],
        json!({
            "TaskId": "T1", "ObjectPath": "https://a.test/1,2.mp4", "ObjectType": "file",
            "Status": "Refreshing", "Process": "40%", "CreationTime": "2025-06-15T15:06:40Z",
        })
    );
    sleep(6000).await;
    assert_eq!(state("T1").await, "T1 Complete");
    let (_, body) = env.call("DescribeVodRefreshTasks", &[("TaskId", "T2")]).await;
    assert_eq!(body["Tasks"]["Task"][0]["Description"], "Origin Timeout");
    assert_eq!(state("T2").await, "T2 Failed");
    sleep(3_600_000).await;
    assert_eq!(state("T3").await, "T3 Refreshing");
    assert_eq!(env.emulator.complete_task("T3"), 1);
    assert_eq!(state("T3").await, "T3 Complete");
}

#[tokio::test(start_paused = true)]
async fn one_id_can_have_many_rows_on_several_pages() {
    let merged = MediaScript {
        url_count: Some(60),
        merged_tasks: true,
        task_ids: vec!["T1".into()],
        ..MediaScript::default()
    };
    let foreign = MediaScript {
        url_count: Some(1),
        task_ids: vec!["T2".into()],
        foreign_rows: 2,
        foreign_status: Some("Failed".into()),
        ..MediaScript::default()
    };
    let env = TestEnv::new(Scenario::new().with_media("m1", merged).with_media("m2", foreign));
    let job = env.submit("m1,m2").await;
    sleep(5000).await;
    for (number, size, rows) in [("1", "50", 50), ("2", "50", 10), ("3", "50", 0), ("1", "-", 20)] {
        let (found, total) = env.tasks(&[("TaskId", "T1"), ("PageNumber", number), ("PageSize", size)]).await;
        assert_eq!((found.len(), total), (rows, 60), "page {number} of {size}");
    }
    let ids = &env.lookup(&job).await[0]["TaskIds"];
    assert_eq!(ids.as_str().unwrap().split(',').collect::<Vec<_>>(), ["T1"; 60]);
    assert_eq!(env.tasks(&[("TaskId", "T2")]).await.0, ["T2 Complete", "T2 Failed", "T2 Failed"]);
    let (found, _) =
        env.tasks(&[("TaskId", "T2"), ("ObjectPath", "https://media.example.test/m2/1.mp4")]).await;
    assert_eq!(found, ["T2 Complete"]);
}

#[tokio::test(start_paused = true)]
async fn ids_can_be_shared_by_a_whole_batch() {
    let env = TestEnv::new(
        Scenario::new().with(|s| s.merge_ids_across_media = true).with(|s| s.url_with_commas = true),
    );
    let job = env.submit("m1,m2").await;
    sleep(300).await;
    let rows = env.lookup(&job).await;
    let id = env.emulator.task_ids(&job, "m1")[0].clone();
    for row in &rows {
        assert_eq!(row["TaskIds"], format!("{id},{id}"));
        assert!(row["SuccessPlayUrls"].as_str().unwrap().contains("/hd,sd,1.mp4"));
    }
    assert_eq!(env.tasks(&[("TaskId", &id)]).await.1, 4);
}

#[tokio::test(start_paused = true)]
async fn tasks_can_be_invisible_at_first() {
    let script = MediaScript {
        task_ids: vec!["T1".into()],
        url_count: Some(1),
        invisible_for: Duration::from_secs(1),
        invisible_looks: 2,
        ..MediaScript::default()
    };
    let env = TestEnv::new(Scenario::new().with_media("m1", script));
    env.submit("m1").await;
    sleep(300).await;
    assert_eq!(env.tasks(&[("TaskId", "T1")]).await.1, 0);
    sleep(1000).await;
    for expected in [0, 0, 1] {
        assert_eq!(env.tasks(&[("TaskId", "T1")]).await.1, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_task_id_lists_the_accounts_tasks_newest_first() {
    let one =
        |id: &str| MediaScript { url_count: Some(1), task_ids: vec![id.into()], ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with_media("m1", one("T1")).with_media("m2", one("T2")));
    env.submit("m1").await;
    sleep(1000).await;
    env.submit("m2").await;
    sleep(1500).await;
    let expected = (vec!["T2 Refreshing".to_owned(), "T1 Complete".to_owned()], 2);
    for given in [&[("TaskId", "")][..], &[], &[("ObjectType", "file")]] {
        assert_eq!(env.tasks(given).await, expected, "{given:?}");
    }
    let (found, _) = env.tasks(&[("ObjectType", "file"), ("Status", "Complete")]).await;
    assert_eq!(found, ["T1 Complete"]);
    let window = [("StartTime", "2025-06-15T15:06:41Z"), ("EndTime", "2025-06-15T15:06:50Z")];
    assert_eq!(env.tasks(&window).await.0, ["T2 Refreshing"]);
    let (found, _) =
        env.tasks(&[("ObjectType", "file"), ("DomainName", "media.example.test"), ("PageSize", "1")]).await;
    assert_eq!(found, ["T2 Refreshing"]);
    assert_eq!(env.tasks(&[("ObjectType", "preload")]).await.1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_scripted_job_is_there_from_the_first_request_on() {
    let job = JobScript { media: vec!["m1".into(), "gone".into()], ..JobScript::default() };
    let scenario = Scenario::new()
        .with(|s| s.jobs.insert("J1".into(), job))
        .with(|s| s.job_ids = vec!["J2".into()])
        .with_media("gone", MediaScript::missing());
    let env = TestEnv::new(scenario);
    assert!(env.lookup("J1").await.is_empty());
    sleep(300).await;
    assert_eq!(env.lookup("J1").await.len(), 1);
    assert_eq!(env.submit("m2").await, "J2");
    assert_eq!(env.submit("m3").await.len(), 32);
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_running_holds_from_the_next_submission_on() {
    let env = TestEnv::new(Scenario::new());
    let job = env.submit("m1").await;
    env.emulator.set_media("m1", MediaScript::missing());
    sleep(300).await;
    assert_eq!(env.lookup(&job).await.len(), 1);
    let (_, body) = env.call("RefreshMediaPlayUrls", &[("MediaIds", "m1"), ("TaskType", "Refresh")]).await;
    assert_eq!(body["NonExistMediaIds"], "m1");
    assert_eq!(env.emulator.count("RefreshMediaPlayUrls"), 2);
}

#[tokio::test(start_paused = true)]
async fn twenty_thousand_media_are_no_burden() {
    let scenario = Scenario::new()
        .with(|s| s.rates.insert("RefreshMediaPlayUrls".into(), 0.0))
        .with(|s| s.urls_per_media = 5);
    let env = TestEnv::new(scenario);
    for batch in 0..1000 {
        let ids: Vec<String> = (0..20).map(|n| format!("m{batch}x{n}")).collect();
        env.submit(&ids.join(",")).await;
    }
    sleep(5000).await;
    let mut found = 0;
    for number in ["1", "2", "1999", "2000", "2001"] {
        let (rows, total) = env.tasks(&[("PageNumber", number), ("PageSize", "50")]).await;
        assert_eq!(total, 100_000);
        found += rows.len();
    }
    assert_eq!(found, 200);
}

#[tokio::test(start_paused = true)]
async fn urls_and_folders_are_handed_over_and_those_of_one_domain_share_a_task() {
    let scenario = Scenario::new()
        .with_media("off.example", MediaScript::missing())
        .with_media("https://a.example/gone.mp4", MediaScript::forbidden())
        .with(|scenario| (scenario.quota.url_quota, scenario.quota.dir_quota) = (3, 1));
    let env = TestEnv::new(scenario);
    let refresh = async |path: &str, kind: &str| {
        let (_, body) =
            env.call("RefreshVodObjectCaches", &[("ObjectPath", path), ("ObjectType", kind)]).await;
        let id = body["RefreshTaskId"].as_str().map(str::to_owned);
        id.ok_or_else(|| body["Code"].as_str().unwrap().to_owned())
    };
    let first = refresh("https://a.example/1.mp4\na.example/2.mp4\r\nhttps://b.example/1.mp4", "File").await;
    let ids: Vec<String> = first.unwrap().split(',').map(str::to_owned).collect();
    assert_eq!(ids.len(), 2);
    let (_, rows) = env.call("DescribeVodRefreshTasks", &[("TaskId", &ids[0])]).await;
    assert_eq!(rows["TotalCount"], 2);
    for (path, kind, code) in [
        ("https://a.example/3.mp4", "File", "QuotaExceeded.Refresh"),
        ("https://off.example/1.mp4", "File", "InvalidDomain.NotFound"),
        ("https://a.example/gone.mp4", "File", "IllegalOperation"),
        ("https://a.example/dir", "Directory", "InvalidObjectPath.Malformed"),
        ("https://a.example/(", "Regex", "InvalidObjectPath.Malformed"),
        ("https://a.example/", "Folder", "InvalidObjectType.ValueNotSupported"),
    ] {
        assert_eq!(refresh(path, kind).await.unwrap_err(), code, "{path}");
    }
    let folder = refresh("https://a.example/dir/", "Directory").await.unwrap();
    assert!(!ids.contains(&folder));
    let (_, body) = env.call("PreloadVodObjectCaches", &[("ObjectPath", "https://a.example/1.mp4")]).await;
    assert!(body["PreloadTaskId"].is_string(), "{body}");
}
