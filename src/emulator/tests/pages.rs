//! Pages of task rows that are cut, counted and ordered otherwise than was asked.

use std::num::NonZeroUsize;

use serde_json::{Value, json};

use super::env::{TestEnv, sleep};
use crate::emulator::{MediaScript, Pages, Scenario, SizeNamed, Total};

const TASKS: &str = "DescribeVodRefreshTasks";

/// Five rows under the task id `T1`.
async fn five(pages: Pages) -> TestEnv {
    let ids = vec!["T1".into()];
    let media =
        MediaScript { url_count: Some(5), task_ids: ids, merged_tasks: true, ..MediaScript::default() };
    let env = TestEnv::new(Scenario::new().with(|s| s.default_media = media).with(|s| s.pages = pages));
    env.submit("m1").await;
    sleep(9_000).await;
    env
}

/// The numbers of the URLs on a page of `T1`, or of a listing.
async fn page(env: &TestEnv, id: &str, number: &str, size: &str) -> String {
    let given = [("TaskId", id), ("PageNumber", number), ("PageSize", size)];
    let (_, body) = env.call(TASKS, &given).await;
    let number = |row: &Value| {
        let path = row["ObjectPath"].as_str().unwrap();
        path.trim_start_matches("https://media.example.test/m1/").trim_end_matches(".mp4").to_owned()
    };
    body["Tasks"]["Task"].as_array().unwrap().iter().map(number).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_are_smaller_than_asked() {
    for (size_named, expected) in
        [(SizeNamed::Right, Some(json!(2))), (SizeNamed::Asked, Some(json!(50))), (SizeNamed::None, None)]
    {
        let env = five(Pages { size: NonZeroUsize::new(2), size_named, ..Pages::default() }).await;
        let (_, body) = env.call(TASKS, &[("TaskId", "T1"), ("PageSize", "50")]).await;
        assert_eq!((body.get("PageSize"), &body["TotalCount"]), (expected.as_ref(), &json!(5)));
        for id in ["T1", ""] {
            let found = ["1", "2", "3"].map(|number| page(&env, id, number, "50"));
            let [first, second, third] = found;
            assert_eq!([first.await, second.await, third.await], ["54", "32", "1"]);
        }
        assert_eq!(page(&env, "T1", "1", "1").await, "5", "a smaller one is as asked");
    }
}

#[tokio::test(start_paused = true)]
async fn totals_lie_as_told() {
    for (total, expected) in [
        (Total::Right, Some(json!(5))),
        (Total::None, None),
        (Total::TooLow, Some(json!(2))),
        (Total::TooHigh, Some(json!(55))),
        (Total::Zero, Some(json!(0))),
        (Total::Text, Some(json!("5"))),
    ] {
        let env = five(Pages { total, ..Pages::default() }).await;
        for id in ["T1", ""] {
            let (_, body) = env.call(TASKS, &[("TaskId", id)]).await;
            assert_eq!(body.get("TotalCount"), expected.as_ref(), "{total:?}");
            assert_eq!(body["Tasks"]["Task"].as_array().unwrap().len(), 5);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rows_move_from_page_to_page_between_two_queries() {
    for id in ["T1", ""] {
        let env = five(Pages { shift: 1, ..Pages::default() }).await;
        let mut seen = String::new();
        for number in ["1", "2", "3"] {
            seen += &page(&env, id, number, "2").await;
            seen.push(' ');
        }
        assert_eq!(seen, "54 21 4 ", "3 is missed, 4 stands there twice");
        assert_eq!(page(&env, id, "1", "2").await, "21");
        assert_eq!(page(&env, "T2", "1", "2").await, "", "of an id that is unknown nothing is kept");
    }
}
