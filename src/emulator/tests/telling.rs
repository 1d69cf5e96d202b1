//! Lookups and rows that tell a media otherwise than it is. The truth stands beside: the same ends, the same task ids.

use std::time::Duration;

use serde_json::{Value, json};

use super::env::{TestEnv, sleep};
use crate::emulator::{ListStyle, MediaScript, OneByOne, RowSpelling, Scenario, SecondEnd, Telling, Which};

/// A cloud whose every media has so many URLs, the task ids `T1`, `T2` and so on, and is told like this.
fn env(urls: usize, telling: Telling) -> TestEnv {
    let task_ids = (1..=urls).map(|n| format!("T{n}")).collect();
    let media = MediaScript { url_count: Some(urls), task_ids, ..MediaScript::default() };
    TestEnv::new(Scenario::new().with(|s| s.default_media = media.with(|m| m.telling = telling)))
}

/// The same with one task id for all URLs.
fn merged(urls: usize, telling: Telling) -> TestEnv {
    let media = MediaScript { url_count: Some(urls), task_ids: vec!["T1".into()], ..MediaScript::default() };
    let media = MediaScript { merged_tasks: true, ..media };
    TestEnv::new(Scenario::new().with(|s| s.default_media = media.with(|m| m.telling = telling)))
}

/// `TaskIds` and the number of `SuccessPlayUrls` of each row.
fn named(rows: &[Value]) -> Vec<(&str, usize)> {
    let text = |value: &'_ Value| value.as_str().map_or(0, |text| text.split(',').count());
    rows.iter().map(|row| (row["TaskIds"].as_str().unwrap(), text(&row["SuccessPlayUrls"]))).collect()
}

#[tokio::test(start_paused = true)]
async fn rows_spell_urls_as_told_and_are_found_by_that() {
    let told = Telling { row_spelling: RowSpelling::UpperHost, ..Telling::default() };
    let env = env(1, told);
    let job = env.submit("m1").await;
    sleep(300).await;
    assert_eq!(env.lookup(&job).await[0]["SuccessPlayUrls"], "https://media.example.test/m1/1.mp4");
    let (_, body) = env.call("DescribeVodRefreshTasks", &[("TaskId", "T1")]).await;
    let spelt = "https://MEDIA.EXAMPLE.TEST/m1/1.mp4";
    assert_eq!(body["Tasks"]["Task"][0]["ObjectPath"], spelt);
    assert_eq!(env.tasks(&[("ObjectPath", spelt)]).await.1, 1);
    let domain = [("ObjectType", "file"), ("DomainName", "media.example.test")];
    assert_eq!(env.tasks(&domain).await.1, 1);
}

#[tokio::test(start_paused = true)]
async fn lists_are_written_as_told() {
    let url = |n: u32| format!("https://media.example.test/m1/{n}.mp4");
    for (list_style, ids, urls) in [
        (ListStyle::Semicolon, json!("T1;T2"), json!(format!("{};{}", url(1), url(2)))),
        (ListStyle::Array, json!(["T1", "T2"]), json!([url(1), url(2)])),
        (ListStyle::Object, json!({"Entry": ["T1", "T2"]}), json!({"Entry": [url(1), url(2)]})),
    ] {
        let env = env(2, Telling { list_style, ..Telling::default() });
        let job = env.submit("m1").await;
        sleep(300).await;
        let row = &env.lookup(&job).await[0];
        let event = env.emulator.event_for(&job, "m1").unwrap();
        for told in [row, &event] {
            assert_eq!((&told["TaskIds"], &told["SuccessPlayUrls"]), (&ids, &urls));
        }
        assert_eq!(env.emulator.task_ids(&job, "m1"), ["T1", "T2"]);
    }
    let env = env(2, Telling { garbage_in_lists: true, ..Telling::default() });
    let job = env.submit("m1").await;
    sleep(300).await;
    let row = &env.lookup(&job).await[0];
    assert_eq!(row["TaskIds"], "T1,{\"id\":7},T2");
    assert_eq!(row["SuccessPlayUrls"], format!("{},{}", url(1), url(2)));
}

