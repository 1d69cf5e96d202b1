//! The queue that VOD is to write to: a queue URL, and a public one.

use std::error::Error as _;

use vod_refresh::smq::QueueUrl;

/// Reads a queue URL for the event settings. VOD writes from outside, so an internal endpoint is refused.
///
/// Source: "SetMessageCallback", parameter `MnsEndpoint`.
pub(crate) fn public_queue(text: &str) -> Result<QueueUrl, String> {
    // Whether plain HTTP will do is VOD's to say: nothing is sent there from here.
    let url = QueueUrl::parse(text, true).map_err(|why| match why.source() {
        Some(source) => format!("{}: {source}", why.message()),
        None => why.message().to_owned(),
    })?;
    if url.origin().contains("-internal") || url.origin().contains("-vpc") {
        return Err(
            "this endpoint is internal, VOD needs the public one: take the part after the region off".into(),
        );
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_queues_will_do() {
        let url = public_queue("https://1234567890.mns.cn-shanghai.aliyuncs.com/queues/vod-events").unwrap();
        assert_eq!(
            (url.origin(), url.name()),
            ("https://1234567890.mns.cn-shanghai.aliyuncs.com", "vod-events")
        );
        let internal = public_queue("https://1.mns.cn-shanghai-internal.aliyuncs.com/queues/a");
        assert!(internal.unwrap_err().contains("public"));
        for text in [
            "vod-events",
            "https://1.mns.cn-shanghai.aliyuncs.com",
            "ftp://h/queues/a",
            "https://u@h/queues/a",
        ] {
            assert!(public_queue(text).is_err(), "{text}");
        }
    }
}
