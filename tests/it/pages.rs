//! Long listings: totals that are wrong or absent, and rows that move from page to page (C35).

use std::sync::Mutex;

use bytes::Bytes;
use serde_json::{Value, json};
use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};
use vod_refresh::{Credential, StaticCredentials, TaskId, VodClient};

/// Answers the n-th request with the n-th page.
#[derive(Debug)]
struct Pages(Mutex<std::vec::IntoIter<Value>>);

impl Transport for Pages {
    fn send(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let page = self.0.lock().unwrap().next().expect("no more requests than pages");
        Box::pin(async move { Ok(http::Response::new(page.to_string().into())) })
    }
}

/// A page that shows the rows of these numbers.
fn page(rows: impl Iterator<Item = u32>, total: &Value) -> Value {
    let row = |n| json!({"TaskId": "T", "ObjectPath": format!("https://a/{n}"), "Status": "Complete"});
    let mut page = json!({"RequestId": "R", "Tasks": {"Task": rows.map(row).collect::<Vec<_>>()}});
    if !total.is_null() {
        page["TotalCount"] = total.clone();
    }
    page
}

async fn read(pages: Vec<Value>) -> (usize, bool) {
    let client = VodClient::builder(StaticCredentials(Credential::new("testid", "testsecret")))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(Pages(Mutex::new(pages.into_iter())))
        .build()
        .unwrap();
    let answer = client.task_rows(&TaskId::new("T").unwrap()).await.unwrap();
    (answer.rows.len(), answer.total.is_none_or(|total| total <= answer.rows.len() as u64))
}

#[tokio::test(start_paused = true)]
async fn every_row_comes_once_whatever_the_total_says() {
    for total in [json!(120), json!("120"), Value::Null] {
        let pages = vec![page(0..50, &total), page(50..100, &total), page(100..120, &total)];
        assert_eq!(read(pages).await, (120, true), "{total}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_move_to_the_next_page_are_counted_once() {
    let total = json!(120);
    let pages = vec![page(0..50, &total), page(48..98, &total), page(98..120, &total)];
    assert_eq!(read(pages).await, (120, true));
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_ends_the_reading_though_the_total_says_more() {
    let total = json!(120);
    let pages = vec![page(0..50, &total), page(50..100, &total), page(0..0, &total)];
    assert_eq!(read(pages).await, (100, false));
}

#[tokio::test(start_paused = true)]
async fn a_total_of_zero_with_a_row_hides_no_row() {
    assert_eq!(read(vec![page(0..1, &json!(0))]).await, (1, true));
}
