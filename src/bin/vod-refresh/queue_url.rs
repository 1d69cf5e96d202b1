//! Queue URLs: `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`.

use std::str::FromStr;

/// The address of a queue, in the two parts that event settings want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueUrl {
    /// Scheme and host.
    pub(crate) endpoint: String,
    pub(crate) name: String,
}

impl FromStr for QueueUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write it as `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`";
        let uri: http::Uri = text.parse().map_err(|_| format!("not a URL: {form}"))?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(form.to_owned());
        };
        let name =
            uri.path().strip_prefix("/queues/").map(|name| name.trim_end_matches('/')).unwrap_or_default();
        if uri.query().is_some() || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(form.to_owned());
        }
        // Source: "CreateQueue" of the SMQ API, parameter `QueueName`: letters, digits and hyphens.
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(format!("no queue name in it: {form}"));
        }
        // VOD writes from outside. Source: "SetMessageCallback", parameter `MnsEndpoint`.
        if authority.host().contains("-internal") || authority.host().contains("-vpc") {
            return Err(
                "this endpoint is internal, VOD needs the public one: take the part after the region off"
                    .to_owned(),
            );
        }
        let scheme = uri.scheme_str().unwrap_or("https");
        Ok(Self { endpoint: format!("{scheme}://{authority}"), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_url_is_an_endpoint_and_a_name() {
        let url: QueueUrl =
            "https://1234567890.mns.cn-shanghai.aliyuncs.com/queues/vod-events".parse().unwrap();
        assert_eq!(url.endpoint, "https://1234567890.mns.cn-shanghai.aliyuncs.com");
        assert_eq!(url.name, "vod-events");
    }

    #[test]
    fn what_is_none_is_told_the_right_form() {
        for text in [
            "vod-events",
            "https://1.mns.cn-shanghai.aliyuncs.com",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/a/b",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/a?x=1",
            "ftp://h/queues/a",
            "https://u@h/queues/a",
        ] {
            assert!(text.parse::<QueueUrl>().unwrap_err().contains("ACCOUNT.mns"), "{text}");
        }
        let internal = "https://1.mns.cn-shanghai-internal.aliyuncs.com/queues/a".parse::<QueueUrl>();
        assert!(internal.unwrap_err().contains("public"));
    }
}