#[tokio::test(start_paused = true)]
async fn rows_come_to_light_one_by_one_with_looks() {
    let env = merged(3, Telling { rows_one_by_one: OneByOne::Looks(true), ..Telling::default() });
    env.submit("m1").await;
    assert_eq!(env.tasks(&[("TaskId", "T1")]).await.1, 0, "before there is a row, a look does not count");
    sleep(300).await;
    assert_eq!(env.tasks(&[]).await.1, 0, "listings show what was shown before");
    for expected in [1, 2, 3, 3] {
        let (rows, total) = env.tasks(&[("TaskId", "T1")]).await;
        assert_eq!((rows.len(), total), (expected, expected as u64));
        let next = env.tasks(&[("TaskId", "T1"), ("PageNumber", "2")]).await;
        assert_eq!(next, (vec![], total), "a further page is no further look");
        assert_eq!(env.tasks(&[]).await.1, total);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_come_to_light_one_by_one_with_time() {
    let every = OneByOne::Every(Duration::from_secs(3));
    let env = merged(3, Telling { rows_one_by_one: every, ..Telling::default() });
    env.submit("m1").await;
    sleep(60_000).await;
    for (wait, expected) in [(0, 1), (2_999, 1), (1, 2), (3_000, 3), (9_000, 3)] {
        sleep(wait).await;
        assert_eq!(env.tasks(&[("TaskId", "T1")]).await.1, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_stands_twice_with_an_end_of_its_own() {
    for (second_ends, expected) in [
        (None, ["T2 Complete", "T2 Complete"]),
        (Some(SecondEnd::Complete), ["T2 Complete", "T2 Complete"]),
        (Some(SecondEnd::Failed), ["T2 Failed", "T2 Complete"]),
        (Some(SecondEnd::Never), ["T2 Refreshing", "T2 Complete"]),
    ] {
        let env = env(2, Telling { double_rows: Which::At(vec![1]), second_ends, ..Telling::default() });
        env.submit("m1").await;
        sleep(9_000).await;
        assert_eq!(env.tasks(&[("TaskId", "T1")]).await.0, ["T1 Complete"]);
        assert_eq!(env.tasks(&[("TaskId", "T2")]).await, (expected.map(str::to_owned).to_vec(), 2));
        let (_, body) = env.call("DescribeVodRefreshTasks", &[("TaskId", "T2")]).await;
        let rows = &body["Tasks"]["Task"];
        assert_eq!(rows[0]["ObjectPath"], rows[1]["ObjectPath"]);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_have_another_word_before_their_end() {
    let env = env(1, Telling { status_word: Some("Warming".into()), ..Telling::default() });
    env.submit("m1,m2").await;
    sleep(300).await;
    assert_eq!(env.tasks(&[("TaskId", "T1")]).await.0, ["T1 Warming", "T1 Warming"]);
    sleep(1_999).await;
    assert_eq!(env.emulator.complete_task("T1"), 2, "they have not ended");
    assert_eq!(env.tasks(&[("TaskId", "T1")]).await.0, ["T1 Complete", "T1 Complete"]);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_names_more_each_time() {
    for (lookup_grows, wait) in [(OneByOne::Looks(true), 0), (OneByOne::Every(Duration::from_secs(3)), 3_000)]
    {
        let env = env(3, Telling { lookup_grows, ..Telling::default() });
        let job = env.submit("m1").await;
        assert!(env.lookup(&job).await.is_empty(), "a lookup that shows nothing does not count");
        sleep(300).await;
        for expected in [("T1", 1), ("T1,T2", 2), ("T1,T2,T3", 3), ("T1,T2,T3", 3)] {
            let rows = env.lookup(&job).await;
            assert_eq!(named(&rows), [expected]);
            assert_eq!(rows[0]["Status"], "success");
            sleep(wait).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_shows_a_media_in_two_rows() {
    for (urls, expected) in
        [(3, &[("T1,T2", 2), ("T3", 1)][..]), (2, &[("T1", 1), ("T2", 1)]), (1, &[("T1", 1)])]
    {
        let env = env(urls, Telling { lookup_split: true, ..Telling::default() });
        let job = env.submit("m1").await;
        sleep(300).await;
        let rows = env.lookup(&job).await;
        assert_eq!(named(&rows), expected);
        assert!(rows.iter().all(|row| row["MediaId"] == "m1" && row["Status"] == "success"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_shows_a_media_that_is_not_decided() {
    let span = Duration::from_secs(60);
    for (pending_word, expected) in
        [(None, Value::Null), (Some("processing".to_owned()), "processing".into())]
    {
        let told = Telling { lookup_pending_for: span, pending_word, ..Telling::default() };
        let env = env(1, told.clone());
        env.emulator
            .set_media("bad", MediaScript::failing("PreloadQueueFull", "full").with(|m| m.telling = told));
        let job = env.submit("m1,bad").await;
        sleep(60_299).await;
        for row in env.lookup(&job).await {
            assert_eq!(row.get("Status"), Some(&expected));
            assert_eq!((row.get("TaskIds"), row.get("ErrorCode")), (None, None));
        }
        assert_eq!(env.emulator.event_for(&job, "m1").unwrap()["Status"], "success", "events do not wait");
        sleep(1).await;
        let rows = env.lookup(&job).await;
        assert_eq!((&rows[0]["Status"], &rows[0]["TaskIds"]), (&json!("success"), &json!("T1")));
        assert_eq!(rows[1]["Status"], "fail");
    }
}
