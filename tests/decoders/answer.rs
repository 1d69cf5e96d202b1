//! An answer of the VOD service to each kind of call: JSON, or an error as JSON, XML or a proxy's page.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::{check_quotation, check_row};
use super::recorded::{self, FixedAnswer};
use super::{FixedClock, SECRET_MARK, TOKEN_MARK, block_on};
use crate::auth::{Credential, StaticCredentials, percent};
use crate::error::{Error, ErrorKind, Fate};
use crate::ids::{JobId, MediaId, TaskId};
use crate::vod::{RefreshMediaPlayUrls, SubmissionStatus, TaskRow, TaskType, VodClient};

/// Lets a client make its calls.
pub fn answer(bytes: &[u8]) {
    let recorded = recorded::answer(bytes);
    let (Ok(job), Ok(task), Ok(media)) = (JobId::new("J1"), TaskId::new("T1"), MediaId::new("m1")) else {
        panic!("nothing to ask for");
    };
    let (client, body) = (client(&recorded), recorded.body());
    block_on(async {
        match client.get_media_refresh_jobs(&job).await {
            Ok(rows) => rows.iter().for_each(|row| {
                check_row(row, body.len());
                let word = match &row.status {
                    SubmissionStatus::Pending(word) => word.as_deref(),
                    SubmissionStatus::Success | SubmissionStatus::Fail => None,
                };
                let texts =
                    [row.error_code.as_deref(), row.error_message.as_deref(), word, row.unread.as_deref()];
                texts.into_iter().flatten().for_each(holds_no_secret);
                survives_the_journal(row);
            }),
            Err(error) => {
                check_error(&error, &recorded);
                // The other calls read errors in the same way.
                if error.kind() != ErrorKind::Garbled {
                    return;
                }
            }
        }
        match client.describe_vod_refresh_tasks(&task, 1).await {
            Ok(page) => page.rows.iter().for_each(|row| {
                assert!(row.task == task && row.progress <= 100, "{row:?}");
                holds_no_secret(row.status.as_str());
                row.description.as_deref().into_iter().for_each(holds_no_secret);
                // The journal does without its type.
                survives_the_journal(&TaskRow { object_type: None, ..row.clone() });
            }),
            Err(error) => check_error(&error, &recorded),
        }
        match client.refresh_media_play_urls(&RefreshMediaPlayUrls::new(TaskType::Refresh, vec![media])).await
        {
            Ok(submission) => {
                let refused = submission.not_found.iter().chain(&submission.forbidden);
                assert!(refused.clone().all(|id| id == "m1"), "{submission:?}");
                assert!(submission.job.is_some() || refused.count() > 0, "the outcome is unknown");
                for text in &submission.unrecognised {
                    check_quotation(text);
                    holds_no_secret(text);
                }
            }
            Err(error) => check_error(&error, &recorded),
        }
        if let Err(error) = client.describe_vod_refresh_quota().await {
            check_error(&error, &recorded);
        }
        // With a client of its own, since it keeps the pace of the one before.
        if let Err(error) = self::client(&recorded).get_message_callback(None).await {
            check_error(&error, &recorded);
        }
    });
    // Whatever the Date header said.
    let _ = client.service_time();
}

/// A client that is always answered so, and tries once: what is tried again is the same each time.
fn client(answer: &http::Response<Bytes>) -> VodClient {
    let credential = Credential::new("testid", SECRET_MARK).with_token(TOKEN_MARK);
    let client = VodClient::builder(StaticCredentials(credential))
        .with_endpoint("http://127.0.0.1:1")
        .with_transport(FixedAnswer(answer.clone()))
        .with_clock(FixedClock)
        .build();
    match client {
        Ok(client) => client.with_patience(Duration::ZERO),
        Err(why) => panic!("no client: {why}"),
    }
}

fn survives_the_journal<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(row: &T) {
    let written = serde_json::to_string(row).unwrap_or_default();
    assert_eq!(serde_json::from_str::<T>(&written).ok().as_ref(), Some(row), "{written}");
}

fn check_error(error: &Error, answer: &http::Response<Bytes>) {
    let body = answer.body();
    if error.kind() == ErrorKind::Garbled {
        assert_eq!(error.fate(), Fate::Unknown, "{error}");
    }
    if error.code().is_none() {
        assert!(
            error.message().len() < 1_000,
            "what is no word of the service is not quoted at length: {error}"
        );
        assert!(
            [ErrorKind::Unavailable, ErrorKind::Garbled, ErrorKind::Throttled].contains(&error.kind()),
            "{error:?}"
        );
    }
    assert!(!error.message().to_ascii_lowercase().contains("server string to sign"), "{error}");
    check_text(error, body.len());
}

/// What the text of every error promises that a sender's answer led to.
pub(super) fn check_text(error: &Error, length: usize) {
    let text = error.to_string();
    assert!(text.len() <= 4 * length + 500, "{} bytes of text out of {length}", text.len());
    holds_no_secret(&text);
}

fn holds_no_secret(text: &str) {
    let text = text.to_ascii_lowercase();
    for secret in [SECRET_MARK, TOKEN_MARK] {
        for encoded in [secret.to_owned(), percent::encode(secret), percent::encode(&percent::encode(secret))]
        {
            assert!(!text.contains(&encoded.to_ascii_lowercase()), "{text}");
        }
    }
}
