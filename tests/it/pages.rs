//! Long listings: totals that are wrong or absent, and rows that move from page to page (C35).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use vod_refresh::net::transport::{BoxFuture, Transport, TransportError};
use vod_refresh::{ErrorKind, TaskId, VodClient};

use crate::support::{client_over, static_key};

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

fn client(transport: impl Transport + 'static) -> VodClient {
    client_over(transport, static_key()).build().unwrap()
}

/// How many rows a task has that is shown in `pages`, and what the service counts. All pages must be asked for.
async fn read(pages: Vec<Value>) -> (usize, Option<u64>) {
    read_until(pages, usize::MAX).await
}

/// The same, when so many rows are enough.
async fn read_until(pages: Vec<Value>, enough: usize) -> (usize, Option<u64>) {
    let pages = Arc::new(Pages(Mutex::new(pages.into_iter())));
    let client = client(pages.clone());
    let task = TaskId::new("T").unwrap();
    let answer = client.task_rows(&task, |rows| rows.len() >= enough).await.unwrap();
    assert_eq!(pages.0.lock().unwrap().len(), 0, "pages were left unread");
    (answer.rows.len(), answer.total)
}

/// The same with what the service says of its pages.
fn page_of(size: u32, rows: impl Iterator<Item = u32>, total: &Value) -> Value {
    let mut page = page(rows, total);
    page["PageSize"] = json!(size);
    page
}

#[tokio::test(start_paused = true)]
async fn every_row_comes_once_whatever_the_total_says() {
    for total in [json!(120), json!("120"), json!(3), json!(0), Value::Null] {
        let pages = [0..50, 50..100, 100..120].map(|rows| page_of(50, rows, &total));
        assert_eq!(read(pages.into()).await.0, 120, "{total}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_with_shorter_pages_than_it_says_loses_no_row() {
    let total = json!(30);
    let pages = [0..20, 20..30].map(|rows| page_of(50, rows, &total));
    assert_eq!(read(pages.into()).await, (30, Some(30)));
    let pages = [0..20, 20..40, 40..40].map(|rows| page_of(20, rows, &Value::Null));
    assert_eq!(read(pages.into()).await, (40, None));
    let pages = [0..10, 10..20, 20..20].map(|rows| page(rows, &Value::Null));
    assert_eq!(read(pages.into()).await, (20, None), "nobody knows how long its pages are");
}

#[tokio::test(start_paused = true)]
async fn rows_that_move_to_the_next_page_are_counted_once() {
    let total = json!(120);
    let pages = [0..50, 48..98, 98..120].map(|rows| page_of(50, rows, &total));
    assert_eq!(read(pages.into()).await, (120, Some(120)));
}

#[tokio::test(start_paused = true)]
async fn one_url_in_two_states_is_two_rows() {
    let mut twice = page_of(50, 0..2, &json!(2));
    twice["Tasks"]["Task"][1]["ObjectPath"] = json!("https://a/0");
    twice["Tasks"]["Task"][1]["Status"] = json!("Failed");
    assert_eq!(read(vec![twice]).await, (2, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_ends_the_reading_though_the_total_says_more() {
    let pages = [(0..50, json!(120)), (50..100, json!(90)), (0..0, Value::Null)];
    let pages = pages.map(|(rows, total)| page_of(50, rows, &total));
    assert_eq!(read(pages.into()).await, (100, Some(120)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_knows_one_page_is_asked_for_two() {
    let pages = [0..3, 0..3].map(|rows| page(rows, &Value::Null));
    assert_eq!(read(pages.into()).await, (3, None));
}

#[tokio::test(start_paused = true)]
async fn reading_stops_once_enough_rows_were_read() {
    assert_eq!(read_until(vec![page(0..3, &json!(99))], 3).await, (3, Some(99)));
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_end_is_no_answer() {
    let pages = (0..200).map(|n| page(n..n + 1, &Value::Null)).collect::<Vec<_>>();
    let client = client(Pages(Mutex::new(pages.into_iter())));
    let error = client.task_rows(&TaskId::new("T").unwrap(), |_| false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Garbled);
}
