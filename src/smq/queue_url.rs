//! The address of a queue: `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::masked_address;
use crate::net::endpoint::checked_endpoint;

/// Longest queue name. Source: `CreateQueue` (120 now, 256 in older texts: the longer one is accepted).
const MAX_NAME: usize = 256;

/// A queue's address, checked. Any host will do: endpoints have several forms, and gateways their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUrl {
    origin: String,
    name: String,
}

impl QueueUrl {
    /// Reads `https://HOST/queues/NAME`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if it is no such URL, [`ErrorKind::Config`] if it is plain HTTP to another host than this
    /// machine and `allow_http` is off.
    pub fn parse(given: &str, allow_http: bool) -> Result<Self> {
        let usage = |why: &str| {
            let form = "https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME";
            let shown = masked_address(given);
            Error::new(ErrorKind::Usage, format!("queue {shown:?} {why}; the form is {form}"))
        };
        let given = given.trim();
        if given.contains('@') {
            return Err(usage("has a user name or password, which no queue takes"));
        }
        let (scheme, rest) = given.split_once("://").ok_or_else(|| usage("is no http or https URL"))?;
        let (authority, path) = rest.split_once('/').ok_or_else(|| usage("names no queue"))?;
        let origin = checked_endpoint("queue", &format!("{scheme}://{authority}"), allow_http)?;
        let name = path.strip_prefix("queues/").ok_or_else(|| usage("has no path /queues/NAME"))?;
        let name = name.strip_suffix('/').unwrap_or(name);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || name.len() > MAX_NAME || !name.chars().all(plain) {
            return Err(usage("has no queue name of letters, digits and hyphens"));
        }
        Ok(Self { origin, name: name.to_owned() })
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path of the queue itself.
    pub(crate) fn path(&self) -> String {
        format!("/queues/{}", self.name)
    }

    /// The path of its messages.
    pub(crate) fn messages(&self) -> String {
        format!("/queues/{}/messages", self.name)
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_a_host_and_a_name() {
        for (given, name) in [
            (
                "https://123456789012.mns.cn-shanghai.aliyuncs.com/queues/vod-refresh-events",
                "vod-refresh-events",
            ),
            (" https://1.mns.cn-shanghai.aliyuncs.com/queues/Q1/ ", "Q1"),
            ("http://127.0.0.1:8080/queues/q", "q"),
            ("http://[::1]:1/queues/q", "q"),
        ] {
            let url = QueueUrl::parse(given, false).unwrap();
            assert_eq!(url.name(), name);
            assert_eq!(url.to_string(), given.trim().trim_end_matches('/'));
        }
    }

    #[test]
    fn what_is_no_queue_says_the_form() {
        for given in [
            "vod-events",
            "1.mns.cn-shanghai.aliyuncs.com/queues/q",
            "https://1.mns.cn-shanghai.aliyuncs.com",
            "https://1.mns.cn-shanghai.aliyuncs.com/q",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/a/messages",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/-a",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/a?b=c",
            "https://1.mns.cn-shanghai.aliyuncs.com/queues/a b",
            "https:///queues/q",
            "https://user:secret@h/queues/q",
            "ftp://h/queues/q",
        ] {
            assert_eq!(QueueUrl::parse(given, false).unwrap_err().kind(), ErrorKind::Usage, "{given}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_allowed() {
        let internal = "http://1.mns.cn-shanghai-internal.aliyuncs.com/queues/q";
        assert_eq!(QueueUrl::parse(internal, false).unwrap_err().kind(), ErrorKind::Config);
        assert!(QueueUrl::parse(internal, true).is_ok());
    }
}
